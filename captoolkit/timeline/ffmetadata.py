r"""FFMETADATA: chapters in ffmpeg's own text format, in milliseconds.

`=`, `;`, `#` and `\` get a backslash before them, which is ffmpeg's own escape. A backslash at the
end of a line continues the line in ffmpeg, escaped or not, so there it is replaced by its
full-width twin. A title is the whole caption if that is short, else its beginning, followed by `…`.
Notes are comments.
"""

from __future__ import annotations

import re

from captoolkit.model import Entry
from captoolkit.timeline.cues import Cue, cues, entry_title, millisecond_losses, title_losses
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line

_SPECIAL = re.compile(r"[=;#\\]")
_AT_THE_END = re.compile(r"\\$")


def render(timeline: Timeline) -> str:
    """Return the timeline as chapters."""
    notes = (f"; {one_line(note)}\n" for note in timeline.notes)
    return "".join([";FFMETADATA1\n", *notes, *map(_chapter, cues(timeline))])


def losses(timeline: Timeline) -> list[str]:
    """Return sentences on shortened titles and very short entries."""
    return [*title_losses(timeline), *millisecond_losses(timeline)]


def chapter_title(entry: Entry) -> str:
    """Return the title of an entry as ffmpeg reads it."""
    return _AT_THE_END.sub("＼", entry_title(entry))


def _chapter(cue: Cue) -> str:
    title = _SPECIAL.sub(r"\\\g<0>", chapter_title(cue.entry))
    times = f"START={cue.start_ms}\nEND={cue.end_ms}"
    return f"[CHAPTER]\nTIMEBASE=1/1000\n{times}\ntitle={title}\n"
