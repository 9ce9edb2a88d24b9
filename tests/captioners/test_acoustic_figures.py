from __future__ import annotations

import numpy as np
import pytest

from captoolkit.captioners.acoustic.figures import (
    at_step,
    clock,
    count,
    hertz,
    listed,
    onset_rate,
    percent,
    seconds,
    span,
    spans,
    tenths,
    whole,
)
from captoolkit.captioners.acoustic.measure import Measurements
from captoolkit.dsp.stretches import Stretch
from tests.support.measured import RATE, measured


def clip(duration_s: float) -> Measurements:
    """The measurements of a silent clip of that length."""
    return measured(np.zeros((round(duration_s * RATE), 1)))


def stretch(start_step: int, end_step: int) -> Stretch:
    """A stretch of the level curve."""
    return Stretch(start_step=start_step, end_step=end_step)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(0.0), "0%"),
        (percent(0.0001), "less than 1%"),
        (percent(0.9999), "more than 99%"),
        (tenths(-0.04), "0.0"),
        (whole(-0.4), "0"),
        (hertz(999.6), "1 kHz"),
        (seconds(59.6), "1 min 0 s"),
        (count(0, "event"), "no events"),
        (clock(59.96, clip_s=30.0), "1:00.0"),
        (listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_figures_are_rounded_for_readers(text: str, expected: str) -> None:
    """A figure has its unit, no minus zero, and rounds up into the next unit."""
    assert text == expected


def test_a_place_is_on_the_clock_and_never_after_the_end() -> None:
    """Short clips have tenths; the step after the last starts at the end of the clip."""
    assert at_step(clip(10.05), 12) == "0:01.2"
    assert at_step(clip(10.05), 101) == "0:10.1"
    assert at_step(clip(90.0), 12) == "0:01"


def test_a_span_has_one_place_if_the_clock_shows_no_difference() -> None:
    """Start and end of a short stretch look the same in whole seconds."""
    assert span(clip(90.0), stretch(120, 580)) == "from 0:12 to 0:58"
    assert span(clip(90.0), stretch(121, 124)) == "at 0:12"


def test_the_longest_stretches_are_named_in_time_order() -> None:
    """Three stretches are named, the shorter ones are counted."""
    found = [
        stretch(0, 10),
        stretch(50, 90),
        stretch(100, 105),
        stretch(200, 230),
        stretch(300, 350),
    ]
    assert spans(clip(40.0), found) == (
        "from 0:05.0 to 0:09.0, from 0:20.0 to 0:23.0, from 0:30.0 to 0:35.0 "
        "and 2 shorter stretches"
    )


def test_onsets_have_a_rate_in_long_clips_only() -> None:
    """Below half a minute the text has the length of the clip instead of a rate."""
    assert onset_rate(clip(40.0), 4) == "4 onsets (6.0 a minute)"
    assert onset_rate(clip(10.0), 4) == "4 onsets in 10 s"
    assert onset_rate(clip(40.0), 0) == "no onsets"
