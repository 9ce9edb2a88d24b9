from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from captoolkit import prepare
from captoolkit.cli.batching import Batch
from captoolkit.errors import InputError
from captoolkit.events import Event, Warned, ignore
from captoolkit.media import ffmpeg
from tests.support.processes import has_children

PATIENCE_S = 30.0
AN_EVENT = Warned(path="a.wav", message="odd")


@pytest.mark.parametrize(
    ("inputs", "jobs", "shares"),
    [
        (1, 1, [1]),
        (1, 4, [4]),
        (2, 4, [2, 4]),
        (5, 2, [1, 1, 1, 1, 2]),
        (3, 8, [2, 4, 8]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_jobs_are_shared_out(inputs: int, jobs: int, shares: list[int]) -> None:
    """All inputs at once keep to what is allowed; a last one may use all of it."""
    with Batch(inputs, jobs=jobs) as batch:
        made = [get() for _, get in batch.run(lambda place, share: share)]
    assert made == shares


def test_results_come_in_order_whoever_is_first() -> None:
    """The second input is done long before the first, and is told after it."""
    second_is_done = threading.Event()

    def work(place: int, share: int) -> str:
        if place == 0:
            assert second_is_done.wait(PATIENCE_S)
        else:
            second_is_done.set()
        return f"{place} of {share}"

    with Batch(2, jobs=2) as batch:
        told = [(place, get()) for place, get in batch.run(work)]
    assert told == [(0, "0 of 1"), (1, "1 of 2")]


def test_an_input_that_fails_costs_itself_alone() -> None:
    """Getting what it made raises; the others are there."""

    def work(place: int, share: int) -> int:
        if place == 1:
            raise InputError("it is no media")
        return place

    with Batch(3, jobs=2) as batch:
        (_, first), (_, second), (_, third) = batch.run(work)
        assert (first(), third()) == (0, 2)
        with pytest.raises(InputError, match="it is no media"):
            second()


def test_leaving_ends_what_reports_and_begins_nothing_more() -> None:
    """Work goes on until it next reports; what was not begun never is."""
    begun: list[int] = []
    runs = threading.Event()

    def work(place: int, share: int) -> None:
        begun.append(place)
        report = batch.heeded_by(ignore)
        while True:
            report(AN_EVENT)
            runs.set()

    with Batch(9, jobs=1) as batch:
        next(batch.run(work))
        assert runs.wait(PATIENCE_S)
    assert begun == [0]


def test_leaving_ends_what_waits_for_a_program_that_says_nothing() -> None:
    """Work that reports nothing for hours is stopped by ending what it waits for."""
    waits = threading.Event()

    def work(place: int, share: int) -> None:
        silent = [sys.executable, "-c", "import time; time.sleep(600)"]
        with ffmpeg.Process(silent) as process:
            waits.set()
            process.read(1)
            process.finish()

    with Batch(3, jobs=2) as batch:
        next(batch.run(work))
        assert waits.wait(PATIENCE_S)
    assert not has_children()


def test_one_input_is_worked_on_by_whoever_asks() -> None:
    """An interrupt reaches the work itself; nothing stands between."""
    with Batch(1, jobs=4) as batch:
        ((_, get),) = batch.run(lambda place, share: threading.current_thread())
        assert get() is threading.main_thread()


def test_leaving_tidies_up_after_a_preparation(fixtures: Path, tmp_path: Path) -> None:
    """A file that is being made when the batch is left goes, and its ffmpeg with it."""
    runs = threading.Event()

    def show(event: Event) -> None:
        runs.set()

    def work(place: int, share: int) -> None:
        source = fixtures / "hammering-mandarin.flac"
        with prepare(source, segment="1s", on_event=batch.heeded_by(show)) as prepared:
            prepared.save(tmp_path / "out")

    with Batch(50, jobs=2) as batch:
        next(batch.run(work))
        assert runs.wait(PATIENCE_S)
    assert not [one for one in (tmp_path / "out").iterdir() if one.name.startswith(".")]
    assert not has_children()
