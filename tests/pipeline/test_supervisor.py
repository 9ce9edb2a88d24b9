from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from captoolkit.errors import ToolError
from captoolkit.media import ffmpeg_process
from captoolkit.pipeline.supervisor import BoundedQueue, Supervisor
from captoolkit.support.cancel import Closing
from tests.support.processes import has_children

LONG_S = 10.0  # nothing here takes so long unless it hangs
SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def begun(work: Callable[[], object]) -> threading.Thread:
    """A thread that does the work."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> bool:
    """Whether a thread ends before long."""
    thread.join(LONG_S)
    return not thread.is_alive()


def threads() -> list[str]:
    """The names of captoolkit's threads."""
    return [one.name for one in threading.enumerate() if one.name.startswith("captoolkit")]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each test no thread and no child runs."""
    yield
    deadline_s = time.monotonic() + LONG_S
    while threads() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert threads() == []
    assert not has_children()


# ------------------------------------------------------------------------------ results


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_keep_the_order_of_their_items(jobs: int) -> None:
    """Earlier items that take longer still come first, each with all its results."""

    def work(item: int) -> Iterator[tuple[int, int]]:
        for part in range(item % 4):
            time.sleep(0.002 * (7 - item % 7))
            yield item, part

    with Supervisor(jobs=jobs) as supervisor:
        found = list(supervisor.in_order(work, range(20)))
    assert found == [(item, part) for item in range(20) for part in range(item % 4)]


def test_work_runs_ahead_by_a_bounded_number_of_items() -> None:
    """A consumer that stops taking results stops the workers soon."""
    begun_items: list[int] = []

    def work(item: int) -> list[int]:
        begun_items.append(item)
        return [item]

    with Supervisor(jobs=2) as supervisor:
        results = supervisor.in_order(work, range(1000), ahead=3)
        for expected in range(50):
            assert next(results) == expected
            assert len(begun_items) <= expected + 1 + 3
        time.sleep(0.05)
        assert len(begun_items) <= 50 + 3


def test_no_more_threads_than_jobs_work_and_none_stays_idle() -> None:
    """`jobs` is the number of worker threads; they end when there are no more tasks."""
    most = 0

    def work(item: int) -> list[int]:
        nonlocal most
        most = max(most, len(threads()))
        time.sleep(0.01)
        return [item]

    supervisor = Supervisor(jobs=3)
    assert list(supervisor.in_order(work, range(12))) == list(range(12))
    assert most == 3
    supervisor.close()


def test_an_exception_of_a_worker_is_raised_after_the_results_before_it() -> None:
    """The consumer gets everything that was finished, then the very exception."""
    error = ZeroDivisionError("mine")

    def work(item: int) -> Iterator[int]:
        yield item
        if item == 3:
            raise error

    with Supervisor(jobs=2) as supervisor:
        results = supervisor.in_order(work, range(9))
        assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(ZeroDivisionError) as caught:
            next(results)
    assert caught.value is error


# ------------------------------------------------------------------------------- ending


def test_halt_ends_a_process_and_does_not_wait_for_threads() -> None:
    """A thread that reads from a child gets an error; the child is gone when `close` returns."""
    supervisor, started = Supervisor(jobs=1), threading.Event()

    def work(item: int) -> list[int]:
        with supervisor.watch(ffmpeg_process.Process(SLEEPER)) as process:
            started.set()
            process.read(1)
            with pytest.raises((ToolError, ValueError)):
                process.finish()
        return [item]

    taker = begun(lambda: list(supervisor.in_order(work, [1])))
    assert started.wait(LONG_S)
    begun_s = time.monotonic()
    supervisor.halt()
    assert time.monotonic() - begun_s < LONG_S / 2
    assert ended(taker)
    supervisor.close()
    assert not has_children()


def test_a_process_that_starts_after_halt_is_ended_at_once() -> None:
    """Registering a process and halting cannot miss one another."""
    supervisor = Supervisor(jobs=1)
    supervisor.halt()
    with supervisor.watch(ffmpeg_process.Process(SLEEPER)) as process:
        assert process.wait() != 0
    assert list(supervisor.in_order(lambda item: [item], [1])) == []


def test_a_worker_may_be_ended_by_a_function_of_its_own() -> None:
    """`halt` calls the given function instead of `close`, which may wait."""
    calls: list[str] = []

    class Worker(Closing):
        def halt(self) -> None:
            calls.append("halt")

        def close(self) -> None:
            calls.append("close")

    supervisor, worker = Supervisor(jobs=1), Worker()
    with supervisor.watch(worker, halt=worker.halt):
        supervisor.halt()
        assert calls == ["halt"]
    assert calls == ["halt", "close"]
    supervisor.halt()
    assert calls == ["halt", "close"]


def test_closing_in_a_worker_thread_does_not_wait_for_itself() -> None:
    """As the garbage collector may do it: in any thread, at any moment."""
    supervisor, closed = Supervisor(jobs=2), threading.Event()

    def work(item: int) -> list[int]:
        supervisor.close()
        closed.set()
        return [item]

    assert list(supervisor.in_order(work, [1])) in ([], [1])
    assert closed.wait(LONG_S)


def test_closing_in_a_worker_thread_does_not_wait_for_the_others() -> None:
    """The garbage collector may strike where a worker holds a lock that another one waits for."""
    supervisor, lock, closed = Supervisor(jobs=2), threading.Lock(), threading.Event()
    held = threading.Event()

    def work(item: int) -> list[int]:
        if item:
            assert held.wait(LONG_S)
            with lock:
                return [item]
        with lock:
            held.set()
            time.sleep(0.05)  # the other worker waits by now
            supervisor.close()
        closed.set()
        return [item]

    taker = begun(lambda: list(supervisor.in_order(work, [0, 1])))
    assert closed.wait(LONG_S)
    assert ended(taker)


def test_halt_may_interrupt_the_thread_that_holds_the_guard() -> None:
    """The guard is reentrant: a finalizer may call `halt` while `watch` registers a process."""
    supervisor = Supervisor(jobs=1)

    class Dropped:
        """An object in a circle, which only the garbage collector frees."""

        def __init__(self) -> None:
            self.me = self

    weakref.finalize(Dropped(), supervisor.halt)
    with supervisor._guard:
        assert not supervisor.is_halted
        gc.collect()
        assert supervisor.is_halted


def test_closing_ends_a_consumer_in_another_thread() -> None:
    """A consumer that waits for a result that never comes is released without an error."""
    supervisor, started = Supervisor(jobs=1), threading.Event()

    def work(item: int) -> list[int]:
        started.set()
        while not supervisor.is_halted:
            time.sleep(0.01)
        return [item]

    taken: list[int] = []
    taker = begun(lambda: taken.extend(supervisor.in_order(work, range(5))))
    assert started.wait(LONG_S)
    supervisor.close()
    supervisor.close()
    assert ended(taker)
    assert taken == []


def test_a_thread_of_its_own_is_waited_for() -> None:
    """`close` returns after the thread has noticed the end."""
    supervisor = Supervisor(jobs=1)
    ends: list[float] = []

    def work() -> None:
        while not supervisor.is_halted:
            time.sleep(0.01)
        time.sleep(0.05)
        ends.append(time.monotonic())

    supervisor.start_thread(work, "test")
    supervisor.close()
    assert len(ends) == 1


# ---------------------------------------------------------------------------- the queue


def test_items_arrive_in_order_and_end() -> None:
    """The consumer gets the items in order, up to None."""
    results: BoundedQueue[int] = BoundedQueue(3, threading.Event())

    def work() -> None:
        for number in range(20):
            results.put(number)
        results.put(None)

    worker = begun(work)
    assert list(results) == list(range(20))
    assert ended(worker)


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), KeyboardInterrupt(), GeneratorExit()])
def test_a_failure_is_raised_after_what_came_before_it(error: BaseException) -> None:
    """The consumer gets the items before it, then the very exception."""
    results: BoundedQueue[int] = BoundedQueue(3, threading.Event())
    results.put(1)
    results.put(error)
    items = iter(results)
    assert next(items) == 1
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error


def test_a_worker_waits_for_its_taker() -> None:
    """`put` blocks while the queue is full."""
    results: BoundedQueue[int] = BoundedQueue(2, threading.Event())
    put: list[int] = []

    def work() -> None:
        for number in range(6):
            results.put(number)
            put.append(number)
        results.put(None)

    worker = begun(work)
    taken = []
    for item in results:
        time.sleep(0.03)  # time enough for a worker that does not wait to run ahead
        taken.append(item)
        assert len(put) <= len(taken) + 2
    assert taken == list(range(6))
    assert ended(worker)


def test_a_worker_whose_taker_has_left_ends() -> None:
    """`put` returns after the stop, before and after it has begun to wait."""
    stop = threading.Event()
    results: BoundedQueue[int] = BoundedQueue(1, stop)
    results.put(1)
    worker = begun(lambda: results.put(2))
    stop.set()
    assert ended(worker)
    assert ended(begun(lambda: results.put(3)))


def test_a_taker_whose_worker_is_stopped_ends() -> None:
    """A consumer that waits for an item is released without an error."""
    stop = threading.Event()
    results: BoundedQueue[int] = BoundedQueue(1, stop)
    taken: list[int] = []
    taker = begun(lambda: taken.extend(results))
    stop.set()
    assert ended(taker)
    assert taken == []


def test_nothing_is_taken_after_the_stop() -> None:
    """Items that wait at the stop are dropped."""
    stop = threading.Event()
    results: BoundedQueue[int] = BoundedQueue(2, stop)
    results.put(1)
    stop.set()
    assert list(results) == []
