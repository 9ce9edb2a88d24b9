"""WebVTT chapters: one for each entry, its title on a single line.

A title is the whole caption where that is short, else its beginning with `…` behind it.
"""

from __future__ import annotations

from captoolkit.timeline import vtt
from captoolkit.timeline.cues import cues, entry_title, loss_of_titles
from captoolkit.timeline.value import Timeline


def render(timeline: Timeline) -> str:
    """Return the timeline as WebVTT chapters."""
    return vtt.file((cue, [entry_title(cue.entry)]) for cue in cues(timeline))


def losses(timeline: Timeline) -> list[str]:
    """Return what the titles leave out, and which players will not read the times."""
    return [*loss_of_titles(timeline), *vtt.losses(timeline)]
