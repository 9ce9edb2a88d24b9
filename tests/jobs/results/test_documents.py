"""Tests of the documents in OUT: an earlier attempt is used, and no other recording is replaced."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest

from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recording_rows import RowStatus
from captoolkit.jobs.results.result_names import hash_named
from captoolkit.jobs.stores.object_store import open_store
from tests.support.batches import (
    listed,
    names_in,
    rows_of,
    task_of,
    without_time,
    write_recordings,
)


@pytest.mark.parametrize("verb", ["prepare", "split", "caption"])
def test_a_second_attempt_uses_the_first(recordings: Path, out: str, verb: str) -> None:
    """A worker that died before its rows were written costs nothing: its results are found."""
    task = task_of(listed(recordings), out, verb=verb)
    first, store = rows_of(task), open_store(out)
    before = {name: store.stat(name) for name in names_in(store)}
    again = rows_of(task)
    assert [*map(without_time, again.values())] == [*map(without_time, first.values())]
    assert {name: store.stat(name) for name in names_in(store)} == before


def test_an_attempt_that_ended_before_its_manifest_is_completed(recordings: Path, out: str) -> None:
    """Without a manifest the segments are made again."""
    task, store = task_of(listed(recordings / "b.wav"), out), open_store(out)
    rows_of(task)
    store.remove("b/b.manifest.json")
    store.write("b/b.001.wav", b"half")
    (row,) = rows_of(task).values()
    assert row.is_finished
    assert store.read("b/b.001.wav") == (recordings / "b.wav").read_bytes()


def test_segments_that_are_gone_are_made_again(recordings: Path, out: str) -> None:
    """A manifest counts only with its segments: the driver removes those that are answered."""
    task, store = task_of(listed(recordings / "b.wav"), out), open_store(out)
    rows_of(task)
    store.remove("b/b.001.wav")
    rows_of(task)
    assert store.exists("b/b.001.wav")


def test_a_changed_recording_is_made_again(recordings: Path, out: str) -> None:
    """Its results replace the earlier ones, and segments that are left over are removed."""
    rows_of(task_of(listed(recordings / "b.wav"), out, options={"segment": "1s"}))
    write_recordings(recordings, ["b.wav"], seconds=1.0)
    (row,) = rows_of(task_of(listed(recordings / "b.wav"), out, options={"segment": "1s"})).values()
    store = open_store(out)
    assert row.duration_s == 1.0
    assert names_in(store) == ["b/b.001.wav", "b/b.manifest.json"]
    assert json.loads(store.read("b/b.manifest.json"))["source"]["sha256"] == row.sha256


@pytest.mark.parametrize(("verb", "kind"), [("prepare", "manifest"), ("caption", "timeline")])
def test_the_results_of_another_recording_are_not_replaced(
    recordings: Path, tmp_path: Path, verb: str, kind: str
) -> None:
    """A recording that is added later gets a name with a hash, and the first one keeps its own."""
    out, options = tmp_path / "out", {"captioner": "acoustic"} if verb == "caption" else {}
    first = rows_of(task_of(listed(recordings / "b.wav"), out, verb=verb, options=options))
    before = (out / f"b/b.{kind}.json").read_bytes()
    (recordings / "b.flac").write_bytes((recordings / "talks" / "a.wav").read_bytes())
    both = listed(recordings / "b.flac", recordings / "b.wav")
    assert both[0].relative == "b.flac"
    task = task_of(both, out, verb=verb, options=options)
    rows = rows_of(task)
    assert all(row.is_finished for row in rows.values())
    assert without_time(rows[both[1].id]) == without_time(*first.values())
    assert (out / f"b/b.{kind}.json").read_bytes() == before
    (name,) = {path.name for path in out.iterdir()} - {"b"}
    assert name == PurePosixPath(hash_named(both[0]).relative).stem
    again = rows_of(task)
    assert [*map(without_time, again.values())] == [*map(without_time, rows.values())]


def test_a_name_that_two_others_have_is_a_failed_row(recordings: Path, tmp_path: Path) -> None:
    """Neither the name of a recording nor that with a hash is taken from another one."""
    for folder in ("one", "two", "three"):
        write_recordings(tmp_path / folder, ["b.wav"])
        recording = Input(id="b", url=str(tmp_path / folder / "b.wav"), relative="b.wav")
        (row,) = rows_of(task_of([recording], tmp_path / "out")).values()
    assert row.status is RowStatus.FAILED
    assert "describes another recording" in row.error
    assert len(list((tmp_path / "out").rglob("*.manifest.json"))) == 2


def test_a_damaged_manifest_is_a_row(recordings: Path, tmp_path: Path) -> None:
    """The other recordings of the chunk are done."""
    task = task_of(listed(recordings), tmp_path / "out")
    rows_of(task)
    (tmp_path / "out/b/b.manifest.json").write_text("{}")
    rows = rows_of(task)
    assert "is damaged; remove it" in rows["b.wav"].error
    assert rows["talks/a.wav"].is_finished


def test_a_planted_manifest_removes_nothing_outside_its_folder(
    recordings: Path, tmp_path: Path
) -> None:
    """A manifest in OUT is not trusted: only segments of its own stem are removed."""
    victim = tmp_path / "victim.txt"
    victim.write_text("private")
    task = task_of(listed(recordings / "b.wav"), tmp_path / "out")
    rows_of(task)
    manifest = tmp_path / "out" / "b" / "b.manifest.json"
    document = json.loads(manifest.read_text("utf-8"))
    document["segments"][0]["file"] = "../../victim.txt"
    manifest.write_text(json.dumps(document))
    (row,) = rows_of(task).values()
    assert row.is_finished
    assert row.segments[0].file == "b/b.001.wav"
    assert victim.read_text() == "private"


def test_a_timeline_with_failed_captions_is_made_again(recordings: Path, tmp_path: Path) -> None:
    """A caption that failed earlier is a hole that the next attempt fills."""
    task = task_of(
        listed(recordings / "b.wav"),
        tmp_path / "out",
        verb="caption",
        options={"captioner": "acoustic"},
    )
    rows_of(task)
    path = tmp_path / "out" / "b" / "b.timeline.json"
    document = json.loads(path.read_text("utf-8"))
    document["entries"][0] |= {"status": "failed", "text": "", "error": "the server was down"}
    path.write_text(json.dumps(document))
    (row,) = rows_of(task).values()
    assert row.is_finished
    assert row.segments[0].text
    assert json.loads(path.read_text("utf-8"))["entries"][0]["status"] == "ok"
