"""Join entries on the source's clock into one timeline.

Rules: every sample of the source belongs to exactly one entry. A stretch that was skipped becomes a
silent entry, a segment whose request failed is a failed entry, and a stretch without either is an
error, because a reader could not distinguish it from silence. No entry is moved, merged or cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from captoolkit.errors import UsageError
from captoolkit.model import CaptionerInfo, Cost, Entry, Envelope, SourceInfo, Span, Status
from captoolkit.support.provenance import Provenance
from captoolkit.timeline.order import find_fault, find_gap
from captoolkit.timeline.value import Timeline


def stitch(
    *,
    source: SourceInfo,
    captioner: CaptionerInfo,
    entries: Iterable[Entry],
    skipped: Iterable[Span] = (),
    cost: Cost | None = None,
    made_by: Provenance | None = None,
    modified_ns: int | None = None,
    envelope: Envelope | None = None,
) -> Timeline:
    """Return one timeline over the whole source, entries in time order and numbered from 1.

    Args:
        source: the recording; its clock is the timeline's.
        captioner: the captioner that gave the answers.
        entries: one for each segment, in any order and with any numbers.
        skipped: the silent stretches that were not sent to the captioner.
        cost: the price of the answers, None if unknown.
        made_by: the verb and options of the run, None if unknown.
        modified_ns: when the source was last changed, None if it was no file.
        envelope: the levels of the recording, None if they were not measured.

    Raises:
        UsageError: the spans overlap, leave a gap, lie outside the source or count at another rate.
    """
    silences = [Entry(index=0, source_span=span, status=Status.SILENT) for span in skipped]
    ordered = sorted([*entries, *silences], key=lambda entry: entry.source_span)
    fault = find_fault(ordered, source=source) or find_gap(ordered, source=source)
    if fault:
        raise UsageError(fault, fix="cover each sample of the source once, by an entry or skipped")
    numbered = tuple(replace(entry, index=index) for index, entry in enumerate(ordered, 1))
    return Timeline(
        source=source,
        captioner=captioner,
        entries=numbered,
        cost=cost,
        made_by=made_by,
        modified_ns=modified_ns,
        envelope=envelope,
    )
