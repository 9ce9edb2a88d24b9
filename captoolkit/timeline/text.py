"""Plain text (TXT): the times of each entry in brackets, below them what it says.

Nothing is escaped, because nothing reads this but people. Paragraphs keep a blank line between
them; several blank lines are one.
"""

from __future__ import annotations

from captoolkit.timeline.cues import Cue, cues
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import said


def render(timeline: Timeline) -> str:
    """Return the timeline as plain text."""
    return "\n".join(_block(cue) for cue in cues(timeline))


def _block(cue: Cue) -> str:
    return f"[{cue.times}]\n{said(cue.entry)}\n"
