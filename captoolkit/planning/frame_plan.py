"""Frames as they are: whether they may be shared out to segments at their boundaries, and how.

Rules: what a codec holds in frames loses nothing by being cut between two of them, so that comes
before any encoding; but a segment must still be long enough to be worth a request. Sizes are those
of the frames themselves, whatever their bit rate does, so no segment can come out too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream import containers
from captoolkit.model import Span
from captoolkit.planning import sharing
from captoolkit.planning.fitting import Bounds
from captoolkit.planning.options import ParsedOptions
from captoolkit.units import format_length

# Rather than in shorter segments than this, which nobody asked for, sound is encoded.
SHORTEST_S = Fraction(120)
AT_ONCE = 1 << 16  # frames that are looked at in one go, of the millions that a day has
NEARLY = Fraction(9, 10)  # a segment of whole frames is always a little shorter than its limit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Framing:
    """A track's frames, as they would lie in a raw stream of their codec.

    Attributes:
        format: what such a stream is called, and its file's ending: `mp3`, `aac`, `amr`.
        frame_samples: how many samples each frame holds, at `rate_hz`.
        sizes: bytes of each frame with what the stream puts before it, shape (frames,).
        head_bytes: what every file begins with.
        lead_samples: how many samples a decoder of the raw stream gives before the first one of
            the track: the encoder's delay, which only a container tells to leave out.
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
        """How long all frames last, delay and padding included."""
        return Fraction(len(self.sizes) * self.frame_samples, self.rate_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many segments each stretch becomes, how long one may be, how far a cut may move."""

    numbers: tuple[int, ...]
    longest_s: Fraction
    reach_s: Fraction


def longest_s(framing: Framing, bounds: Bounds) -> Fraction:
    """Return how long a segment of frames may be wherever it lies, to a frame.

    A segment may hold a frame more at either end than its span says, and the encoder's delay.
    """
    frames = len(framing.sizes)
    limits = [frames]
    if bounds.size_bytes is not None:
        limits.append(_most_frames(framing.sizes, bounds.size_bytes - framing.head_bytes))
    if bounds.duration_s is not None:
        limits.append(int(bounds.duration_s * framing.rate_hz) // framing.frame_samples)
    if min(limits) == frames:
        return framing.framed_s
    spare = 2 + -(-framing.lead_samples // framing.frame_samples)
    return Fraction(max(0, min(limits) - spare) * framing.frame_samples, framing.rate_hz)


def _most_frames(sizes: NDArray[np.integer[Any]], most_bytes: int) -> int:
    """How many neighbouring frames stay within so many bytes, whichever they are."""
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
    """Return how the frames of each stretch are shared out."""
    most_s = longest_s(framing, bounds)
    numbers = sharing.numbers(durations_s, most_s, options)
    reach_s = sharing.reach_s(durations_s, numbers, most_s)
    return Share(numbers=numbers, longest_s=most_s, reach_s=reach_s)


def why_not(
    framing: Framing, durations_s: Sequence[Fraction], bounds: Bounds, options: ParsedOptions
) -> str:
    """Return why the frames cannot be shared out, as a sentence; empty if they can."""
    most_s, whole_s = longest_s(framing, bounds), max(durations_s)
    if options.parts is not None:
        are_kept = sharing.fits(whole_s, options.parts, most_s)
    elif options.segment_s is not None:
        are_kept = min(options.segment_s, whole_s) <= most_s
    else:
        wanted_s = min(options.max_segment_s or SHORTEST_S, SHORTEST_S, whole_s)
        are_kept = wanted_s * NEARLY <= most_s
    if are_kept:
        return ""
    return f"Its frames as they are would make segments of only {format_length(most_s)}."


def reasons(framing: Framing, spans: Sequence[Span], reach_s: Fraction) -> list[str]:
    """Return what is done with the frames, as sentences."""
    stream = containers.of(framing.format).stream_title
    kept = f"Its {framing.codec} frames are kept as they are, in {stream}."
    if len(spans) == 1:
        return [kept]
    return [segments_reason(spans, reach_s), kept]


def segments_reason(spans: Sequence[Span], reach_s: Fraction) -> str:
    """Return how many segments there are and where they are cut, as a sentence."""
    about_s = Fraction(sum(span.samples for span in spans), spans[0].rate_hz) / len(spans)
    if not reach_s:
        return f"It becomes {len(spans)} segments of about {format_length(about_s)}."
    return (
        f"It becomes {len(spans)} balanced segments of about {format_length(about_s)}, "
        f"each cut at the quietest point within {format_length(reach_s)}."
    )
