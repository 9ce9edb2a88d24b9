"""Tests of the pool of inputs: shares, order, failures, and how it ends."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from captoolkit import prepare
from captoolkit.errors import InputError
from captoolkit.events import OnEvent, Warned, ignore
from captoolkit.jobs.input_pool import InputPool
from captoolkit.media import ffmpeg
from tests.support.processes import has_children

TIMEOUT_S = 30.0
AN_EVENT = Warned(path="a.wav", message="odd")


@contextlib.contextmanager
def unfollowed(item: object) -> Iterator[OnEvent]:
    """Ignore the events of every item."""
    yield ignore


def pool_of(work: Callable[[int, int, OnEvent], Any], items: int, jobs: int) -> InputPool[int, Any]:
    """Return a pool for the items 0, 1, ..."""
    return InputPool(work, range(items), jobs=jobs, following=unfollowed)


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
    """All inputs together keep to the number of jobs; the last one gets all of them."""
    with pool_of(lambda index, share, on_event: share, inputs, jobs) as pool:
        made = [get() for _, get in pool.results()]
    assert made == shares


def test_results_are_in_the_order_of_the_inputs() -> None:
    """The second input finishes before the first, and is reported after it."""
    second_is_done = threading.Event()

    def work(index: int, share: int, on_event: OnEvent) -> str:
        if index == 0:
            assert second_is_done.wait(TIMEOUT_S)
        else:
            second_is_done.set()
        return f"{index} of {share}"

    with pool_of(work, 2, jobs=2) as pool:
        results = [(index, get()) for index, get in pool.results()]
    assert results == [(0, "0 of 1"), (1, "1 of 2")]


def test_a_failing_input_does_not_affect_the_others() -> None:
    """Its result function raises; the others return."""

    def work(index: int, share: int, on_event: OnEvent) -> int:
        if index == 1:
            raise InputError("it is no media")
        return index

    with pool_of(work, 3, jobs=2) as pool:
        (_, first), (_, second), (_, third) = pool.results()
        assert (first(), third()) == (0, 2)
        with pytest.raises(InputError, match="it is no media"):
            second()


def test_closing_ends_running_work_and_starts_no_more() -> None:
    """Work ends at its next event; inputs that have not started never start."""
    started: list[int] = []
    runs = threading.Event()

    def work(index: int, share: int, on_event: OnEvent) -> None:
        started.append(index)
        while True:
            on_event(AN_EVENT)
            runs.set()

    with pool_of(work, 9, jobs=1) as pool:
        next(pool.results())
        assert runs.wait(TIMEOUT_S)
    assert started == [0]


def test_closing_ends_work_that_waits_for_a_program() -> None:
    """Work that reports no event ends with the program that it waits for."""
    waits = threading.Event()

    def work(index: int, share: int, on_event: OnEvent) -> None:
        silent = [sys.executable, "-c", "import time; time.sleep(600)"]
        with ffmpeg.Process(silent) as process:
            waits.set()
            process.read(1)
            process.finish()

    with pool_of(work, 3, jobs=2) as pool:
        next(pool.results())
        assert waits.wait(TIMEOUT_S)
    assert not has_children()


def test_a_single_input_runs_in_the_callers_thread() -> None:
    """An interrupt reaches the work directly."""
    with pool_of(lambda index, share, on_event: threading.current_thread(), 1, jobs=4) as pool:
        ((_, get),) = pool.results()
        assert get() is threading.main_thread()


def test_closing_removes_the_files_of_a_preparation(fixtures: Path, tmp_path: Path) -> None:
    """An unfinished file is removed, and its ffmpeg ends."""
    runs = threading.Event()

    def work(index: int, share: int, on_event: OnEvent) -> None:
        source = fixtures / "hammering-mandarin.flac"
        with prepare(source, segment="1s", on_event=on_event) as prepared:
            prepared.save(tmp_path / "out")

    @contextlib.contextmanager
    def following(item: int) -> Iterator[OnEvent]:
        yield lambda event: runs.set()

    with InputPool(work, range(50), jobs=2, following=following) as pool:
        next(pool.results())
        assert runs.wait(TIMEOUT_S)
    assert not [one for one in (tmp_path / "out").iterdir() if one.name.startswith(".")]
    assert not has_children()
