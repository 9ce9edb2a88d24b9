"""Common parts of the formats with markers: frame rates, timecodes, colours, media URLs.

Rules: a marker's name is a title; its note holds the whole caption. Frames are rounded once, by
`cues.ticks`. Timecode is non-drop-frame: at 29.97 frames per second it counts 30 frames a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from urllib.parse import quote

from captoolkit.errors import UsageError
from captoolkit.model import Entry, SourceInfo, Status
from captoolkit.timeline.cues import short_entry_losses
from captoolkit.timeline.editing import SourcePart
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import text_in_one_line

DEFAULT_FRAME_RATE = Fraction(25)
NOMINAL_RATES = (24, 25, 30, 48, 50, 60)
# Red marks a failed entry, which needs attention.
COLOURS = {Status.OK: "Green", Status.FAILED: "Red", Status.SILENT: "Blue"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRate:
    """The frame rate of an editing program.

    Attributes:
        frames_per_s: the exact rate.
        nominal: frames in one second of timecode.
    """

    frames_per_s: Fraction
    nominal: int

    def timecode(self, frame: int) -> str:
        """Return a frame's timecode, `HH:MM:SS:FF`."""
        seconds, part = divmod(frame, self.nominal)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        return f"{hour:02d}:{minute:02d}:{second:02d}:{part:02d}"

    def seconds(self, frame: int) -> str:
        """Return the start of a frame in FCPXML's notation, `1001/30000s`."""
        time = frame / self.frames_per_s
        return f"{time.numerator}/{time.denominator}s" if time.denominator > 1 else f"{time}s"

    @property
    def name(self) -> str:
        """The rate in decimal notation, such as `29.97`."""
        return f"{float(self.frames_per_s):.5g}"


def read_frame_rate(frame_rate: Fraction | float | str | None = None) -> FrameRate:
    """Return a frame rate; 23.976, 29.97 and the like mean n·1000/1001, None means 25.

    ```python
    >>> read_frame_rate(29.97).frames_per_s, read_frame_rate().timecode(90_001)
    (Fraction(30000, 1001), '01:00:00:01')

    ```

    Raises:
        UsageError: editing programs do not have this rate.
    """
    try:
        wanted = DEFAULT_FRAME_RATE if frame_rate is None else Fraction(frame_rate)
    except (ValueError, OverflowError, ZeroDivisionError):
        wanted = Fraction(0)
    for nominal in NOMINAL_RATES:
        for rate in (Fraction(nominal), Fraction(nominal * 1000, 1001)):
            if abs(wanted - rate) < Fraction(1, 200):
                return FrameRate(frames_per_s=rate, nominal=nominal)
    raise UsageError(
        f"frame_rate={frame_rate} is not a frame rate of editing programs",
        fix="use 23.976, 24, 25, 29.97, 30, 48, 50, 59.94 or 60",
    )


def track_items(timeline: Timeline) -> Iterator[tuple[int, int, SourcePart | None]]:
    """Yield the recordings on the timeline's clock and the gaps between them, from zero to its end.

    Each item is a start and an end in samples, and the part there; None for a gap. A part that
    begins inside another one is left out, because a track holds one recording at a time.
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


def frame_losses(timeline: Timeline, rate: FrameRate) -> list[str]:
    """Return sentences on the rounding of times and on entries shorter than a frame."""
    return [
        f"Times are rounded to frames of a timeline at {rate.name} frames a second.",
        *short_entry_losses(timeline, rate.frames_per_s, unit="frame"),
    ]


def marker_note(entry: Entry, times: str) -> str:
    """Return a marker's note: the exact times and the whole caption on one line."""
    return f"[{times}] {text_in_one_line(entry)}"


def source_name(source: SourceInfo) -> str:
    """Return a recording's file name without folder and ending."""
    return PurePath(source.path).stem or "timeline"


def media_url(path: str) -> str:
    """Return the URL of a recording, percent-encoded; a web URL stays unchanged.

    ```python
    >>> media_url("/a b/ü.wav"), media_url("ü.wav")
    ('file:///a%20b/%C3%BC.wav', '%C3%BC.wav')

    ```
    """
    if path.startswith(("http://", "https://")):
        return path
    encoded = quote(path.replace("\\", "/") if path[1:3] == ":\\" else path, errors="replace")
    return f"file://{encoded}" if encoded.startswith("/") else encoded
