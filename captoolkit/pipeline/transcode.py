"""Decode, cut where it is quiet, encode: several stretches of one recording at once.

Rules: where a decoder can jump to any sample, the recording is parted into runs at places that lie
in the quiet and depend on the recording alone, and each run has a decoder and encoders of its own;
elsewhere one decode feeds everything. Segments are handed out in order, each as soon as it is
finished. Workers run ahead of whoever takes the segments, but only so far. What fails in a worker
is raised where the segments are taken.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream.encodings import spec_of
from captoolkit.bitstream.lossless import is_lossless
from captoolkit.errors import LimitError, ToolError
from captoolkit.media import decode, encode
from captoolkit.media.decode import read_blocks
from captoolkit.media.encode_lossless import clipped
from captoolkit.media.transcode_direct import Transcoder, can_transcode
from captoolkit.model import Encoding, Span, Track
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.pipeline.writers import SegmentWriters
from captoolkit.planning.cuts import RUN_SEGMENTS, cut, quietest_in, runs
from captoolkit.planning.layout import Layout, lay_out
from captoolkit.support.cancel import Closing
from captoolkit.support.queues import BoundedQueue
from captoolkit.units import rescale

ROUNDED = 1  # how many samples more or fewer resampling may give than the lengths say

Worker = TypeVar("Worker", bound=Closing)
Block = NDArray[Any]

OnProgress = Callable[[float], None]
OnReplaced = Callable[[int, Encoding], None]
OnWarned = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Neighbouring segments that one worker makes of one decode.

    Attributes:
        first: index of the first of them, from 1.
        spans: as planned; the start of the first and the end of the last are decided.
        open_ended: it goes on to wherever the sound ends, be that later than promised.
    """

    first: int
    spans: tuple[Span, ...]
    open_ended: bool


class Transcode(Closing):
    """The segments of a plan that decodes, in order; to be iterated once.

    Args:
        job: what is made.
        encoding: how.
        jobs: how many runs are worked on at once.
        on_progress: told of each bit of sound that has gone by, in seconds, by the workers.
        on_replaced: told of a segment that came out too large and was encoded anew.
        on_warned: told what its user should know, as a sentence.
    """

    def __init__(
        self,
        job: Job,
        encoding: Encoding,
        *,
        jobs: int,
        on_progress: OnProgress,
        on_replaced: OnReplaced,
        on_warned: OnWarned,
    ) -> None:
        self._job = job
        self._encoding = encoding
        self._jobs = jobs
        self._on_progress = on_progress
        self._on_replaced = on_replaced
        self._on_warned = on_warned
        # Whole numbers of this type that no lossless codec holds come from a decoder of floats.
        self._may_clip = encoding.sample_type == "int32" and not is_lossless(job.plan.track.codec)
        self._clipped = 0
        self._seeks = decode.seeks_exactly(job.plan.info, job.plan.track)
        self._slots = threading.Semaphore(jobs)
        self._stop = threading.Event()
        self._guard = threading.RLock()  # the garbage collector may close us in a worker
        self._busy: set[Closing] = set()
        self._threads: list[threading.Thread] = []

    def __iter__(self) -> Iterator[ReadySegment]:
        """Yield the segments, while the runs after theirs are worked on."""
        ahead: deque[BoundedQueue[ReadySegment]] = deque()
        for run in self._runs():
            if self._stop.is_set():
                return
            ahead.append(self._start(run))
            if len(ahead) > self._jobs:
                yield from ahead.popleft()
        while ahead:
            yield from ahead.popleft()
        if self._clipped:
            self._on_warned(
                f"{self._clipped:,} of its samples are louder than {self._encoding.codec} can hold "
                "and are clipped; without --exact its packets are kept as they are."
            )

    def halt(self) -> None:
        """End everything that runs without waiting for it: somebody may wait for who calls."""
        with self._guard:
            self._stop.set()
            busy = tuple(self._busy)
        for each in busy:
            _end(each)

    def close(self) -> None:
        """End everything that runs and wait for it; may be called twice."""
        self.halt()
        for thread in tuple(self._threads):
            if thread is not threading.current_thread():
                thread.join()

    # ------------------------------------------------------------------ runs and their edges

    def _runs(self) -> Iterator[Run]:
        """The runs, each as soon as the place where it ends is decided."""
        spans, total = self._job.plan.spans, self._job.plan.track.duration_samples
        groups = runs(spans) if self._seeks else (spans,)
        first, start = 1, spans[0].start_samples
        for group, following in itertools.zip_longest(groups, groups[1:]):
            end = group[-1].end_samples
            goes_on = following is not None and following[0].start_samples == end
            is_free = goes_on and end not in self._job.plan.marks
            end = self._quiet_place(end) if is_free else end
            decided = _between(group, start, end)
            yield Run(first=first, spans=decided, open_ended=following is None and end == total)
            first += len(group)
            start = end if goes_on or following is None else following[0].start_samples

    def _quiet_place(self, edge: int) -> int:
        """Where in the source the cut that is planned at `edge` lies."""
        plan, rate_hz = self._job.plan, self._encoding.sample_rate_hz
        begins_at, until = max(0, edge - plan.reach_samples), edge + plan.reach_samples
        around = [
            Span(start_samples=begins_at, end_samples=edge, rate_hz=plan.track.sample_rate_hz),
            Span(start_samples=edge, end_samples=until, rate_hz=plan.track.sample_rate_hz),
        ]
        layout = lay_out(
            around,
            begins_at=begins_at,
            ends_at=until,
            reach=plan.reach_samples,
            stream_hz=rate_hz,
        )
        with self._watched(self._decoder(begins_at, until, self._encoding)) as decoder:
            sound = np.concatenate([*self._counted(decoder, told=False)] or [np.zeros((0, 1))])
        if not len(sound):
            return edge
        at = quietest_in(sound, layout.windows[0], rate_hz=rate_hz, first=0)
        return begins_at + rescale(at, rate_hz, plan.track.sample_rate_hz)

    # --------------------------------------------------------------------------- the workers

    def _start(self, run: Run) -> BoundedQueue[ReadySegment]:
        results: BoundedQueue[ReadySegment] = BoundedQueue(RUN_SEGMENTS, self._stop)
        thread = threading.Thread(
            target=self._work, args=(run, results), name="captoolkit-make", daemon=True
        )
        with self._guard:
            if not self._stop.is_set():
                self._threads.append(thread)
                thread.start()
        return results

    def _work(self, run: Run, results: BoundedQueue[ReadySegment]) -> None:
        """Make a run's segments. Runs in a thread."""
        try:
            with self._slots:
                for segment in self._make(run):
                    results.put(segment)
            results.put(None)
        except BaseException as error:
            results.put(error)

    def _make(self, run: Run) -> Iterator[ReadySegment]:
        segment = self._transcoded(run) if self._is_decided(run) else None
        if segment is not None:
            yield segment
        elif not self._stop.is_set():
            yield from self._cut(run)

    def _is_decided(self, run: Run) -> bool:
        """Whether nothing of a run is left to be found out while it is decoded."""
        track = self._job.plan.track
        return len(run.spans) == 1 and self._seeks and can_transcode(track, self._encoding)

    def _transcoded(self, run: Run) -> ReadySegment | None:
        """Make a run's only segment without a look at its sound; None if that is not as promised.

        Then whoever looks at each sample will find what there is.
        """
        job, encoding, span = self._job, self._encoding, run.spans[0]
        done_s = 0.0
        worker = Transcoder(
            job.source,
            job.path(run.first),
            encoding,
            track=job.plan.track,
            span=span,
            mix=job.plan.mix,
        )
        samples = rescale(span.samples, span.rate_hz, encoding.sample_rate_hz)
        try:
            with self._watched(worker):
                for now_s in worker:
                    self._on_progress(now_s - done_s)
                    done_s = now_s
            job.check(run.first, encoding, samples=samples, tolerance=ROUNDED)
        except (LimitError, ToolError):
            self._on_progress(-done_s)
            job.path(run.first).unlink(missing_ok=True)
            return None
        if not job.fits(run.first):
            self._remake(run.first, span)
        return job.described(run.first, span)

    def _cut(self, run: Run) -> Iterator[ReadySegment]:
        """Make a run's segments of one decode that is cut where it is quiet."""
        job, encoding, rate_hz = self._job, self._encoding, self._encoding.sample_rate_hz
        layout = self._layout(run)
        longest = job.plan.max_segment_samples * rate_hz // job.plan.track.sample_rate_hz
        end = None if run.open_ended else run.spans[-1].end_samples
        with (
            self._watched(self._decoder(layout.begins_at, end, encoding)) as decoder,
            self._watched(
                SegmentWriters(job, encoding, layout, first=run.first, remake=self._remake)
            ) as bench,
        ):
            blocks = self._counted(decoder)
            for part, block in cut(blocks, layout.windows, rate_hz=rate_hz, longest=longest):
                if self._may_clip:
                    self._count_clipped(block)
                bench.write(part, block)
                yield from bench.finished(wait=False)
            if not self._stop.is_set():
                yield from bench.finished(wait=True)

    def _count_clipped(self, block: Block) -> None:
        found = clipped(block)
        with self._guard:
            self._clipped += found

    def _layout(self, run: Run) -> Layout:
        plan = self._job.plan
        return lay_out(
            run.spans,
            begins_at=run.spans[0].start_samples if self._seeks else 0,
            ends_at=run.spans[-1].end_samples,
            reach=plan.reach_samples,
            stream_hz=self._encoding.sample_rate_hz,
            marks=plan.marks,
        )

    def _remake(self, index: int, span: Span) -> None:
        """Encode a segment that came out too large anew: the best encoding on which it fits.

        Raises:
            LimitError: there is none.
        """
        path, plan = self._job.path(index), self._job.plan
        for encoding in plan.fallbacks:
            self._encode_whole(span, encoding, index)
            if self._job.fits(index):
                self._on_replaced(index, encoding)
                return
        raise LimitError(
            f"segment {index} came out larger than the {plan.max_segment_bytes} bytes allowed",
            fix="ask for shorter segments, a lower bit rate, or another format",
            path=path,
        )

    def _encode_whole(self, span: Span, encoding: Encoding, index: int) -> None:
        path = self._job.path(index)
        path.unlink(missing_ok=True)
        decoder = self._decoder(span.start_samples, span.end_samples, encoding)
        with self._watched(decoder), contextlib.ExitStack() as stack:
            writer = encode.open_writer(path, encoding)
            stack.callback(writer.abort)
            for block in self._counted(decoder, told=False):
                writer.write(block)
            writer.finish()
        encode.check(path, encoding, samples=writer.samples, max_samples=None)

    def _decoder(self, start: int, end: int | None, encoding: Encoding) -> decode.TrackDecoder:
        plan = self._job.plan
        return decode.TrackDecoder(
            self._job.source,
            track=plan.track,
            rate_hz=encoding.sample_rate_hz,
            mix=plan.mix,
            start_samples=start,
            end_samples=end,
            seek=self._seeks,
            steady=self._seeks,
            dtype=_sample_type(encoding, plan.track),
        )

    def _counted(self, decoder: decode.TrackDecoder, *, told: bool = True) -> Iterator[Block]:
        """The decoder's blocks, with word of how far the work is, until it is to stop."""
        for block in read_blocks(decoder, self._job.plan.info.path):
            if self._stop.is_set():
                return
            if told:
                self._on_progress(len(block) / decoder.rate_hz)
            yield block

    @contextlib.contextmanager
    def _watched(self, worker: Worker) -> Iterator[Worker]:
        """Keep a worker where `close` finds it, and end it when it is left."""
        try:
            with worker:
                with self._guard:
                    self._busy.add(worker)
                if self._stop.is_set():  # `close` may have looked before it was there
                    _end(worker)
                yield worker
        finally:
            with self._guard:
                self._busy.discard(worker)


def _end(worker: Closing) -> None:
    """End what a worker waits for; the worker itself tidies up."""
    if isinstance(worker, SegmentWriters):
        worker.abort()
    else:
        worker.close()


def _sample_type(encoding: Encoding, track: Track) -> str:
    """What the decoder gives: the samples of the file itself where that can be."""
    if encoding.sample_type:
        return encoding.sample_type
    return "float32" if decode.may_hold_nan(track) else spec_of(encoding).input_type


def _between(spans: tuple[Span, ...], start: int, end: int) -> tuple[Span, ...]:
    """The spans with the run's own start and end, which were decided meanwhile."""
    edges = [start, *(span.start_samples for span in spans[1:])]
    ends = [*(span.end_samples for span in spans[:-1]), end]
    return tuple(
        Span(start_samples=first, end_samples=last, rate_hz=spans[0].rate_hz)
        for first, last in zip(edges, ends, strict=True)
    )
