"""What markers of editing programs share: frames, colours, and names of files as addresses.

Rules: a marker's name is a title; the whole caption is in its note. Frames are rounded once, as
`cues.ticks` does. Timecode is non-drop-frame: at 29.97 it counts 30 frames to its second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from urllib.parse import quote

from captoolkit.errors import UsageError
from captoolkit.model import Entry, SourceInfo, Status
from captoolkit.timeline.editing import Part
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import said_in_one_line

USUAL_FRAME_RATE = Fraction(25)
NOMINAL_RATES = (24, 25, 30, 48, 50, 60)
# Green for what was heard, red for a hole that wants a second look, blue for silence.
COLOURS = {Status.OK: "Green", Status.FAILED: "Red", Status.SILENT: "Blue"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """How an editing program counts: `rate` frames a second, `nominal` of them to a timecode's."""

    rate: Fraction
    nominal: int

    def timecode(self, frame: int) -> str:
        """Return `HH:MM:SS:FF`."""
        seconds, part = divmod(frame, self.nominal)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        return f"{hour:02d}:{minute:02d}:{second:02d}:{part:02d}"

    def seconds(self, frame: int) -> str:
        """Return the time at which a frame begins as FCPXML writes it, `1001/30000s`."""
        time = frame / self.rate
        return f"{time.numerator}/{time.denominator}s" if time.denominator > 1 else f"{time}s"

    @property
    def name(self) -> str:
        """The rate as people write it."""
        return f"{float(self.rate):.5g}"


def frames(frame_rate: Fraction | float | str | None = None) -> Frames:
    """Return how to count at so many frames a second; 23.976 and the like mean n·1000/1001.

    ```python
    >>> frames(29.97).rate, frames().timecode(90_001)
    (Fraction(30000, 1001), '01:00:00:01')

    ```

    Raises:
        UsageError: no editing program counts so.
    """
    try:
        asked = USUAL_FRAME_RATE if frame_rate is None else Fraction(frame_rate)
    except (ValueError, OverflowError, ZeroDivisionError):
        asked = Fraction(0)
    for nominal in NOMINAL_RATES:
        for rate in (Fraction(nominal), Fraction(nominal * 1000, 1001)):
            if abs(asked - rate) < Fraction(1, 200):
                return Frames(rate=rate, nominal=nominal)
    raise UsageError(
        f"frame_rate={frame_rate} is none that editing programs have",
        fix="use 23.976, 24, 25, 29.97, 30, 48, 50, 59.94 or 60",
    )


def stretches(timeline: Timeline) -> Iterator[tuple[int, int, Part | None]]:
    """Yield what lies on the clock from zero to the end: recordings, and None between them.

    Each as where it begins and ends, in samples, and the part that lies there; what begins inside
    another is left out, since a track holds one recording at a time.
    """
    reached = 0
    for part in sorted(timeline.all_parts, key=lambda part: part.at_samples):
        end = part.at_samples + part.source_span.samples
        if not end > part.at_samples >= reached:
            continue
        if part.at_samples > reached:
            yield reached, part.at_samples, None
        yield part.at_samples, end, part
        reached = end
    if reached < timeline.source.duration_samples:
        yield reached, timeline.source.duration_samples, None


def rounding_note(count: Frames) -> str:
    """Return the sentence that says what times have become."""
    return f"Times are rounded to frames of a timeline at {count.name} frames a second."


def note_of(entry: Entry, times: str) -> str:
    """Return a marker's note: the exact times and the whole caption on one line."""
    return f"[{times}] {said_in_one_line(entry)}"


def stem(source: SourceInfo) -> str:
    """Return what the recording is called."""
    return PurePath(source.path).stem or "timeline"


def file_url(path: str) -> str:
    """Return a path as an address, whatever the name holds.

    ```python
    >>> file_url("/a b/ü.wav"), file_url("ü.wav")
    ('file:///a%20b/%C3%BC.wav', '%C3%BC.wav')

    ```
    """
    if path.startswith(("http://", "https://")):
        return path
    address = quote(path.replace("\\", "/") if path[1:3] == ":\\" else path, errors="replace")
    return f"file://{address}" if address.startswith("/") else address
