"""Whether the entries of a timeline are in order: one after the other, inside the source.

Rules: entries count samples at the source's rate, are not empty, do not overlap, and lie inside the
source. Gaps between entries are allowed here; `stitch` refuses them. Every function reports the
first entry that breaks a rule and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from captoolkit.errors import UsageError
from captoolkit.model import Entry, SourceInfo, Span
from captoolkit.units import format_seconds

if TYPE_CHECKING:
    from captoolkit.timeline.value import Timeline


def refuse_disorder(timeline: Timeline) -> None:
    """Raise an error if the entries of a timeline are out of order.

    Raises:
        UsageError: an entry breaks a rule of this module; the message names it.
    """
    fault = find_fault(timeline.entries, source=timeline.source)
    if fault:
        raise UsageError(fault, fix="let stitch() put the entries in order")


def find_fault(entries: Sequence[Entry], *, source: SourceInfo) -> str:
    """Return a description of the first entry out of order, or an empty text."""
    return find_fault_and_place(entries, source=source)[0]


def find_fault_and_place(entries: Sequence[Entry], *, source: SourceInfo) -> tuple[str, int]:
    """Return the same description and the position of that entry, counted from 0."""
    reached_samples = 0
    for place, entry in enumerate(entries):
        fault = _fault_of(entry.source_span, reached_samples, source)
        if fault:
            return f"entry {place + 1} {fault}", place
        reached_samples = entry.source_span.end_samples
    return "", 0


def find_gap(entries: Sequence[Entry], *, source: SourceInfo) -> str:
    """Return a description of the first stretch of the source without an entry, or an empty text.

    Args:
        entries: in order, as `find_fault` checks it.
        source: the recording that the entries should cover.
    """
    ends = [0, *(entry.source_span.end_samples for entry in entries)]
    starts = [*(entry.source_span.start_samples for entry in entries), source.duration_samples]
    for end, start in zip(ends, starts, strict=True):
        if start != end:
            from_s, to_s = (format_seconds(n, source.sample_rate_hz) for n in (end, start))
            return f"no entry covers the stretch between {from_s} s and {to_s} s"
    return ""


def _fault_of(span: Span, reached_samples: int, source: SourceInfo) -> str:
    if span.rate_hz != source.sample_rate_hz:
        return f"counts at {span.rate_hz} Hz in a source of {source.sample_rate_hz} Hz"
    if span.start_samples < 0:
        return "starts before the source does"
    start, end, reached, length = (
        format_seconds(samples, span.rate_hz)
        for samples in (
            span.start_samples,
            span.end_samples,
            reached_samples,
            source.duration_samples,
        )
    )
    if span.samples <= 0:
        return f"is empty: from {start} s to {end} s"
    if span.start_samples < reached_samples:
        return f"starts at {start} s, before the end of the previous entry at {reached} s"
    if span.end_samples > source.duration_samples:
        return f"ends at {end} s, after the end of the source at {length} s"
    return ""
