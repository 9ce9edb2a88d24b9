"""WebVTT: numbered cues, `HH:MM:SS.mmm` with as many hours as there are.

`&`, `<` and `>` are written as WebVTT's own escapes, which also means that no `-->` can appear in
text. An empty line would end the cue, so a paragraph becomes a line, as `cues.cue_lines` says.
"""

from __future__ import annotations

from captoolkit.model import Timeline
from captoolkit.timeline.cues import Cue, cue_lines, cues, stamp

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(timeline: Timeline) -> str:
    """Return the timeline as WebVTT."""
    blocks = (_block(number, cue) for number, cue in enumerate(cues(timeline), 1))
    return "\n".join(["WEBVTT\n", *blocks])


def _block(number: int, cue: Cue) -> str:
    times = f"{stamp(cue.start_ms, mark='.')} --> {stamp(cue.end_ms, mark='.')}"
    lines = (line.translate(_ESCAPES) for line in cue_lines(cue.entry))
    return "\n".join([str(number), times, *lines, ""])
