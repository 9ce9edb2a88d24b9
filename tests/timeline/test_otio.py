"""OTIO files, read back with OpenTimelineIO."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import opentimelineio as otio
from hypothesis import given

from captoolkit.timeline import render
from captoolkit.timeline.value import Timeline
from tests.support.timelines import TimelineOf, timelines


def clips(text: str, adapter: str) -> list[Any]:
    """The clips that OpenTimelineIO finds."""
    found = otio.adapters.read_from_string(text, adapter)
    return list(found.find_clips())


def test_an_otio_file_has_a_clip_with_markers_exact_to_the_sample(timeline_of: TimelineOf) -> None:
    """A marker has a time in samples, a colour, a title, the caption and the JSON fields."""
    timeline = timeline_of("A dog barks. " * 10, holes=("timed out",), silences=1)
    (clip,) = clips(render(timeline, "otio"), "otio_json")
    assert clip.name == "night in the harbour.flac"
    assert clip.media_reference.target_url == "file:///recordings/night%20in%20the%20harbour.flac"
    assert clip.source_range.duration == otio.opentime.RationalTime(3 * 48_000, 48_000)
    found = [(m.color, m.marked_range.start_time.value, m.name[:8]) for m in clip.markers]
    assert found == [
        ("GREEN", 0, "A dog ba"),
        ("RED", 48_000, "[no capt"),
        ("BLUE", 96_000, "[silence"),
    ]
    assert clip.markers[0].comment == ("A dog barks. " * 10).strip()
    assert clip.markers[1].metadata["captoolkit"]["error"] == "timed out"


def test_an_otio_file_survives_opentimelineio(timeline_of: TimelineOf) -> None:
    """OpenTimelineIO reads the file and writes the same text."""
    text = render(timeline_of("雨。", "“A” & <b>"), "otio")
    again = otio.adapters.read_from_string(text, "otio_json").to_json_string(indent=2)
    assert again + "\n" == text


def test_joined_recordings_are_clips_with_a_gap_where_there_is_nothing(
    timeline_of: TimelineOf,
) -> None:
    """Each marker is on the clock of the recording that contains it."""
    one, other = timeline_of("One.", "Two."), timeline_of("Three.")
    other = replace(other, source=replace(other.source, path="/b/other.wav"))
    joined = Timeline.joined([one.slice(1, from_zero=True), other.shifted(2)])
    timeline = otio.adapters.read_from_string(render(joined, "otio"), "otio_json")
    (track,) = timeline.tracks
    assert [(type(item).__name__, item.duration().value) for item in track] == [
        ("Clip", 48_000),
        ("Gap", 96_000),
        ("Clip", 48_000),
    ]
    first, last = timeline.find_clips()
    assert [m.marked_range.start_time.value for m in (*first.markers, *last.markers)] == [48_000, 0]
    assert (first.markers[0].comment, last.markers[0].comment) == ("Two.", "Three.")


def test_recordings_that_overlap_take_no_sound_from_each_other(timeline_of: TimelineOf) -> None:
    """Of two overlapping parts the first keeps its place, and the track ends with the clock."""
    timeline = timeline_of("One.", "Two.", "Three.")
    (whole,) = timeline.all_parts
    short = replace(whole, source_span=replace(whole.source_span, end_samples=96_000))
    over = replace(timeline, parts=(replace(short, at_samples=48_000), short))
    track = otio.adapters.read_from_string(render(over, "otio"), "otio_json").tracks[0]
    assert [item.duration().value for item in track] == [96_000, 48_000]


@given(timelines())
def test_every_entry_of_any_timeline_is_a_marker_in_otio(timeline: Timeline) -> None:
    """Any timeline has as many markers as entries."""
    found = otio.adapters.read_from_string(render(timeline, "otio"), "otio_json")
    assert sum(len(clip.markers) for clip in found.find_clips()) == len(timeline.entries)
