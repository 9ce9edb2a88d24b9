"""Tests of the pool of inputs: shares, order, failures, and how it ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captoolkit import prepare
from captoolkit.errors import InputError, ToolError
from captoolkit.events import OnEvent, Warned, ignore
from captoolkit.jobs.commands.input_pool import InputPool, are_many_short
from captoolkit.jobs.listing.inputs import Input
from captoolkit.media import ffmpeg_process
from captoolkit.media.decode import Block, read_blocks
from captoolkit.support import files
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


def test_results_come_as_they_end() -> None:
    """The second input finishes before the first, and comes first."""
    second_has_come = threading.Event()

    def work(index: int, share: int, on_event: OnEvent) -> str:
        if index == 0:
            assert second_has_come.wait(TIMEOUT_S)
        return f"{index} of {share}"

    with pool_of(work, 2, jobs=2) as pool:
        results = pool.results()
        second, get_second = next(results)
        second_has_come.set()
        first, get_first = next(results)
        assert (second, get_second()) == (1, "1 of 2")
        assert (first, get_first()) == (0, "0 of 1")


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
        pool.results()
        assert runs.wait(TIMEOUT_S)
    assert started == [0]


def test_closing_ends_work_that_waits_for_a_program() -> None:
    """Work that reports no event ends with the program that it waits for."""
    waits = threading.Event()

    def work(index: int, share: int, on_event: OnEvent) -> None:
        silent = [sys.executable, "-c", "import time; time.sleep(600)"]
        with ffmpeg_process.Process(silent) as process:
            waits.set()
            process.read(1)
            process.finish()

    with pool_of(work, 3, jobs=2) as pool:
        pool.results()
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
        pool.results()
        assert runs.wait(TIMEOUT_S)
    assert not [one for one in (tmp_path / "out").iterdir() if one.name.startswith(".")]
    assert not has_children()


# ---------------------------------------------------------------------- processes or threads


def inputs_of(*sizes_bytes: int | None) -> list[Input]:
    """Return inputs of these sizes."""
    return [
        Input(id=str(number), url=f"{number}.wav", relative=f"{number}.wav", size_bytes=size)
        for number, size in enumerate(sizes_bytes)
    ]


SHORT, LONG = 1_000_000, 500_000_000


@pytest.mark.parametrize(
    ("inputs", "workers", "expected"),
    [
        (inputs_of(*[SHORT] * 600), 4, True),
        (inputs_of(*[SHORT] * 600), 2, False),  # two processes are no faster than two threads
        (inputs_of(*[SHORT] * 600), 1, False),  # one job
        (inputs_of(*[SHORT] * 500), 4, False),  # the start costs more than they gain
        (inputs_of(*[SHORT] * 500), 16, True),
        (inputs_of(*[LONG] * 600), 4, False),
        (inputs_of(*[None] * 600), 4, False),  # URLs
        (inputs_of(*[SHORT] * 600, *[LONG] * 20), 4, True),
        (inputs_of(*[SHORT] * 600, *[LONG] * 700), 4, False),
        ([*inputs_of(*[SHORT] * 599), Input(id="-", url="-", relative="stdin")], 4, False),
    ],
)
def test_many_short_inputs_have_processes(
    inputs: list[Input], workers: int, expected: bool
) -> None:
    """Few inputs, long ones, few cores and standard input have threads."""
    assert are_many_short(inputs, workers=workers) == expected


def die_or_return(item: int, share: int, on_event: OnEvent) -> tuple[int, int]:
    """Kill the process for one item; return the others with the number of the process."""
    on_event(Warned(path=str(item), message="begun"))
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item, os.getpid()


def test_an_input_that_kills_its_process_is_one_error() -> None:
    """Another process takes its place; all others are done, with their events."""
    followed: list[str] = []

    @contextlib.contextmanager
    def following(item: int) -> Iterator[OnEvent]:
        yield lambda event: followed.append(event.path)

    many = inputs_of(*[SHORT] * 600)
    with InputPool(die_or_return, range(60), jobs=4, following=following, inputs=many) as pool:
        results = dict(pool.results())
        with pytest.raises(ToolError, match="SIGKILL"):
            results.pop(3)()
        made = [result() for result in results.values()]
    assert {item for item, _ in made} == set(range(60)) - {3}
    processes = {process for _, process in made}
    assert os.getpid() not in processes
    assert 2 <= len(processes) <= 5
    assert {*followed} | {"3"} == {str(item) for item in range(60)}  # its own may be lost


def sleep_in_process(item: str, share: int, on_event: OnEvent) -> None:
    """Make a file in a staging folder, and wait for a program."""
    with (
        files.staging(Path(item)) as folder,
        ffmpeg_process.Process(["/bin/sleep", "600"]) as process,
    ):
        (folder / "half").touch()
        on_event(AN_EVENT)
        process.read(1)


def test_closing_ends_the_processes(tmp_path: Path) -> None:
    """Their programs end and their files are removed."""
    runs = threading.Event()

    @contextlib.contextmanager
    def following(item: str) -> Iterator[OnEvent]:
        yield lambda event: runs.set()

    items, many = [str(tmp_path)] * 60, inputs_of(*[SHORT] * 600)
    with InputPool(sleep_in_process, items, jobs=4, following=following, inputs=many) as pool:
        pool.results()
        assert runs.wait(TIMEOUT_S)
    assert list(tmp_path.iterdir()) == []
    assert not has_children()


def test_closing_ends_a_decode_that_only_measures() -> None:
    """It has no events, and runs in this process: Ctrl-C need not wait for its end."""
    begun = threading.Event()

    def blocks() -> Iterator[Block]:
        begun.set()
        while True:
            time.sleep(0.01)
            yield np.zeros((1, 1))

    def work(index: int, share: int, on_event: OnEvent) -> None:
        for _ in read_blocks(itertools.islice(blocks(), 1000), "a.wav"):
            pass

    with pool_of(work, 2, jobs=2) as pool:
        pool.results()
        assert begun.wait(TIMEOUT_S)
    assert list(pool.finished()) == []
