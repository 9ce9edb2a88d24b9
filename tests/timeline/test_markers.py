"""Markers in editing programs' files, read back through OpenTimelineIO and its adapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree as ET

import opentimelineio as otio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.timeline import render
from captoolkit.timeline.value import Timeline
from tests.timeline.making import timelines

TimelineOf = Callable[..., Timeline]


def clips(text: str, adapter: str) -> list[Any]:
    """Return the clips that OpenTimelineIO finds."""
    found = otio.adapters.read_from_string(text, adapter)
    return list(found.find_clips())


def test_an_otio_file_has_a_clip_with_markers_exact_to_the_sample(timeline_of: TimelineOf) -> None:
    """Times are samples; the marker has a colour, a title, the caption and what JSON says of it."""
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
    """Read, written and read again, it says the same."""
    text = render(timeline_of("雨。", "“A” & <b>"), "otio")
    again = otio.adapters.read_from_string(text, "otio_json").to_json_string(indent=2)
    assert again + "\n" == text


def test_joined_recordings_are_clips_with_a_gap_where_there_is_nothing(
    timeline_of: TimelineOf,
) -> None:
    """Each marker is on the clock of the recording that it is in."""
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


@given(timelines())
def test_every_entry_of_any_timeline_is_a_marker_in_otio(timeline: Timeline) -> None:
    """None is lost, wherever it lies."""
    found = otio.adapters.read_from_string(render(timeline, "otio"), "otio_json")
    assert sum(len(clip.markers) for clip in found.find_clips()) == len(timeline.entries)


@pytest.mark.parametrize("frame_rate", [25, 24, 30])
def test_the_fcpxml_adapter_finds_clip_and_markers(
    frame_rate: int, timeline_of: TimelineOf
) -> None:
    """The same frames, names and colours (it has one for what is to be completed: the holes)."""
    timeline = timeline_of("Rain. A dog.", "雨。", holes=("x",)).shifted(10)
    (clip,) = clips(render(timeline, "fcpxml", frame_rate=frame_rate), "fcpx_xml")
    assert clip.name == "night in the harbour"
    assert clip.source_range.duration.to_seconds() == 3
    found = [(m.name, m.marked_range.start_time.to_seconds(), m.color) for m in clip.markers]
    assert found == [
        ("Rain. A dog.", 0, "PURPLE"),
        ("雨。", 1, "PURPLE"),
        ("[no caption: x]", 2, "RED"),
    ]


def test_a_clip_in_fcpxml_is_the_stretch_that_was_captioned(timeline_of: TimelineOf) -> None:
    """What was cut out lies over its own sound, and joined recordings are assets of their own."""
    one, other = timeline_of("One.", "Two."), timeline_of("Three.", "Four.")
    other = replace(other, source=replace(other.source, path="/b/other.wav", channels=1))
    joined = Timeline.joined(
        [one.slice(1, from_zero=True), other.shifted(2), one.slice(0, 1, from_zero=True)]
    )
    text = render(joined, "fcpxml")
    assets = {asset.get("id"): asset for asset in ET.fromstring(text).iter("asset")}
    places = {name: asset.find("media-rep") for name, asset in assets.items()}
    assert {name: place.get("src") for name, place in places.items() if place is not None} == {
        "r2": "file:///recordings/night%20in%20the%20harbour.flac",
        "r3": "file:///b/other.wav",
    }
    assert [asset.get("duration") for asset in assets.values()] == ["2s", "2s"]
    found = ET.fromstring(text).find(".//spine")
    assert found is not None
    assert [
        [item.get(key) for key in ("ref", "offset", "start", "duration")] for item in found
    ] == [
        ["r2", "0s", "1s", "1s"],
        [None, "1s", "0s", "2s"],
        ["r3", "3s", "0s", "2s"],
        ["r2", "5s", "0s", "1s"],
    ]
    marks = [[(m.get("value"), m.get("start")) for m in item] for item in found]
    assert marks == [[("Two.", "1s")], [], [("Three.", "0s"), ("Four.", "1s")], [("One.", "0s")]]
    read = clips(text, "fcpx_xml")
    assert [[m.name for m in clip.markers] for clip in read] == [
        ["Two."],
        ["Three.", "Four."],
        ["One."],
    ]


@given(st.lists(timelines(), min_size=1, max_size=3), st.sampled_from([24, 25, 29.97]))
def test_clips_in_fcpxml_lie_side_by_side_and_each_marker_on_one_of_them(
    lines: list[Timeline], frame_rate: float
) -> None:
    """Nothing overlaps, no clip is longer than its recording, no marker is before its clip."""
    joined = Timeline.joined(lines)
    root = ET.fromstring(render(joined, "fcpxml", frame_rate=frame_rate))
    lengths = {asset.get("id"): time_of(asset, "duration") for asset in root.iter("asset")}
    reached = Fraction(0)
    for item in root.iterfind(".//spine/*"):
        start, duration = time_of(item, "start"), time_of(item, "duration")
        assert time_of(item, "offset") == reached
        assert start + duration <= lengths.get(item.get("ref"), start + duration)
        assert all(time_of(marker, "start") >= start for marker in item)
        reached += duration
    sequence = root.find(".//sequence")
    assert sequence is not None
    assert time_of(sequence, "duration") == reached
    assert len(list(root.iter("marker"))) == len(joined.entries)


def time_of(element: ET.Element, name: str) -> Fraction:
    """A time of FCPXML in seconds."""
    return Fraction(element.attrib[name].removesuffix("s"))


def test_recordings_that_overlap_take_no_sound_from_each_other(timeline_of: TimelineOf) -> None:
    """A file written by hand may say so: the first has its place, and the clock goes to its end."""
    timeline = timeline_of("One.", "Two.", "Three.")
    (whole,) = timeline.all_parts
    short = replace(whole, source_span=replace(whole.source_span, end_samples=96_000))
    over = replace(timeline, parts=(replace(short, at_samples=48_000), short))
    track = otio.adapters.read_from_string(render(over, "otio"), "otio_json").tracks[0]
    assert [item.duration().value for item in track] == [96_000, 48_000]


def test_the_edl_adapter_finds_events_where_the_entries_begin(timeline_of: TimelineOf) -> None:
    """One frame each, an hour later, as DaVinci Resolve counts; colour, name and length below."""
    text = render(timeline_of("Rain | hail.", holes=("x",)).shifted(10), "edl")
    found = clips(text, "cmx_3600")
    comments = [clip.metadata["cmx_3600"]["comments"][0] for clip in found]
    assert comments == [
        "[0:10.000 - 0:11.000] Rain ｜ hail. |C:ResolveColorGreen |M:Rain ｜ hail. |D:25",
        "[0:11.000 - 0:12.000] [no caption: x] |C:ResolveColorRed |M:[no caption: x] |D:25",
    ]
    starts = [clip.source_range.start_time.to_timecode() for clip in found]
    assert starts == ["01:00:10:00", "01:00:11:00"]
