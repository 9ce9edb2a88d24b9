"""What a worker hands to whoever takes it: in order, bounded, and its failure as well."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

STOP_CHECK_S = 0.2  # how long a worker that waits for a taker may not notice that it is to stop


class BoundedQueue(Generic[Item]):
    """A queue from one worker's thread to one taker.

    Args:
        most: how many may wait to be taken; the worker waits when there are more.
        stop: set when nobody will take any more.
    """

    def __init__(self, most: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[Item | BaseException | None] = queue.Queue(most)
        self._stop = stop

    def put(self, item: Item | BaseException | None) -> None:
        """Hand something over, an exception to be raised, or None as the end of it all."""
        # A program that ends without a word to us must not wait for its worker for ever.
        while not self._stop.is_set() and threading.main_thread().is_alive():
            try:
                self._queue.put(item, timeout=STOP_CHECK_S)
            except queue.Full:
                continue
            return

    def __iter__(self) -> Iterator[Item]:
        """Yield what was handed over, to its end; nothing more once it is to stop."""
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=STOP_CHECK_S)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
