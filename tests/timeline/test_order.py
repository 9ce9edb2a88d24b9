from __future__ import annotations

from dataclasses import replace

import pytest

from captoolkit.errors import UsageError
from captoolkit.model import Entry
from captoolkit.timeline.order import (
    find_fault,
    find_fault_and_place,
    find_gap,
    refuse_disorder,
)
from tests.support.timelines import RATE_HZ, TimelineOf, source_of


def moved(entry: Entry, start_samples: int, end_samples: int, rate_hz: int = RATE_HZ) -> Entry:
    """The entry over another span."""
    span = replace(
        entry.source_span, start_samples=start_samples, end_samples=end_samples, rate_hz=rate_hz
    )
    return replace(entry, source_span=span)


@pytest.mark.parametrize(
    ("start", "end", "rate_hz", "fault"),
    [
        (47_999, 96_000, RATE_HZ, "entry 2 starts at 0.999979 s, before the end of the previous"),
        (48_000, 48_000, RATE_HZ, "entry 2 is empty: from 1.000000 s to 1.000000 s"),
        (48_000, 96_001, RATE_HZ, "entry 2 ends at 2.000021 s, after the end of the source"),
        (-1, 96_000, RATE_HZ, "entry 2 starts before the source"),
        (48_000, 96_000, 44_100, "entry 2 counts at 44100 Hz in a source of 48000 Hz"),
    ],
)
def test_the_first_entry_out_of_order_is_named(
    start: int, end: int, rate_hz: int, fault: str, timeline_of: TimelineOf
) -> None:
    """The description names the entry and its fault, and the position counts from 0."""
    timeline = timeline_of("One.", "Two.")
    entries = (timeline.entries[0], moved(timeline.entries[1], start, end, rate_hz))
    description, place = find_fault_and_place(entries, source=timeline.source)
    assert description.startswith(fault)
    assert place == 1
    assert find_fault(entries, source=timeline.source) == description
    with pytest.raises(UsageError, match="let stitch"):
        refuse_disorder(replace(timeline, entries=entries))


def test_a_gap_is_in_order_and_is_found_separately(timeline_of: TimelineOf) -> None:
    """Gaps at the beginning, between entries and at the end are described with their times."""
    timeline = timeline_of("One.", "Two.", "Three.")
    for kept, gap in [
        (timeline.entries[1:], "between 0.000000 s and 1.000000 s"),
        (timeline.entries[::2], "between 1.000000 s and 2.000000 s"),
        (timeline.entries[:2], "between 2.000000 s and 3.000000 s"),
    ]:
        assert find_fault(kept, source=timeline.source) == ""
        assert find_gap(kept, source=timeline.source).endswith(gap)
    assert find_gap(timeline.entries, source=timeline.source) == ""


def test_no_entries_are_in_order() -> None:
    """An empty timeline has no fault; its whole recording is a gap."""
    assert find_fault((), source=source_of(48_000)) == ""
    assert find_gap((), source=source_of(48_000)).endswith("0.000000 s and 1.000000 s")
