"""WebVTT: numbered cues, `HH:MM:SS.mmm` with as many hours as there are.

`&`, `<` and `>` are written as WebVTT's own escapes, which also means that no `-->` can appear in
text. An empty line would end the cue, so a paragraph becomes a line, as `cues.cue_lines` says.
Notes are NOTE blocks. WebVTT allows more than two digits for the hour; some players do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from captoolkit.timeline.cues import Cue, cue_lines, cues, hours_over, stamp
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
MOST_HOURS = 100


def render(timeline: Timeline) -> str:
    """Return the timeline as WebVTT."""
    return file(((cue, cue_lines(cue.entry)) for cue in cues(timeline)), notes=timeline.notes)


def losses(timeline: Timeline) -> list[str]:
    """Return which players will not read the times."""
    if not hours_over(timeline, MOST_HOURS):
        return []
    return ["Past 99:59:59 the hour has three digits, which some players do not read."]


def file(said: Iterable[tuple[Cue, Sequence[str]]], *, notes: Sequence[str] = ()) -> str:
    """Return a WebVTT file with these cues and their lines, none of which is blank."""
    remarks = (f"NOTE {_escaped(one_line(note))}\n" for note in notes)
    blocks = (_block(number, cue, lines) for number, (cue, lines) in enumerate(said, 1))
    return "\n".join(["WEBVTT\n", *remarks, *blocks])


def _block(number: int, cue: Cue, lines: Sequence[str]) -> str:
    times = f"{stamp(cue.start_ms, mark='.')} --> {stamp(cue.end_ms, mark='.')}"
    return "\n".join([str(number), times, *map(_escaped, lines), ""])


def _escaped(line: str) -> str:
    return line.translate(_ESCAPES)
