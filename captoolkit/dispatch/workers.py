"""The threads that send requests: segments go in, and each has a future with its outcome.

Rules: the number of unfinished segments is bounded, over all recordings of a run. A request in
flight cannot be recalled, and its answer is paid for. After a cancellation `close` does not wait
for it: its thread writes the answer to the ledger when it arrives, and the last thread to end
releases the shared resources. The threads are daemons: they keep no program alive, and an answer
that arrives after the end of the program is lost.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from captoolkit.dispatch.asker import Ask, Outcome
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.support.cancel import TICK_S, StoppedError

AHEAD = 4  # unfinished segments for each request that may be in flight
AHEAD_HERE = 2  # the same for a captioner on this machine, whose segments may be large


def never() -> bool:
    """Return False."""
    return False


@dataclass(frozen=True, slots=True)
class _Task:
    segment: ReadySegment
    ask: Ask
    outcome: Future[Outcome]


class WorkerPool:
    """Threads that ask a captioner about segments.

    Args:
        size: the largest number of threads, and of requests in flight.
        stop: set when the run is cancelled.
        release: called once, after `close` and after the last thread has ended.
        ahead: the largest number of unfinished segments for each thread.

    Attributes:
        limit: the largest number of unfinished segments.
    """

    def __init__(
        self,
        *,
        size: int,
        stop: threading.Event,
        release: Callable[[], None],
        ahead: int = AHEAD,
    ) -> None:
        self.limit = ahead * size
        self._size = size
        self._stop = stop
        self._release = release
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition(threading.RLock())
        self._users = 1  # the pool itself and each thread
        self._closed = False
        self._unfinished = 0

    @property
    def unfinished(self) -> int:
        """The number of places in use: segments that are made, wait, or are in flight."""
        return self._unfinished

    def reserve(self, *, unless: Callable[[], bool] = never) -> bool:
        """Reserve a place for one more unfinished segment; wait while all places are in use.

        `submit` uses the place; `give_back` returns it if there is no segment for it.

        Args:
            unless: ends the wait without a place when it returns True; it is called again after
                each finished segment.

        Returns:
            Whether a place is reserved.

        Raises:
            StoppedError: the run was cancelled, or the pool is closed.
        """
        with self._changed:
            while self._unfinished >= self.limit and not self._is_over:
                if unless():
                    return False
                self._changed.wait(TICK_S)
            if self._is_over:
                raise StoppedError
            self._unfinished += 1
            return True

    def give_back(self) -> None:
        """Return a place: it was reserved for nothing, or its segment is finished."""
        with self._changed:
            self._unfinished -= 1
            self._changed.notify_all()

    def submit(self, segment: ReadySegment, ask: Ask) -> Future[Outcome]:
        """Queue a segment, for which a place is reserved; return the future of its outcome.

        Args:
            segment: the segment.
            ask: returns its outcome; runs in a worker thread.

        Returns:
            A future. Its callbacks run in a worker thread, before the place is free again. It
            raises `StoppedError` if the run was cancelled before there was an outcome, and any
            exception of the caller's `on_event`.
        """
        task = _Task(segment, ask, Future())
        with self._changed:
            is_over = self._is_over
            if not is_over:
                self._waiting.put(task)
                if len(self._threads) < min(self._size, self._unfinished):
                    self._start_thread()
        if is_over:
            self._cancel(task)
        return task.outcome

    def close(self, *, wait_s: float) -> None:
        """End the threads; wait at most `wait_s` for requests in flight. May be called twice."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            threads = tuple(self._threads)
            unsent = self._take_waiting() if self._stop.is_set() else []
            for _ in threads:
                self._waiting.put(None)
            self._changed.notify_all()
        for task in unsent:
            self._cancel(task)
        until_s = time.monotonic() + wait_s
        try:
            for thread in threads:
                if thread is not threading.current_thread():
                    thread.join(max(0.0, until_s - time.monotonic()))
        finally:
            self._leave()

    @property
    def _is_over(self) -> bool:
        return self._closed or self._stop.is_set()

    def _start_thread(self) -> None:
        self._users += 1
        name = f"captoolkit-ask-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _take_waiting(self) -> list[_Task]:
        tasks = []
        with contextlib.suppress(queue.Empty):
            while True:
                if (task := self._waiting.get_nowait()) is not None:
                    tasks.append(task)
        return tasks

    def _work(self) -> None:
        """Ask about segments until the pool is closed or the run cancelled. Runs in a thread."""
        try:
            while (task := self._waiting.get()) is not None:
                if self._stop.is_set():
                    self._cancel(task)
                else:
                    self._answer(task)
                del task  # it refers to the caller's objects
        finally:
            self._leave()

    def _answer(self, task: _Task) -> None:
        if task.outcome.set_running_or_notify_cancel():
            try:
                outcome = task.ask(task.segment)
            except BaseException as error:
                task.outcome.set_exception(error)
            else:
                task.outcome.set_result(outcome)
        self.give_back()

    def _cancel(self, task: _Task) -> None:
        if task.outcome.set_running_or_notify_cancel():
            task.outcome.set_exception(StoppedError())
        self.give_back()

    def _leave(self) -> None:
        with self._changed:
            self._users -= 1
            is_last = not self._users
        if is_last:
            self._release()
