from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pysubs2
import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.model import Entry, Span, Status
from captoolkit.timeline import losses, render
from captoolkit.timeline.cues import cue_lines, cues
from captoolkit.timeline.value import Timeline
from tests.support.timelines import TimelineOf, hours_of

rates = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])

lengths = st.lists(st.integers(1, 30) | st.integers(1, 500_000_000), min_size=1, max_size=12)


def tiled(timeline: Timeline, lengths_samples: list[int], rate_hz: int) -> Timeline:
    """Return the timeline with silences of these lengths, end to end, as its entries."""
    ends = [sum(lengths_samples[: n + 1]) for n in range(len(lengths_samples))]
    entries = tuple(
        Entry(
            index=index,
            source_span=Span(start_samples=end - length, end_samples=end, rate_hz=rate_hz),
            status=Status.SILENT,
        )
        for index, (end, length) in enumerate(zip(ends, lengths_samples, strict=True), 1)
    )
    source = replace(timeline.source, sample_rate_hz=rate_hz, duration_samples=ends[-1])
    return replace(timeline, source=source, entries=entries)


@given(lengths_samples=lengths, rate_hz=rates)
def test_cues_stay_in_order_last_and_do_not_overlap(
    lengths_samples: list[int], rate_hz: int, timeline_of: TimelineOf
) -> None:
    """A cue lasts however short its entry is, and the next one starts at or after its end."""
    found = list(cues(tiled(timeline_of(), lengths_samples, rate_hz)))
    assert len(found) == len(lengths_samples)
    assert all(cue.start_ms < cue.end_ms for cue in found)
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(found))


@given(lengths_samples=lengths, rate_hz=rates)
def test_a_time_is_off_by_half_a_millisecond_and_one_for_each_tiny_entry_before(
    lengths_samples: list[int], rate_hz: int, timeline_of: TimelineOf
) -> None:
    """Times are rounded once; only entries under a millisecond delay later ones."""
    tiny = 0
    for cue in cues(tiled(timeline_of(), lengths_samples, rate_hz)):
        span = cue.entry.source_span
        early_ms = 1000 * span.start_samples / rate_hz - cue.start_ms
        assert -tiny - 0.5 <= early_ms <= 0.5
        tiny += 1000 * span.samples < rate_hz


@given(lengths_samples=lengths, rate_hz=rates)
def test_subtitle_readers_find_the_same_times(
    lengths_samples: list[int], rate_hz: int, timeline_of: TimelineOf
) -> None:
    """SRT and WebVTT have the same milliseconds, after 99 hours too."""
    timeline = tiled(timeline_of(), lengths_samples, rate_hz)
    expected = [(cue.start_ms, cue.end_ms) for cue in cues(timeline)]
    one_ms = timedelta(milliseconds=1)
    from_srt = [(c.start // one_ms, c.end // one_ms) for c in srt.parse(render(timeline, "srt"))]
    from_vtt = [
        (c.start_time.in_milliseconds(), c.end_time.in_milliseconds())
        for c in webvtt.from_string(render(timeline, "vtt"), strict=True).captions
    ]
    assert from_srt == from_vtt == expected


def test_pysubs2_finds_the_same_times(timeline_of: TimelineOf) -> None:
    """A third reader finds the same times in both formats, for hours of two digits."""
    timeline = tiled(timeline_of(), [1, 44_099, 44_100 * 3_600 * 99], 44_100)
    expected = [(cue.start_ms, cue.end_ms) for cue in cues(timeline)]
    for name in ("srt", "vtt"):
        found = pysubs2.SSAFile.from_string(render(timeline, name), format_=name)
        assert [(cue.start, cue.end) for cue in found] == expected


def test_an_entry_under_a_millisecond_gets_one_and_the_next_starts_after_it(
    timeline_of: TimelineOf,
) -> None:
    """An entry of three samples becomes a cue of 1 ms."""
    found = list(cues(tiled(timeline_of(), [48_000, 3, 47_997], 48_000)))
    assert [(cue.start_ms, cue.end_ms) for cue in found] == [(0, 1000), (1000, 1001), (1001, 2000)]


def test_a_cue_line_is_never_blank_nor_a_number_but_the_first(timeline_of: TimelineOf) -> None:
    """Paragraphs become lines, and a bare number is joined to the line above."""
    (entry,) = timeline_of("7\n\n\nThey count:\n1\n2\n\nEnd.").entries
    assert cue_lines(entry) == ["7", "They count: 1 2", "End."]


@pytest.mark.parametrize(("name", "most"), [("srt", 100), ("vtt", 100), ("ass", 10)])
def test_times_past_what_some_players_read_are_told_and_written(name: str, most: int) -> None:
    """Late times are written unclamped, and `losses` names the readers' limit."""
    assert losses(hours_of(most), name) == []
    timeline = hours_of(most + 1)
    (loss,) = losses(timeline, name)
    assert "do not read" in loss
    assert f"{most}:00:00" in render(timeline, name)


def test_other_readers_find_the_times_past_99_hours() -> None:
    """webvtt-py and srt read three digits for the hours, pysubs2 two in ASS."""
    cue = webvtt.from_string(render(hours_of(101), "vtt"), strict=True).captions[-1]
    assert cue.start_time.in_milliseconds() == 100 * 3_600_000
    assert list(srt.parse(render(hours_of(101), "srt")))[-1].start.total_seconds() == 360_000
    ass = pysubs2.SSAFile.from_string(render(hours_of(99), "ass"), format_="ass")
    assert ass[-1].start == 98 * 3_600_000


@pytest.mark.parametrize(
    ("name", "ticks_hz"),
    [("srt", 1000), ("vtt", 1000), ("md", 1000), ("ass", 100), ("edl", 25), ("fcpxml", 25)],
)
def test_entries_shorter_than_a_tick_are_a_loss(
    name: str, ticks_hz: int, timeline_of: TimelineOf
) -> None:
    """`losses` counts the entries that a format extends to one tick."""
    rate_hz = 48_000
    for samples, count in [(rate_hz // ticks_hz, 0), (rate_hz // ticks_hz - 1, 2)]:
        timeline = tiled(timeline_of(), [samples, rate_hz, samples], rate_hz)
        found = [loss for loss in losses(timeline, name) if "shorter than one" in loss]
        assert [loss.endswith(f"the next: {count} of 3.") for loss in found] == [True] * bool(count)
