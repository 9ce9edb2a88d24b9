from __future__ import annotations

from captoolkit.timeline import render
from tests.support.timelines import TimelineOf


def test_a_text_file_looks_like_this(timeline_of: TimelineOf) -> None:
    """An entry is its times in brackets and its paragraphs; blank lines separate entries."""
    timeline = timeline_of("A dog barks.\nIt stops.\n\n\nRain.", holes=("timed out",), silences=1)
    assert render(timeline, "txt") == (
        "[0:00.000 - 0:01.000]\nA dog barks.\nIt stops.\n\nRain.\n"
        "\n"
        "[0:01.000 - 0:02.000]\n[no caption: timed out]\n"
        "\n"
        "[0:02.000 - 0:03.000]\n[silence]\n"
    )


def test_text_is_not_escaped(timeline_of: TimelineOf) -> None:
    """Markup, quotes and digits are unchanged."""
    caption = "<b>&amp;</b> --> {x} \\N *y*\n42\n“雨”"
    assert render(timeline_of(caption), "txt").split("\n", 1)[1] == f"{caption}\n"
