"""The threads and child processes of one preparation: started, watched and ended in one place.

Rules: `halt` ends everything without waiting; any thread may call it, also from inside `on_event`
and from the garbage collector. `close` halts and waits. A process that starts after `halt` is ended
at once. Results keep the order of their items. Threads work ahead of the consumer by a bounded
number of items and results. All threads are daemons, so none keeps a program alive.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from captoolkit.support.cancel import TICK_S, Closing

Item = TypeVar("Item")
Result = TypeVar("Result")
Worker = TypeVar("Worker", bound=Closing)

RESULTS_AHEAD = 32  # results of one item that may wait for the consumer


class Supervisor(Closing):
    """Owns the stop flag, the worker threads and the running processes of a preparation.

    Args:
        jobs: the number of worker threads; each runs only while there are tasks.
    """

    def __init__(self, *, jobs: int) -> None:
        self.jobs = jobs
        self._stop = threading.Event()
        # Reentrant: the garbage collector may call `halt` in a thread that holds it.
        self._guard = threading.RLock()
        self._running: dict[Closing, Callable[[], None]] = {}  # with the function that ends each
        self._threads: list[threading.Thread] = []
        self._workers = 0
        self._tasks: deque[Callable[[], None]] = deque()

    @property
    def is_halted(self) -> bool:
        """Whether `halt` or `close` was called."""
        return self._stop.is_set()

    def halt(self) -> None:
        """End everything that runs, without waiting."""
        with self._guard:
            self._stop.set()
            running = tuple(self._running.values())
        for end in running:
            end()

    def close(self) -> None:
        """End everything that runs and wait for it; may be called twice.

        A worker thread, in which the garbage collector may call this, does not wait: it may hold a
        lock that the others need to end.
        """
        self.halt()
        threads = tuple(self._threads)
        if threading.current_thread() not in threads:
            for thread in threads:
                thread.join()

    @contextlib.contextmanager
    def watch(self, worker: Worker, *, halt: Callable[[], None] | None = None) -> Iterator[Worker]:
        """Enter `worker` as a context manager that `halt` of this supervisor also ends.

        Args:
            worker: a process, or an object that runs processes or threads of its own.
            halt: ends it without waiting; its `close` if None.
        """
        end = halt or worker.close
        try:
            with worker:
                with self._guard:
                    self._running[worker] = end
                if self.is_halted:  # `halt` may have looked before the worker was registered
                    end()
                yield worker
        finally:
            with self._guard:
                self._running.pop(worker, None)

    def start_thread(self, work: Callable[[], None], name: str) -> threading.Thread:
        """Start a thread of its own for work that checks `is_halted`; `close` waits for it."""
        thread = threading.Thread(target=work, name=f"captoolkit-{name}", daemon=True)
        with self._guard:
            thread.start()
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        return thread

    def in_order(
        self,
        work: Callable[[Item], Iterable[Result]],
        items: Iterable[Item],
        *,
        ahead: int | None = None,
        workers: int | None = None,
    ) -> Iterator[Result]:
        """Yield the results of all items in order, while worker threads make later ones.

        An exception of `work` is raised after the results before it. After `halt` the iteration
        ends.

        Args:
            work: makes the results of one item; runs in a worker thread.
            items: taken by the consumer's thread, one when the results of another are used up.
            ahead: the number of items that may be begun before their turn; `workers` if None.
            workers: the number of worker threads; `jobs` if None.
        """
        workers = workers or self.jobs
        begun: deque[BoundedQueue[Result]] = deque()
        for item in items:
            results: BoundedQueue[Result] = BoundedQueue(RESULTS_AHEAD, self._stop)
            if not self._begin(functools.partial(_put_results, work, item, results), workers):
                return
            begun.append(results)
            if len(begun) > (workers if ahead is None else ahead):
                yield from begun.popleft()
        while begun:
            yield from begun.popleft()

    def _begin(self, task: Callable[[], None], workers: int) -> bool:
        """Give a task to the worker threads; return False after `halt`."""
        with self._guard:
            if self.is_halted:
                return False
            self._tasks.append(task)
            if self._workers < workers:
                self._workers += 1
                self.start_thread(self._work, "worker")
            return True

    def _work(self) -> None:
        """Carry out tasks while there are any. Runs in a worker thread."""
        while True:
            with self._guard:
                if self.is_halted or not self._tasks:
                    self._workers -= 1
                    return
                task = self._tasks.popleft()
            task()
            del task  # it refers to the caller's objects


def _put_results(
    work: Callable[[Item], Iterable[Result]], item: Item, results: BoundedQueue[Result]
) -> None:
    try:
        for result in work(item):
            if not results.put(result):
                return
        results.put(None)
    except BaseException as error:
        results.put(error)


class BoundedQueue(Generic[Item]):
    """A queue from one worker thread to one consumer.

    Args:
        size: the number of items that may wait; `put` blocks while there are more.
        stop: ends both sides when it is set.
    """

    def __init__(self, size: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[Item | BaseException | None] = queue.Queue(size)
        self._stop = stop

    def put(self, item: Item | BaseException | None) -> bool:
        """Add an item, an exception that the consumer raises, or None for the end.

        Returns:
            False if `stop` is set, so that no consumer takes the item.
        """
        # A program may end without `halt`: then no consumer takes the item.
        while not self._stop.is_set() and threading.main_thread().is_alive():
            try:
                self._queue.put(item, timeout=TICK_S)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[Item]:
        """Yield the items up to the end; nothing after `stop`."""
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=TICK_S)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
