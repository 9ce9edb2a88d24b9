r"""SubRip (SRT): numbered cues, `HH:MM:SS,mmm`, text to the next blank line.

SRT has no written standard and no escape. A character that its readers would interpret is replaced
by its full-width twin, which looks the same and which NFKC turns back: the character that makes
`-->`, a tag (`<b>`, `{b}`) or a line break (`\N`), and only there. Readers take two times in one
line for the times of a cue even without an arrow, so the line is broken before the second. A
paragraph becomes a line (see `cues.cue_lines`). There are no comments, so notes are left out.
"""

from __future__ import annotations

import re

from captoolkit.model import Entry
from captoolkit.timeline.cues import (
    Cue,
    cue_lines,
    cues,
    exceeds_hours,
    millisecond_losses,
    one_time_per_line,
    timestamp,
)
from captoolkit.timeline.value import Timeline

_TWINS = str.maketrans("<>{}\\", "＜＞｛｝＼")
_MARKUP = re.compile(r"-->|<(?=\s*/?\s*[A-Za-z])|[{}]|\\(?=[Nnh])")
MOST_HOURS = 100


def render(timeline: Timeline) -> str:
    """Return the timeline as SRT."""
    return "\n".join(_block(number, cue) for number, cue in enumerate(cues(timeline), 1))


def losses(timeline: Timeline) -> list[str]:
    """Return sentences on very short entries and on hours that many players do not read."""
    short = millisecond_losses(timeline)
    if not exceeds_hours(timeline, MOST_HOURS):
        return short
    return [*short, "After 99:59:59 the hours have three digits, which many players do not read."]


def _block(number: int, cue: Cue) -> str:
    times = f"{timestamp(cue.start_ms, mark=',')} --> {timestamp(cue.end_ms, mark=',')}"
    return "\n".join([str(number), times, cue_text(cue.entry), ""])


def cue_text(entry: Entry) -> str:
    """Return the text of an entry as the lines of a cue."""
    lines = map(without_markup, cue_lines(entry))
    return "\n".join(part for line in lines for part in one_time_per_line(line))


def without_markup(line: str) -> str:
    """Return a line with full-width twins for markup: it looks the same, and NFKC undoes it."""
    return _MARKUP.sub(lambda found: found[0].translate(_TWINS), line)
