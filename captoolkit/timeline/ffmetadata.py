r"""FFMETADATA: chapters as ffmpeg reads them, in milliseconds.

`=`, `;`, `#` and `\` have a backslash before them, which is ffmpeg's own escape; but a line whose
last character is a backslash goes on for ffmpeg, escaped or not, so there it is the full-width
twin. A title is the whole caption where that is short, else its beginning with `…` behind it. Notes
are comments.
"""

from __future__ import annotations

import re

from captoolkit.timeline.cues import Cue, cues, entry_title, loss_of_titles
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line

_SPECIAL = re.compile(r"[=;#\\]")
_AT_THE_END = re.compile(r"\\$")


def render(timeline: Timeline) -> str:
    """Return the timeline as chapters."""
    notes = (f"; {one_line(note)}\n" for note in timeline.notes)
    return "".join([";FFMETADATA1\n", *notes, *map(_chapter, cues(timeline))])


def losses(timeline: Timeline) -> list[str]:
    """Return what the titles leave out."""
    return loss_of_titles(timeline)


def _chapter(cue: Cue) -> str:
    title = _SPECIAL.sub(r"\\\g<0>", _AT_THE_END.sub("＼", entry_title(cue.entry)))
    times = f"START={cue.start_ms}\nEND={cue.end_ms}"
    return f"[CHAPTER]\nTIMEBASE=1/1000\n{times}\ntitle={title}\n"
