"""Common parts of the formats with markers: frame rates, timecodes, colours, media URLs.

Rules: a marker's name is a title; its note holds the whole caption. Frames are rounded once, by
`cues.ticks`. Timecode is non-drop-frame by default: at 29.97 frames per second it counts 30
frames a second, and is 3.6 seconds late after an hour. Drop-frame timecode leaves out two numbers a
minute (four at 59.94), except in each tenth minute, and stays within two frames of the clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from typing import TypedDict
from urllib.parse import quote

from captoolkit.errors import UsageError
from captoolkit.model import Entry, SourceInfo, Status
from captoolkit.timeline.cues import short_entry_losses
from captoolkit.timeline.editing import SourcePart
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import text_in_one_line

DEFAULT_FRAME_RATE = Fraction(25)
NOMINAL_RATES = (24, 25, 30, 48, 50, 60)
DROP_FRAME_RATES = (Fraction(30_000, 1001), Fraction(60_000, 1001))
# Red marks a failed entry, which needs attention.
COLOURS = {Status.OK: "Green", Status.FAILED: "Red", Status.SILENT: "Blue"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRate:
    """The frame rate of an editing program.

    Attributes:
        frames_per_s: the exact rate.
        nominal: frames in one second of timecode.
        is_drop_frame: timecode leaves out numbers to follow the clock.
    """

    frames_per_s: Fraction
    nominal: int
    is_drop_frame: bool = False

    def timecode(self, frame: int) -> str:
        """Return a frame's timecode, `HH:MM:SS:FF`, with `;` before the frames if it is drop-frame.

        ```python
        >>> rate = read_frame_rate("29.97", drop_frame=True)
        >>> rate.timecode(1799), rate.timecode(1800), rate.timecode(17982)
        ('00:00:59;29', '00:01:00;02', '00:10:00;00')

        ```
        """
        seconds, part = divmod(self._number(frame), self.nominal)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        mark = ";" if self.is_drop_frame else ":"
        return f"{hour:02d}:{minute:02d}:{second:02d}{mark}{part:02d}"

    def frame_at_hour(self, hour: int) -> int:
        """Return the frame with the timecode `HH:00:00:00`."""
        return hour * (3600 * self.nominal - 54 * self._dropped)

    @property
    def _dropped(self) -> int:
        """The numbers that each minute leaves out, except each tenth one."""
        return self.nominal // 15 if self.is_drop_frame else 0

    def _number(self, frame: int) -> int:
        """The number of a frame, with the numbers before it that are left out."""
        per_minute = 60 * self.nominal - self._dropped
        tens, rest = divmod(frame, 10 * per_minute + self._dropped)
        minutes = max(0, rest - self._dropped) // per_minute
        return frame + self._dropped * (9 * tens + minutes)

    def seconds(self, frame: int) -> str:
        """Return the start of a frame in FCPXML's notation, `1001/30000s`."""
        time = frame / self.frames_per_s
        return f"{time.numerator}/{time.denominator}s" if time.denominator > 1 else f"{time}s"

    @property
    def name(self) -> str:
        """The rate in decimal notation, such as `29.97`."""
        return f"{float(self.frames_per_s):.5g}"


class FrameOptions(TypedDict, total=False):
    """The members of `FormatOptions` for formats that count frames."""

    frame_rate: Fraction | float | str | None
    drop_frame: bool | None


def read_frame_rate(
    frame_rate: Fraction | float | str | None = None, *, drop_frame: bool | None = None
) -> FrameRate:
    """Return a frame rate; 23.976, 29.97 and the like mean n·1000/1001, None means 25.

    ```python
    >>> read_frame_rate(29.97).frames_per_s, read_frame_rate().timecode(90_001)
    (Fraction(30000, 1001), '01:00:00:01')

    ```

    Raises:
        UsageError: editing programs do not have this rate, or no drop-frame timecode at this rate.
    """
    try:
        wanted = DEFAULT_FRAME_RATE if frame_rate is None else Fraction(frame_rate)
    except (ValueError, OverflowError, ZeroDivisionError):
        wanted = Fraction(0)
    for nominal in NOMINAL_RATES:
        for rate in (Fraction(nominal), Fraction(nominal * 1000, 1001)):
            if abs(wanted - rate) < Fraction(1, 200):
                found = FrameRate(
                    frames_per_s=rate, nominal=nominal, is_drop_frame=bool(drop_frame)
                )
                if drop_frame and rate not in DROP_FRAME_RATES:
                    raise UsageError(
                        f"drop-frame timecode does not exist at {found.name} frames a second",
                        fix="use it with frame_rate=29.97 or frame_rate=59.94",
                    )
                return found
    raise UsageError(
        f"frame_rate={frame_rate} is not a frame rate of editing programs",
        fix="use 23.976, 24, 25, 29.97, 30, 48, 50, 59.94 or 60",
    )


class Recordings:
    """The recordings of a timeline, to find the one that an entry belongs to.

    Args:
        timeline: the timeline.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._source = timeline.source
        self._items = [item for item in track_items(timeline) if item[2] is not None]
        self._starts = [start for start, _, _ in self._items]

    def place_of(self, entry: Entry) -> tuple[SourceInfo, int]:
        """Return the recording in which an entry begins, and the sample of that recording.

        The sample is counted at the timeline's rate. An entry in a gap belongs to the timeline's
        own source.
        """
        start = entry.source_span.start_samples
        at = bisect_right(self._starts, start) - 1
        if at >= 0 and start < self._items[at][1]:
            part = self._items[at][2]
            assert part is not None
            return part.source, start + part.source_span.start_samples - part.at_samples
        return self._source, start


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
