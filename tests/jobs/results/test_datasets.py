from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from captoolkit.errors import CaptoolkitError, OutputExistsError, UsageError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.listings import list_inputs
from captoolkit.jobs.results.datasets import export_rows
from captoolkit.jobs.results.recording_rows import (
    RecordingRow,
    RowSegment,
    RowStatus,
    failed_row,
    write_rows,
)
from captoolkit.jobs.stores.base_store import Store
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.jobs.work import work_on
from tests.support.batches import listed, task_of, write_recordings

SOUND: dict[str, Any] = {"codec": "pcm_s16le", "sample_rate_hz": 16000, "channels": 1}
CAPTIONED = RecordingRow(
    id="talks/a.wav",
    url="s3://bucket/talks/a.wav",
    status=RowStatus.HOLES,
    duration_s=30.5,
    sha256="aa",
    **SOUND,
    segments=(
        RowSegment(
            file=None,
            start_s=0.0,
            end_s=20.0,
            duration_s=20.0,
            status="ok",
            text='A "bell", 鐘 rings.\nTwice.',
            usage={"audio_tokens": 500, "output_tokens": 12},
        ),
        RowSegment(
            file=None, start_s=20.0, end_s=25.0, duration_s=5.0, status="failed", error="refused"
        ),
        RowSegment(file=None, start_s=25.0, end_s=30.5, duration_s=5.5, status="silent"),
    ),
)
FAILED = failed_row(
    Input(id="bad.mp3", url="/in/bad.mp3", relative="bad.mp3"), CaptoolkitError("no sound")
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A batch with captions that have a hole, a failure, and segments with files."""
    recordings = write_recordings(tmp_path / "in", ["talks/b.wav"])
    store = open_store(str(tmp_path / "out"))
    made = work_on(task_of(listed(recordings), tmp_path / "out", options={"segment": "1s"}))
    write_rows(store, "1", "a", [CAPTIONED, FAILED, *made])
    return store


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a table."""
    if path.suffix == ".parquet":
        return list(parquet.read_table(path).to_pylist())
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "parquet"])
def test_a_table_has_a_line_for_each_segment(store: Store, tmp_path: Path, ending: str) -> None:
    """Every format holds the same lines; holes and failures are none."""
    path = tmp_path / f"rows.{ending}"
    made = export_rows(store, path)
    lines = lines_of(path)
    assert (made.paths, made.lines) == ((path,), (3,))
    caption, first, second = lines
    assert caption["text"] == CAPTIONED.segments[0].text
    assert (caption["audio_filepath"], caption["offset"], caption["duration"]) == (
        "s3://bucket/talks/a.wav",
        0.0,
        20.0,
    )
    assert (caption["audio_tokens"], caption["output_tokens"]) == (500, 12)
    assert first["audio_filepath"] == str(tmp_path / "out/talks/b/b.001.wav")
    assert Path(second["audio_filepath"]).is_file()
    assert (second["file_name"], second["offset"]) == ("talks/b/b.002.wav", 0.0)
    assert second["start_s"] == first["end_s"] == pytest.approx(1.0, abs=0.01)


def test_parquet_holds_names_that_are_not_utf8(store: Store, tmp_path: Path) -> None:
    """They are written as JSON escapes them: a Parquet file holds Unicode only."""
    write_rows(store, "2", "b", [dataclasses.replace(CAPTIONED, id="b\udcffad.wav")])
    export_rows(store, tmp_path / "rows.parquet")
    assert "b\\udcffad.wav" in {line["id"] for line in lines_of(tmp_path / "rows.parquet")}


def test_nemo_reads_the_lines_of_a_batch_again(store: Store, tmp_path: Path) -> None:
    """The columns are NeMo's and no others; captoolkit reads them as a manifest."""
    export_rows(store, tmp_path / "rows.jsonl", columns="nemo")
    for line in lines_of(tmp_path / "rows.jsonl"):
        assert set(line) <= {"audio_filepath", "duration", "offset", "text"}
    found = list(list_inputs([str(tmp_path / "rows.jsonl")]))
    assert [each.url for each in found] == [
        "s3://bucket/talks/a.wav",
        str(tmp_path / "out/talks/b/b.001.wav"),
        str(tmp_path / "out/talks/b/b.002.wav"),
    ]


def test_hugging_face_finds_the_files_next_to_its_metadata(tmp_path: Path) -> None:
    """`file_name` is the path below OUT, where `metadata.jsonl` lies."""
    recordings = write_recordings(tmp_path / "in", ["talks/b.wav"])
    store = open_store(str(tmp_path / "out"))
    rows = work_on(task_of(listed(recordings), tmp_path / "out", options={"segment": "1s"}))
    write_rows(store, "1", "a", [FAILED, *rows])
    path = tmp_path / "out" / "metadata.jsonl"
    export_rows(store, path, columns="huggingface")
    names = [line["file_name"] for line in lines_of(path)]
    assert [(path.parent / name).is_file() for name in names] == [True, True]


def test_hugging_face_gets_no_lines_without_a_file(store: Store, tmp_path: Path) -> None:
    """Captions of recordings outside OUT have no `file_name`: the table is refused."""
    path = tmp_path / "out" / "metadata.jsonl"
    with pytest.raises(UsageError, match=r"talks/a\.wav has no file below OUT"):
        export_rows(store, path, columns="huggingface")
    assert not path.exists()


def test_lhotse_gets_recordings_and_supervisions(store: Store, tmp_path: Path) -> None:
    """Each supervision lies inside its recording; ids are distinct."""
    made = export_rows(store, tmp_path / "rows.jsonl.gz", columns="lhotse")
    assert [path.name for path in made.paths] == [
        "rows.recordings.jsonl.gz",
        "rows.supervisions.jsonl.gz",
    ]
    recordings = {line["id"]: line for line in lines_of(made.paths[0])}
    supervisions = lines_of(made.paths[1])
    assert len(recordings) == made.lines[0] == 3
    assert len({line["id"] for line in supervisions}) == len(supervisions) == 3
    for line in supervisions:
        recording = recordings[line["recording_id"]]
        assert line["start"] + line["duration"] <= recording["duration"]
        assert recording["duration"] == recording["num_samples"] / recording["sampling_rate"]
    assert recordings["talks/a.wav"]["sources"] == [
        {"type": "url", "channels": [0], "source": "s3://bucket/talks/a.wav"}
    ]


def test_failures_are_a_table_of_their_own(store: Store, tmp_path: Path) -> None:
    """`failed` gives a line for each recording that is not done, with the reason."""
    export_rows(store, tmp_path / "failed.jsonl", failed=True)
    assert {line["id"]: line["error"] for line in lines_of(tmp_path / "failed.jsonl")} == {
        "talks/a.wav": "refused",
        "bad.mp3": "no sound",
    }


def test_members_of_a_tar_file_are_named_as_nemo_does(tmp_path: Path) -> None:
    """A member is named by its path in the tar file and the number of the file."""
    recordings = write_recordings(tmp_path / "in", ["a.wav"])
    store = open_store(str(tmp_path / "out"))
    write_rows(
        store, "1", "a", work_on(task_of(listed(recordings), tmp_path / "out", layout="tar"))
    )
    export_rows(store, tmp_path / "rows.jsonl", columns="nemo")
    (line,) = lines_of(tmp_path / "rows.jsonl")
    assert (line["audio_filepath"], line["shard_id"]) == ("a_001.wav", 0)
    with pytest.raises(UsageError, match="cannot name members of tar files"):
        export_rows(store, tmp_path / "lhotse.jsonl", columns="lhotse")


def test_a_table_is_not_replaced_unless_asked(store: Store, tmp_path: Path) -> None:
    """An existing file stays; an ending or columns that are not known are refused."""
    path = tmp_path / "rows.jsonl"
    export_rows(store, path)
    with pytest.raises(OutputExistsError):
        export_rows(store, path)
    export_rows(store, path, overwrite=True)
    with pytest.raises(UsageError, match="no ending of a table"):
        export_rows(store, tmp_path / "rows.xml")
    with pytest.raises(UsageError, match="columns=kaldi are not known"):
        export_rows(store, tmp_path / "rows.parquet", columns="kaldi")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "out", "rows.jsonl"]
