"""WebVTT: numbered cues, `HH:MM:SS.mmm` with as many digits for the hours as they need.

`&`, `<` and `>` are written with WebVTT's own escapes, so text cannot contain `-->`. An empty line
would end the cue, so a paragraph becomes a line (see `cues.cue_lines`), and a line with two time
stamps becomes two (see `cues.one_time_per_line`). Notes are NOTE blocks.
WebVTT allows more than two digits for the hours; some players do not read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
from captoolkit.timeline.wording import one_line

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
MOST_HOURS = 100


def render(timeline: Timeline) -> str:
    """Return the timeline as WebVTT."""
    cues_and_lines = ((cue, cue_lines(cue.entry)) for cue in cues(timeline))
    return render_cues(cues_and_lines, notes=timeline.notes)


def losses(timeline: Timeline) -> list[str]:
    """Return sentences on very short entries and on hours that some players do not read."""
    short = millisecond_losses(timeline)
    if not exceeds_hours(timeline, MOST_HOURS):
        return short
    return [*short, "After 99:59:59 the hours have three digits, which some players do not read."]


def render_cues(
    cues_and_lines: Iterable[tuple[Cue, Sequence[str]]], *, notes: Sequence[str] = ()
) -> str:
    """Return the text of a WebVTT file with these cues; none of their lines may be blank."""
    comments = (f"NOTE {_escaped(one_line(note))}\n" for note in notes)
    blocks = (_block(number, cue, lines) for number, (cue, lines) in enumerate(cues_and_lines, 1))
    return "\n".join(["WEBVTT\n", *comments, *blocks])


def _block(number: int, cue: Cue, lines: Sequence[str]) -> str:
    times = f"{timestamp(cue.start_ms, mark='.')} --> {timestamp(cue.end_ms, mark='.')}"
    return "\n".join([str(number), times, _cue_text(lines), ""])


def cue_text(entry: Entry) -> str:
    """Return the text of an entry as the escaped lines of a cue."""
    return _cue_text(cue_lines(entry))


def _cue_text(lines: Iterable[str]) -> str:
    return "\n".join(_escaped(part) for line in lines for part in one_time_per_line(line))


def _escaped(line: str) -> str:
    return line.translate(_ESCAPES)
