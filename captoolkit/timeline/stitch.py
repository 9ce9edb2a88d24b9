"""Entries that lie on the source's clock, put together into one timeline.

Rules: every sample of the source belongs to exactly one entry. What was left out on purpose is a
silent entry, what failed is a failed one; a stretch that nobody accounts for is an error, because
a reader could not tell it from silence. Nothing is moved, merged or cut to fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Cost, Entry, SourceInfo, Span, Status
from captoolkit.timeline.value import Timeline
from captoolkit.units import format_seconds


def stitch(
    *,
    source: SourceInfo,
    captioner: CaptionerInfo,
    entries: Iterable[Entry],
    skipped: Iterable[Span] = (),
    cost: Cost | None = None,
) -> Timeline:
    """Return one timeline over the whole source, entries in time order and numbered from 1.

    Args:
        source: the recording; its clock is the timeline's.
        captioner: who was asked.
        entries: what came of each segment, in any order, numbered in any way.
        skipped: stretches that were never asked about because they are quiet.
        cost: what the answers cost, None when nobody says.

    Raises:
        UsageError: the spans overlap, leave a gap, lie outside the source or on another clock.
    """
    silences = [Entry(index=0, source_span=span, status=Status.SILENT) for span in skipped]
    ordered = sorted([*entries, *silences], key=lambda entry: entry.source_span)
    fault = find_fault(ordered, source=source) or _find_gap(ordered, source=source)
    if fault:
        raise UsageError(fault, fix="cover each sample of the source once, by an entry or skipped")
    numbered = tuple(replace(entry, index=index) for index, entry in enumerate(ordered, 1))
    return Timeline(source=source, captioner=captioner, entries=numbered, cost=cost)


def refuse_disorder(timeline: Timeline) -> None:
    """Raise `UsageError` where an entry is out of place, in the words of `find_fault`."""
    fault = find_fault(timeline.entries, source=timeline.source)
    if fault:
        raise UsageError(fault, fix="let stitch() put the entries in order")


def find_fault(entries: Sequence[Entry], *, source: SourceInfo) -> str:
    """Return what is wrong with the first entry out of place, or an empty text.

    In place is: on the source's clock, not empty, after the entry before it, inside the source.
    """
    return find_fault_and_place(entries, source=source)[0]


def find_fault_and_place(entries: Sequence[Entry], *, source: SourceInfo) -> tuple[str, int]:
    """Return what `find_fault` does, and the place of that entry from 0."""
    reached_samples = 0
    for place, entry in enumerate(entries):
        fault = _fault_of(entry.source_span, reached_samples, source)
        if fault:
            return f"entry {place + 1} {fault}", place
        reached_samples = entry.source_span.end_samples
    return "", 0


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
        return f"starts at {start} s, before the end of the one before it at {reached} s"
    if span.end_samples > source.duration_samples:
        return f"ends at {end} s, after the end of the source at {length} s"
    return ""


def _find_gap(entries: Sequence[Entry], *, source: SourceInfo) -> str:
    ends = [0, *(entry.source_span.end_samples for entry in entries)]
    starts = [*(entry.source_span.start_samples for entry in entries), source.duration_samples]
    for end, start in zip(ends, starts, strict=True):
        if start != end:
            from_s, to_s = (format_seconds(n, source.sample_rate_hz) for n in (end, start))
            return f"no entry says what lies between {from_s} s and {to_s} s"
    return ""
