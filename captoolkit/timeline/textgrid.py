r"""Praat's TextGrid (long form): one tier of intervals from the first sample to the last.

A quote is doubled, which is Praat's own escape; a label is one line. A stretch without an entry is
an interval with an empty label. There are no comments. Praat has no grid of length zero, so a
recording without a sample has no intervals.
"""

from __future__ import annotations

from collections.abc import Iterator

from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import text_in_one_line
from captoolkit.units import format_seconds

TIER = "captions"


def render(timeline: Timeline) -> str:
    """Return the timeline as a TextGrid."""
    rate_hz, end = timeline.source.sample_rate_hz, timeline.source.duration_samples
    intervals = list(_intervals(timeline))
    length = format_seconds(end, rate_hz)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {length}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        f'        name = "{TIER}"',
        "        xmin = 0",
        f"        xmax = {length}",
        f"        intervals: size = {len(intervals)}",
    ]
    for number, (start, stop, text) in enumerate(intervals, 1):
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {format_seconds(start, rate_hz)}",
            f"            xmax = {format_seconds(stop, rate_hz)}",
            '            text = "{}"'.format(text.replace('"', '""')),
        ]
    return "\n".join(lines) + "\n"


def _intervals(timeline: Timeline) -> Iterator[tuple[int, int, str]]:
    """Start, end and label from the first sample to the last; gaps have empty labels."""
    reached = 0
    for entry in timeline.entries:
        span = entry.source_span
        if span.start_samples > reached:
            yield reached, span.start_samples, ""
        yield span.start_samples, span.end_samples, text_in_one_line(entry)
        reached = span.end_samples
    if reached < timeline.source.duration_samples:
        yield reached, timeline.source.duration_samples, ""
