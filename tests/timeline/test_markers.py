from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from captoolkit.errors import UsageError
from captoolkit.timeline import check, losses, render
from captoolkit.timeline.markers import track_items
from tests.support.timelines import TimelineOf


@pytest.mark.parametrize(
    ("asked", "rate", "code"),
    [
        (None, Fraction(25), "01:00:10:13"),
        (24, Fraction(24), "01:00:10:12"),
        (29.97, Fraction(30000, 1001), "01:00:10:15"),
        ("30000/1001", Fraction(30000, 1001), "01:00:10:15"),
        ("23.976", Fraction(24000, 1001), "01:00:10:12"),
        (60, Fraction(60), "01:00:10:30"),
    ],
)
def test_markers_lie_on_the_editors_frames(
    asked: float | str | None, rate: Fraction, code: str, timeline_of: TimelineOf
) -> None:
    """A time of 10.5 s is rounded to a frame at each rate, alike in EDL and FCPXML."""
    later = timeline_of("Rain.").shifted(10.5)
    text = render(later, "edl", frame_rate=asked)
    event = text.split("\n")[3]
    assert event.split()[4] == event.split()[6] == code
    assert any("rounded to frames" in loss for loss in losses(later, "edl", frame_rate=asked))
    frame = Fraction(21, 2) * rate + Fraction(1, 2)
    xml = render(later, "fcpxml", frame_rate=asked)
    time = frame.__floor__() / rate
    written = f"{time.numerator}/{time.denominator}s" if time.denominator > 1 else f"{time}s"
    assert f'offset="{written}" start="0s"' in xml


@pytest.mark.parametrize("rate", [0, -25, 31, "many", float("nan"), float("inf"), "1/0"])
def test_a_frame_rate_that_no_editor_has_is_refused(
    rate: float | str, timeline_of: TimelineOf
) -> None:
    """The error lists the valid frame rates."""
    for name in ("edl", "fcpxml"):
        with pytest.raises(UsageError, match=r"frame_rate=.*use 23\.976, 24"):
            render(timeline_of("Rain."), name, frame_rate=rate)
        with pytest.raises(UsageError, match=r"frame_rate=.*use 23\.976, 24"):
            check(name, frame_rate=rate)


def test_a_part_inside_another_is_no_item_of_the_track(timeline_of: TimelineOf) -> None:
    """A track holds one recording at a time: the first keeps its place, and a gap follows it."""
    timeline = timeline_of("One.", "Two.", "Three.")
    (whole,) = timeline.all_parts
    short = replace(whole, source_span=replace(whole.source_span, end_samples=96_000))
    inside = replace(short, at_samples=48_000)
    items = list(track_items(replace(timeline, parts=(inside, short))))
    assert items == [(0, 96_000, short), (96_000, 144_000, None)]
