"""A pool that works on several recordings at once, with one total of parallel jobs.

Rules: an input that fails does not affect the others. `close` (after an interrupt, for example)
ends every ffmpeg, stops the work on each input at its next event, and waits until it has removed
its files. A single input runs in the caller's thread, which an interrupt reaches directly. Several
inputs run in threads; where they are many short ones on many cores, each thread has a process that
does its work (`are_many_short`).
"""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Generic

from captoolkit.events import Event, OnEvent
from captoolkit.jobs.commands.worker_process import (
    END_INTERVAL_S,
    END_S,
    Item,
    Result,
    Work,
    WorkerProcess,
)
from captoolkit.jobs.listing.inputs import Input
from captoolkit.support.cancel import Closing, StoppedError, ended_when

# Yields the `on_event` for the work on one item; on exit the work has ended.
Following = Callable[[Item], AbstractContextManager[OnEvent]]

# `scripts/bench_batch.py --ways` measures these, in CPU time on two cores: WAVs of 5 s take 0.6 s
# and 6.3 ms for each file in threads, and 1.3 s and 9.6 ms for each file in two processes.
HELD_S = 0.0036  # of the work on such a file, with Python's lock held: its user time
PROCESS_S = 0.0096  # of a file in a process: the work, and the pickles of its item and events
START_S = 0.7  # of the processes
# About two minutes of WAV, or twenty of MP3. The work on a longer file takes some hundred times as
# long as the work that holds the lock, so it keeps more cores busy than a machine has.
SHORT_BYTES = 20_000_000


def are_many_short(inputs: Sequence[Input], *, workers: int) -> bool:
    """Return whether processes work on these inputs sooner than threads do.

    Threads do at best one short file in `HELD_S`, because they wait for Python's lock; processes do
    one in `PROCESS_S` divided by their number, after their start. With two workers that is no gain,
    with four it is one from 600 short files on, and with sixteen from 240 on. The libraries and the
    ffmpegs that do the work on longer files hold no lock.

    Args:
        inputs: all inputs; one without a known size counts as long.
        workers: the number of inputs that are worked on at once.
    """
    if workers == 1 or any(each.is_standard_input for each in inputs):
        return False
    short = sum(each.size_bytes is not None and each.size_bytes <= SHORT_BYTES for each in inputs)
    gain_s = HELD_S - PROCESS_S / workers
    return short * gain_s > START_S and 2 * short > len(inputs)


class InputPool(Closing, Generic[Item, Result]):
    """Calls `work` for each item, several at once; `close` ends all work that still runs.

    Args:
        work: the work on one item. It, the items and the results must be picklable.
        items: the inputs.
        jobs: the number of parallel jobs, over all inputs.
        following: returns the receiver of the events of one item; it is called in a thread of the
            pool, in this process.
        inputs: the inputs that the items stand for, for `are_many_short`; empty for threads.
    """

    def __init__(
        self,
        work: Work[Item, Result],
        items: Sequence[Item],
        *,
        jobs: int,
        following: Following[Item],
        inputs: Sequence[Input] = (),
    ) -> None:
        self._work = work
        self._items = items
        self._jobs = jobs
        self._following = following
        self._threads = max(1, min(jobs, len(items)))
        self._has_processes = are_many_short(inputs, workers=self._threads)
        self._stop = threading.Event()
        self._futures: list[Future[Result]] = []
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="captoolkit-input")
        self._ended: queue.SimpleQueue[tuple[Item, Future[Result]]] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._workers: dict[int, WorkerProcess[Item, Result]] = {}  # by thread

    def results(self) -> Iterator[tuple[Item, Callable[[], Result]]]:
        """Start the work; return each item as it ends, with a function that returns its result.

        An item's share of the jobs is a whole number; the last item gets all jobs. A result
        function raises the exception of the work. The only item is returned before its work, which
        its function does.
        """
        if len(self._items) == 1:
            (item,) = self._items
            return iter([(item, functools.partial(self._do, item, self._jobs))])
        remaining = range(len(self._items), 0, -1)
        shares = [self._jobs // min(self._threads, items) for items in remaining]
        for item, share in zip(self._items, shares, strict=True):
            future = self._pool.submit(self._do, item, share)
            self._futures.append(future)
            future.add_done_callback(functools.partial(self._note_end, item))
        ended = (self._ended.get() for _ in self._items)
        return ((item, future.result) for item, future in ended)

    def finished(self) -> Iterator[tuple[Item, Callable[[], Result]]]:
        """Yield, after `close`, the items that were done but not yet yielded by `results`."""
        with contextlib.suppress(queue.Empty):
            while True:
                item, future = self._ended.get_nowait()
                if not future.cancelled() and future.exception() is None:
                    yield item, future.result

    def _note_end(self, item: Item, future: Future[Result]) -> None:
        self._ended.put((item, future))

    def close(self) -> None:
        """End the work that still runs and wait for its end; may be called twice."""
        from captoolkit.media import ffmpeg_process

        with self._guard:
            self._stop.set()
            workers = tuple(self._workers.values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.stop()
        running = [future for future in self._futures if not future.cancelled()]
        until = time.monotonic() + END_S
        while wait(running, timeout=END_INTERVAL_S).not_done:
            ffmpeg_process.end_all()  # a thread that waits for one may be hours from its next event
            if time.monotonic() > until:
                for worker in workers:
                    worker.kill()
        self._pool.shutdown(wait=True)
        for worker in workers:
            worker.close()

    def _do(self, item: Item, share: int) -> Result:
        """Do the work on one item. Runs in a thread of the pool."""
        with self._following(item) as on_event:
            report = self._stopping(on_event)
            if not self._has_processes:
                with ended_when(self._stop.is_set):
                    return self._work(item, share, report)
            return self._worker().call(item, share, report)

    def _worker(self) -> WorkerProcess[Item, Result]:
        """Return the worker process of this thread; start one if none is alive."""
        thread = threading.get_ident()
        worker = self._workers.get(thread)
        if worker is None or not worker.is_alive:
            if worker is not None:
                worker.close()
            with self._guard:
                if self._stop.is_set():
                    raise StoppedError
                worker = self._workers[thread] = WorkerProcess(self._work)
        return worker

    def _stopping(self, on_event: OnEvent) -> OnEvent:
        """Return an `on_event` that ends the work at its next event after `close`."""

        def report(event: Event) -> None:
            if self._stop.is_set():
                raise StoppedError
            on_event(event)

        return report
