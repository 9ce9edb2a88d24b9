"""WebVTT chapters: one for each entry, its title on one line.

A title is the whole caption if that is short, else its beginning, followed by `…`. A title with two
time stamps has two lines (see `cues.one_time_per_line`).
"""

from __future__ import annotations

from captoolkit.timeline import vtt
from captoolkit.timeline.cues import cues, entry_title, title_losses
from captoolkit.timeline.value import Timeline


def render(timeline: Timeline) -> str:
    """Return the timeline as WebVTT chapters."""
    return vtt.render_cues((cue, [entry_title(cue.entry)]) for cue in cues(timeline))


def losses(timeline: Timeline) -> list[str]:
    """Return sentences on shortened titles and on hours that some players do not read."""
    return [*title_losses(timeline), *vtt.losses(timeline)]
