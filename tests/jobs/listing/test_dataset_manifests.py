from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from captoolkit.errors import InputError, UsageError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.listings import list_inputs
from captoolkit.jobs.stores.object_store import open_store

NEMO = {"audio_filepath": "a.wav", "duration": 3.5, "text": "words"}
HUGGING_FACE = {"file_name": "a.wav", "text": "words"}
LHOTSE = {
    "id": "rec-1",
    "sources": [{"type": "file", "channels": [0], "source": "a.wav"}],
    "sampling_rate": 16000,
    "num_samples": 56000,
    "duration": 3.5,
}
CUT = {"id": "cut-7", "start": 1.0, "duration": 0.5, "channel": 0, "recording": LHOTSE}


def write_lines(path: Path, *lines: object) -> Path:
    """Write JSON lines; a text is written as it is."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def listed(path: Path | str, **options: object) -> list[Input]:
    """The inputs of one manifest."""
    return list(list_inputs([str(path)], **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize(
    ("line", "id", "duration_s"),
    [
        (NEMO, "a.wav", 3.5),
        (NEMO | {"offset": 10.0}, "a.wav", None),
        (HUGGING_FACE, "a.wav", None),
        (LHOTSE, "rec-1", 3.5),
        (CUT, "rec-1", 3.5),
        ({"id": 17, "path": "a.wav", "duration_s": "3.5"}, "17", 3.5),
        ({"audio": {"path": "a.wav", "bytes": None}}, "a.wav", None),
    ],
    ids=["nemo", "nemo part", "hugging face", "lhotse recording", "lhotse cut", "other", "audio"],
)
def test_the_columns_of_common_tools_are_known(
    tmp_path: Path, line: object, id: str, duration_s: float | None, ending: str
) -> None:
    """The path, the id and the length are found; the file is examined for size and time."""
    (tmp_path / "a.wav").write_bytes(b"12345")
    (found,) = listed(write_lines(tmp_path / f"train.{ending}", line))
    assert (found.id, found.duration_s) == (id, duration_s)
    assert found.url == str(tmp_path / "a.wav")
    assert found.relative == "a.wav"
    assert found.size_bytes == 5
    assert found.version


def test_a_line_without_a_path_is_an_error_of_its_own(tmp_path: Path) -> None:
    """Lines that are no JSON, no object, without a path or with a command are named by number."""
    command = {"id": "x", "sources": [{"type": "command", "source": "rm -rf /"}]}
    path = write_lines(
        tmp_path / "train.jsonl", NEMO, {"text": "words"}, "{broken", "[1]", "", command
    )
    found = listed(path)
    assert [each.error is None for each in found] == [True, False, False, False, False]
    assert [each.id.rpartition(":")[2] for each in found[1:]] == ["2", "3", "4", "6"]
    assert "line 2 of " in str(found[1].error)
    assert "names no recording" in str(found[1].error)
    assert "neither a file nor a URL" in str(found[4].error)
    assert "rm -rf" not in str(found[4].error)


def test_lines_of_one_recording_are_one_input(tmp_path: Path) -> None:
    """NeMo and lhotse have a line for each part of a recording."""
    parts = [NEMO | {"offset": offset} for offset in (1.0, 2.0)]
    assert len(listed(write_lines(tmp_path / "train.jsonl", *parts, CUT, CUT | {"id": "2"}))) == 1


def test_a_table_is_read(tmp_path: Path) -> None:
    """CSV and TSV have a line of names; `--column` names the column of the path."""
    (tmp_path / "m.csv").write_text('file_name,text\n"a, b.wav",one\nc.wav,two\n')
    (tmp_path / "m.tsv").write_text("\ufeffclip\ttext\na.wav\tone\n", encoding="utf-8")
    assert [each.id for each in listed(tmp_path / "m.csv")] == ["a, b.wav", "c.wav"]
    assert [each.id for each in listed(tmp_path / "m.tsv", column="clip")] == ["a.wav"]
    with pytest.raises(UsageError, match="clip, text; name one with --column"):
        listed(tmp_path / "m.tsv")
    with pytest.raises(UsageError, match="has no column sound; its columns are clip, text"):
        listed(tmp_path / "m.tsv", column="sound")


def test_parquet_is_read_without_the_sound_in_it(tmp_path: Path) -> None:
    """A column of Hugging Face holds the path next to the bytes of the sound."""
    table = pyarrow.table(
        {
            "audio": [{"path": "a.wav", "bytes": b"1"}, {"path": None, "bytes": b"2"}],
            "text": ["one", "two"],
            "duration": [3.5, 4.0],
        }
    )
    parquet.write_table(table, tmp_path / "m.parquet")
    first, second = listed(tmp_path / "m.parquet")
    assert (first.id, first.duration_s) == ("a.wav", 3.5)
    assert "line 2 of" in str(second.error)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.jsonl.gz", gzip.compress(b'{"path": "a.wav"}\n' * 9999, mtime=0)[:50]),
        ("m.csv", b"path\n\xff\xfe.wav\n"),
        ("m.csv", b""),
        ("m.parquet", b"no parquet"),
        ("m.jsonl", b"\n\n"),
        ("m.tsv", b"path\tduration\n"),
    ],
)
def test_a_damaged_manifest_is_one_line(tmp_path: Path, name: str, data: bytes) -> None:
    """A manifest that cannot be read ends the listing with its name."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be read|names no recordings") as caught:
        listed(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_manifest_is_one_line(tmp_path: Path) -> None:
    """A manifest that does not exist is named."""
    with pytest.raises(InputError, match=r"none\.jsonl"):
        listed(tmp_path / "none.jsonl")


def test_a_manifest_in_a_bucket_names_files_next_to_it(s3: str, tmp_path: Path) -> None:
    """Relative paths begin at the manifest; URLs keep their scheme."""
    store = open_store(s3)
    store.write("set/a.wav", b"1")
    lines = [NEMO, {"path": "gs://elsewhere/b.wav"}, {"path": "/top.wav"}]
    store.write("set/train.jsonl", write_lines(tmp_path / "m", *lines).read_bytes())
    assert [each.url for each in listed(f"{s3}/set/train.jsonl")] == [
        f"{s3}/set/a.wav",
        "gs://elsewhere/b.wav",
        f"{s3}/top.wav",
    ]


def test_a_path_from_the_current_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lhotse writes paths from the folder in which it ran."""
    (tmp_path / "data").mkdir()
    (tmp_path / "sets").mkdir()
    (tmp_path / "data" / "a.wav").write_bytes(b"1")
    write_lines(tmp_path / "sets" / "m.jsonl", {"path": "data/a.wav"})
    monkeypatch.chdir(tmp_path)
    (found,) = listed("sets/m.jsonl")
    assert found.size_bytes == 1
