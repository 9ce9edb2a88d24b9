"""Frames as they are: shared out to segments at their boundaries, cut where it is quiet.

Rules: the frames that come out are those that went in, each once and in order; only the sound
around a cut is decoded. A segment of frames begins as its codec does anywhere in the middle: the
first of them may sound incomplete, and without the source's container a decoder gives the encoder's
delay as well; so spans on the source's clock are those of the frames. Cuts and segments are worked
on by several threads, and come out the same by however many.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from captoolkit.bitstream.encodings import MODEL_RATE_HZ
from captoolkit.errors import CaptoolkitError, InputError, LimitError
from captoolkit.media import decode, elementary, encode, ffmpeg
from captoolkit.media.decode import read_all
from captoolkit.media.frame_index import read_frame_index
from captoolkit.media.probe_file import first_codec
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.report import Report
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.planning.cuts import Window, quietest_in
from captoolkit.planning.frame_cuts import edges, movable, span_of
from captoolkit.services import rows
from captoolkit.support.cancel import Closing
from captoolkit.units import rescale

CONTEXT_FRAMES = 8  # decoded before a window, until a decoder that starts anywhere is itself again
AHEAD = 2  # pieces of work for each thread that may wait to be taken

Item = TypeVar("Item")
Result = TypeVar("Result")


class FrameCopy(Closing):
    """The segments of a plan that keeps the frames; to be iterated once.

    Args:
        job: what is made.
        report: told of progress.
        jobs: how many cuts and segments are worked on at once.
    """

    def __init__(self, job: Job, report: Report, *, jobs: int = 1) -> None:
        self._job = job
        self._report = report
        self._most = jobs * AHEAD
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="captoolkit-copy")
        self._closed = False
        self._guard = threading.RLock()  # the garbage collector may close us in a worker
        self._running: set[ffmpeg.Process] = set()
        self._tags: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments in order, while the next ones are cut and written."""
        try:
            plan, stream = self._job.plan, self._stream()
        except (CaptoolkitError, ValueError):
            if self._closed:  # by another thread, which ended what was waited for
                return
            raise
        places = self._ahead(lambda around: self._quiet(stream, around), movable(plan))
        shares = edges(plan, stream, lambda around: next(places, around.balanced))
        numbered = enumerate(shares, start=1)
        for segment in self._ahead(lambda one: self._make(stream, one[0], *one[1]), numbered):
            if self._closed:
                return
            self._report.progressed(segment.source_span.duration_s)
            yield segment

    def halt(self) -> None:
        """Make no more of them than are being made."""
        with self._guard:
            self._closed = True
            running = tuple(self._running)
        for process in running:
            process.close()

    @contextlib.contextmanager
    def _watched(self, process: ffmpeg.Process) -> Iterator[ffmpeg.Process]:
        """Keep a process where `halt` finds it, and end it when it is left."""
        with process:
            with self._guard:
                self._running.add(process)
            try:
                if self._closed:
                    process.close()
                yield process
            finally:
                with self._guard:
                    self._running.discard(process)

    def close(self) -> None:
        """Make no more of them; may be called twice."""
        self.halt()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _ahead(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield what threads make of items, in order; only so many are begun before their turn."""
        waiting: deque[Future[Result]] = deque()
        for item in items:
            future = self._begun(work, item)
            if future is None:
                return
            waiting.append(future)
            if len(waiting) >= self._most:
                yield from self._taken(waiting.popleft())
        while waiting:
            yield from self._taken(waiting.popleft())

    def _begun(self, work: Callable[[Item], Result], item: Item) -> Future[Result] | None:
        """The work on an item, None where no more is begun: another thread may close us."""
        with self._guard:
            return None if self._closed else self._pool.submit(work, item)

    def _taken(self, future: Future[Result]) -> Iterator[Result]:
        """What came of some work; nothing where it was cancelled."""
        try:
            yield future.result()
        except CancelledError:
            return

    def _stream(self) -> elementary.ElementaryStream:
        plan = self._job.plan
        info = dataclasses.replace(plan.info, path=str(self._job.source))
        stream = elementary.extract_stream(
            info, plan.track, self._job.folder.path, watched=self._watched
        )
        if isinstance(stream, str):  # it could be copied when it was planned
            raise InputError(
                "it changed while it was being prepared",
                fix="wait until it is complete",
                path=self._job.source,
            )
        return stream

    # ------------------------------------------------------------------------ where to cut

    def _quiet(self, stream: elementary.ElementaryStream, around: Window) -> int:
        """The quietest sample of a window, by decoding the frames around it. Runs in a thread."""
        held, lead = stream.frames.frame_samples, stream.lead_samples
        begin = max(0, stream.boundary_at(around.earliest) - CONTEXT_FRAMES)
        sound = self._decoded(stream, begin, stream.boundary_at(around.latest))
        to_stream = lead - begin * held  # from the track's clock to that of what was decoded
        window = Window(
            earliest=self._heard(max(0, around.earliest + to_stream)),
            balanced=self._heard(max(0, around.balanced + to_stream)),
            latest=self._heard(max(0, around.latest + to_stream)),
        )
        quiet = quietest_in(sound, window, rate_hz=MODEL_RATE_HZ, first=0)
        return rescale(quiet, MODEL_RATE_HZ, self._rate_hz) - to_stream

    def _decoded(self, stream: elementary.ElementaryStream, first: int, last: int) -> decode.Block:
        """The sound of some frames as the model hears it, all channels."""
        path = self._job.folder.path / f"around.{first}.{stream.frames.format}"
        stream.copy(first, last, path)
        track = dataclasses.replace(self._job.plan.track, stream_index=0)
        with decode.TrackDecoder(path, track=track, rate_hz=MODEL_RATE_HZ) as decoder:
            sound = read_all(decoder, self._job.plan.info.path)
        path.unlink()
        return sound

    def _heard(self, samples: int) -> int:
        return rescale(samples, self._rate_hz, MODEL_RATE_HZ)

    @property
    def _rate_hz(self) -> int:
        return self._job.plan.track.sample_rate_hz

    # ------------------------------------------------------------------------------ pieces

    def _make(
        self, stream: elementary.ElementaryStream, index: int, first: int, last: int
    ) -> ReadySegment:
        """Write a segment and read it back. Runs in a thread."""
        head = b"" if self._job.plan.target.name else self._head(stream, index, first, last)
        path = self._job.path(index)
        digest = stream.copy(first, last, path, head=head)
        span = span_of(stream, first, last, rate_hz=self._rate_hz)
        segment = self._job.described(index, span)
        if segment.sha256 != digest:
            raise _broken(path, "its bytes are not those that were written")
        self._check(path, stream, first, last)
        return segment

    def _head(
        self, stream: elementary.ElementaryStream, index: int, first: int, last: int
    ) -> bytes:
        """What stands before the frames of a file that is for players: its tags, its length."""
        tags = self._job.tags(index)
        with self._guard:
            known = str(tags)
            if known not in self._tags:
                self._tags[known] = stream.id3_tag(tags, self._job.folder.path)
            return self._tags[known] + stream.xing_frame(first, last)

    def _check(
        self, path: Path, stream: elementary.ElementaryStream, first: int, last: int
    ) -> None:
        """Hold a finished segment's frames against the source's, and ask ffmpeg what it is.

        Raises:
            LimitError: they are not the frames that went in, or they break a limit.
        """
        plan, sizes = self._job.plan, stream.frames.sizes[first:last]
        written = read_frame_index(path) if last - first > 1 else None
        if last - first > 1 and (written is None or not np.array_equal(written.sizes, sizes)):
            raise _broken(path, "its frames are not those that went in")
        encode.refuse_too_large(path, plan.max_segment_bytes)
        try:
            found = first_codec(path)
        except InputError as error:
            raise _broken(path, f"it cannot be read back ({error.problem})") from error
        if found != plan.track.codec:
            raise _broken(path, f"it is read as {found}")
        longest_s = rows.longest_s(plan.target)
        framed = len(sizes) * stream.frames.frame_samples
        if longest_s is not None and framed > longest_s * self._rate_hz:
            raise _broken(path, f"it lasts {framed / self._rate_hz:.3f} s with its codec's delay")


def _broken(path: Path, problem: str) -> LimitError:
    return LimitError(
        f"a copied segment was refused: {problem}",
        fix="take another --format, which encodes it",
        path=path,
    )
