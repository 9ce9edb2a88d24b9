"""EDL files, read back with OpenTimelineIO's adapter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import opentimelineio as otio
import pytest

from captoolkit.errors import UsageError
from captoolkit.timeline import losses, render
from tests.support.timelines import TimelineOf, hours_of


def clips(text: str, adapter: str) -> list[Any]:
    """The clips that OpenTimelineIO finds."""
    found = otio.adapters.read_from_string(text, adapter)
    return list(found.find_clips())


def test_the_edl_adapter_finds_events_where_the_entries_begin(timeline_of: TimelineOf) -> None:
    """Events are one frame long and one hour late, with colour, name and length below."""
    text = render(timeline_of("Rain | hail.", holes=("x",)).shifted(10), "edl")
    found = clips(text, "cmx_3600")
    comments = [clip.metadata["cmx_3600"]["comments"][0] for clip in found]
    assert comments == [
        "[0:10.000 - 0:11.000] Rain ｜ hail. |C:ResolveColorGreen |M:Rain ｜ hail. |D:25",
        "[0:11.000 - 0:12.000] [no caption: x] |C:ResolveColorRed |M:[no caption: x] |D:25",
    ]
    starts = [clip.source_range.start_time.to_timecode() for clip in found]
    assert starts == ["01:00:10:00", "01:00:11:00"]


def test_an_edl_past_its_timecode_is_refused_with_the_entry() -> None:
    """After 23 hours there is no timecode, and the error names the entry."""
    render(hours_of(23), "edl")
    with pytest.raises(UsageError, match=r"entry 24 ends at 24:00:00\.000.*otio or fcpxml"):
        render(hours_of(24), "edl")


def test_a_long_name_and_many_events_are_told(timeline_of: TimelineOf) -> None:
    """A long title ends in a mark, and `losses` reports more than 999 events."""
    timeline = timeline_of(*["Rain."] * 1000)
    timeline = replace(timeline, source=replace(timeline.source, path="a" * 100 + "|b.wav"))
    first = render(timeline, "edl").split("\n")[0]
    assert first.endswith("aaa …, 25 fps")
    assert len(first) <= 80
    assert any("999 events" in loss for loss in losses(timeline, "edl"))
    assert (
        len(
            list(
                otio.adapters.read_from_string(
                    render(timeline, "edl"), "cmx_3600", rate=25
                ).find_clips()
            )
        )
        == 1000
    )
