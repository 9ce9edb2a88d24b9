"""The plan for copied frames: whether segments can consist of whole frames, and which.

Rules: a cut between two frames loses nothing, so copying comes before any encoding; but a segment
must still be long enough to be worth a request. Sizes are those of the frames themselves, at any
bit rate, so no segment becomes too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream import containers
from captoolkit.model import Span, Track
from captoolkit.planning import segmentation
from captoolkit.planning.fitting import Bounds
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.segmentation import Cutting
from captoolkit.units import format_length

# Sound is encoded rather than divided into shorter segments than this, unless an option does so.
SHORTEST_S = Fraction(120)
AT_ONCE = 1 << 16  # frames that are examined at once, of the millions that a day has
NEARLY = Fraction(9, 10)  # a segment of whole frames is always a little shorter than its limit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Framing:
    """A track's frames, as a stream of frames would hold them.

    Attributes:
        format: the container of such a stream, and its files' ending: `mp3`, `aac`, `amr`.
        frame_samples: how many samples each frame holds, at `rate_hz`.
        sizes: bytes of each frame with its header, shape (frames,).
        head_bytes: bytes at the beginning of every file.
        lead_samples: how many samples a decoder of the stream returns before the first one of the
            track: the encoder's delay, which only a container states. Negative where the track
            begins before the frames.
    """

    format: str
    codec: str
    rate_hz: int
    frame_samples: int
    sizes: NDArray[np.integer[Any]]
    head_bytes: int
    lead_samples: int

    @property
    def file_bytes(self) -> int:
        """How large a file of all frames is."""
        return self.head_bytes + int(self.sizes.sum())

    @property
    def framed_s(self) -> Fraction:
        """How long all frames last, delay, padding and sound before the frames included."""
        samples = len(self.sizes) * self.frame_samples - min(0, self.lead_samples)
        return Fraction(samples, self.rate_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How frames are divided into segments, and the longest length of one."""

    cutting: Cutting
    longest_s: Fraction


def longest_s(framing: Framing, bounds: Bounds) -> Fraction:
    """Return how long a segment of frames may be anywhere in the track, to a frame.

    A segment may hold a frame more at either end than its span, and the encoder's delay.
    """
    frames = len(framing.sizes)
    limits = [frames]
    if bounds.size_bytes is not None:
        limits.append(_most_frames(framing.sizes, bounds.size_bytes - framing.head_bytes))
    if bounds.duration_s is not None:
        limits.append(int(bounds.duration_s * framing.rate_hz) // framing.frame_samples)
    if min(limits) == frames:
        return framing.framed_s
    spare = 2 + -(-max(0, framing.lead_samples) // framing.frame_samples)
    return Fraction(max(0, min(limits) - spare) * framing.frame_samples, framing.rate_hz)


def _most_frames(sizes: NDArray[np.integer[Any]], most_bytes: int) -> int:
    """How many neighbouring frames stay within so many bytes, anywhere in the track."""
    most = frames = len(sizes)
    ends = np.zeros(frames + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    for first in range(0, frames, AT_ONCE):
        begins = ends[first : min(first + AT_ONCE, frames)]
        lasts = np.searchsorted(ends, begins + most_bytes, side="right") - 1
        held = lasts - np.arange(first, first + len(begins))
        most = int(held[lasts < frames].min(initial=most))
    return most


def share(
    framing: Framing, durations_s: Sequence[Fraction], bounds: Bounds, options: ParsedOptions
) -> Share:
    """Return how the frames of each stretch are divided into segments."""
    most_s = longest_s(framing, bounds)
    numbers = segmentation.count_segments(durations_s, most_s, options)
    cutting = segmentation.cutting(durations_s, numbers, most_s, options)
    return Share(cutting=cutting, longest_s=most_s)


def why_not(
    framing: Framing, durations_s: Sequence[Fraction], bounds: Bounds, options: ParsedOptions
) -> str:
    """Return why segments cannot consist of the frames, as a sentence; empty if they can."""
    if len(framing.sizes) < containers.of(framing.format).fewest_frames:
        stream = containers.of(framing.format).stream_title
        return f"It holds too few {framing.codec} frames for {stream}."
    most_s, whole_s = longest_s(framing, bounds), max(durations_s)
    if options.parts is not None:
        are_kept = segmentation.fits(whole_s, options.parts, most_s)
    elif options.segment_s is not None:
        are_kept = min(options.segment_s, whole_s) <= most_s
    else:
        wanted_s = min(options.max_segment_s or SHORTEST_S, SHORTEST_S, whole_s)
        are_kept = wanted_s * NEARLY <= most_s
    if are_kept:
        return ""
    return f"Copied frames would make segments of only {format_length(most_s)}."


def edits_reason(track: Track) -> str:
    """Return that the file removes sound which the packets still hold, as a sentence."""
    remover = "pre-skip or edit list" if track.codec == "opus" else "edit list"
    return f"Its {remover} removes sound that its {track.codec} frames still hold."


def reasons(framing: Framing, spans: Sequence[Span], cutting: Cutting) -> list[str]:
    """Return how the frames are divided, as sentences."""
    stream = containers.of(framing.format).stream_title
    kept = f"Its {framing.codec} frames are kept unchanged, in {stream}."
    if len(spans) == 1:
        return [kept]
    return [segments_reason(spans, cutting), kept]


def segments_reason(spans: Sequence[Span], cutting: Cutting) -> str:
    """Return how many segments there are, how long, and where they are cut, as a sentence."""
    lengths_s = [Fraction(span.samples, span.rate_hz) for span in spans]
    about_s = sum(lengths_s) / len(spans)
    if not cutting.reach_s:
        shortest, longest = map(format_length, (min(lengths_s), max(lengths_s)))
        of = f"{shortest} to {longest}" if shortest != longest else f"about {longest}"
        return f"It becomes {len(spans):,} segments of {of}."
    shortest, longest = _length_range(cutting.shortest_s, cutting.longest_s)
    if cutting.is_fewest:
        return (
            f"It becomes at most {len(spans):,} segments of {shortest} to {longest}, and fewer "
            "where pauses allow: the cuts are chosen together, at quiet places."
        )
    if len(spans) == 2:
        within = "cut at the quietest place"
    else:
        within = "with cuts that are chosen together, each at a quiet place"
    return (
        f"It becomes {len(spans):,} balanced segments of about {format_length(about_s)} "
        f"({shortest} to {longest}), {within} within {format_length(cutting.reach_s)}."
    )


def _length_range(shortest_s: Fraction, longest_s: Fraction) -> tuple[str, str]:
    """The lengths in words; a minute and more in whole seconds, rounded outward."""
    if longest_s >= 60:
        shortest_s, longest_s = Fraction(shortest_s // 1), Fraction(-(-longest_s // 1))
    return format_length(shortest_s), format_length(longest_s)
