r"""CMX3600 EDL with markers, as DaVinci Resolve writes and reads them.

Each entry is an event of one frame, with its marker on the line below: note, colour, name, length
in frames. Timelines in Resolve begin at 01:00:00:00 by default, so the recording begins there. A
timecode ends at 24 h, so `render` refuses a timeline longer than 23 h (by a frame or more), and an
event in the last two frames before 24 h begins at the first of them. `|` would end a field and is
replaced by its full-width twin. A comment would become part of a marker, so the frame rate is in
the title and notes are left out. An event's number has three digits; `losses` reports more than
999 events.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Unpack

from captoolkit.errors import UsageError
from captoolkit.model import Entry
from captoolkit.timeline import markers
from captoolkit.timeline.breaking import shortened
from captoolkit.timeline.cues import Cue, cues, entry_title, ticks
from captoolkit.timeline.markers import FrameOptions, FrameRate
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line

START_HOURS = 1
MOST_HOURS = 24 - START_HOURS
MOST_EVENTS = 999
TITLE_COLUMNS = 60


def render(timeline: Timeline, **options: Unpack[FrameOptions]) -> str:
    """Return the timeline as markers in an EDL.

    Raises:
        UsageError: the timeline is longer than a timecode, or the frame rate is invalid.
    """
    rate = markers.read_frame_rate(**options)
    first = rate.frame_at_hour(START_HOURS)
    latest = rate.frame_at_hour(24) - 2  # an event ends one frame later, below 24:00:00:00
    name = shortened(one_line(markers.source_name(timeline.source)), width=TITLE_COLUMNS)
    lines = [
        f"TITLE: {_field(name)}, {rate.name} fps",
        f"FCM: {'DROP FRAME' if rate.is_drop_frame else 'NON-DROP FRAME'}",
    ]
    events = zip(ticks(timeline, rate.frames_per_s), cues(timeline), strict=True)
    for number, ((start, end, entry), cue) in enumerate(events, 1):
        end_s = Fraction(entry.source_span.end_samples, entry.source_span.rate_hz)
        if end_s >= 3600 * MOST_HOURS + 1 / rate.frames_per_s:
            raise UsageError(
                f"entry {entry.index} ends at {cue.times.split(' - ')[1]}: an EDL that begins at "
                f"01:00:00:00 has no timecode after {MOST_HOURS} h",
                fix="export a slice of the timeline, or use otio or fcpxml",
            )
        lines += ["", *_event(number, min(first + start, latest), end - start, rate, entry, cue)]
    return "\n".join(lines) + "\n"


def check(**options: Unpack[FrameOptions]) -> None:
    """Raise `UsageError` for an invalid frame rate."""
    markers.read_frame_rate(**options)


def losses(timeline: Timeline, **options: Unpack[FrameOptions]) -> list[str]:
    """Return sentences on rounded and extended times, the first timecode and too many events."""
    many = f"There are more than {MOST_EVENTS} events, which some readers do not take."
    return [
        *markers.frame_losses(timeline, markers.read_frame_rate(**options)),
        "The recording begins at 01:00:00:00, as timelines in DaVinci Resolve do.",
        *([many] if len(timeline.entries) > MOST_EVENTS else []),
    ]


def _event(
    number: int, start: int, length: int, rate: FrameRate, entry: Entry, cue: Cue
) -> list[str]:
    times = f"{rate.timecode(start)} {rate.timecode(start + 1)}"
    note = _field(markers.marker_note(entry, cue.times))
    marker = f"|C:ResolveColor{markers.COLOURS[entry.status]} |M:{_field(entry_title(entry))}"
    return [
        f"{number:03d}  AX       V     C        {times} {times}",
        f"{note} {marker} |D:{length}",
    ]


def _field(text: str) -> str:
    return text.replace("|", "｜")
