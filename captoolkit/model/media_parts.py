"""Parts of a media file beside its sound: pictures, subtitles, chapters, faults of the time stamps.

Most sound files have none, and `probe` of such a file does not load this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Discontinuity:
    """A place where a track's time stamps do not follow from its sound.

    Attributes:
        at_samples: the decoded sample at which it is, at the track's rate.
        samples: the length of the gap, which counts as silence before that sample; for an overlap
            minus the number of decoded samples that are dropped from there on, because their time
            has been heard already.
    """

    at_samples: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A video stream; `is_cover` is True for a still picture that is attached to the sound."""

    stream_index: int
    codec: str
    is_cover: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleTrack:
    """A subtitle track; `number` counts the subtitle tracks from 1."""

    number: int
    stream_index: int
    codec: str
    language: str | None = None
    is_default: bool = False
    is_forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter of a recording.

    Attributes:
        start_s: the start on the recording's clock.
        title: on one line; empty without a title.
        end_s: the end on that clock; None if it was not read.
    """

    start_s: Fraction
    title: str
    end_s: Fraction | None = None
