"""Podcasting 2.0 chapters, read back with podcast-chapter-tools."""

from __future__ import annotations

import json

import jsonschema
import pytest

from captoolkit.timeline import losses, render
from tests.support.captions import NASTY
from tests.support.timelines import TimelineOf

# The tables of Podcastindex-org/podcast-namespace, chapters/jsonChapters.md, version 1.2.
SCHEMA = {
    "type": "object",
    "required": ["version", "chapters"],
    "properties": {
        "version": {"type": "string"},
        "fileName": {"type": "string"},
        "chapters": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["startTime"],
                "properties": {
                    "startTime": {"type": "number", "minimum": 0},
                    "endTime": {"type": "number"},
                    "title": {"type": "string"},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize("captions", [tuple(NASTY.values()), ()], ids=["difficult", "none"])
def test_chapters_have_the_form_of_the_specification(
    captions: tuple[str, ...], timeline_of: TimelineOf
) -> None:
    """Chapters are in order, each with its start and end in seconds."""
    chapters = json.loads(render(timeline_of(*captions), "podcast-chapters"))
    jsonschema.validate(chapters, SCHEMA)
    assert [one["startTime"] for one in chapters["chapters"]] == list(range(len(captions)))


def test_a_chapter_has_a_title(timeline_of: TimelineOf) -> None:
    """A long caption is shortened, and `losses` reports it."""
    timeline = timeline_of("It rains. " * 20, silences=1)
    chapters = json.loads(render(timeline, "podcast-chapters"))
    assert chapters["fileName"] == "night in the harbour.flac"
    assert [one["title"] for one in chapters["chapters"]] == ["It rains. …", "[silence]"]
    assert any("1 of 2" in loss for loss in losses(timeline, "podcast-chapters"))


def test_podcast_chapter_tools_reads_each_chapter(timeline_of: TimelineOf) -> None:
    """A program for podcasts finds every chapter with its start and its title."""
    reader = pytest.importorskip("podcast_chapter_tools", reason="needs podcast-chapter-tools")
    document = json.loads(
        render(timeline_of(*NASTY.values(), holes=("timed out",)), "podcast-chapters")
    )
    found = reader.extract_pci_chapters(document)
    assert [(one.start, one.title) for one in found] == [
        (start, chapter["title"]) for start, chapter in enumerate(document["chapters"])
    ]
    assert len(found) == len(NASTY) + 1
