r"""Advanced SubStation Alpha (ASS): one Dialogue event for each entry, in one plain style.

ASS has no escape that all its readers know. Braces, and a backslash that would begin a code, are
replaced by their full-width twins, as in SRT; `\N` ends a line. Times are whole hundredths of a
second with as many digits for the hours as they need; Aegisub reads only one digit. The encoding -1
lets a renderer find the direction of the text, so that an Arabic or Hebrew full stop stands at the
left. Notes are comments at the beginning of the file.
"""

from __future__ import annotations

from captoolkit.model import Entry
from captoolkit.timeline.cues import cue_lines, exceeds_hours, short_entry_losses, ticks, timestamp
from captoolkit.timeline.srt import without_markup
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line

MOST_HOURS = 10
TICKS_HZ = 100
HEADER = """\
ScriptType: v4.00+
WrapStyle: 0
ScaledBorderAndShadow: yes
PlayResX: 1920
PlayResY: 1080

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,54,&H00FFFFFF,&H000000FF,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,3,1,2,\
60,60,50,-1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def render(timeline: Timeline) -> str:
    """Return the timeline as ASS."""
    notes = "".join(f"; {one_line(note)}\n" for note in timeline.notes)
    events = (_event(*tick) for tick in ticks(timeline, TICKS_HZ))
    return "".join([f"[Script Info]\n{notes}{HEADER}", *events])


def losses(timeline: Timeline) -> list[str]:
    """Return sentences on very short entries and on hours that some editors do not read."""
    short = short_entry_losses(timeline, TICKS_HZ, unit="hundredth of a second")
    if not exceeds_hours(timeline, MOST_HOURS):
        return short
    return [*short, "After 9:59:59 the hours have two digits, which some editors do not read."]


def _event(start: int, end: int, entry: Entry) -> str:
    text = r"\N".join(map(without_markup, cue_lines(entry)))
    return f"Dialogue: 0,{_time(start)},{_time(end)},Default,,0,0,0,,{text}\n"


def _time(hundredths: int) -> str:
    """The time as `H:MM:SS.cc`."""
    return timestamp(hundredths * 10, mark=".")[:-1].removeprefix("0")
