"""Chapters: WebVTT's, read back by webvtt-py, and ffmpeg's, read back by ffmpeg itself."""

from __future__ import annotations

import html
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import webvtt

from captoolkit.timeline import losses, render
from captoolkit.timeline.breaking import MORE, columns
from captoolkit.timeline.value import Timeline
from tests.timeline.test_formats import NASTY, shown_words, words

TimelineOf = Callable[..., Timeline]
Read = Callable[[str], list[tuple[int, int, str]]]

_CHAPTER = re.compile(r"Chapter #0:\d+: start ([\d.]+), end ([\d.]+)\n *Metadata:\n *title +: (.*)")


def read_vtt(text: str) -> list[tuple[int, int, str]]:
    """Return the times in milliseconds and the title of each WebVTT chapter."""
    return [
        (cue.start_time.in_milliseconds(), cue.end_time.in_milliseconds(), html.unescape(cue.text))
        for cue in webvtt.from_string(text, strict=True).captions
    ]


@pytest.fixture
def read_ffmetadata(ffmpeg: str, tmp_path: Path) -> Read:
    """Return the times in milliseconds and the title of each chapter, as ffmpeg prints them."""

    def read(text: str) -> list[tuple[int, int, str]]:
        path = tmp_path / "chapters.txt"
        path.write_text(text, encoding="utf-8", newline="\n")
        argv = [ffmpeg, "-hide_banner", "-f", "ffmetadata", "-i", str(path)]
        printed = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        return [
            (round(float(start) * 1000), round(float(end) * 1000), title)
            for start, end, title in _CHAPTER.findall(printed.stderr.decode())
        ]

    return read


@pytest.fixture(params=["vtt-chapters", "ffmetadata"])
def chapters(request: pytest.FixtureRequest) -> tuple[str, Read]:
    """A format of chapters and somebody else's reader of it."""
    if request.param == "vtt-chapters":
        return request.param, read_vtt
    return request.param, request.getfixturevalue("read_ffmetadata")


@pytest.mark.parametrize("caption", NASTY.values(), ids=NASTY)
def test_a_nasty_title_begins_as_its_caption_does(
    chapters: tuple[str, Read], caption: str, timeline_of: TimelineOf
) -> None:
    """Three chapters, and the middle one says the caption or, with a mark, its beginning."""
    name, read = chapters
    found = read(render(timeline_of("A dog barks.", caption, "A door."), name))
    assert [times[:2] for times in found] == [(0, 1000), (1000, 2000), (2000, 3000)]
    assert (found[0][2], found[2][2]) == ("A dog barks.", "A door.")
    title = found[1][2]
    assert columns(title) <= 72
    if not title.endswith(MORE):
        assert words(title) == shown_words(caption)
    else:
        kept = "".join(words(title.removesuffix(MORE)))
        assert kept
        assert "".join(shown_words(caption)).startswith(kept)


def test_holes_and_silences_are_chapters(
    chapters: tuple[str, Read], timeline_of: TimelineOf
) -> None:
    """In the words that all formats have for them."""
    name, read = chapters
    found = read(render(timeline_of(holes=("timed out",), silences=1), name))
    assert [title for _, _, title in found] == ["[no caption: timed out]", "[silence]"]


def test_titles_that_are_not_the_whole_caption_are_told(
    chapters: tuple[str, Read], timeline_of: TimelineOf
) -> None:
    """How many there are; nothing is said where all are whole."""
    name, _ = chapters
    timeline = timeline_of("A dog barks. " * 20, "Rain.")
    (loss,) = losses(timeline, name)
    assert loss.startswith("1 of 2 titles")
    assert losses(timeline_of("Rain."), name) == []
