"""Plain text (TXT): the times of each entry in brackets, and its text below them.

Nothing is escaped, because only people read this format. Paragraphs keep one blank line between
them.
"""

from __future__ import annotations

from captoolkit.timeline.cues import cues, millisecond_losses
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import full_text


def render(timeline: Timeline) -> str:
    """Return the timeline as plain text."""
    return "\n".join(f"[{cue.times}]\n{full_text(cue.entry)}\n" for cue in cues(timeline))


def losses(timeline: Timeline) -> list[str]:
    """Return a sentence on very short entries."""
    return millisecond_losses(timeline)
