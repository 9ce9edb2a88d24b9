from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from captoolkit.support.queues import BoundedQueue

LONG_S = 10.0  # nothing here takes so long unless it hangs


def begun(work: Callable[[], object]) -> threading.Thread:
    """A thread that does it."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> bool:
    """Whether a thread ends before long."""
    thread.join(LONG_S)
    return not thread.is_alive()


def test_items_arrive_in_order_and_end() -> None:
    """What was put comes out in the same order, up to the end that was told."""
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
    """What was finished is still handed out, and then the very exception is raised."""
    results: BoundedQueue[int] = BoundedQueue(3, threading.Event())
    results.put(1)
    results.put(error)
    items = iter(results)
    assert next(items) == 1
    with pytest.raises(type(error)) as caught:
        next(items)
    assert caught.value is error


def test_a_worker_waits_for_its_taker() -> None:
    """No more wait to be taken than may."""
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
    """A worker that waits for room notices that it is to stop, and so does the next."""
    stop = threading.Event()
    results: BoundedQueue[int] = BoundedQueue(1, stop)
    results.put(1)
    worker = begun(lambda: results.put(2))
    stop.set()
    assert ended(worker)
    assert ended(begun(lambda: results.put(3)))


def test_a_taker_whose_worker_is_stopped_ends() -> None:
    """Who waits for something that will never come is let go, without an error."""
    stop = threading.Event()
    results: BoundedQueue[int] = BoundedQueue(1, stop)
    taken: list[int] = []
    taker = begun(lambda: taken.extend(results))
    stop.set()
    assert ended(taker)
    assert taken == []


def test_nothing_is_taken_after_the_stop() -> None:
    """What waited when it was stopped is nobody's."""
    stop = threading.Event()
    results: BoundedQueue[int] = BoundedQueue(2, stop)
    results.put(1)
    stop.set()
    assert list(results) == []
