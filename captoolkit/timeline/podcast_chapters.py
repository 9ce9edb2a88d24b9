"""Podcasting 2.0 chapters: the JSON file that the tag `<podcast:chapters>` of a feed refers to.

Each entry is a chapter with its start and end in seconds. A title is the whole caption if that is
short, else its beginning, followed by `…`. There are no comments. Source:
github.com/Podcastindex-org/podcast-namespace, chapters/jsonChapters.md, version 1.2.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import PurePath

from captoolkit.support import exact_json
from captoolkit.timeline.cues import Cue, cues, entry_title, millisecond_losses, title_losses
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line

VERSION = "1.2.0"


def render(timeline: Timeline) -> str:
    """Return the timeline as chapters of a podcast episode."""
    return exact_json.render(
        {
            "version": VERSION,
            "fileName": one_line(PurePath(timeline.source.path).name),
            "chapters": list(map(_chapter, cues(timeline))),
        }
    )


def losses(timeline: Timeline) -> list[str]:
    """Return sentences on shortened titles and very short entries."""
    return [*title_losses(timeline), *millisecond_losses(timeline)]


def _chapter(cue: Cue) -> dict[str, object]:
    times = {"startTime": cue.start_ms, "endTime": cue.end_ms}
    seconds = {name: Decimal(time_ms) / 1000 for name, time_ms in times.items()}
    return {**seconds, "title": entry_title(cue.entry)}
