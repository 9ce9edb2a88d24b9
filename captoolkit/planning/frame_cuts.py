"""The cuts between frames: each as near to the quietest place as the boundaries of frames allow.

Rules: a cut goes to the boundary nearest to its place, and a mark or an end to the boundary nearest
to it; the plan leaves room for a frame at either end of a segment. Each segment has at least one
frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from captoolkit.model import Plan, Span


class Framed(Protocol):
    """A track in frames, and the sample of the track that each begins with."""

    @property
    def count(self) -> int:
        """How many frames there are."""
        ...

    def sample_of(self, frame: int) -> int:
        """Return the sample of the track that a frame begins with."""
        ...

    def end_of(self, frame: int) -> int:
        """Return the sample of the track at which the frame before another one ends."""
        ...

    def boundary_at(self, sample: int) -> int:
        """Return the frame that begins nearest to a sample of the track."""
        ...


def edges(
    plan: Plan, framed: Framed, segments: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Yield the frames [first, last) of each segment, each when its end is decided.

    Args:
        plan: the plan of the segments.
        framed: the frames.
        segments: the begin and the end of each segment, in samples of the track.
    """
    total, before, first = plan.track.duration_samples, -1, 0
    for begin, end in segments:
        if begin != before:
            first = framed.boundary_at(begin)
        if end >= total:
            yield first, framed.count
            return
        last = min(max(framed.boundary_at(end), first + 1), framed.count - 1)
        yield first, last
        first, before = last, end


def span_of(framed: Framed, first: int, last: int, *, rate_hz: int) -> Span:
    """Return where in the source frames [first, last) lie."""
    return Span(
        start_samples=framed.sample_of(first), end_samples=framed.end_of(last), rate_hz=rate_hz
    )
