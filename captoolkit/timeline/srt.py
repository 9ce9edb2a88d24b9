r"""SubRip (SRT): numbered cues, `HH:MM:SS,mmm`, text to the next blank line.

SRT has no written standard and no escape. What its readers would take for something else than text
is therefore written so that it looks the same and NFKC turns it back: the character that makes
`-->`, a tag (`<b>`, `{b}`) or a line break (`\N`) is replaced by its full-width twin, and only
there. Two times in one line are taken for a cue's times even without an arrow, so the line is
broken before the second. A paragraph becomes a line, as `cues.cue_lines` says. There are no
comments, so notes are not in it.
"""

from __future__ import annotations

import re
from itertools import pairwise

from captoolkit.timeline.cues import Cue, cue_lines, cues, hours_over, stamp
from captoolkit.timeline.value import Timeline

_TWINS = str.maketrans("<>{}\\", "＜＞｛｝＼")
_MARKUP = re.compile(r"-->|<(?=\s*/?\s*[A-Za-z])|[{}]|\\(?=[Nnh])")
MOST_HOURS = 100
_TIME = re.compile(r"\d{1,2}:\d{1,2}:\d{1,2}[.,]\d{1,3}")


def render(timeline: Timeline) -> str:
    """Return the timeline as SRT."""
    return "\n".join(_block(number, cue) for number, cue in enumerate(cues(timeline), 1))


def losses(timeline: Timeline) -> list[str]:
    """Return which players will not read the times."""
    if not hours_over(timeline, MOST_HOURS):
        return []
    return ["Past 99:59:59 the hour has three digits, which many players do not read."]


def _block(number: int, cue: Cue) -> str:
    times = f"{stamp(cue.start_ms, mark=',')} --> {stamp(cue.end_ms, mark=',')}"
    lines = (_one_time_a_line(defused(line)) for line in cue_lines(cue.entry))
    return "\n".join([str(number), times, *lines, ""])


def defused(line: str) -> str:
    """Return a line in which nothing is taken for markup: it looks the same, and NFKC undoes it."""
    return _MARKUP.sub(lambda found: found[0].translate(_TWINS), line)


def _one_time_a_line(line: str) -> str:
    starts = [found.start() for found in _TIME.finditer(line)][1:]
    edges = [0, *starts, len(line)]
    return "\n".join(line[a:b].strip() for a, b in pairwise(edges))
