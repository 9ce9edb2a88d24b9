"""Write the segments of one run: samples arrive in order and become one file after another.

Rules: samples arrive in order and never twice. A thread finishes, reads back and describes a
segment while the next one is written. A segment that is too large is encoded again. No encoder and
no thread outlives the `SegmentWriters`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from numpy.typing import NDArray

from captoolkit.media import encode
from captoolkit.model import Encoding, Span
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

    Attributes:
        samples: the number of samples of the stream so far.
    """

    def __init__(
        self, job: Job, encoding: Encoding, layout: Layout, *, first: int, remake: Remake
    ) -> None:
        self.samples = 0
        self._job = job
        self._encoding = encoding
        self._layout = layout
        self._first = first
        self._remake = remake
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
            path = self._job.path(self._first + part)
            self._writer = encode.open_writer(
                path,
                self._encoding,
                tags=self._job.tags(self._first + part),
                layout=self._job.plan.track.layout,
            )
            self._open.append(self._writer)

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
        """Complete a file, check its limits and describe it. Runs in a thread."""
        writer.finish()
        self._open.remove(writer)
        self._job.check(index, self._encoding, samples=writer.samples)
        if not self._job.fits(index):
            self._remake(index, span)
        return self._job.describe(index, span)
