from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from captoolkit.errors import CaptoolkitError, ServiceError
from captoolkit.support.cancel import (
    CLOCK,
    CancelScope,
    Closing,
    RunStop,
    StoppedError,
    calling_when_over,
    check_thread,
    ended_when,
)
from tests.support.captioning import InstantClock


def test_leaving_the_block_closes() -> None:
    """`close` is called once on exit, also after an exception."""
    calls: list[str] = []

    class Resource(Closing):
        def close(self) -> None:
            calls.append("close")

    with Resource():
        assert calls == []
    with pytest.raises(ZeroDivisionError), Resource():
        raise ZeroDivisionError
    assert calls == ["close", "close"]


def test_the_clock_is_monotonic_and_in_utc() -> None:
    """`now_s` counts on, and `today` is the present moment in UTC."""
    assert CLOCK.now_s() <= CLOCK.now_s()
    assert CLOCK.today().tzinfo is UTC
    assert abs(CLOCK.today() - datetime.now(UTC)) < timedelta(seconds=10)


def test_a_wait_ends_when_it_is_stopped() -> None:
    """A stop interrupts a long wait; without one the wait lasts as long as it should."""
    begun_s = time.monotonic()
    CLOCK.wait(threading.Event(), 0.05)
    assert time.monotonic() - begun_s >= 0.05
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(StoppedError):
        CLOCK.wait(stop, 3600)
    with pytest.raises(StoppedError):
        CLOCK.wait(stop, -1)


def test_a_scope_ends_when_it_is_stopped() -> None:
    """`check` and `wait` raise StoppedError after the stop."""
    scope = CancelScope(clock=InstantClock())
    scope.check()
    scope.wait(5)
    scope.stop.set()
    with pytest.raises(StoppedError):
        scope.check()
    with pytest.raises(StoppedError):
        scope.wait(1)


def test_a_scope_ends_at_its_deadline() -> None:
    """A wait that would pass the deadline is refused before it begins."""
    clock = InstantClock()
    scope = CancelScope(clock=clock, deadline_s=10)
    scope.wait(9)
    scope.check(0.5)
    with pytest.raises(CaptoolkitError, match="the time limit of this run has passed"):
        scope.check(1)
    with pytest.raises(CaptoolkitError, match="the time limit of this run has passed"):
        scope.wait(2)
    assert clock.waits_s == [9]


def test_a_halted_scope_raises_a_copy_for_each_request() -> None:
    """The first error counts; the copies have it as their cause and no request ID."""
    scope = CancelScope()
    first = ServiceError("overdue", code="Arrearage", request_id="r-1", status_code=400)
    scope.halt(first)
    scope.halt(ServiceError("another"))
    raised = []
    for _ in range(2):
        with pytest.raises(ServiceError, match="overdue") as caught:
            scope.check()
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert {error.__cause__ for error in raised} == {first}
    assert {(error.code, error.request_id) for error in raised} == {("Arrearage", None)}
    assert first.request_id == "r-1"


def test_the_work_of_a_thread_ends_when_it_is_over() -> None:
    """Only inside the block, and only in its thread."""
    stop = threading.Event()
    with ended_when(stop.is_set):
        check_thread()
        stop.set()
        with pytest.raises(StoppedError):
            check_thread()
        other = ThreadPoolExecutor(1)
        other.submit(check_thread).result()
        other.shutdown()
    check_thread()


def test_a_wait_without_a_flag_is_ended_from_another_thread() -> None:
    """The error of the ended wait is replaced; without a cancellation it reaches the caller."""
    stop, ended = threading.Event(), threading.Event()

    def read() -> None:
        assert ended.wait(10)
        raise OSError("broken")

    with ended_when(stop.is_set):
        with pytest.raises(OSError, match="broken"), calling_when_over(ended.set):
            raise OSError("broken")
        assert not ended.is_set()
        stop.set()
        with pytest.raises(StoppedError), calling_when_over(ended.set):
            read()


def test_the_callers_event_cancels_a_run_and_is_never_set() -> None:
    """One event may cancel several runs; the end of one run leaves it to the others."""
    caller = threading.Event()
    first, other = RunStop.of(caller), RunStop.of(caller)
    assert RunStop.of(first) is first
    first.set()
    assert first.is_set()
    assert not caller.is_set()
    assert not other.wait(0.01)
    timer = threading.Timer(0.05, caller.set)
    timer.start()
    assert other.wait(30)
    timer.join()
    assert RunStop.of(None).wait(0) is False
