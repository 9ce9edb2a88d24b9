"""The layout of a run: where its segments are in the sound that is decoded for it.

A run is a sequence of neighbouring segments that one decoder decodes. Rules: the decoded sound (the
stream) has a clock of its own, which begins with the run, at the encoding's rate. Samples of the
source that are decided beforehand are never computed back from the stream: a result within a
millisecond of one is set to it, because resampling rounds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from captoolkit.planning.cuts import UNLIMITED, Block, Section, cut
from captoolkit.units import rescale

ALIKE_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The sections of a run's stream, those that are left out included.

    Attributes:
        begins_at: the sample of the source with which the stream begins.
        sections: how the stream is cut, on its own clock.
        anchors: samples of the source that are decided beforehand.
    """

    begins_at: int
    source_hz: int
    stream_hz: int
    sections: tuple[Section, ...]
    anchors: tuple[int, ...]

    def in_source(self, stream_samples: int) -> int:
        """Return the sample of the source for a sample of the stream."""
        at = self.begins_at + rescale(stream_samples, self.stream_hz, self.source_hz)
        nearest = min(self.anchors, key=lambda anchor: abs(anchor - at))
        return nearest if abs(nearest - at) <= ALIKE_S * self.source_hz else at

    def find_segments(self, blocks: Iterable[Block]) -> list[tuple[int, int]]:
        """Return the begin and the end in the source of each segment of a sound without a limit.

        The last segment ends where it is planned to end. A sound that ends early has fewer
        segments.
        """
        ends: list[tuple[int, int]] = []
        at = 0
        divided = cut(blocks, self.sections, rate_hz=self.stream_hz, longest=UNLIMITED)
        for segment, parts in itertools.groupby(divided, key=lambda pair: pair[0]):
            begin = at
            at += sum(len(block) for _, block in parts)
            if segment is not None:
                ends.append((self.in_source(begin), self.in_source(at)))
        kept = [section for section in self.sections if section.is_kept]
        if ends and kept:
            ends[-1] = (ends[-1][0], max(ends[-1][0] + 1, self.in_source(kept[-1].end)))
        return ends


def lay_out(
    sections: Sequence[Section], *, begins_at: int, ends_at: int, source_hz: int, stream_hz: int
) -> Layout:
    """Return how a run of segments is cut out of a stream.

    Args:
        sections: the segments on the source's clock; sound between them is left out.
        begins_at: the sample of the source with which the stream begins.
        ends_at: the sample of the source before which the run or the whole sound ends.
        source_hz: the rate of the source.
        stream_hz: the rate of the stream.
    """
    laid: list[Section] = []
    at = begins_at
    for section in sections:
        if section.begin > at:
            laid.append(Section(begin=at, end=section.begin, is_kept=False))
        laid.append(section)
        at = section.end
    if at < ends_at:
        laid.append(Section(begin=at, end=ends_at, is_kept=False))
    return Layout(
        begins_at=begins_at,
        source_hz=source_hz,
        stream_hz=stream_hz,
        sections=tuple(one.at_rate(source_hz, stream_hz, begin=begins_at) for one in laid),
        anchors=(begins_at, ends_at, *(one.end for one in laid if not one.moves)),
    )
