"""Write the segments of one run: samples arrive in order and become one segment after another.

Rules: samples arrive in order and never twice. A thread finishes, reads back and describes a
segment while the next one is written. A segment that is too large is encoded again. No encoder and
no thread outlives the `SegmentWriters`. Where a captioner measures samples, a segment becomes a
caption instead of a file; an error of the captioner belongs to its segment and ends nothing else.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.media import encode
from captoolkit.media.encode_samples import FULL_SCALE, as_int16
from captoolkit.model import Caption, Encoding, Span
from captoolkit.pipeline.caption_meter import CaptionMeter, OpenCaptionMeter
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.planning.layout import Layout
from captoolkit.support.cancel import Closing

FINISHING_THREADS = 2

# Encodes a segment that is too large again, under the same name.
Remake = Callable[[int, Span], None]


class SegmentWriters(Closing):
    """The encoders of a run: one segment is written while those before it are finished.

    Args:
        job: the plan, the source and the folder.
        encoding: the encoding of the segments.
        layout: the clocks of the stream and of the source.
        first: index of the run's first segment.
        remake: called for a finished segment that is larger than the plan allows.
        open_meter: begins a segment that a captioner measures; None makes files.

    Attributes:
        samples: the number of samples of the stream so far.
    """

    def __init__(
        self,
        job: Job,
        encoding: Encoding,
        layout: Layout,
        *,
        first: int,
        remake: Remake,
        open_meter: OpenCaptionMeter | None = None,
    ) -> None:
        self.samples = 0
        self._job = job
        self._encoding = encoding
        self._layout = layout
        self._first = first
        self._remake = remake
        self._open_meter = open_meter
        self._pool = ThreadPoolExecutor(FINISHING_THREADS, thread_name_prefix="captoolkit-finish")
        self._part: int | None = -1
        self._begun_at = 0
        self._writer: encode.SegmentWriter | None = None
        self._open: list[encode.SegmentWriter] = []
        self._finishing: deque[Future[ReadySegment]] = deque()

    def write(self, part: int | None, block: NDArray[Any]) -> None:
        """Write samples to segment `part` of the run, from 0; drop them if `part` is None."""
        if part != self._part:
            self._end_part()
            self._begin_part(part)
        if self._writer is not None:
            self._writer.write(block)
        self.samples += len(block)

    def finished(self, *, wait: bool) -> Iterator[ReadySegment]:
        """Yield the complete segments in order; with `wait`, end the last one and yield all."""
        if wait:
            self._end_part()
        while self._finishing and (
            wait or self._finishing[0].done() or len(self._finishing) > FINISHING_THREADS
        ):
            yield self._finishing.popleft().result()

    def abort(self) -> None:
        """End every encoder at once; threads that wait for one get a `ToolError`."""
        for writer in tuple(self._open):  # a copy: threads remove finished writers
            writer.abort()

    def close(self) -> None:
        """End every encoder and wait for the threads; may be called twice."""
        self.abort()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin_part(self, part: int | None) -> None:
        self._part, self._begun_at = part, self.samples
        if part is not None:
            self._writer = self._open_writer(self._first + part)
            self._open.append(self._writer)

    def _open_writer(self, index: int) -> encode.SegmentWriter:
        job, encoding = self._job, self._encoding
        if self._open_meter is None:
            return encode.open_writer(
                job.path(index), encoding, tags=job.tags(index), layout=job.plan.track.layout
            )
        start_s = job.plan.track.on_file_clock(self._span()).start_s
        return MeterWriter(self._open_meter, encoding, start_s=start_s)

    def _end_part(self) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        index = self._first + (self._part or 0)
        self._finishing.append(self._pool.submit(self._finish, writer, index, self._span()))

    def _span(self) -> Span:
        """Return the span of the source that the current part covers."""
        return Span(
            start_samples=self._layout.in_source(self._begun_at),
            end_samples=self._layout.in_source(self.samples),
            rate_hz=self._layout.source_hz,
        )

    def _finish(self, writer: encode.SegmentWriter, index: int, span: Span) -> ReadySegment:
        """Complete a segment, check the limits of its file and describe it. Runs in a thread."""
        writer.finish()
        self._open.remove(writer)
        if isinstance(writer, MeterWriter):
            return self._job.describe_captioned(index, span, writer.captioned)
        self._job.check(index, self._encoding, samples=writer.samples)
        if not self._job.fits(index):
            self._remake(index, span)
        return self._job.describe(index, span)


class MeterWriter:
    """Gives a captioner the samples that a WAV of 16 bits would hold, and keeps its caption.

    Attributes:
        samples: the number of samples so far.
        captioned: after `finish` the caption, or the captioner's error; None after `abort`.
    """

    def __init__(self, open_meter: OpenCaptionMeter, encoding: Encoding, *, start_s: float) -> None:
        self.samples = 0
        self.captioned: Caption | Exception | None = None
        self._meter: CaptionMeter | None = None
        self._space = np.empty((0, 0), np.float32)  # used for each block: fresh memory costs time
        with self._keeping_error():
            self._meter = open_meter(
                rate_hz=encoding.sample_rate_hz, channels=encoding.channels, start_s=start_s
            )

    def write(self, block: NDArray[Any]) -> None:
        """Take samples; after an error of the captioner they are dropped."""
        self.samples += len(block)
        meter = self._meter
        if meter is None or not len(block):
            return
        if len(self._space) < len(block):
            self._space = np.empty(block.shape, np.float32)
        space = self._space[: len(block)]
        np.divide(as_int16(block), np.float32(FULL_SCALE), out=space)
        with self._keeping_error():
            meter.feed(space)

    def finish(self) -> None:
        """Let the captioner caption the segment."""
        meter, self._meter = self._meter, None
        self._space = np.empty((0, 0), np.float32)
        if meter is None:
            return
        with self._keeping_error():
            caption: object = meter.finish()
            if not isinstance(caption, Caption):
                raise TypeError(f"finish() returned {type(caption).__name__}, not Caption")
            self.captioned = caption

    @contextlib.contextmanager
    def _keeping_error(self) -> Iterator[None]:
        """Keep an error of the captioner in place of its caption."""
        try:
            yield
        except Exception as error:
            self.captioned, self._meter = error, None

    def abort(self) -> None:
        """Drop the samples so far."""
        self._meter = None
