r"""Audacity's label track: start, end and text of each entry, separated by tabs.

A label is one line; paragraphs and line ends become spaces. There are no comments.
"""

from __future__ import annotations

from captoolkit.model import Entry
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import text_in_one_line
from captoolkit.units import format_seconds


def render(timeline: Timeline) -> str:
    """Return the timeline as a label track."""
    return "".join(map(_label, timeline.entries))


def _label(entry: Entry) -> str:
    span = entry.source_span
    times = (format_seconds(n, span.rate_hz) for n in (span.start_samples, span.end_samples))
    return "\t".join([*times, text_in_one_line(entry)]) + "\n"
