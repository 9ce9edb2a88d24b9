"""The threads that ask: segments go in, what came of them comes out in the order of finishing.

Rules: a request under way cannot be called back, and its answer is paid for. So nobody waits for it
when the work is cancelled: its thread is left to itself, writes the answer down when it comes, and
the last one to leave lets go of what they shared. Threads are daemons: they keep no program alive,
and what comes after its end is lost.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from captoolkit.dispatch.asker import Answered, Ask
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.support.cancel import TICK_S, StoppedError

Done = tuple[ReadySegment, Answered | BaseException]


class WorkerPool:
    """Some threads that ask about segments.

    Args:
        ask: what each does with a segment.
        size: how many there are at most.
        stop: set when the work is cancelled.
        release: called once, when it is closed and no thread is asking any more.
    """

    def __init__(
        self, ask: Ask, *, size: int, stop: threading.Event, release: Callable[[], None]
    ) -> None:
        self._ask = ask
        self._size = size
        self._stop = stop
        self._release = release
        self._waiting: queue.SimpleQueue[ReadySegment | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._users = 1  # whoever holds this, and each thread
        self._closed = False
        self._open_segments = 0

    @property
    def under_way(self) -> int:
        """How many segments were put in and have not been taken out."""
        return self._open_segments

    def put(self, segment: ReadySegment) -> None:
        """Have a segment asked about."""
        self._open_segments += 1
        self._waiting.put(segment)
        if len(self._threads) < min(self._size, self._open_segments):
            with self._guard:
                self._users += 1
            name = f"captoolkit-ask-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def take(self, *, wait: bool) -> tuple[ReadySegment, Answered] | None:
        """Return what came of a segment; None if there is nothing yet, without waiting.

        Raises:
            StoppedError: the work was cancelled.
            BaseException: what the caller's `on_event` raised.
        """
        while True:
            try:
                segment, answered = self._done.get(timeout=TICK_S if wait else 0)
            except queue.Empty:
                if self._stop.is_set():
                    raise StoppedError from None
                if wait:
                    continue
                return None
            self._open_segments -= 1
            if isinstance(answered, BaseException):
                raise answered
            return segment, answered

    def close(self, *, patience_s: float) -> None:
        """Send the threads home; wait so long for those that are asking. May be called twice."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
        for _ in self._threads:
            self._waiting.put(None)
        until_s = time.monotonic() + patience_s
        try:
            for thread in self._threads:
                if thread is not threading.current_thread():
                    thread.join(max(0.0, until_s - time.monotonic()))
        finally:
            self._leave()

    def _work(self) -> None:
        try:
            while (segment := self._waiting.get()) is not None and not self._stop.is_set():
                answered: Answered | BaseException
                try:
                    answered = self._ask(segment)
                except BaseException as error:
                    answered = error
                self._done.put((segment, answered))
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._guard:
            self._users -= 1
            last = not self._users
        if last:
            self._release()
