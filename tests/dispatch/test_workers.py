from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from captoolkit.dispatch.asker import Ask, Outcome
from captoolkit.dispatch.workers import WorkerPool
from captoolkit.model import Entry, Status
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.support.cancel import StoppedError
from tests.support.captioning import segment

LONG_S = 10.0  # nothing here takes so long unless it hangs


def outcome(one: ReadySegment) -> Outcome:
    """The outcome of a segment."""
    return Outcome(entry=Entry(index=one.index, source_span=one.source_span, status=Status.OK))


class Pool:
    """A worker pool with its stop flag and the number of its releases."""

    def __init__(self, ask: Ask, *, size: int = 2) -> None:
        self.stop = threading.Event()
        self.releases: list[int] = []
        self.workers = WorkerPool(
            ask, size=size, stop=self.stop, release=lambda: self.releases.append(1)
        )


def test_outcomes_arrive_in_the_order_they_finish(tmp_path: Path) -> None:
    """A slow segment does not hold up a later one."""
    slow = threading.Event()

    def ask(one: ReadySegment) -> Outcome:
        if one.index == 1:
            slow.wait(LONG_S)
        return outcome(one)

    pool = Pool(ask)
    assert pool.workers.take(wait=False) is None
    for index in (1, 2, 3):
        pool.workers.put(segment(tmp_path, index))
    found = []
    for _ in range(2):
        finished = pool.workers.take(wait=True)
        assert finished is not None
        found.append(finished[1].entry.index)
    assert found == [2, 3]
    assert pool.workers.unfinished == 1
    slow.set()
    last = pool.workers.take(wait=True)
    assert last is not None
    assert last[0].index == last[1].entry.index == 1
    pool.workers.close(wait_s=LONG_S)
    assert pool.releases == [1]


def test_no_more_requests_than_threads_are_in_flight(tmp_path: Path) -> None:
    """`size` bounds the requests at one moment, however many segments wait."""
    guard, now, most = threading.Lock(), 0, 0

    def ask(one: ReadySegment) -> Outcome:
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with guard:
            now -= 1
        return outcome(one)

    pool = Pool(ask, size=3)
    for index in range(1, 13):
        pool.workers.put(segment(tmp_path, index))
    while pool.workers.unfinished:
        pool.workers.take(wait=True)
    pool.workers.close(wait_s=LONG_S)
    assert most == 3


def test_an_exception_is_raised_where_outcomes_are_taken(tmp_path: Path) -> None:
    """An exception of `ask` reaches the thread that takes the outcome; the pool goes on."""
    error = KeyError("mine")

    def ask(one: ReadySegment) -> Outcome:
        if one.index == 1:
            raise error
        return outcome(one)

    pool = Pool(ask, size=1)
    pool.workers.put(segment(tmp_path, 1))
    pool.workers.put(segment(tmp_path, 2))
    with pytest.raises(KeyError) as caught:
        pool.workers.take(wait=True)
    assert caught.value is error
    assert pool.workers.take(wait=True) is not None
    pool.workers.close(wait_s=LONG_S)


def test_a_cancelled_run_waits_for_no_outcome(tmp_path: Path) -> None:
    """After the stop `take` raises, and `close` leaves the request in flight to its thread."""
    answered, begun = threading.Event(), threading.Event()

    def ask(one: ReadySegment) -> Outcome:
        begun.set()
        answered.wait(LONG_S)
        return outcome(one)

    pool = Pool(ask, size=1)
    pool.workers.put(segment(tmp_path, 1))
    assert begun.wait(LONG_S)
    pool.stop.set()
    with pytest.raises(StoppedError):
        pool.workers.take(wait=True)
    begun_s = time.monotonic()
    pool.workers.close(wait_s=0)
    pool.workers.close(wait_s=0)
    assert time.monotonic() - begun_s < LONG_S / 2
    assert pool.releases == []
    answered.set()
    until_s = time.monotonic() + LONG_S
    while not pool.releases and time.monotonic() < until_s:
        time.sleep(0.01)
    assert pool.releases == [1]
