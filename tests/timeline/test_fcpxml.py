"""FCPXML files, read back with OpenTimelineIO's adapter and ElementTree."""

from __future__ import annotations

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
from tests.support.timelines import TimelineOf, timelines


def clips(text: str, adapter: str) -> list[Any]:
    """The clips that OpenTimelineIO finds."""
    found = otio.adapters.read_from_string(text, adapter)
    return list(found.find_clips())


def time_of(element: ET.Element, name: str) -> Fraction:
    """A time of FCPXML in seconds."""
    return Fraction(element.attrib[name].removesuffix("s"))


@pytest.mark.parametrize("frame_rate", [25, 24, 30])
def test_the_fcpxml_adapter_finds_clip_and_markers(
    frame_rate: int, timeline_of: TimelineOf
) -> None:
    """The adapter finds the frames, names and colours; failures are to-do markers."""
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


def test_drop_frame_is_stated(timeline_of: TimelineOf) -> None:
    """The sequence counts drop-frame timecode where the caller chose it."""
    for drop_frame, form in [(None, "NDF"), (True, "DF")]:
        text = render(timeline_of("x"), "fcpxml", frame_rate=29.97, drop_frame=drop_frame)
        (sequence,) = ET.fromstring(text).iter("sequence")
        assert sequence.attrib["tcFormat"] == form


def test_a_clip_in_fcpxml_is_the_stretch_that_was_captioned(timeline_of: TimelineOf) -> None:
    """A clip refers to its stretch of the recording, and joined recordings are several assets."""
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
    """Clips do not overlap, fit their recordings, and contain their markers."""
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
