from __future__ import annotations

from dataclasses import replace

from captoolkit.timeline import render
from tests.support.timelines import TimelineOf


def test_gaps_are_intervals_without_a_label(timeline_of: TimelineOf) -> None:
    """The intervals tile the recording from its first sample to its last."""
    timeline = timeline_of('A "dog".', "Rain.", "Wind.")
    holed = replace(timeline, entries=timeline.entries[1:2])
    lines = [line.strip() for line in render(holed, "textgrid").splitlines()]
    assert [line for line in lines if line.startswith("text")] == [
        'text = ""',
        'text = "Rain."',
        'text = ""',
    ]
    assert [line for line in lines if line.startswith("xmax")][2:] == [
        "xmax = 1.000000",
        "xmax = 2.000000",
        "xmax = 3.000000",
    ]


def test_a_quote_is_doubled(timeline_of: TimelineOf) -> None:
    """Praat's own escape keeps a quote inside a label."""
    assert 'text = "A ""dog""."' in render(timeline_of('A "dog".'), "textgrid")
