"""Entries as cues: times in whole milliseconds, and lines that keep a cue in one piece.

Rules: a time is rounded once, here, to the nearest millisecond (or frame, or whatever the format
counts). Cues never overlap, never go backwards and always last at least one: an entry too short for
that is given its millisecond, and the cue after it starts where it ends. No time is ever clamped;
hours have as many digits as needed. Long lines are broken as subtitles are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from captoolkit.model import Entry
from captoolkit.timeline.breaking import MORE, title, wrapped
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import paragraphs, said_in_one_line
from captoolkit.units import format_clock, samples_at

_NUMBER_ALONE = re.compile(r"-?\d+\.?\d*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One entry with the times it is shown at, half open, on the source's clock."""

    start_ms: int
    end_ms: int
    entry: Entry

    @property
    def times(self) -> str:
        """Both times as a person reads them: `0:30.000 - 1:00.000`."""
        return " - ".join(
            format_clock(Fraction(time_ms, 1000), decimals=3)
            for time_ms in (self.start_ms, self.end_ms)
        )


def ticks(timeline: Timeline, ticks_hz: int | Fraction) -> Iterator[tuple[int, int, Entry]]:
    """Yield start and end of each entry on a clock of so many ticks a second, in time order."""
    shown = 0
    for entry in timeline.entries:
        span = entry.source_span
        start, end = (
            samples_at(Fraction(samples, span.rate_hz), ticks_hz)
            for samples in (span.start_samples, span.end_samples)
        )
        start = max(shown, start)
        shown = max(start + 1, end)
        yield start, shown, entry


def cues(timeline: Timeline) -> Iterator[Cue]:
    """Yield one cue for each entry, in time order."""
    for start_ms, end_ms, entry in ticks(timeline, 1000):
        yield Cue(start_ms=start_ms, end_ms=end_ms, entry=entry)


def stamp(time_ms: int, *, mark: str) -> str:
    """Return `HH:MM:SS` and milliseconds after `mark`, as subtitles write it.

    ```python
    >>> stamp(3_661_500, mark=","), stamp(360_000_000, mark=".")
    ('01:01:01,500', '100:00:00.000')

    ```
    """
    seconds, millisecond = divmod(time_ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}{mark}{millisecond:03d}"


def cue_lines(entry: Entry) -> list[str]:
    r"""Return the lines of a subtitle cue: none is blank, none but the first is only a number.

    A blank line would end the cue, so a new paragraph is just a new line here. A line that holds
    only a number is taken for the next cue's number by many readers, so it joins the line above.

    ```python
    >>> from captoolkit.model import Span, Status
    >>> span = Span(start_samples=0, end_samples=1, rate_hz=1)
    >>> text = "They count:\n\n42\n\nApplause."
    >>> cue_lines(Entry(index=1, source_span=span, status=Status.OK, text=text))
    ['They count: 42', 'Applause.']

    ```
    """
    said = (part for lines in paragraphs(entry) for line in lines for part in wrapped(line))
    lines: list[str] = []
    for line in said:
        if lines and _NUMBER_ALONE.fullmatch(line):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return lines


def entry_title(entry: Entry) -> str:
    """Return what an entry says as a title; where that is not all of it, it ends in `…`."""
    return title(said_in_one_line(entry))


def hours_over(timeline: Timeline, hours: int) -> bool:
    """Return whether the timeline goes past so many hours."""
    return any(end > hours * 3600 for _, end, _ in ticks(timeline, 1))


def loss_of_titles(timeline: Timeline) -> list[str]:
    """Return a sentence on the titles that are not all of their caption; none where all are."""
    cut = sum(entry_title(entry) != said_in_one_line(entry) for entry in timeline.entries)
    if not cut:
        return []
    return [
        f"{cut} of {len(timeline.entries)} titles are only the beginning of a caption, with {MORE}."
    ]
