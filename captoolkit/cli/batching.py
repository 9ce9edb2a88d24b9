"""Many inputs, several of them at once; what each came to is told in the order they were given.

Rules: an input that fails costs itself alone. An interrupt ends every ffmpeg and stops the work
where it next reports, waits until that has tidied up, and goes on as the interrupt that it is. One
input alone is worked on by whoever asks for it, whom an interrupt reaches directly.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from captoolkit.events import Event, OnEvent
from captoolkit.media import ffmpeg
from captoolkit.support.cancel import Closing

PATIENCE_S = 0.2  # how long work that is to stop may take until the next ffmpeg is ended

Made = TypeVar("Made")


class Batch(Closing):
    """Inputs on their way; leaving it ends whatever still runs.

    Args:
        inputs: how many there are.
        jobs: how much is worked on at once.
    """

    def __init__(self, inputs: int, *, jobs: int) -> None:
        self._inputs = inputs
        self._jobs = jobs
        self._at_once = min(jobs, inputs)
        self._over = threading.Event()
        self._asked: list[Future[Any]] = []
        self._pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="captoolkit-batch")

    def run(self, work: Callable[[int, int], Made]) -> Iterator[tuple[int, Callable[[], Made]]]:
        """Do `work(place, jobs)` for each input in threads; yield places and getters of results.

        `jobs` is how much of one input may be worked on at once, so that all together keep to
        what the caller allowed, and a last one has the machine to itself. What gets
        the result waits for it, and raises what the work raised.
        """
        if self._inputs == 1:
            yield 0, functools.partial(work, 0, self._jobs)
            return
        left = range(self._inputs, 0, -1)
        shares = [self._jobs // min(self._at_once, inputs) for inputs in left]
        self._asked = [self._pool.submit(work, *each) for each in enumerate(shares)]
        for place, future in enumerate(self._asked):
            yield place, future.result

    def heeded_by(self, on_event: OnEvent) -> OnEvent:
        """Return an `on_event` that ends the work which reports to it once the batch is left."""

        def report(event: Event) -> None:
            if self._over.is_set():
                raise _OverError
            on_event(event)

        return report

    def close(self) -> None:
        """End what still runs and wait for it; may be called twice."""
        self._over.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        under_way = [future for future in self._asked if not future.cancelled()]
        while wait(under_way, timeout=PATIENCE_S).not_done:
            ffmpeg.end_all()  # what waits for one may be hours from its next report
        self._pool.shutdown(wait=True)


class _OverError(Exception):
    """Unwinds the thread of an input whose batch was left."""
