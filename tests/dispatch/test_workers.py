from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future, wait
from pathlib import Path

import pytest

from captoolkit.dispatch.asker import Outcome
from captoolkit.dispatch.workers import AHEAD, WorkerPool
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

    def __init__(self, *, size: int = 2) -> None:
        self.stop = threading.Event()
        self.releases: list[int] = []
        self.workers = WorkerPool(
            size=size, stop=self.stop, release=lambda: self.releases.append(1)
        )


def test_outcomes_arrive_in_the_order_they_finish(tmp_path: Path) -> None:
    """A slow segment does not delay a later one."""
    slow = threading.Event()
    done: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()

    def ask(one: ReadySegment) -> Outcome:
        if one.index == 1:
            slow.wait(LONG_S)
        return outcome(one)

    pool = Pool()
    for index in (1, 2, 3):
        pool.workers.reserve()
        pool.workers.submit(segment(tmp_path, index), ask).add_done_callback(done.put)
    first_two = [done.get(timeout=LONG_S).result().entry.index for _ in range(2)]
    assert first_two == [2, 3]
    slow.set()
    assert done.get(timeout=LONG_S).result().entry.index == 1
    pool.workers.close(wait_s=LONG_S)
    assert pool.releases == [1]
    assert pool.workers.unfinished == 0


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

    pool = Pool(size=3)
    outcomes = []
    for index in range(1, 13):
        pool.workers.reserve()
        outcomes.append(pool.workers.submit(segment(tmp_path, index), ask))
    wait(outcomes, LONG_S)
    pool.workers.close(wait_s=LONG_S)
    assert most == 3


def test_a_place_is_free_again_after_the_outcome(tmp_path: Path) -> None:
    """`reserve` waits while four segments for each request are unfinished."""
    may_end, reserved = threading.Event(), threading.Event()

    def ask(one: ReadySegment) -> Outcome:
        may_end.wait(LONG_S)
        return outcome(one)

    def reserve() -> None:
        pool.workers.reserve()
        reserved.set()

    pool = Pool(size=1)
    assert pool.workers.limit == AHEAD
    for index in range(1, AHEAD + 1):
        pool.workers.reserve()
        pool.workers.submit(segment(tmp_path, index), ask)
    waiting = threading.Thread(target=reserve)
    waiting.start()
    assert not reserved.wait(0.1)
    may_end.set()
    assert reserved.wait(LONG_S)
    waiting.join()
    pool.workers.give_back()
    pool.workers.close(wait_s=LONG_S)
    assert pool.workers.unfinished == 0


def test_an_exception_is_raised_by_its_future(tmp_path: Path) -> None:
    """An exception of `ask` reaches the owner of the future; the pool goes on."""
    error = KeyError("mine")

    def ask(one: ReadySegment) -> Outcome:
        if one.index == 1:
            raise error
        return outcome(one)

    pool = Pool(size=1)
    pool.workers.reserve()
    first = pool.workers.submit(segment(tmp_path, 1), ask)
    pool.workers.reserve()
    second = pool.workers.submit(segment(tmp_path, 2), ask)
    with pytest.raises(KeyError) as caught:
        first.result(LONG_S)
    assert caught.value is error
    assert second.result(LONG_S).entry.index == 2
    pool.workers.close(wait_s=LONG_S)


def test_a_cancelled_run_waits_for_no_outcome(tmp_path: Path) -> None:
    """After the stop waiting segments raise, and `close` leaves the request in flight."""
    answered, begun = threading.Event(), threading.Event()

    def ask(one: ReadySegment) -> Outcome:
        begun.set()
        answered.wait(LONG_S)
        return outcome(one)

    pool = Pool(size=1)
    futures = []
    for index in (1, 2):
        pool.workers.reserve()
        futures.append(pool.workers.submit(segment(tmp_path, index), ask))
    assert begun.wait(LONG_S)
    pool.stop.set()
    with pytest.raises(StoppedError):
        pool.workers.reserve()
    begun_s = time.monotonic()
    pool.workers.close(wait_s=0)
    pool.workers.close(wait_s=0)
    assert time.monotonic() - begun_s < LONG_S / 2
    with pytest.raises(StoppedError):
        futures[1].result(LONG_S)
    assert pool.releases == []
    answered.set()
    assert futures[0].result(LONG_S).entry.index == 1
    until_s = time.monotonic() + LONG_S
    while not pool.releases and time.monotonic() < until_s:
        time.sleep(0.01)
    assert pool.releases == [1]
    assert pool.workers.unfinished == 0


def test_a_segment_of_a_closed_pool_is_not_asked_about(tmp_path: Path) -> None:
    """A segment whose place was reserved before `close` raises `StoppedError`."""
    pool = Pool()
    pool.workers.reserve()
    pool.workers.close(wait_s=0)
    with pytest.raises(StoppedError):
        pool.workers.submit(segment(tmp_path, 1), outcome).result(LONG_S)
    assert pool.workers.unfinished == 0


def test_a_wait_for_a_place_can_end_without_one(tmp_path: Path) -> None:
    """`reserve` returns False as soon as `unless` is true; a free place is taken in any case."""
    pool = Pool(size=1)
    for _ in range(AHEAD):
        assert pool.workers.reserve(unless=lambda: True)
    assert not pool.workers.reserve(unless=lambda: True)
    assert pool.workers.unfinished == AHEAD
    pool.workers.close(wait_s=LONG_S)
