"""Entries as cues: times in whole milliseconds, and lines that keep a cue in one block.

Rules: a time is rounded once, here, to the nearest unit of the format (a millisecond, a frame, a
hundredth of a second). Cues do not overlap, never go backwards and last at least one unit: a
shorter entry is extended to one unit, and the next cue starts at its end. No time is clamped; hours
have as many digits as they need. Long lines are broken to the width of subtitles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from captoolkit.model import Entry
from captoolkit.timeline.breaking import MORE, shortened, wrapped
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import paragraphs, text_in_one_line
from captoolkit.units import format_clock, samples_at

_TIME = re.compile(r"\d{1,2}:\d{1,2}:\d{1,2}[.,]\d{1,3}")
_NUMBER_ALONE = re.compile(r"-?\d+\.?\d*")
TICKS_HZ = 1000  # of a cue


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One entry with its display times, half open, on the source's clock."""

    start_ms: int
    end_ms: int
    entry: Entry

    @property
    def times(self) -> str:
        """Both times for people: `0:30.000 - 1:00.000`."""
        return " - ".join(
            format_clock(Fraction(time_ms, 1000), decimals=3)
            for time_ms in (self.start_ms, self.end_ms)
        )


def ticks(timeline: Timeline, ticks_hz: int | Fraction) -> Iterator[tuple[int, int, Entry]]:
    """Yield start and end of each entry in ticks, `ticks_hz` of them a second, in time order."""
    reached = 0
    for entry in timeline.entries:
        span = entry.source_span
        start, end = (
            samples_at(Fraction(samples, span.rate_hz), ticks_hz)
            for samples in (span.start_samples, span.end_samples)
        )
        start = max(reached, start)
        reached = max(start + 1, end)
        yield start, reached, entry


def short_entry_losses(timeline: Timeline, ticks_hz: int | Fraction, *, unit: str) -> list[str]:
    """Return a sentence on the entries that `ticks` extends to one tick; an empty list if none."""
    short = sum(
        entry.source_span.samples * ticks_hz < entry.source_span.rate_hz
        for entry in timeline.entries
    )
    if not short:
        return []
    return [
        f"Entries shorter than one {unit}, which last one {unit} here and may delay the next: "
        f"{short} of {len(timeline.entries)}."
    ]


def millisecond_losses(timeline: Timeline) -> list[str]:
    """Return a sentence on the entries that `cues` extends to a millisecond."""
    return short_entry_losses(timeline, TICKS_HZ, unit="millisecond")


def cues(timeline: Timeline) -> Iterator[Cue]:
    """Yield one cue for each entry, in time order."""
    for start_ms, end_ms, entry in ticks(timeline, TICKS_HZ):
        yield Cue(start_ms=start_ms, end_ms=end_ms, entry=entry)


def timestamp(time_ms: int, *, mark: str) -> str:
    """Return a time as subtitles write it: `HH:MM:SS`, `mark`, milliseconds.

    ```python
    >>> timestamp(3_661_500, mark=","), timestamp(360_000_000, mark=".")
    ('01:01:01,500', '100:00:00.000')

    ```
    """
    seconds, millisecond = divmod(time_ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}{mark}{millisecond:03d}"


def cue_lines(entry: Entry) -> list[str]:
    r"""Return the lines of a subtitle cue: no line is blank, only the first may be a bare number.

    A blank line would end the cue, so a paragraph becomes a line. Many readers take a line with
    only a number for the number of the next cue, so such a line is joined to the one above.

    ```python
    >>> from captoolkit.model import Span, Status
    >>> span = Span(start_samples=0, end_samples=1, rate_hz=1)
    >>> text = "They count:\n\n42\n\nApplause."
    >>> cue_lines(Entry(index=1, source_span=span, status=Status.OK, text=text))
    ['They count: 42', 'Applause.']

    ```
    """
    shown = (part for lines in paragraphs(entry) for line in lines for part in wrapped(line))
    lines: list[str] = []
    for line in shown:
        if lines and _NUMBER_ALONE.fullmatch(line):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return lines


def one_time_per_line(line: str) -> list[str]:
    """Return a line broken before each time stamp but the first.

    Some readers take two time stamps in one line for the times of a cue, even without an arrow.

    ```python
    >>> one_time_per_line("from 00:00:01.000 until 00:00:02.500")
    ['from 00:00:01.000 until', '00:00:02.500']

    ```
    """
    starts = [found.start() for found in _TIME.finditer(line)][1:]
    edges = [0, *starts, len(line)]
    return [line[a:b].strip() for a, b in pairwise(edges)]


def entry_title(entry: Entry) -> str:
    """Return the text of an entry as a title; a shortened title ends in `…`."""
    return shortened(text_in_one_line(entry))


def exceeds_hours(timeline: Timeline, hours: int) -> bool:
    """Return whether a cue ends later than `hours` hours."""
    return any(end > hours * 3600 for _, end, _ in ticks(timeline, 1))


def title_losses(timeline: Timeline) -> list[str]:
    """Return a sentence on the titles that were shortened; an empty list if none were."""
    cut = sum(entry_title(entry) != text_in_one_line(entry) for entry in timeline.entries)
    if not cut:
        return []
    return [
        f"Titles that hold only the beginning of their caption and end in {MORE}: {cut} of "
        f"{len(timeline.entries)}."
    ]
