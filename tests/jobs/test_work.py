from __future__ import annotations

import dataclasses
import json
import os
import pickle
import sys
import threading
from pathlib import Path

import pytest

from captoolkit.errors import OutputError, UsageError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recording_rows import RecordingRow, RowStatus, read_rows, write_rows
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.jobs.work import Worker, work_on
from captoolkit.support import files
from captoolkit.support.cancel import StoppedError
from tests.support.batches import listed, names_in, rows_of, task_of, without_time


def test_segments_and_manifest_are_written_under_the_name_of_the_recording(
    recordings: Path, out: str, temporary: Path
) -> None:
    """The layout is REL/STEM/STEM.001.wav; the row names the files and their hashes."""
    rows = rows_of(task_of(listed(recordings), out, options={"segment": "1s"}))
    store = open_store(out)
    assert names_in(store) == [
        *[f"b/{name}" for name in ("b.001.wav", "b.002.wav", "b.manifest.json")],
        *[f"talks/a/{name}" for name in ("a.001.wav", "a.002.wav", "a.manifest.json")],
    ]
    row = rows["talks/a.wav"]
    assert row.status is RowStatus.DONE
    assert (row.duration_s, row.codec, row.sample_rate_hz, row.channels) == (
        2.0,
        "pcm_s16le",
        16000,
        1,
    )
    assert [segment.file for segment in row.segments] == ["talks/a/a.001.wav", "talks/a/a.002.wav"]
    manifest = json.loads(store.read("talks/a/a.manifest.json"))
    assert manifest["source"]["path"] == str(recordings / "talks" / "a.wav")
    assert manifest["source"]["sha256"] == row.sha256 == files.sha256(recordings / "talks/a.wav")
    assert [segment.sha256 for segment in row.segments] == [
        segment["sha256"] for segment in manifest["segments"]
    ]
    assert not list(temporary.iterdir())


def test_a_recording_of_a_bucket_is_named_by_its_url(s3: str, recordings: Path) -> None:
    """The manifest names the URL, and the row the version that was read."""
    store = open_store(s3)
    store.write("in/a.wav", (recordings / "b.wav").read_bytes())
    (row,) = rows_of(task_of(listed(f"{s3}/in"), f"{s3}/out")).values()
    assert row.version == store.stat("in/a.wav").version
    document = json.loads(store.read("out/a/a.manifest.json"))
    assert document["source"]["path"] == row.url == f"{s3}/in/a.wav"


@pytest.mark.parametrize("verb", ["probe", "prepare", "split", "caption"])
def test_a_row_holds_the_warnings(recordings: Path, tmp_path: Path, verb: str) -> None:
    """The sentences are in the row, also in that of results that are found again."""
    path = recordings / "b.wav"
    path.write_bytes(path.read_bytes()[:-1000])
    task = task_of(listed(path), tmp_path / "out", verb=verb)
    (row,) = rows_of(task).values()
    assert len(row.warnings) == 1
    assert "its header promises" in row.warnings[0]
    assert [*map(without_time, rows_of(task).values())] == [without_time(row)]


def test_a_recording_that_cannot_be_done_is_a_row(recordings: Path, tmp_path: Path) -> None:
    """Recordings that are damaged, gone or unreadable are rows, and the others are done."""
    (recordings / "bad.mp3").write_bytes(b"no sound")
    inputs = listed(recordings)
    inputs.append(Input(id="gone", url=str(recordings / "gone.wav"), relative="gone.wav"))
    inputs.append(Input(id="line", url="m:3", relative="line-3", error=UsageError("no path")))
    rows = rows_of(task_of(inputs, tmp_path / "out"))
    assert rows["b.wav"].is_finished
    assert (rows["bad.mp3"].status, rows["bad.mp3"].error_class) == ("failed", "NotMediaError")
    assert rows["gone"].error_class == "SourceNotFoundError"
    assert "gone.wav" in rows["gone"].error
    assert rows["line"].error == "no path"


@pytest.mark.parametrize("verb", ["prepare", "caption"])
def test_a_recording_that_changes_while_it_is_read_is_a_failed_row(
    recordings: Path, tmp_path: Path, verb: str
) -> None:
    """A file that is still being written is not taken for complete."""
    path = recordings / "b.wav"
    (opened,) = listed(path)
    task = task_of([opened], tmp_path / "out", verb=verb)
    thread = threading.Thread(target=_append_until, args=(path, done := threading.Event()))
    thread.start()
    try:
        (row,) = rows_of(task).values()
    finally:
        done.set()
        thread.join()
    assert row.status is RowStatus.FAILED
    assert "changed" in row.error
    assert not list((tmp_path / "out").rglob("*.json"))


def _append_until(path: Path, done: threading.Event) -> None:
    while not done.wait(0.001):
        with path.open("ab") as stream:
            stream.write(b"\0" * 64)


def test_out_that_cannot_be_written_ends_the_chunk(recordings: Path, tmp_path: Path) -> None:
    """A fault of OUT is no fault of the recording."""
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError):
        work_on(task_of(listed(recordings), tmp_path / "out"))


def test_a_full_disk_ends_the_chunk(recordings: Path, tmp_path: Path) -> None:
    """It is no fault of a recording: none gets a failed row, which later runs would keep."""
    task = task_of(listed(recordings), tmp_path / "out")
    worker = Worker(task, open_store(task.out), tmp_path, threading.Event())

    def make() -> RecordingRow:
        raise files.disk_full(tmp_path)

    with pytest.raises(OutputError, match="no room left"):
        worker.attempt(task.chunk.inputs[0], make)


def test_a_worker_with_another_ffmpeg_refuses(recordings: Path, tmp_path: Path) -> None:
    """The version of ffmpeg is that of the job."""
    task = task_of(listed(recordings), tmp_path / "out")
    other = dataclasses.replace(task, recipe=dataclasses.replace(task.recipe, ffmpeg_version="4.4"))
    with pytest.raises(UsageError, match=r"this worker has ffmpeg .*, and the job was begun"):
        work_on(other)


def test_a_worker_with_another_mp3_encoder_refuses(recordings: Path, tmp_path: Path) -> None:
    """The encoder of MP3 is that of the job."""
    task = task_of(listed(recordings), tmp_path / "out")
    other = dataclasses.replace(task.recipe, mp3_encoder="lameenc 0.1")
    with pytest.raises(UsageError, match=r"encodes MP3 with .*, and the job .* lameenc 0\.1"):
        work_on(dataclasses.replace(task, recipe=other))


def test_work_can_be_stopped(recordings: Path, tmp_path: Path) -> None:
    """A set flag ends the work within a recording, and leaves no file."""
    stop, begun = threading.Event(), list[str]()

    def report(id: str) -> None:
        begun.append(id)
        stop.set()

    with pytest.raises(StoppedError):
        work_on(task_of(listed(recordings), tmp_path / "out"), report=report, stop=stop)
    assert len(begun) == 1
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_probe_writes_nothing(recordings: Path, tmp_path: Path) -> None:
    """The row of a probe has the facts; OUT gets no file."""
    rows = rows_of(task_of(listed(recordings), tmp_path / "out", verb="probe"))
    assert rows["b.wav"].duration_s == 2.0
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_captions_of_a_local_captioner_are_in_the_row(recordings: Path, out: str) -> None:
    """A free captioner is asked on the worker; the timeline is written, and no segments."""
    rows = rows_of(
        task_of(
            listed(recordings / "b.wav"), out, verb="caption", options={"captioner": "acoustic"}
        )
    )
    (row,) = rows.values()
    assert names_in(open_store(out)) == ["b/b.timeline.json"]
    assert row.segments[0].text
    assert row.segments[0].file is None
    assert row.segments[0].status == "ok"


def test_paid_captions_are_only_prepared(recordings: Path, tmp_path: Path) -> None:
    """The worker makes the segments that the driver asks about, and needs no key."""
    task = task_of(
        listed(recordings / "b.wav"),
        tmp_path / "out",
        verb="caption",
        options={"captioner": "dashscope", "api_key": "sk-secret"},
        asks_on_worker=False,
    )
    assert b"sk-secret" not in pickle.dumps(task)
    (row,) = rows_of(task).values()
    assert row.segments[0].file == "b/b.001.wav"
    assert row.segments[0].text is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("layout", ["files", "tar"])
def test_a_name_that_is_no_utf8_is_a_name(recordings: Path, tmp_path: Path, layout: str) -> None:
    """A recording with any name is done, and its row is written."""
    name = os.fsdecode(b"caf\xe9 \x1b[31m\n.wav")
    (recordings / "b.wav").rename(recordings / name)
    rows = rows_of(task_of(listed(recordings), tmp_path / "out", layout=layout))
    assert rows[name].is_finished
    store = open_store(str(tmp_path / "out"))
    write_rows(store, "1", "a", rows.values())
    assert {row.id for row in read_rows(store)} == set(rows)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_recording_without_permission_is_a_row(recordings: Path, tmp_path: Path) -> None:
    """A file that this user may not read is a failed row."""
    (recordings / "b.wav").chmod(0)
    rows = rows_of(task_of(listed(recordings), tmp_path / "out"))
    assert rows["b.wav"].status is RowStatus.FAILED
