"""A pool that works on several recordings at once, with one total of parallel jobs.

Rules: an input that fails does not affect the others. `close` (after an interrupt, for example)
ends every ffmpeg, stops each thread at its next event, and waits until the threads have removed
their files. A single input runs in the caller's thread, which an interrupt reaches directly.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from captoolkit.events import Event, OnEvent
from captoolkit.support.cancel import Closing, StoppedError

END_INTERVAL_S = 0.2  # between two rounds of ending ffmpegs while threads stop

Item = TypeVar("Item")
Result = TypeVar("Result")

# Works on one item: called with the item, its share of the jobs, and an `on_event`.
Work = Callable[[Item, int, OnEvent], Result]
# Yields the `on_event` for the work on one item; on exit the work has ended.
Following = Callable[[Item], AbstractContextManager[OnEvent]]


class InputPool(Closing, Generic[Item, Result]):
    """Calls `work` for each item, several at once; `close` ends all work that still runs.

    Args:
        work: the work on one item. It, the items and the results must be picklable.
        items: the inputs.
        jobs: the number of parallel jobs, over all inputs.
        following: returns the receiver of the events of one item.
    """

    def __init__(
        self,
        work: Work[Item, Result],
        items: Sequence[Item],
        *,
        jobs: int,
        following: Following[Item],
    ) -> None:
        self._work = work
        self._items = items
        self._jobs = jobs
        self._following = following
        self._threads = max(1, min(jobs, len(items)))
        self._stop = threading.Event()
        self._futures: list[Future[Any]] = []
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="captoolkit-input")

    def results(self) -> Iterator[tuple[Item, Callable[[], Result]]]:
        """Start the work; yield each item, in order, with a function that returns its result.

        An item's share of the jobs is a whole number; the last item gets all jobs. A result
        function waits for the result, and raises the exception of the work.
        """
        if len(self._items) == 1:
            (item,) = self._items
            yield item, functools.partial(self._do, item, self._jobs)
            return
        remaining = range(len(self._items), 0, -1)
        shares = [self._jobs // min(self._threads, items) for items in remaining]
        self._futures = [
            self._pool.submit(self._do, *each) for each in zip(self._items, shares, strict=True)
        ]
        for item, future in zip(self._items, self._futures, strict=True):
            yield item, future.result

    def close(self) -> None:
        """End the work that still runs and wait for its threads; may be called twice."""
        from captoolkit.media import ffmpeg

        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        running = [future for future in self._futures if not future.cancelled()]
        while wait(running, timeout=END_INTERVAL_S).not_done:
            ffmpeg.end_all()  # a thread that waits for one may be hours from its next event
        self._pool.shutdown(wait=True)

    def _do(self, item: Item, share: int) -> Result:
        """Do the work on one item. Runs in a thread of the pool."""
        with self._following(item) as on_event:
            return self._work(item, share, self._stopping(on_event))

    def _stopping(self, on_event: OnEvent) -> OnEvent:
        """Return an `on_event` that ends the work at its next event after `close`."""

        def report(event: Event) -> None:
            if self._stop.is_set():
                raise StoppedError
            on_event(event)

        return report
