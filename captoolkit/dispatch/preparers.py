"""The threads that prepare recordings for a run of asking, while the captioner answers.

Rules: a place in the run is reserved before each segment is made, so no more segments exist than
the run allows. The exception is a recording that has answers to all its segments so far: its thread
continues without a place, because the recording may be complete; if another segment follows, that
segment waits for a place, one for each thread. The number of open recordings is bounded: a slow
consumer of results stops the threads. A recording that fails does not affect the others. After an
error that ends the run no further recording is begun. The threads are daemons.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future
from typing import TYPE_CHECKING

from captoolkit.dispatch.asker import Outcome
from captoolkit.dispatch.run import CLOSE_WAIT_S, LAST_ANSWERS_S, AskingRun
from captoolkit.dispatch.run_recording import Open, RunRecording
from captoolkit.errors import CaptoolkitError
from captoolkit.pipeline.prepared import Prepared
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.support.cancel import TICK_S, StoppedError, ended_when

if TYPE_CHECKING:
    from captoolkit.media.source import Source


class PreparerPool:
    """Threads that open recordings, make their segments and submit them to a run.

    Args:
        run: the run of asking.
        sources: taken one after another, in the threads.
        open_source: opens a source.
        jobs: the number of threads, and of parallel jobs over all recordings.
        existing: for each source the timeline of an earlier run, None for a source without one.
        is_redo: caption a source again if its existing timeline was made otherwise.

    Attributes:
        failure: the first exception that ends the run: of the caller's `on_event`, of the iterator
            of sources, or an error of captoolkit itself. None so far.
        is_cut_short: whether recordings are left out after an error that ended the run.
        has_unopened: whether one of them was not opened, so that its segments are unknown.
        left: the segments without a caption after such an error.
    """

    def __init__(
        self,
        run: AskingRun,
        sources: Iterable[Source],
        *,
        open_source: Open,
        jobs: int,
        existing: Iterable[str | os.PathLike[str] | None] = (),
        is_redo: bool = False,
    ) -> None:
        self.failure: BaseException | None = None
        self.is_cut_short = False
        self.has_unopened = False
        self.left = 0
        self._run = run
        self._open_source = open_source
        self._is_redo = is_redo
        self._jobs = jobs
        self._count = len(sources) if isinstance(sources, Sized) else None
        self._threads_wanted = jobs if self._count is None else max(1, min(jobs, self._count))
        self._limit = run.limit + self._threads_wanted
        self._sources: Iterator[RunRecording] = (
            RunRecording(index, source, path)
            for index, (source, path) in enumerate(
                zip(sources, itertools.chain(existing, itertools.repeat(None)), strict=False)
            )
        )
        self._changed = threading.Condition()
        self._taking = threading.Lock()  # held while the caller's iterator runs
        self._threads: list[threading.Thread] = []
        self._open: dict[int, RunRecording] = {}
        self._ended: deque[RunRecording] = deque()
        self._is_planned = False
        self._is_exhausted = False
        self._closed = False

    def open_all(self) -> list[RunRecording]:
        """Open and plan all sources, before any segment is made; may be called before `start`.

        Raises:
            StoppedError: the run was cancelled.
            BaseException: the iterator of sources raised it.
        """
        recordings = list(self._sources)
        self._count = len(recordings)
        self._sources = iter(recordings)
        self._limit = len(recordings) + 1  # all are open already
        self._is_planned = True
        unopened = iter(recordings)

        def open_each() -> None:
            try:
                while not self._is_over and (recording := self._take(unopened)) is not None:
                    self._open_recording(recording)
            except BaseException as error:
                self._fail(error)

        threads = self._start_threads(open_each)
        while any(thread.is_alive() for thread in threads):
            threads[0].join(TICK_S)
            threads = [thread for thread in threads if thread.is_alive()] or threads
        self._raise_if_over()
        self._threads.clear()
        return recordings

    def start(self) -> None:
        """Start the threads, once."""
        if not self._threads:
            self._start_threads(self._prepare_each)

    def next_ended(self) -> RunRecording | None:
        """Wait for a recording that is complete or has failed; None after the last one.

        The caller calls `release` for it.

        Raises:
            StoppedError: the run was cancelled.
            BaseException: the failure that ends the run.
        """
        halted_s: float | None = None
        while True:
            with self._changed:
                self._raise_if_over()
                if self._ended:
                    return self._ended.popleft()
                if self._is_exhausted and not self._open:
                    return None
                self._changed.wait(TICK_S)
            if self._run.error is not None:
                halted_s = halted_s or time.monotonic()
                if time.monotonic() > halted_s + LAST_ANSWERS_S:
                    self.is_cut_short = True
                    return None

    def count_left(self, segments: int) -> None:
        """Add segments to `left`; thread-safe."""
        with self._changed:
            self.left += segments

    def release(self, recording: RunRecording) -> None:
        """Close a recording and drop its entries, so that another one may be opened."""
        prepared, recording.prepared, recording.entries = recording.prepared, None, None
        try:
            if prepared is not None:
                prepared.close()
        finally:
            with self._changed:
                self._open.pop(recording.index, None)
                self._changed.notify_all()

    def close(self, *, wait_s: float = CLOSE_WAIT_S) -> None:
        """End the preparations and the threads; wait at most `wait_s`. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            recordings = list(self._open.values())
        for recording in recordings:
            if recording.prepared is not None:
                recording.prepared.close()
        if self._run.gate.is_inside:  # a thread to wait for may wait for this one
            return
        until_s = time.monotonic() + wait_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until_s - time.monotonic()))

    # ------------------------------------------------------------------------- in the threads

    @property
    def _is_over(self) -> bool:
        return self._closed or self._run.stop.is_set() or self.failure is not None

    def _raise_if_over(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self._is_over:
            raise StoppedError

    def _start_threads(self, work: Callable[[], None]) -> list[threading.Thread]:
        self._threads = [
            threading.Thread(target=work, name=f"captoolkit-prepare-{number}", daemon=True)
            for number in range(self._threads_wanted)
        ]
        for thread in self._threads:
            thread.start()
        return list(self._threads)

    def _take(self, recordings: Iterator[RunRecording]) -> RunRecording | None:
        """Return the next recording; None after the last one, or after a failure."""
        try:
            with self._taking:
                recording = next(recordings, None)
                if recording is not None:
                    with self._changed:
                        self._open[recording.index] = recording
                return recording
        except BaseException as error:
            self._fail(error)
            return None

    def _prepare_each(self) -> None:
        """Prepare recordings until there are no more."""
        while self._has_room():
            recording = self._take(self._sources)
            if recording is None:
                break
            if self._run.error is None:
                self._prepare(recording)
                continue
            self.is_cut_short = True
            self.has_unopened = self.has_unopened or recording.prepared is None
            if recording.prepared is not None:
                self.count_left(len(recording.prepared.plan.spans))
            self.release(recording)
            if not self._is_planned:  # the caller's iterator may be endless
                break
        with self._changed:
            self._is_exhausted = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        """Wait until another recording may be opened; return False if the run is over."""
        with self._changed:
            while len(self._open) >= self._limit and not self._is_over:
                self._changed.wait(TICK_S)
            return not self._is_over

    def _prepare(self, recording: RunRecording) -> None:
        """Open a recording, make its segments and submit them."""
        try:
            if not recording.begun_s:
                self._open_recording(recording)
            if recording.error is None and recording.kept is None:
                assert recording.prepared is not None
                self._submit_segments(recording, recording.prepared)
        except StoppedError:
            return
        except CaptoolkitError as error:
            if self._is_over or error is self._run.gate.error:
                self._fail(error)
                return
            recording.error = error
        except BaseException as error:
            self._fail(error)
            return
        self._end_part(recording)

    def _open_recording(self, recording: RunRecording) -> None:
        remaining = self._threads_wanted
        if self._count is not None:
            remaining = max(1, min(remaining, self._count - recording.index))
        jobs = max(1, self._jobs // remaining)
        with ended_when(lambda: self._is_over):
            recording.open(self._open_source, jobs, self._run, is_redo=self._is_redo)
        if self._closed and recording.prepared is not None:
            recording.prepared.close()

    def _submit_segments(self, recording: RunRecording, prepared: Prepared) -> None:
        segments = iter(prepared)
        while True:
            if self._run.unsent_error is not None:
                recording.is_halted = True
                raise self._run.unsent_error
            has_place = self._run.reserve(unless=lambda: recording.is_answered)
            segment = None
            try:
                segment = next(segments, None)
            finally:
                if segment is None and has_place:
                    self._run.give_back()
            if segment is None:
                return
            if not has_place:
                self._run.reserve()
            with self._changed:
                recording.pending += 1
            assert recording.entries is not None
            measured = recording.entries.measured(segment)
            outcome = self._run.submit(measured, path=prepared.plan.info.path)
            outcome.add_done_callback(functools.partial(self._finish, recording, segment))

    def _finish(
        self, recording: RunRecording, segment: ReadySegment, future: Future[Outcome]
    ) -> None:
        """Remove a segment's file and add its entry. Runs in a thread of the worker pool."""
        assert recording.prepared is not None
        assert recording.entries is not None
        try:
            recording.prepared.discard(segment)
            outcome = future.result()
            if outcome.error is not None and self._run.error is not None:
                recording.is_halted = True
            recording.entries.add(outcome)
        except StoppedError:
            return
        except BaseException as error:
            self._fail(error)
            return
        self._end_part(recording)

    def _end_part(self, recording: RunRecording) -> None:
        """Count a finished segment, or the end of the preparation."""
        with self._changed:
            recording.pending -= 1
            if not recording.pending:
                self._ended.append(recording)
                self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if not self._is_over:
                self.failure = error
            self._changed.notify_all()
