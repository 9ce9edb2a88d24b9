from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Cost, Entry, SourceInfo, Span, Status
from captoolkit.timeline import stitch
from captoolkit.timeline.value import Timeline

SourceOf = Callable[[int], SourceInfo]

ACOUSTIC = CaptionerInfo(name="acoustic", model="acoustic-1")


def span(start_samples: int, end_samples: int, *, rate_hz: int = 48_000) -> Span:
    """A stretch of the source."""
    return Span(start_samples=start_samples, end_samples=end_samples, rate_hz=rate_hz)


def said(*spans: Span) -> list[Entry]:
    """A caption for each span, numbered backwards."""
    return [
        Entry(index=90 - n, source_span=one, status=Status.OK, text=f"{one.start_samples}")
        for n, one in enumerate(spans)
    ]


def stitched(
    source: SourceInfo, entries: Sequence[Entry], skipped: Sequence[Span] = ()
) -> Timeline:
    """The timeline stitched from these entries."""
    return stitch(source=source, captioner=ACOUSTIC, entries=entries, skipped=skipped)


@given(
    lengths=st.lists(st.integers(1, 10**9), max_size=12),
    quiet=st.sets(st.integers(0, 11)),
    order=st.randoms(use_true_random=False),
)
def test_pieces_in_any_order_make_one_timeline(
    lengths: list[int], quiet: set[int], order: Random, source_of: SourceOf
) -> None:
    """Entries in any order are numbered from 1 and tile the source."""
    ends = [sum(lengths[: n + 1]) for n in range(len(lengths))]
    spans = [span(end - length, end) for end, length in zip(ends, lengths, strict=True)]
    entries = said(*(one for n, one in enumerate(spans) if n not in quiet))
    order.shuffle(entries)
    skipped = [one for n, one in enumerate(spans) if n in quiet]
    timeline = stitched(source_of(sum(lengths)), entries, skipped)
    assert [entry.index for entry in timeline.entries] == list(range(1, len(lengths) + 1))
    assert [entry.source_span for entry in timeline.entries] == spans
    statuses = [Status.SILENT if n in quiet else Status.OK for n in range(len(lengths))]
    assert [entry.status for entry in timeline.entries] == statuses


def test_nothing_but_the_number_of_an_entry_changes(source_of: SourceOf) -> None:
    """Captions keep their words, ids and tokens, and the timeline has the cost."""
    cost = Cost(currency="CNY", amount=Decimal("0.012"))
    entry = Entry(
        index=7,
        source_span=span(0, 10),
        status=Status.FAILED,
        text="half",
        finish_reason="length",
        request_id="r-1",
        error="cut off",
    )
    source = source_of(10)
    timeline = stitch(source=source, captioner=ACOUSTIC, entries=iter([entry]), cost=cost)
    (found,) = timeline.entries
    assert found == Entry(
        index=1,
        source_span=span(0, 10),
        status=Status.FAILED,
        text="half",
        finish_reason="length",
        request_id="r-1",
        error="cut off",
    )
    assert (timeline.source, timeline.captioner, timeline.cost) == (source, ACOUSTIC, cost)


@pytest.mark.parametrize(
    ("spans", "skipped", "problem"),
    [
        ([span(0, 24_000), span(23_999, 48_000)], [], r"entry 2 starts at 0\.499979 s, before"),
        ([span(0, 48_000), span(0, 48_000)], [], "entry 2 starts at"),
        ([span(0, 48_000)], [span(0, 24_000)], "entry 2 starts at"),
        ([span(0, 24_000), span(24_001, 48_000)], [], r"between 0\.500000 s and 0\.500021 s"),
        ([span(1, 48_000)], [], r"between 0\.000000 s and 0\.000021 s"),
        ([span(0, 47_999)], [], r"between 0\.999979 s and 1\.000000 s"),
        ([], [], r"between 0\.000000 s and 1\.000000 s"),
        ([span(0, 48_001)], [], r"entry 1 ends at 1\.000021 s, after the end of the source"),
        ([span(-1, 48_000)], [], "entry 1 starts before the source"),
        ([span(0, 0), span(0, 48_000)], [], "entry 1 is empty"),
        ([span(9, 5)], [], "entry 1 is empty"),
        ([span(0, 16_000, rate_hz=16_000)], [], "entry 1 counts at 16000 Hz in a source of 48000"),
    ],
)
def test_what_does_not_tile_the_source_is_refused(
    spans: list[Span], skipped: list[Span], problem: str, source_of: SourceOf
) -> None:
    """An overlap, a gap or an entry outside is an error with its place."""
    with pytest.raises(UsageError, match=problem):
        stitched(source_of(48_000), said(*spans), skipped)
