"""Segments in the making: where samples become files, several at a time.

Rules: samples arrive in order and never twice; a piece is finished, read back and described in a
thread while the next is being written; nothing that runs here outlives the workshop.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

from captoolkit.audio import encode
from captoolkit.audio.clip import Folder, ReadySegment
from captoolkit.model import Encoding, Plan, Span
from captoolkit.planning import targets
from captoolkit.units import rescale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FINISHING_THREADS = 2
MIN_NUMBER_WIDTH = 3  # talk.001.mp3
ENDS_ALIKE_S = 0.001  # resampling may round a length by a sample


def segment_name(stem: str, index: int, segments: int, suffix: str) -> str:
    """Return the name of a finished segment: `talk.001.mp3`."""
    width = max(MIN_NUMBER_WIDTH, len(str(segments)))
    return f"{stem}.{index:0{width}d}{suffix}"


def is_segment_name(name: str, stem: str) -> bool:
    """Return whether `name` is one that `segment_name` makes of `stem`.

    ```python
    >>> is_segment_name("talk.001.mp3", "talk"), is_segment_name("talk.docx", "talk")
    (True, False)

    ```
    """
    return re.fullmatch(rf"{re.escape(stem)}\.\d{{{MIN_NUMBER_WIDTH},}}\.\w+", name) is not None


class Workshop:
    """Segments in the making: one is being written while those before it are finished and checked.

    Leaving it, for whatever reason, ends every encoder that still runs.
    """

    def __init__(self, plan: Plan, encoding: Encoding, folder: Folder, stem: str) -> None:
        self.samples = 0
        self.pool = ThreadPoolExecutor(FINISHING_THREADS, thread_name_prefix="captoolkit-finish")
        self._plan = plan
        self._encoding = encoding
        self._folder = folder
        self._stem = stem
        self._writer: encode.SegmentWriter | None = None
        self._name = ""
        self._piece = -1
        self._spanned = 0
        self._open: list[encode.SegmentWriter] = []
        self._finishing: deque[Future[ReadySegment]] = deque()

    def write(self, piece: int, block: NDArray[np.float32]) -> None:
        """Add samples to a piece, which is begun if it is a new one."""
        if piece != self._piece:
            self._finish_current()
            self._begin(piece)
        assert self._writer is not None
        self._writer.write(block)
        self.samples += len(block)

    def finished(self, *, wait: bool) -> Iterator[ReadySegment]:
        """Yield the segments that are complete, in order; with `wait` all of them, to the last."""
        if wait:
            self._finish_current()
        while self._finishing and (
            wait or self._finishing[0].done() or len(self._finishing) > FINISHING_THREADS
        ):
            yield self._finishing.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in tuple(self._open):  # the pool takes out of it what it has finished
            writer.abort()
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, piece: int) -> None:
        self._piece = piece
        suffix = f".{self._encoding.format}"
        self._name = segment_name(self._stem, piece + 1, len(self._plan.spans), suffix)
        self._writer = encode.open_writer(self._folder.path / self._name, self._encoding)
        self._open.append(self._writer)

    def _finish_current(self) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        span = self._source_span(self.samples)
        self._finishing.append(
            self.pool.submit(self._finish, writer, self._piece + 1, self._name, span)
        )

    def _finish(
        self, writer: encode.SegmentWriter, index: int, name: str, span: Span
    ) -> ReadySegment:
        """Complete a file, hold it against its limits and describe it. Runs in a thread."""
        path, plan = self._folder.path / name, self._plan
        writer.finish()
        longest_s = targets.longest_s(plan.target)
        rate_hz = self._encoding.sample_rate_hz
        encode.check(
            path,
            self._encoding,
            samples=writer.samples,
            max_bytes=plan.max_segment_bytes,
            max_samples=None if longest_s is None else int(longest_s * rate_hz),
        )
        self._open.remove(writer)
        return ReadySegment(
            index=index,
            source_span=span,
            file=name,
            size_bytes=path.stat().st_size,
            sha256=encode.sha256(path),
            folder=self._folder,
        )

    def _source_span(self, end: int) -> Span:
        """The span that ends with encoded sample `end`, from where the last one ended.

        What ends within a millisecond of the source's end ends with it: resampling rounds.
        """
        track = self._plan.track
        at = rescale(end, self._encoding.sample_rate_hz, track.sample_rate_hz)
        if abs(at - track.duration_samples) <= ENDS_ALIKE_S * track.sample_rate_hz:
            at = track.duration_samples
        start, self._spanned = self._spanned, at
        return Span(start_samples=start, end_samples=at, rate_hz=track.sample_rate_hz)
