from __future__ import annotations

import pysubs2

from captoolkit.timeline import losses, render
from tests.support.timelines import TimelineOf, hours_of


def test_an_entry_is_a_dialogue_event_in_hundredths_of_a_second(timeline_of: TimelineOf) -> None:
    """The last lines of the file are one Dialogue line per entry, in the default style."""
    text = render(timeline_of("A dog barks.\n\nRain.", silences=1), "ass")
    assert text.splitlines()[-2:] == [
        r"Dialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,A dog barks.\NRain.",
        r"Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,[silence]",
    ]


def test_braces_and_codes_are_written_as_full_width_twins(timeline_of: TimelineOf) -> None:
    """A caption cannot set a style or break a line by an ASS code."""
    text = render(timeline_of(r"{\an8}up \N down"), "ass")
    assert text.splitlines()[-1].endswith(",,｛\\an8｝up ＼N down")


def test_notes_are_comments_in_the_head(timeline_of: TimelineOf) -> None:
    """Spread sentences are events of their own, and a comment says how their times arose."""
    text = render(timeline_of("One. Two."), "ass", spread=True)
    assert text.splitlines()[1].startswith("; The sentences of each segment")
    assert len(pysubs2.SSAFile.from_string(text, format_="ass")) == 2


def test_hours_of_two_digits_are_a_loss() -> None:
    """Aegisub reads one digit for the hours: `losses` reports a longer timeline."""
    assert losses(hours_of(10), "ass") == []
    assert "do not read" in losses(hours_of(11), "ass")[0]


def test_the_direction_of_text_is_found_by_the_renderer(timeline_of: TimelineOf) -> None:
    """Encoding -1 sets no direction, so that an Arabic full stop stands at the left."""
    styles = pysubs2.SSAFile.from_string(render(timeline_of("صوت."), "ass"), format_="ass").styles
    assert styles["Default"].encoding == -1
