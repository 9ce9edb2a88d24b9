"""Chapters for YouTube, read back with yt-dlp and podcast-chapter-tools."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from captoolkit.timeline import losses, render
from tests.support.captions import NASTY
from tests.support.timelines import TimelineOf, hours_of


def test_each_line_is_a_time_and_a_title() -> None:
    """From one hour on a time has hours."""
    assert render(hours_of(3), "youtube") == "0:00 Hour 0.\n1:00:00 Hour 1.\n2:00:00 Hour 2.\n"
    assert losses(hours_of(3), "youtube") == []


def test_a_description_has_no_angle_brackets(timeline_of: TimelineOf) -> None:
    """YouTube refuses them in a description."""
    text = render(timeline_of(*NASTY.values()), "youtube")
    assert not set("<>") & set(text)
    assert all(re.match(r"\d:\d\d \S", line) for line in text.splitlines())


def test_a_list_that_youtube_ignores_is_a_loss(timeline_of: TimelineOf) -> None:
    """Too few or too short chapters are not shown."""
    (loss,) = losses(timeline_of("One.", "Two."), "youtube")
    assert loss == (
        "YouTube does not show these chapters: the list has 2 of at least 3; "
        "shorter than 10 s: 2 of 2."
    )
    many = losses(timeline_of(*["It rains and rains."] * 300), "youtube")
    assert "characters" in many[-1]


def test_a_late_first_entry_follows_a_chapter_without_a_caption() -> None:
    """YouTube shows a list only if it begins at 0:00."""
    late = hours_of(2).shifted(15)
    assert render(late, "youtube").splitlines() == [
        "0:00 [no caption]",
        "0:15 Hour 0.",
        "1:00:15 Hour 1.",
    ]
    assert losses(late, "youtube") == []


def test_other_programs_read_the_chapters_of_a_description() -> None:
    """Both find each time and title between the other lines of a description."""
    titles = ["A dog barks.", "雨声，风声。", "Regen & Wind", "صوت المطر", "3 strokes every 2 s"]
    hours = hours_of(12)
    captions = tuple(
        replace(entry, text=titles[at % len(titles)]) for at, entry in enumerate(hours.entries)
    )
    text = render(replace(hours, entries=captions), "youtube")
    expected = [(3600 * at, one.text) for at, one in enumerate(captions)]
    description = f"A night in the harbour.\n\n{text}\nRecorded in 2026.\n"

    extractor = pytest.importorskip("yt_dlp.extractor.common", reason="needs yt-dlp")
    found = extractor.InfoExtractor()._extract_chapters_from_description(description, 43_200)
    assert [(one["start_time"], one["title"]) for one in found] == expected

    tools = pytest.importorskip("podcast_chapter_tools", reason="needs podcast-chapter-tools")
    assert [(one.start, one.title) for one in tools.extract_description_chapters(text)] == expected
