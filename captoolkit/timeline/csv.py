r"""CSV after RFC 4180: a header, a row for each entry, lines that end in CRLF.

The file begins with a byte order mark by default, because Excel reads a file without one in the
code page of its system. Line ends inside a text stay. A spreadsheet would run a text that begins
with `=`, `+`, `-` or `@`, or with their full-width forms, as a formula, also behind line ends, so
captoolkit writes a space before it.
"""

from __future__ import annotations

import csv
import io
import re

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
BYTE_ORDER_MARK = "\ufeff"
_FORMULA_START = re.compile(r"[\n=+\-@＝＋－＠]")  # source: OWASP, CSV Injection


def render(timeline: Timeline, *, csv_bom: bool = True) -> str:
    """Return the timeline as CSV, with a byte order mark unless `csv_bom` is False."""
    table = io.StringIO(newline="")
    if csv_bom:
        table.write(BYTE_ORDER_MARK)
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
    return f" {shown}" if _FORMULA_START.match(shown) else shown
