"""LRC: lines with the time at which a player shows them, as for lyrics.

Times are `[mm:ss.xx]`, in hundredths of a second, with as many digits for the minutes as they need.
A line lasts until the next one, so an empty line ends an entry before a gap. A caption is one line.
A text that a player would take for a time has its full-width twin: the bracket before a time or at
the beginning of a caption. There is no comment; notes are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from captoolkit.model import Entry
from captoolkit.timeline.cues import short_entry_losses, ticks
from captoolkit.timeline.markers import source_name
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line, text_in_one_line
from captoolkit.units import format_clock

TICKS_HZ = 100
PROGRAM = "captoolkit"
_TWINS = str.maketrans("[<", "［＜")
_TIME_MARK = re.compile(r"^\[|[\[<](?=\d+:\d)")


def render(timeline: Timeline) -> str:
    """Return the timeline as LRC."""
    length_s = timeline.source.duration_samples // timeline.source.sample_rate_hz
    head = [
        f"[ti:{one_line(source_name(timeline.source)).replace(']', '］')}]\n",
        f"[length:{format_clock(length_s)}]\n",
        f"[re:{PROGRAM}]\n",
    ]
    return "".join([*head, *_lines(timeline)])


def losses(timeline: Timeline) -> list[str]:
    """Return a sentence on very short entries."""
    return short_entry_losses(timeline, TICKS_HZ, unit="hundredth of a second")


def _lines(timeline: Timeline) -> Iterator[str]:
    reached = 0
    for start, end, entry in ticks(timeline, TICKS_HZ):
        if start > reached > 0:
            yield f"{_time(reached)}\n"
        yield f"{_time(start)}{_text(entry)}\n"
        reached = end
    if reached:
        yield f"{_time(reached)}\n"


def _text(entry: Entry) -> str:
    text = text_in_one_line(entry)
    return _TIME_MARK.sub(lambda found: found[0].translate(_TWINS), text)


def _time(hundredths: int) -> str:
    minutes, rest = divmod(hundredths, 60 * TICKS_HZ)
    second, part = divmod(rest, TICKS_HZ)
    return f"[{minutes:02d}:{second:02d}.{part:02d}]"
