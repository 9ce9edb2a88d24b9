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


@pytest.mark.parametrize(
    ("frame_rate", "drop_frame", "last"),
    [(25, False, "23:59:59:23"), (29.97, False, "23:58:37:0"), (29.97, True, "23:59:59;28")],
)
def test_an_entry_may_end_with_the_last_hour(
    frame_rate: float, drop_frame: bool, last: str, timeline_of: TimelineOf
) -> None:
    """An entry may end at 23 h to the sample; an event in the last frame has a time code."""
    whole = timeline_of("Rain.")
    span, hours = whole.entries[0].source_span, 23 * 3600
    for length, overrun in ((1000, 0), (1, 0), (1000, 1), (1000, span.rate_hz // 20)):
        end = hours * span.rate_hz + overrun
        late = replace(span, start_samples=end - length - overrun, end_samples=end)
        timeline = replace(
            whole,
            entries=(replace(whole.entries[0], source_span=late),),
            source=replace(whole.source, duration_samples=end),
        )
        if overrun > span.rate_hz // 30:
            with pytest.raises(UsageError, match="no timecode after 23 h"):
                render(timeline, "edl", frame_rate=frame_rate, drop_frame=drop_frame)
            continue
        event = render(timeline, "edl", frame_rate=frame_rate, drop_frame=drop_frame).split("\n")[3]
        assert f" {last}" in event
        assert "24:" not in event


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


@pytest.mark.parametrize("nominal", [30, 60])
def test_drop_frame_timecode_follows_the_clock(nominal: int) -> None:
    """The adapter of OpenTimelineIO finds each event within a frame of its time."""
    frame_rate = nominal * 1000 / 1001
    text = render(hours_of(22), "edl", frame_rate=frame_rate, drop_frame=True)
    assert text.splitlines()[1] == "FCM: DROP FRAME"
    found = otio.adapters.read_from_string(text, "cmx_3600", rate=frame_rate)
    starts = [clip.source_range.start_time for clip in found.find_clips()]
    assert [start.to_timecode()[:8] for start in starts] == [
        f"{hour:02d}:00:00" for hour in range(1, 23)
    ]
    assert starts[0].to_timecode() == "01:00:00;00"
    assert starts[21].to_seconds() - starts[0].to_seconds() == pytest.approx(21 * 3600, abs=0.1)


def test_drop_frame_timecode_needs_its_rates(timeline_of: TimelineOf) -> None:
    """At 25 frames a second there is no drop-frame timecode."""
    with pytest.raises(UsageError, match=r"does not exist at 25 frames a second; .*29\.97"):
        render(timeline_of("Rain."), "edl", drop_frame=True)
