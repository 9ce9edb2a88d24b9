"""YouTube chapters: lines with a time and a title, for the description of a video.

A time is the whole second in which an entry begins. YouTube takes no angle brackets in a
description, so their full-width twins replace them. YouTube shows chapters only if the first one
begins at 0:00, there are three or more, and each lasts 10 seconds. So a chapter without a caption
stands before a late first entry; `losses` reports a list that YouTube ignores.
Source: support.google.com/youtube/answer/9884579.
"""

from __future__ import annotations

from captoolkit.timeline.cues import cues, entry_title, title_losses
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import BEFORE_FIRST
from captoolkit.units import format_clock

FEWEST = 3
SHORTEST_S = 10
MOST_CHARACTERS = 5000  # of a description
_TWINS = str.maketrans("<>", "＜＞")


def render(timeline: Timeline) -> str:
    """Return the timeline as lines of a description."""
    return "".join(f"{format_clock(start_s)} {title}\n" for start_s, title in _chapters(timeline))


def losses(timeline: Timeline) -> list[str]:
    """Return sentences on shortened titles and on the rules of YouTube that the list breaks."""
    shown, last = _chapters(timeline), list(cues(timeline))[-1:]
    starts = [start_s for start_s, _ in shown]
    ends = [*starts[1:], *(cue.end_ms // 1000 for cue in last)]
    short = sum(end - start < SHORTEST_S for start, end in zip(starts, ends, strict=True))
    characters = len(render(timeline))
    broken = [
        *([f"the list has {len(shown)} of at least {FEWEST}"] if len(shown) < FEWEST else []),
        *([f"shorter than {SHORTEST_S} s: {short:,} of {len(shown):,}"] if short else []),
        *([f"they fill {characters:,} characters"] if characters > MOST_CHARACTERS else []),
    ]
    return [
        *title_losses(timeline),
        *([f"YouTube does not show these chapters: {'; '.join(broken)}."] if broken else []),
    ]


def _chapters(timeline: Timeline) -> list[tuple[int, str]]:
    """The second in which each chapter begins, and its title."""
    chapters = [
        (cue.start_ms // 1000, entry_title(cue.entry).translate(_TWINS)) for cue in cues(timeline)
    ]
    is_late = bool(chapters) and chapters[0][0] > 0
    return [(0, BEFORE_FIRST), *chapters] if is_late else chapters
