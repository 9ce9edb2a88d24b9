r"""CSV after RFC 4180: a header, a row for each entry, lines that end in CRLF.

Line ends inside a text stay. A spreadsheet would run a text that begins with `=`, `+`, `-` or `@`
as a formula, so captoolkit writes a space before it.
"""

from __future__ import annotations

import csv
import io

from captoolkit.model import Entry
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import plain
from captoolkit.units import format_seconds

HEADER = (
    "index",
    "start_s",
    "end_s",
    "status",
    "text",
    "error",
    "finish_reason",
    "request_id",
    "details",
)
FORMULA_STARTS = ("=", "+", "-", "@")


def render(timeline: Timeline) -> str:
    """Return the timeline as CSV."""
    table = io.StringIO(newline="")
    rows = csv.writer(table, lineterminator="\r\n")
    rows.writerow(HEADER)
    rows.writerows(map(_row, timeline.entries))
    return table.getvalue()


def _row(entry: Entry) -> list[str]:
    span = entry.source_span
    times = (format_seconds(n, span.rate_hz) for n in (span.start_samples, span.end_samples))
    words = (entry.text, entry.error, entry.finish_reason, entry.request_id, entry.details)
    return [str(entry.index), *times, entry.status.value, *(_cell(word or "") for word in words)]


def _cell(text: str) -> str:
    shown = plain(text)
    return f" {shown}" if shown.startswith(FORMULA_STARTS) else shown
