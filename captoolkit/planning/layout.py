"""The layout of a run: where its segments are in the sound that is decoded for it.

A run is a sequence of neighbouring segments that one decoder decodes. Rules: the decoded sound (the
stream) has a clock of its own, which begins with the run, at the encoding's rate. Samples of the
source that are decided beforehand are never computed back from the stream: a result within a
millisecond of one is set to it, because resampling rounds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from captoolkit.model import Span
from captoolkit.planning.cuts import Window, window
from captoolkit.units import rescale

ALIKE_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The parts of a run's stream, the cuts between them, and the segment of each part.

    Attributes:
        begins_at: the sample of the source with which the stream begins.
        windows: where the stream is cut, on its own clock.
        owners: for each part the index of its segment in the run, None for a skipped part; parts
            beyond the last, of a longer sound, belong to segments that were not planned.
        anchors: samples of the source that are decided beforehand.
    """

    begins_at: int
    source_hz: int
    stream_hz: int
    windows: tuple[Window, ...]
    owners: tuple[int | None, ...]
    anchors: tuple[int, ...]

    def owner(self, part: int) -> int | None:
        """Return the index in the run of the segment that a part belongs to."""
        if part < len(self.owners):
            return self.owners[part]
        last, beyond = self.owners[-1], part - len(self.owners) + 1
        return None if last is None else last + beyond

    def in_source(self, stream_samples: int) -> int:
        """Return the sample of the source for a sample of the stream."""
        at = self.begins_at + rescale(stream_samples, self.stream_hz, self.source_hz)
        nearest = min(self.anchors, key=lambda anchor: abs(anchor - at))
        return nearest if abs(nearest - at) <= ALIKE_S * self.source_hz else at


def lay_out(
    spans: Sequence[Span],
    *,
    begins_at: int,
    ends_at: int,
    reach: int,
    stream_hz: int,
    marks: Collection[int] = (),
) -> Layout:
    """Return how a run of segments is cut out of a stream.

    Args:
        spans: the segments on the source's clock; the edge between two may move by `reach`, the
            run's own start and end and the edges of skipped sound may not.
        begins_at: the sample of the source with which the stream begins.
        ends_at: the sample of the source before which the run or the whole sound ends.
        reach: in samples of the source.
        stream_hz: rate of the stream.
        marks: edges that do not move, in samples of the source.
    """
    source_hz = spans[0].rate_hz
    cuts: list[Window] = []
    owners: list[int | None] = []
    at = begins_at
    for place, span in enumerate(spans):
        if span.start_samples > at:  # a skipped stretch, with both ends fixed
            cuts += [window(at, 0)] if owners else []
            cuts.append(window(span.start_samples, 0))
            owners.append(None)
        elif owners:
            cuts.append(window(at, 0 if at in marks else reach))
        owners.append(place)
        at = span.end_samples
    if at < ends_at:
        cuts.append(window(at, 0))
        owners.append(None)
    return Layout(
        begins_at=begins_at,
        source_hz=source_hz,
        stream_hz=stream_hz,
        windows=tuple(one.at_rate(source_hz, stream_hz, begin=begins_at) for one in cuts),
        owners=tuple(owners),
        anchors=(begins_at, ends_at, *(one.balanced for one in cuts if one.is_fixed)),
    )
