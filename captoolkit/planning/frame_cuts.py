"""The cuts between frames: each as near to the quietest point as the boundaries of frames allow.

Rules: a cut that may move goes to the boundary nearest to the quietest point, and stays within its
window where a boundary is in it, so that no segment becomes longer than planned. A mark or an end
becomes the boundary nearest to it. Each segment has at least one frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Protocol

from captoolkit.model import Plan, Span
from captoolkit.planning.cuts import Window, window

Quiet = Callable[[Window], int]  # the quietest sample in a window, on the track's clock


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


def edges(plan: Plan, framed: Framed, quiet: Quiet) -> Iterator[tuple[int, int]]:
    """Yield the frames [first, last) of each segment, each decided when it is needed."""
    spans, total = plan.spans, plan.track.duration_samples
    first = framed.boundary_at(spans[0].start_samples)
    for span, following in itertools.zip_longest(spans, spans[1:]):
        end = span.end_samples
        if following is None or following.start_samples != end:
            yield first, framed.count if end >= total else framed.boundary_at(end)
            first = framed.boundary_at(following.start_samples) if following else 0
            continue
        reach = 0 if end in plan.marks else plan.reach_samples
        last = _boundary(framed, window(end, reach), quiet) if reach else framed.boundary_at(end)
        last = min(max(last, first + 1), framed.count - 1)
        yield first, last
        first = last


def movable_windows(plan: Plan) -> list[Window]:
    """Return the windows of all cuts that may move, in order."""
    pairs = itertools.pairwise(plan.spans)
    return [
        window(one.end_samples, plan.reach_samples)
        for one, following in pairs
        if one.end_samples == following.start_samples
        and one.end_samples not in plan.marks
        and plan.reach_samples
    ]


def _boundary(framed: Framed, around: Window, quiet: Quiet) -> int:
    """The boundary nearest to the quietest point of a window, inside the window if any is."""
    nearest = framed.boundary_at(quiet(around))
    inside = (
        frame
        for frame in (nearest, nearest - 1, nearest + 1)
        if around.earliest <= framed.sample_of(frame) <= around.latest
    )
    return next(inside, nearest)


def span_of(framed: Framed, first: int, last: int, *, rate_hz: int) -> Span:
    """Return where in the source frames [first, last) lie."""
    return Span(
        start_samples=framed.sample_of(first), end_samples=framed.end_of(last), rate_hz=rate_hz
    )
