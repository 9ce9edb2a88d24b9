from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.model import Span
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
    layout = lay_out(spans, begins_at=begins_at, ends_at=at, reach=reach, stream_hz=stream_hz)
    return Case(spans=spans, layout=layout, parts=parts, reach=reach)


cases = cases_made()


@given(case=cases)
@settings(deadline=None)
def test_parts_are_those_of_the_source(case: Case) -> None:
    """There is a part for each segment and each gap, in order, and a cut between each two."""
    owners = [owner for *_, owner in case.parts]
    assert list(case.layout.owners) == owners
    assert [case.layout.owner(part) for part in range(len(owners))] == owners
    assert len(case.layout.windows) == len(case.parts) - 1


@given(case=cases)
@settings(deadline=None)
def test_windows_lead_back_to_the_edges(case: Case) -> None:
    """Each window contains its edge of the source; at skipped sound it is that edge."""
    layout = case.layout
    off = layout.source_hz / layout.stream_hz + 1  # a sample of the stream, and of the source
    for (one, two), window in zip(itertools.pairwise(case.parts), layout.windows, strict=True):
        edge, reach = one[1], 0 if None in (one[2], two[2]) else case.reach
        if reach == 0:
            assert window.is_fixed
            assert layout.in_source(window.balanced) == edge
        for at, place in (
            (edge - reach, window.earliest),
            (edge, window.balanced),
            (edge + reach, window.latest),
        ):
            assert abs(layout.in_source(place) - at) <= off


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


def test_sound_that_goes_on_belongs_to_further_segments() -> None:
    """Parts beyond the last are further segments, but behind a gap they are skipped too."""
    span = Span(start_samples=0, end_samples=1_000, rate_hz=1_000)
    ends = lay_out([span], begins_at=0, ends_at=1_000, reach=0, stream_hz=1_000)
    assert [ends.owner(part) for part in range(4)] == [0, 1, 2, 3]
    gap = lay_out([span], begins_at=0, ends_at=1_500, reach=0, stream_hz=1_000)
    assert [gap.owner(part) for part in range(4)] == [0, None, None, None]
