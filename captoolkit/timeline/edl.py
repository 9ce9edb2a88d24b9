r"""CMX3600 EDL with markers as DaVinci Resolve writes and reads them.

Each entry is an event of one frame with its marker on the line below: note, colour, name, length
in frames. Resolve begins a timeline at 01:00:00:00 unless told otherwise, so that is where the
recording begins here. A timecode ends at 24 h: a timeline longer than 23 h is refused. `|` would
end a field, so it is written as its full-width twin. A comment would become part of a marker, so
the frame rate is in the title and notes are not in it. An event's number has three digits, so more
than 999 events are told.
"""

from __future__ import annotations

from fractions import Fraction

from captoolkit.errors import UsageError
from captoolkit.model import Entry
from captoolkit.timeline import marking
from captoolkit.timeline.breaking import title
from captoolkit.timeline.cues import Cue, cues, entry_title, ticks
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line

START_HOURS = 1
MOST_HOURS = 24 - START_HOURS
MOST_EVENTS = 999
TITLE_COLUMNS = 60


def render(timeline: Timeline, *, frame_rate: Fraction | float | None = None) -> str:
    """Return the timeline as markers in an EDL.

    Raises:
        UsageError: it is longer than a timecode, or the frame rate cannot be.
    """
    count = marking.frames(frame_rate)
    first = START_HOURS * 3600 * count.nominal
    name = title(one_line(marking.stem(timeline.source)), width=TITLE_COLUMNS)
    lines = [
        f"TITLE: {_field(name)}, {count.name} fps",
        "FCM: NON-DROP FRAME",
    ]
    events = zip(ticks(timeline, count.rate), cues(timeline), strict=True)
    for number, ((start, end, entry), cue) in enumerate(events, 1):
        if first + end > 24 * 3600 * count.nominal:
            raise UsageError(
                f"entry {entry.index} ends at {cue.times.split(' - ')[1]}: an EDL that begins at "
                f"01:00:00:00 has no timecode past {MOST_HOURS} h",
                fix="export a slice of the timeline, or use otio or fcpxml",
            )
        lines += ["", *_event(number, first + start, end - start, count, entry, cue)]
    return "\n".join(lines) + "\n"


def check(*, frame_rate: Fraction | float | None = None) -> None:
    """Raise `UsageError` for a frame rate that cannot be."""
    marking.frames(frame_rate)


def losses(timeline: Timeline, *, frame_rate: Fraction | float | None = None) -> list[str]:
    """Return how times are rounded, and what some readers do not take."""
    many = f"There are more than {MOST_EVENTS} events, which some readers do not take."
    return [
        marking.rounding_note(marking.frames(frame_rate)),
        "The recording begins at 01:00:00:00, as timelines in DaVinci Resolve do.",
        *([many] if len(timeline.entries) > MOST_EVENTS else []),
    ]


def _event(
    number: int, start: int, length: int, count: marking.Frames, entry: Entry, cue: Cue
) -> list[str]:
    times = f"{count.timecode(start)} {count.timecode(start + 1)}"
    note = _field(marking.note_of(entry, cue.times))
    marker = f"|C:ResolveColor{marking.COLOURS[entry.status]} |M:{_field(entry_title(entry))}"
    return [
        f"{number:03d}  AX       V     C        {times} {times}",
        f"{note} {marker} |D:{length}",
    ]


def _field(text: str) -> str:
    return text.replace("|", "｜")
