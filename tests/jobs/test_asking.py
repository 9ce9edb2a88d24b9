"""Tests of asking in a batch: one process asks once about each segment that workers prepare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.dispatch.ledger import Ledger
from captoolkit.emulator import Emulator
from captoolkit.jobs.results.recording_rows import read_rows
from captoolkit.jobs.results.result_names import short_hash
from captoolkit.jobs.stores.object_store import open_store
from tests.support.batches import SECRET, service_options
from tests.support.tones import write_tone, write_tones


def run(verb: Any, inputs: Path, out: Path, **options: Any) -> captoolkit.BatchSummary:
    """Run a batch in this process."""
    return captoolkit.batch(verb, [inputs], out=out, cluster="none", **options)


def files_of(out: Path) -> set[str]:
    """Return the names of the results in a folder, without the state of the job."""
    return {
        path.relative_to(out).as_posix()
        for path in out.rglob("*")
        if path.is_file() and ".captoolkit" not in path.parts
    }


def test_a_service_is_asked_once_about_each_segment(tmp_path: Path) -> None:
    """This process asks; the segments are removed, and a second run asks nothing."""
    write_tones(tmp_path / "in", 3, seconds=4)
    with Emulator() as emulator:
        options = service_options(
            emulator, tmp_path / "ledger.sqlite3", segment="2s", max_cost="1.00", formats=["srt"]
        )
        summary = run("caption", tmp_path / "in", tmp_path / "out", **options)
        assert (summary.done, summary.segments, summary.requested) == (3, 6, 6)
        assert summary.cost is not None
        assert summary.cost.amount > 0
        (copy,) = (tmp_path / "out" / ".captoolkit").glob("ledger-*.sqlite3")
        with Ledger(copy) as ledger:
            assert len(list(ledger.records())) == 6
        again = run("caption", tmp_path / "in", tmp_path / "out", **options)
        assert (again.kept, again.requested) == (3, 0)
        assert len(emulator.requests) == 6
        assert len({request.audio_sha256 for request in emulator.requests}) == 6
    assert files_of(tmp_path / "out") == {
        f"t00{n}/t00{n}.{ending}" for n in range(3) for ending in ("timeline.json", "srt")
    }
    timeline = json.loads((tmp_path / "out" / "t000" / "t000.timeline.json").read_text("utf-8"))
    assert [entry["status"] for entry in timeline["entries"]] == ["ok", "ok"]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_a_recording_that_is_added_later_has_a_timeline_of_its_own(tmp_path: Path) -> None:
    """The name of an earlier recording stays its own; the segments of both are removed."""
    write_tones(tmp_path / "in", 1)
    with Emulator() as emulator:
        options = service_options(emulator, tmp_path / "ledger.sqlite3")
        assert run("caption", tmp_path / "in", tmp_path / "out", **options).done == 1
        before = (tmp_path / "out" / "t000" / "t000.timeline.json").read_bytes()
        write_tone(tmp_path / "in" / "t000.aiff", 2)
        added = run("caption", tmp_path / "in", tmp_path / "out", **options)
        assert (added.done, added.kept, added.requested) == (1, 1, 1)
    assert (tmp_path / "out" / "t000" / "t000.timeline.json").read_bytes() == before
    stem = f"t000-{short_hash('t000.aiff')}"
    assert files_of(tmp_path / "out") == {
        "t000/t000.timeline.json",
        f"{stem}/{stem}.timeline.json",
    }


def test_a_captioned_row_holds_the_warnings_of_its_preparation(tmp_path: Path) -> None:
    """The worker knows them, and this process writes the row; the summary counts the recording."""
    (path,) = write_tones(tmp_path / "in", 1)
    path.write_bytes(path.read_bytes()[:-1000])
    with Emulator() as emulator:
        options = service_options(emulator, tmp_path / "ledger.sqlite3")
        summary = run("caption", tmp_path / "in", tmp_path / "out", **options)
    (row,) = read_rows(open_store(str(tmp_path / "out")))
    assert (summary.done, summary.warned, len(row.warnings)) == (1, 1, 1)


def test_a_cap_leaves_holes_that_the_next_run_fills(tmp_path: Path) -> None:
    """The budget ends the run in time; with a larger one only the rest is asked."""
    write_tones(tmp_path / "in", 6, seconds=2)
    with Emulator() as emulator:
        options = service_options(emulator, tmp_path / "ledger.sqlite3", concurrency=1)
        capped = run("caption", tmp_path / "in", tmp_path / "out", max_cost="0.101", **options)
        assert capped.is_capped
        assert not capped.is_complete
        asked = len(emulator.requests)
        assert 0 < asked < 6
        rest = run("caption", tmp_path / "in", tmp_path / "out", max_cost="5", **options)
        assert rest.is_complete
        assert len(emulator.requests) == 6


def test_a_wrong_key_ends_the_run_with_one_error(tmp_path: Path) -> None:
    """No row is written, so nothing has to be tried again by hand."""
    write_tones(tmp_path / "in", 2)
    with Emulator(faults=["key"]) as emulator, pytest.raises(captoolkit.ServiceError):
        run(
            "caption",
            tmp_path / "in",
            tmp_path / "out",
            **service_options(emulator, tmp_path / "ledger.sqlite3"),
        )
    assert not list(read_rows(open_store(str(tmp_path / "out"))))
