"""Balanced segments: how many each stretch of sound needs, and how far their cuts may move.

Rules: a segment never exceeds the limit, wherever its cuts are.
An option for a length or a number is satisfied, or refused with the nearest possible value. The
sound within reach of a cut is held in memory, so a cut of high-resolution sound moves less far.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypedDict

import numpy as np

from captoolkit.errors import UsageError
from captoolkit.model import Encoding, Span
from captoolkit.planning.cuts import balanced_edges
from captoolkit.planning.options import SHORTEST_S, ParsedOptions
from captoolkit.units import format_clock, format_length

MAX_REACH_S = Fraction(30)  # no cut moves farther from its balanced place
REACH_SHARE = Fraction(9, 10)  # nor farther than this share of a segment
LENGTH_SHARE = Fraction(1, 2)  # of the balanced length, by which a segment may differ from it
# Most sound that is held for one cut: 60 s of a CD, 32 s of 48 kHz and 24 bits.
WINDOW_BYTES = 12 << 20
LEAST_WINDOW_S = 2
# A segment is planned so much shorter than its limit that its cuts can move: five seconds each way,
# of short segments a tenth.
SLACK_S = Fraction(10)
SLACK_SHARE = Fraction(1, 5)


def count_segments(
    durations_s: Sequence[Fraction], longest_s: Fraction, options: ParsedOptions
) -> tuple[int, ...]:
    """Return how many segments each stretch becomes: the fewest that options and limit allow.

    Raises:
        UsageError: `parts` would be longer than the limit or than `segment_s`, or shorter than a
            second; or they cannot be counted, because silences are left out.
    """
    least = tuple(_fewest(duration_s, longest_s, options.segment_s) for duration_s in durations_s)
    if options.parts is None:
        return least
    if len(durations_s) > 1:
        raise UsageError(
            "parts cannot be counted where silences are left out",
            fix="give a length of segments instead, or keep the silences",
        )
    if options.parts < least[0]:
        raise _too_few(options, durations_s[0], longest_s, least[0])
    if options.parts > 1 and durations_s[0] / options.parts < SHORTEST_S:
        raise UsageError(
            f"parts={options.parts} of {format_length(durations_s[0])} would each be shorter than "
            "a second",
            fix=f"give at most {max(1, int(durations_s[0]))}",
        )
    if options.segment_s is not None:
        most = max(least[0], int(durations_s[0] / (options.segment_s / 2)))
        if options.parts > most:
            raise _contradiction(options, durations_s[0], fix=f"at most {most}")
    return (options.parts,)


def _contradiction(options: ParsedOptions, duration_s: Fraction, *, fix: str) -> UsageError:
    """The error for a number of parts that gives no segments of about `segment_s`."""
    length = format_length(options.segment_s or 0)
    return UsageError(
        f"parts={options.parts} and segments of {length} contradict each other for "
        f"{format_length(duration_s)}",
        fix=f"leave one of the two out, or give {fix} parts",
    )


def _too_few(
    options: ParsedOptions, duration_s: Fraction, longest_s: Fraction, least: int
) -> UsageError:
    """The error for too few parts: they contradict `segment_s`, or would break the limit."""
    parts = options.parts or 1
    if options.segment_s is not None and parts >= _fewest(duration_s, longest_s, None):
        return _contradiction(options, duration_s, fix=f"at least {least}")
    balanced_s, slack_s = duration_s / parts, _slack_s(duration_s, parts)
    lasts, most = (format_clock(one, decimals=3) for one in (balanced_s, longest_s - slack_s))
    if balanced_s > longest_s + 1:
        why = f"parts={parts} would each be longer than the {format_length(longest_s)} allowed"
    else:
        why = (
            f"parts={parts} would each last {lasts}, and a segment may hold {most} at most: a file "
            f"can last a little longer than its sound"
            f"{', and cuts need room to move' if slack_s else ''}"
        )
    return UsageError(why, fix=f"give at least {least}")


def _fewest(duration_s: Fraction, longest_s: Fraction, about_s: Fraction | None) -> int:
    requested = -(-duration_s // about_s) if about_s else 1
    segments = max(1, requested, -(-duration_s // longest_s))
    while not fits(duration_s, segments, longest_s):
        segments += 1
    return segments


def fits(duration_s: Fraction, segments: int, longest_s: Fraction) -> bool:
    """Return whether that many segments stay within the limit, with room for cuts to move."""
    return duration_s / segments + _slack_s(duration_s, segments) <= longest_s


def _slack_s(duration_s: Fraction, segments: int) -> Fraction:
    """How much shorter than the limit balanced segments must be, so that their cuts can move."""
    return min(SLACK_S, duration_s / segments * SLACK_SHARE) if segments > 1 else Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How stretches of sound are cut into segments.

    Attributes:
        numbers: the number of segments of each stretch; the greatest number if `is_fewest`.
        reach_s: how far a cut may be from its balanced place.
        shortest_s, longest_s: the lengths that a segment may get.
        is_fewest: there are fewer segments where pauses allow.
    """

    numbers: tuple[int, ...]
    reach_s: Fraction
    shortest_s: Fraction
    longest_s: Fraction
    is_fewest: bool

    def fields(self, rate_hz: int) -> CuttingFields:
        """Return the fields of a plan that hold this, in samples."""
        return {
            "reach_samples": max(0, int(self.reach_s * rate_hz) - 1),
            "shortest_samples": int(self.shortest_s * rate_hz),
            "longest_samples": int(self.longest_s * rate_hz),
            "is_fewest": self.is_fewest,
        }


class CuttingFields(TypedDict):
    """The fields of a `Plan` that decide its cuts."""

    reach_samples: int
    shortest_samples: int
    longest_samples: int
    is_fewest: bool


def cutting(
    durations_s: Sequence[Fraction],
    numbers: Sequence[int],
    longest_s: Fraction,
    options: ParsedOptions,
    *,
    encoding: Encoding | None = None,
) -> Cutting:
    """Return how far the cuts may move; no segment can become longer than the limit by it.

    Cuts use all room that the limit leaves, up to half of a balanced length. If only the limit
    decides the number of segments, there are fewer where pauses allow.

    Args:
        durations_s: of the stretches.
        numbers: the number of segments of each.
        longest_s: the longest length of a segment.
        options: the options; a length or a number of segments fixes the number.
        encoding: the encoding of a decoded stream; None where captoolkit decodes only the sound
            near each cut, at the model's rate.
    """
    pairs = list(zip(durations_s, numbers, strict=True))
    balanced = [duration_s / number for duration_s, number in pairs if number > 1]
    single = [duration_s for duration_s, number in pairs if number == 1]
    if not balanced:
        return Cutting(
            numbers=tuple(numbers),
            reach_s=Fraction(0),
            shortest_s=min(single),
            longest_s=max(single),
            is_fewest=False,
        )
    is_free = options.segment_s is None and options.parts is None
    is_fewest = is_free and any(number > -(-one // longest_s) for one, number in pairs)
    room_s = min(longest_s - max(balanced), max(balanced) * LENGTH_SHARE)
    reach_s = min(
        _most_held_s(encoding) / 2,
        MAX_REACH_S,
        min(balanced) * REACH_SHARE,
        room_s * max(1, max(numbers) - 1),
    )
    moved_s = reach_s * min(2, max(numbers) - 1)  # by one cut, or by two that move apart
    if is_fewest:
        moved_s = max(balanced)
    shortest = (
        max(one * (1 - LENGTH_SHARE), one - moved_s, min(one, Fraction(SHORTEST_S)))
        for one in balanced
    )
    longest = (min(longest_s, one * (1 + LENGTH_SHARE), one + moved_s) for one in balanced)
    return Cutting(
        numbers=tuple(numbers),
        reach_s=reach_s,
        shortest_s=min(*shortest, *single, longest_s),
        longest_s=max([*longest, *single]),
        is_fewest=is_fewest,
    )


def _most_held_s(encoding: Encoding | None) -> Fraction:
    """How much sound may be held in memory for a cut, in whole seconds."""
    if encoding is None:
        return 2 * MAX_REACH_S
    sample_bytes = np.dtype(encoding.sample_type or "float32").itemsize
    second_bytes = encoding.sample_rate_hz * encoding.channels * sample_bytes
    return Fraction(max(LEAST_WINDOW_S, WINDOW_BYTES // second_bytes))


def balance(stretches: Sequence[Span], segments: Sequence[int]) -> tuple[Span, ...]:
    """Return the balanced segments of the stretches, to the sample."""
    return tuple(
        Span(
            start_samples=stretch.start_samples + start,
            end_samples=stretch.start_samples + end,
            rate_hz=stretch.rate_hz,
        )
        for stretch, number in zip(stretches, segments, strict=True)
        for start, end in itertools.pairwise(balanced_edges(stretch.samples, number))
    )
