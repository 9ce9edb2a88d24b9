from __future__ import annotations

from captoolkit.timeline import render
from tests.support.timelines import TimelineOf


def test_a_label_is_a_line_with_two_times_and_a_text(timeline_of: TimelineOf) -> None:
    """Tabs separate the fields; tabs and line ends in a caption become spaces."""
    text = render(timeline_of("A dog\tbarks.\n\nRain.", holes=("timed out",)), "audacity")
    assert text == (
        "0.000000\t1.000000\tA dog barks. Rain.\n1.000000\t2.000000\t[no caption: timed out]\n"
    )
