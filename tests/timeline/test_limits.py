"""What a format cannot hold is said: as an error, or as a sentence; nothing is cut silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import opentimelineio as otio
import pysubs2
import pytest
import srt
import webvtt

from captoolkit.errors import UsageError
from captoolkit.model import Entry
from captoolkit.timeline import FORMATS, check, losses, render
from captoolkit.timeline.value import Timeline

TimelineOf = Callable[..., Timeline]
HOUR_SAMPLES = 3600 * 48_000


@pytest.fixture
def hours(timeline_of: TimelineOf) -> Callable[[int], Timeline]:
    """Return a function that makes a timeline of one caption for each of so many hours."""

    def make(count: int) -> Timeline:
        whole = timeline_of(*(f"Hour {number}." for number in range(count)))
        entries = tuple(_long(entry) for entry in whole.entries)
        source = replace(whole.source, duration_samples=count * HOUR_SAMPLES)
        return replace(whole, source=source, entries=entries)

    return make


def _long(entry: Entry) -> Entry:
    start = (entry.index - 1) * HOUR_SAMPLES
    span = replace(entry.source_span, start_samples=start, end_samples=start + HOUR_SAMPLES)
    return replace(entry, source_span=span)


@pytest.mark.parametrize(("name", "most"), [("srt", 100), ("vtt", 100), ("ass", 10)])
def test_times_past_what_some_players_read_are_told_and_written(
    name: str, most: int, hours: Callable[[int], Timeline]
) -> None:
    """The last hour is in the file, unclamped, and one sentence says who will not find it."""
    assert losses(hours(most), name) == []
    timeline = hours(most + 1)
    (loss,) = losses(timeline, name)
    assert "do not read" in loss
    assert f"{most}:00:00" in render(timeline, name)


def test_other_readers_find_the_times_past_99_hours(hours: Callable[[int], Timeline]) -> None:
    """webvtt-py and srt read three digits, pysubs2 two for ASS."""
    cue = webvtt.from_string(render(hours(101), "vtt"), strict=True).captions[-1]
    assert cue.start_time.in_milliseconds() == 100 * 3_600_000
    assert list(srt.parse(render(hours(101), "srt")))[-1].start.total_seconds() == 360_000
    ass = pysubs2.SSAFile.from_string(render(hours(99), "ass"), format_="ass")
    assert ass[-1].start == 98 * 3_600_000


def test_an_edl_past_its_timecode_is_refused_with_the_entry(
    hours: Callable[[int], Timeline],
) -> None:
    """23 hours lie behind 01:00:00:00; the next one has no timecode."""
    render(hours(23), "edl")
    with pytest.raises(UsageError, match=r"entry 24 ends at 24:00:00\.000.*otio or fcpxml"):
        render(hours(24), "edl")


def test_a_long_name_and_many_events_are_told(timeline_of: TimelineOf) -> None:
    """A title that does not fit ends in a mark, and more than 999 events are told."""
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


@pytest.mark.parametrize(
    ("asked", "rate", "code"),
    [
        (None, Fraction(25), "01:00:10:13"),
        (24, Fraction(24), "01:00:10:12"),
        (29.97, Fraction(30000, 1001), "01:00:10:15"),
        ("30000/1001", Fraction(30000, 1001), "01:00:10:15"),
        ("23.976", Fraction(24000, 1001), "01:00:10:12"),
        (60, Fraction(60), "01:00:10:30"),
    ],
)
def test_markers_lie_on_the_editors_frames(
    asked: float | str | None, rate: Fraction, code: str, timeline_of: TimelineOf
) -> None:
    """10.5 s at each rate; the rounding is told, and FCPXML says the same time as a fraction."""
    later = timeline_of("Rain.").shifted(10.5)
    text = render(later, "edl", frame_rate=asked)
    event = text.split("\n")[3]
    assert event.split()[4] == event.split()[6] == code
    assert any("rounded to frames" in loss for loss in losses(later, "edl", frame_rate=asked))
    frame = Fraction(21, 2) * rate + Fraction(1, 2)
    xml = render(later, "fcpxml", frame_rate=asked)
    time = frame.__floor__() / rate
    written = f"{time.numerator}/{time.denominator}s" if time.denominator > 1 else f"{time}s"
    assert f'offset="{written}" start="0s"' in xml


@pytest.mark.parametrize("rate", [0, -25, 31, "many", float("nan"), float("inf"), "1/0"])
def test_a_frame_rate_that_no_editor_has_is_refused(
    rate: float | str, timeline_of: TimelineOf
) -> None:
    """With those that there are."""
    for name in ("edl", "fcpxml"):
        with pytest.raises(UsageError, match=r"frame_rate=.*use 23\.976, 24"):
            render(timeline_of("Rain."), name, frame_rate=rate)
        with pytest.raises(UsageError, match=r"frame_rate=.*use 23\.976, 24"):
            check(name, frame_rate=rate)


def test_an_option_that_no_format_has_is_refused(timeline_of: TimelineOf) -> None:
    """A misspelt option is not ignored; one that another format takes is."""
    with pytest.raises(
        UsageError, match=r"render\(\) takes no option 'fps'; use frame_rate, spread"
    ):
        render(timeline_of("Rain."), "edl", fps=24)  # type: ignore[call-arg]
    assert render(timeline_of("Rain."), "srt", frame_rate=24) == render(timeline_of("Rain."), "srt")


@pytest.mark.parametrize("name", FORMATS)
def test_a_formula_or_a_field_mark_is_only_text(name: str, timeline_of: TimelineOf) -> None:
    """Every format writes what would be a formula in a table and a field in an EDL."""
    assert "SUM(A1" in render(timeline_of("=SUM(A1|B2)\tx"), name).replace("\\", "")


def test_a_table_runs_nothing(timeline_of: TimelineOf) -> None:
    """No cell begins with what a spreadsheet takes for a formula."""
    text = render(timeline_of("=1", "+1", "-1", "@a"), "csv")
    assert text.count(", =1,") + text.count(", +1,") + text.count(", -1,") == 3
    assert ", @a," in text
    assert text.endswith("\r\n")
    assert all(line.endswith("\r") for line in text.split("\n")[:-1])
