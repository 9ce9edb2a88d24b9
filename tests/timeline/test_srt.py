from __future__ import annotations

from captoolkit.timeline import render
from tests.support.timelines import TimelineOf


def test_an_srt_file_looks_like_this(timeline_of: TimelineOf) -> None:
    """A cue is a number, times with a comma and text; blank lines separate cues."""
    assert render(timeline_of("A dog barks.\n\nRain.", silences=1), "srt") == (
        "1\n00:00:00,000 --> 00:00:01,000\nA dog barks.\nRain.\n"
        "\n"
        "2\n00:00:01,000 --> 00:00:02,000\n[silence]\n"
    )


def test_only_what_a_reader_would_take_for_markup_changes_its_width(
    timeline_of: TimelineOf,
) -> None:
    """Comparisons and paths keep their characters; tags, braces and arrows get twins."""
    text = render(timeline_of("3 < 5 > 2 & a -> b\n<b>x</b> {y} --> D:\\Nova D:\\Data"), "srt")
    assert text.splitlines()[2:] == [
        "3 < 5 > 2 & a -> b",
        "＜b>x＜/b> ｛y｝ --＞ D:＼Nova D:\\Data",
    ]


def test_two_times_never_share_a_line(timeline_of: TimelineOf) -> None:
    """A line with two times is broken before the second, because readers take it for a cue."""
    text = render(timeline_of("[00:00:01,000-00:00:02.5] a dog, 00:00:03,000 a cat"), "srt")
    assert text.splitlines()[2:] == ["[00:00:01,000-", "00:00:02.5] a dog,", "00:00:03,000 a cat"]
