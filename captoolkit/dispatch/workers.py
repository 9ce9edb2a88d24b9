"""The threads that send requests: segments go in, outcomes come out in the order they finish.

Rules: a request in flight cannot be recalled, and its answer is paid for. After a cancellation
`close` does not wait for it: its thread writes the answer to the ledger when it arrives, and the
last thread to end releases the shared resources. The threads are daemons: they keep no program
alive, and an answer that arrives after the end of the program is lost.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from captoolkit.dispatch.asker import Ask, Outcome
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.support.cancel import TICK_S, StoppedError

Finished = tuple[ReadySegment, Outcome | BaseException]


class WorkerPool:
    """Threads that ask a captioner about segments.

    Args:
        ask: returns the outcome of a segment; runs in the threads.
        size: the largest number of threads.
        stop: set when the run is cancelled.
        release: called once, after `close` and after the last thread has ended.
    """

    def __init__(
        self, ask: Ask, *, size: int, stop: threading.Event, release: Callable[[], None]
    ) -> None:
        self._ask = ask
        self._size = size
        self._stop = stop
        self._release = release
        self._waiting: queue.SimpleQueue[ReadySegment | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._users = 1  # the pool itself and each thread
        self._closed = False
        self._unfinished = 0

    @property
    def unfinished(self) -> int:
        """The number of segments that were put in and not yet taken out."""
        return self._unfinished

    def put(self, segment: ReadySegment) -> None:
        """Queue a segment for the threads."""
        self._unfinished += 1
        self._waiting.put(segment)
        if len(self._threads) < min(self._size, self._unfinished):
            with self._guard:
                self._users += 1
            name = f"captoolkit-ask-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def take(self, *, wait: bool) -> tuple[ReadySegment, Outcome] | None:
        """Return a segment with its outcome; None if `wait` is False and no segment is finished.

        Raises:
            StoppedError: the run was cancelled.
            BaseException: the caller's `on_event` raised it in a thread.
        """
        while True:
            try:
                segment, outcome = self._finished.get(timeout=TICK_S if wait else 0)
            except queue.Empty:
                if self._stop.is_set():
                    raise StoppedError from None
                if wait:
                    continue
                return None
            self._unfinished -= 1
            if isinstance(outcome, BaseException):
                raise outcome
            return segment, outcome

    def close(self, *, wait_s: float) -> None:
        """End the threads; wait at most `wait_s` for requests in flight. May be called twice."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
        for _ in self._threads:
            self._waiting.put(None)
        until_s = time.monotonic() + wait_s
        try:
            for thread in self._threads:
                if thread is not threading.current_thread():
                    thread.join(max(0.0, until_s - time.monotonic()))
        finally:
            self._leave()

    def _work(self) -> None:
        """Ask about segments until the pool is closed or the run cancelled. Runs in a thread."""
        try:
            while (segment := self._waiting.get()) is not None and not self._stop.is_set():
                outcome: Outcome | BaseException
                try:
                    outcome = self._ask(segment)
                except BaseException as error:
                    outcome = error
                self._finished.put((segment, outcome))
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._guard:
            self._users -= 1
            is_last = not self._users
        if is_last:
            self._release()
