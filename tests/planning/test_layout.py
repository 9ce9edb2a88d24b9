from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.model import Span
from captoolkit.planning.cuts import Section
from captoolkit.planning.layout import ALIKE_S, Layout, lay_out

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]
REACH_MS = 100


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run, its layout, and the parts of the stream from which it was made, in order."""

    spans: list[Span]
    layout: Layout
    parts: list[tuple[int, int, int | None]]  # start and end in the source, and its segment
    reach: int


@st.composite
def cases_made(draw: st.DrawFn) -> Case:
    """A run of segments with gaps, in a stream that begins before, ends after or with it."""
    source_hz, stream_hz = draw(st.sampled_from(RATES)), draw(st.sampled_from(RATES))
    begins_at = draw(st.integers(0, 10**9))
    lengths = draw(st.lists(st.integers(source_hz, 90 * source_hz), min_size=1, max_size=6))
    gaps = draw(
        st.lists(
            st.just(0) | st.integers(source_hz, 90 * source_hz),
            min_size=len(lengths) + 1,
            max_size=len(lengths) + 1,
        )
    )
    spans, at = [], begins_at
    parts: list[tuple[int, int, int | None]] = []
    for place, (gap, length) in enumerate(zip(gaps, [*lengths, 0], strict=True)):
        if gap:
            parts.append((at, at + gap, None))
            at += gap
        if length:
            parts.append((at, at + length, place))
            spans.append(Span(start_samples=at, end_samples=at + length, rate_hz=source_hz))
            at += length
    reach = draw(st.integers(0, source_hz * REACH_MS // 1000))
    starts = {span.start_samples for span in spans}
    sections = [
        Section(
            begin=span.start_samples,
            end=end,
            reach=reach,
            moves=bool(reach) and end in starts,
            shortest=span.samples // 2,
            longest=span.samples * 2,
            later=1,
        )
        for span in spans
        for end in [span.end_samples]
    ]
    layout = lay_out(
        sections, begins_at=begins_at, ends_at=at, source_hz=source_hz, stream_hz=stream_hz
    )
    return Case(spans=spans, layout=layout, parts=parts, reach=reach)


cases = cases_made()


@given(case=cases)
@settings(deadline=None)
def test_sections_are_those_of_the_source(case: Case) -> None:
    """There is a section for each segment and each gap, in order, at the edges of the source."""
    layout = case.layout
    assert [one.is_kept for one in layout.sections] == [
        owner is not None for *_, owner in case.parts
    ]
    off = layout.source_hz / layout.stream_hz + 1  # a sample of the stream, and of the source
    for (begin, end, _), section in zip(case.parts, layout.sections, strict=True):
        assert abs(layout.in_source(section.begin) - begin) <= off
        assert abs(layout.in_source(section.end) - end) <= off
        if not section.moves:
            assert layout.in_source(section.end) == end


@given(case=cases, off_us=st.integers(-800, 800), data=st.data())
@settings(deadline=None)
def test_known_edges_are_exact(case: Case, off_us: int, data: st.DataObject) -> None:
    """A result within a millisecond of the run's ends or of a gap's ends is set to it."""
    layout = case.layout
    gaps = [(start, end) for start, end, owner in case.parts if owner is None]
    ends = {case.parts[0][0], case.parts[-1][1], *itertools.chain(*gaps)}
    assert ends <= set(layout.anchors)
    assert case.reach == 0 or ends == set(layout.anchors)
    known = data.draw(st.sampled_from(sorted(ends)))
    at_us = (known - layout.begins_at) * 1_000_000 // layout.source_hz + off_us
    assert layout.in_source(round(at_us * layout.stream_hz / 1_000_000)) == known


@given(case=cases, at=st.integers(0, 10**8))
@settings(deadline=None)
def test_every_place_leads_back_within_a_millisecond(case: Case, at: int) -> None:
    """A sample of the stream maps to the sample of the source at that time, up to rounding."""
    layout = case.layout
    found_s = (layout.in_source(at) - layout.begins_at) / layout.source_hz
    assert abs(found_s - at / layout.stream_hz) <= ALIKE_S + 1 / layout.source_hz


def test_segments_of_a_stream_are_those_of_the_source() -> None:
    """Sound between and behind the sections is left out, and the last segment ends as planned."""
    sections = [Section(begin=1_000, end=2_000), Section(begin=2_500, end=3_000)]
    layout = lay_out(sections, begins_at=0, ends_at=4_000, source_hz=1_000, stream_hz=1_000)
    sound = np.zeros((4_000, 1), np.float32)
    assert layout.find_segments([sound]) == [(1_000, 2_000), (2_500, 3_000)]
    assert layout.find_segments([sound[:2_700]]) == [(1_000, 2_000), (2_500, 3_000)]
    assert layout.find_segments([sound[:1_500]]) == [(1_000, 3_000)]
