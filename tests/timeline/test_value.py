from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Cost, Entry, SourceInfo, Status, Usage
from captoolkit.timeline import parse, render, stitch
from captoolkit.timeline.editing import SourcePart, total_cost
from captoolkit.timeline.value import SPREAD_NOTE, Timeline
from captoolkit.units import format_length, samples_at
from tests.support.timelines import TimelineOf, prose, timelines

moments = st.fractions(min_value=0, max_value=10**7, max_denominator=10**6)


def words(timeline: Timeline) -> list[str]:
    """All words of a timeline, in order."""
    return [word for entry in timeline.entries for word in entry.text.split()]


def covered(timeline: Timeline) -> Fraction:
    """The exact total duration of the entries in seconds."""
    totals = timeline.totals
    return totals.ok.duration_s + totals.failed.duration_s + totals.silent.duration_s


# -------------------------------------------------------------------------------------- parts


@given(timelines(), moments, moments)
def test_a_slice_holds_what_lies_in_it_at_its_own_times(
    timeline: Timeline, one: Fraction, other: Fraction
) -> None:
    """Each entry of a slice is the part of an entry inside it, with all its words."""
    length_s = Fraction(timeline.source.duration_samples, timeline.source.sample_rate_hz)
    start, end = sorted((min(one, length_s), min(other, length_s)))
    try:
        part = timeline.slice(start, end)
    except UsageError:
        assert (end - start) * timeline.source.sample_rate_hz <= 1
        return
    rate_hz = timeline.source.sample_rate_hz
    for entry in part.entries:
        (whole,) = [
            entry_
            for entry_ in timeline.entries
            if entry_.source_span.start_samples <= entry.source_span.start_samples
            and entry.source_span.end_samples <= entry_.source_span.end_samples
        ]
        assert replace(entry, source_span=whole.source_span) == whole
        assert abs(entry.source_span.start_samples / rate_hz - start) >= 0
        assert entry.source_span.start_samples >= round(start * rate_hz - Fraction(1, 2))
        assert entry.source_span.end_samples <= end * rate_hz + Fraction(1, 2)
    assert part.source == timeline.source
    assert parse(render(part, "json")) == part


@given(timelines())
def test_the_whole_slice_is_the_timeline(timeline: Timeline) -> None:
    """A slice of everything keeps the cost too."""
    assert timeline.slice() == timeline
    assert timeline.slice(from_zero=True) == timeline
    assert timeline.filtered() == timeline


def test_an_entry_that_sticks_out_is_cut_and_keeps_its_words(timeline_of: TimelineOf) -> None:
    """Entries at the edges are cut, on the recording's clock or on the clip's."""
    timeline = timeline_of("One.", "Two.", "Three.")
    for part, start_s in [
        (timeline.slice("0.5", "1.5s"), 0.5),
        (timeline.slice(0.5, Fraction(3, 2), from_zero=True), 0.0),
    ]:
        times = [(entry.source_span.start_s, entry.source_span.end_s) for entry in part.entries]
        assert times == [(start_s, start_s + 0.5), (start_s + 0.5, start_s + 1)]
        assert [(entry.index, entry.text) for entry in part.entries] == [(1, "One."), (2, "Two.")]


def test_a_clip_knows_where_it_comes_from(timeline_of: TimelineOf) -> None:
    """A slice from zero has the part of its recording, through a file too."""
    timeline = timeline_of("One.", "Two.", "Three.")
    clip = timeline.slice(1, 2, from_zero=True)
    assert clip.source == replace(timeline.source, duration_samples=48_000)
    span = replace(timeline.source.span, start_samples=48_000, end_samples=96_000)
    assert clip.parts == (SourcePart(source=timeline.source, source_span=span, at_samples=0),)
    assert parse(render(clip, "json")) == clip
    assert clip.slice("0.25", from_zero=True).parts[0].source_span.start_samples == 60_000


@pytest.mark.parametrize(("start", "end"), [(2, 1), (1, 1), (-1, 1), (0, "1h"), ("nan", 1)])
def test_a_slice_that_cannot_be_is_refused(
    start: str | int, end: str | int, timeline_of: TimelineOf
) -> None:
    """A backward, empty or outside stretch is an error."""
    with pytest.raises(UsageError):
        timeline_of("One.", "Two.").slice(start, end)


@pytest.mark.parametrize("time", [float("inf"), float("nan"), Decimal("NaN"), "", "soon"])
def test_what_is_no_time_is_refused(time: str | float | Decimal, timeline_of: TimelineOf) -> None:
    """An invalid time of any type is an error."""
    with pytest.raises(UsageError, match="is not a time"):
        timeline_of("One.").shifted(time)


# ------------------------------------------------------------------------------------ shifting


@given(timelines(), moments)
def test_a_shift_and_back_is_no_shift(timeline: Timeline, by: Fraction) -> None:
    """Shifting forth and back restores every sample and the source."""
    later = timeline.shifted(by)
    assert later.shifted(-by) == timeline
    assert covered(later) == covered(timeline)
    assert parse(render(later, "json")) == later


def test_a_shift_is_exact_to_the_sample(timeline_of: TimelineOf) -> None:
    """A shift by a third of a second moves an entry by 16,000 samples."""
    (entry,) = timeline_of("One.").shifted(Fraction(1, 3)).entries
    assert entry.source_span.start_samples == 16_000
    assert entry.source_span.samples == 48_000


def test_a_shift_before_zero_is_refused(timeline_of: TimelineOf) -> None:
    """A shift cuts nothing off; the error suggests a slice."""
    timeline = timeline_of("One.", "Two.")
    with pytest.raises(UsageError, match="before zero; take a slice"):
        timeline.shifted("-1s")
    (entry,) = timeline.slice(1).shifted(-1).entries
    assert (entry.text, entry.source_span.start_samples) == ("Two.", 0)


# ------------------------------------------------------------------------------------- joining


@given(st.lists(timelines(), min_size=1, max_size=4))
def test_joining_keeps_every_word_and_every_moment(lines: list[Timeline]) -> None:
    """Durations add up exactly at any rates, and the file restores the same timeline."""
    joined = Timeline.joined(lines)
    assert covered(joined) == sum(map(covered, lines))
    assert words(joined) == [word for line in lines for word in words(line)]
    assert joined.usage == sum((line.usage for line in lines), Usage())
    spans = [entry.source_span for entry in joined.entries]
    assert all(one.end_samples <= other.start_samples for one, other in pairwise(spans))
    assert parse(render(joined, "json")) == joined


@given(timelines(), st.data())
def test_pieces_joined_are_the_timeline(timeline: Timeline, data: st.DataObject) -> None:
    """A timeline cut between entries and joined again is the same, except its cost."""
    starts = [entry.source_span.start_samples for entry in timeline.entries][1:]
    if not starts:
        return
    rate_hz = timeline.source.sample_rate_hz
    cut = Fraction(data.draw(st.sampled_from(starts)), rate_hz)
    pieces = [timeline.slice(None, cut, from_zero=True), timeline.slice(cut, from_zero=True)]
    joined = Timeline.joined(pieces)
    assert joined.source == timeline.source
    assert joined.parts == ()
    assert [replace(entry, index=0) for entry in joined.entries] == [
        replace(entry, index=0) for entry in timeline.entries
    ]


def test_joined_recordings_of_two_rates_lie_on_one_exact_clock(timeline_of: TimelineOf) -> None:
    """44.1 and 48 kHz meet at 7.056 MHz, and each part names its recording."""
    one, other = timeline_of("One."), timeline_of("Two.", "Three.")
    rate = replace(other.source, sample_rate_hz=44_100, duration_samples=96_000, path="/b/c.wav")
    entries = tuple(
        replace(entry, source_span=replace(entry.source_span, rate_hz=44_100))
        for entry in other.entries
    )
    joined = Timeline.joined([one, replace(other, source=rate, entries=entries)])
    assert joined.source.sample_rate_hz == 7_056_000
    assert joined.source.path == "night in the harbour.flac + c.wav"
    assert [part.source.path for part in joined.parts] == [one.source.path, "/b/c.wav"]
    assert [entry.index for entry in joined.entries] == [1, 2, 3]
    starts = [Fraction(e.source_span.start_samples, 7_056_000) for e in joined.entries]
    assert starts == [0, 1, 1 + Fraction(48_000, 44_100)]
    assert parse(render(joined, "json")) == joined


def test_costs_are_added_only_where_the_sum_is_known() -> None:
    """Costs are added in one currency, if every paid timeline has one."""
    ten = Cost(currency="CNY", amount=Decimal("0.10"))
    paid, free = Usage(total_tokens=5), Usage()
    assert total_cost([(ten, paid), (ten, paid), (None, free)]) == replace(
        ten, amount=Decimal("0.20")
    )
    assert total_cost([(ten, paid), (None, paid)]) is None
    assert total_cost([(ten, paid), (replace(ten, currency="USD"), paid)]) is None
    assert total_cost([(None, free)]) is None


def test_nothing_cannot_be_joined() -> None:
    """Joining no timelines is an error."""
    with pytest.raises(UsageError, match="no timeline to join"):
        Timeline.joined([])


# ---------------------------------------------------------------------------------- searching


def test_entries_are_found_by_status_and_words(timeline_of: TimelineOf) -> None:
    """A search ignores case, width and line ends; numbers and times stay."""
    timeline = timeline_of("An OWL\ncalls.", "Rain.", "Ｏｗｌ again", holes=("x",), silences=1)
    assert [entry.index for entry in timeline.filtered(text="owl").entries] == [1, 3]
    assert [entry.index for entry in timeline.filtered(text="owl calls").entries] == [1]
    assert [e.index for e in timeline.filtered(text=re.compile(r"^R")).entries] == [2]
    assert [e.index for e in timeline.filtered(status="failed").entries] == [4]
    assert [e.index for e in timeline.filtered(status=[Status.SILENT, "ok"], text="").entries] == [
        1,
        2,
        3,
        5,
    ]
    with pytest.raises(UsageError, match="use ok, failed, silent"):
        timeline.filtered(status="lost")


def test_totals_count_what_there_is(timeline_of: TimelineOf) -> None:
    """Totals have entries and exact seconds by status, and the characters of all captions."""
    totals = timeline_of("One.", "Two", holes=("x",), silences=2).totals
    assert (totals.ok.entries, totals.failed.entries, totals.silent.entries) == (2, 1, 2)
    assert totals.ok.duration_s == 2
    assert totals.characters == 7


# --------------------------------------------------------------------------- split, merge, spread


@given(timelines(), moments)
def test_a_split_loses_no_word_and_no_sample_and_merging_undoes_it(
    timeline: Timeline, time: Fraction
) -> None:
    """A split keeps characters, tokens and time, and merging the halves restores the entry."""
    if samples_at(time, timeline.source.sample_rate_hz) > timeline.source.duration_samples:
        with pytest.raises(UsageError, match="is outside this timeline"):
            timeline.split_at(time)
        return
    split = timeline.split_at(time)
    assert "".join(e.text for e in split.entries) == "".join(e.text for e in timeline.entries)
    assert covered(split) == covered(timeline)
    assert split.usage == timeline.usage
    if len(split.entries) == len(timeline.entries):
        return
    ends = {entry.source_span.end_samples for entry in timeline.entries}
    first = next(e.index for e in split.entries if e.source_span.end_samples not in ends)
    merged = split.merged(first, first + 1)
    assert words(merged) == words(timeline)
    assert covered(merged) == covered(timeline)
    for one, other in zip(merged.entries, timeline.entries, strict=True):
        assert replace(one, index=0, text="") == replace(other, index=0, text="")


def test_a_split_falls_between_sentences_and_merges_to_the_same(timeline_of: TimelineOf) -> None:
    """A split is between sentences, or between words, as near to the time as possible."""
    timeline = timeline_of("A dog barks. Rain begins.\n\nA door.")
    split = timeline.split_at(0.3)
    assert [entry.text for entry in split.entries] == ["A dog barks. ", "Rain begins.\n\nA door."]
    assert split.entries[0].source_span.end_samples == 14_400
    assert split.merged(1, 2) == timeline
    assert [e.text for e in timeline_of("one two three").split_at(0.5).entries] == [
        "one two ",
        "three",
    ]


def test_halves_of_a_text_without_spaces_merge_to_the_same(timeline_of: TimelineOf) -> None:
    """Halves of one answer are joined without a space, two answers as paragraphs."""
    timeline = timeline_of("一位女士在说话。她说：“雨声！”然后是风。")
    split = timeline.split_at(0.3).split_at(0.7)
    assert [entry.text for entry in split.entries] == [
        "一位女士在说话。",
        "她说：“雨声！”",
        "然后是风。",
    ]
    assert split.merged(1, 3) == timeline
    assert timeline.spread().merged(1, 3).entries == timeline.entries
    one, other = timeline_of("雨声。", "风声。").entries
    for two in [
        (replace(one, request_id="1"), replace(other, request_id="2")),
        (one, replace(other, usage=Usage(total_tokens=3))),
    ]:
        merged = replace(timeline, entries=two).merged(1, 2)
        assert merged.entries[0].text == "雨声。\n\n风声。"


@given(prose, st.none() | st.text(max_size=3), st.fractions(0, 1))
def test_merging_the_halves_gives_back_every_character(
    timeline_of: TimelineOf, text: str, request_id: str | None, share: Fraction
) -> None:
    """Halves of any script merge to the same text, with or without request ids."""
    timeline = timeline_of(text)
    entry = replace(timeline.entries[0], request_id=request_id, usage=Usage(total_tokens=1))
    timeline = replace(timeline, entries=(entry,))
    for finer in (timeline.split_at(share), timeline.spread()):
        merged = finer.merged(1, len(finer.entries)).entries[0]
        assert merged.text == text
        assert merged.source_span == entry.source_span


def test_merged_captions_are_paragraphs_and_a_hole_stays_one(timeline_of: TimelineOf) -> None:
    """Merged texts are paragraphs, and a failure and its error stay."""
    merged = timeline_of("One.", "Two.", holes=("timed out",), silences=1).merged(1, 4)
    (entry,) = merged.entries
    assert (entry.text, entry.status, entry.error) == ("One.\n\nTwo.", Status.FAILED, "timed out")
    assert entry.source_span.samples == 4 * 48_000


def test_what_is_no_neighbour_is_not_merged(timeline_of: TimelineOf) -> None:
    """Merging across a gap is an error, because nothing was captioned there."""
    timeline = timeline_of("One.", "Two.", "Three.")
    with pytest.raises(UsageError, match="entries 1 and 3 are no neighbours"):
        timeline.filtered(text=re.compile("One|Three")).merged(1, 3)
    with pytest.raises(UsageError, match="no entries 2 to 7"):
        timeline.merged(2, 7)


@given(timelines())
def test_spreading_loses_no_character_and_no_sample(timeline: Timeline) -> None:
    """Sentences share their segment in order and without a gap."""
    spread = timeline.spread()
    assert "".join(e.text for e in spread.entries) == "".join(e.text for e in timeline.entries)
    assert covered(spread) == covered(timeline)
    assert spread.usage == timeline.usage
    assert all(entry.source_span.samples > 0 for entry in spread.entries)
    assert (spread == timeline) == (spread.notes == timeline.notes)
    assert parse(render(spread, "json")) == spread


def test_sentences_are_spread_in_proportion_and_it_is_said(timeline_of: TimelineOf) -> None:
    """A sentence of twice the length gets twice the time, and a note says so."""
    timeline = timeline_of("Rain, rain. Rain, rain, and more rain.")
    spread = timeline.spread()
    lengths = [entry.source_span.samples for entry in spread.entries]
    assert sum(lengths) == 48_000
    assert lengths[0] / lengths[1] == pytest.approx(12 / 26, rel=0.01)
    for name in ("vtt", "ass"):
        assert SPREAD_NOTE in render(timeline, name, spread=True)
    assert render(timeline, "srt", spread=True).count("-->") == 2
    assert render(timeline, "json", spread=True) == render(timeline, "json")


def test_a_stitched_timeline_can_be_hashed_and_compared(timeline_of: TimelineOf) -> None:
    """Equal timelines are equal values with equal hashes."""
    timeline = timeline_of("One.")
    again = stitch(
        source=timeline.source, captioner=timeline.captioner, entries=list(timeline.entries)
    )
    assert again == timeline
    assert hash(again) == hash(timeline)
    assert isinstance(again.entries[0], Entry)
    assert isinstance(again.source, SourceInfo)
    assert isinstance(again.captioner, CaptionerInfo)


def test_details_stay_with_the_first_piece_and_are_found(timeline_of: TimelineOf) -> None:
    """A split keeps details with its first piece, a merge joins them, and a search reads them."""
    first, second = timeline_of("A dog. A cat.", "Rain.").entries
    entries = (replace(first, details="Figures."), replace(second, details="More."))
    timeline = replace(timeline_of("A dog. A cat.", "Rain."), entries=entries)
    assert parse(render(timeline, "json")) == timeline
    assert [entry.details for entry in timeline.spread().entries] == ["Figures.", "", "More."]
    assert timeline.merged(1, 2).entries[0].details == "Figures.\n\nMore."
    assert [entry.index for entry in timeline.filtered(text="more").entries] == [2]


def test_the_repr_is_one_short_line(timeline_of: TimelineOf) -> None:
    """It counts the entries and the failed ones."""
    timeline = timeline_of("a", "b")
    path, length = timeline.source.path, format_length(timeline.source.span.exact_s)
    assert repr(timeline) == f"<Timeline of {path!r}: {length}, 2 entries>"
    failed = replace(timeline.entries[0], status=Status.FAILED, text="", error="no answer")
    holed = replace(timeline, entries=(failed, timeline.entries[1]))
    assert repr(holed).endswith(", 2 entries, 1 of them failed>")
