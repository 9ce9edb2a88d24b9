"""Balanced segments: how many each stretch of sound needs, and how far their cuts may move.

Rules: a segment never exceeds the limit, even when both of its cuts move apart as far as possible.
An option for a length or a number is satisfied, or refused with the nearest possible value. The
sound within reach of a cut is held in memory, so a cut of high-resolution sound moves less far.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from captoolkit.errors import UsageError
from captoolkit.model import Encoding, Span
from captoolkit.planning.cuts import balanced_edges
from captoolkit.planning.options import SHORTEST_S, ParsedOptions
from captoolkit.units import format_clock, format_length

MAX_REACH_S = Fraction(30)  # no cut moves farther from its balanced place
REACH_SHARE = Fraction(1, 5)  # nor farther than this share of a segment
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
    return (options.parts,)


def _too_few(
    options: ParsedOptions, duration_s: Fraction, longest_s: Fraction, least: int
) -> UsageError:
    """The error for too few parts: they contradict `segment_s`, or would break the limit."""
    parts = options.parts or 1
    if options.segment_s is not None and parts >= _fewest(duration_s, longest_s, None):
        return UsageError(
            f"parts={parts} and segments of {format_length(options.segment_s)} contradict each "
            f"other for {format_length(duration_s)}",
            fix=f"leave one of the two out, or give at least {least} parts",
        )
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


def reach_s(
    durations_s: Sequence[Fraction],
    segments: Sequence[int],
    longest_s: Fraction,
    *,
    encoding: Encoding | None = None,
) -> Fraction:
    """Return how far each cut may move; no segment can become longer than the limit by it.

    Edges are rounded to samples, so a reach in samples is one less.

    Args:
        durations_s: of the stretches.
        segments: the number of segments of each.
        longest_s: the longest length of a segment.
        encoding: the encoding of a decoded stream; None where captoolkit decodes only the sound
            near each cut, at the model's rate.
    """
    balanced = [
        duration_s / number
        for duration_s, number in zip(durations_s, segments, strict=True)
        if number > 1
    ]
    if not balanced:
        return Fraction(0)
    room_s = (longest_s - max(balanced)) / 2
    return min(_most_held_s(encoding) / 2, MAX_REACH_S, min(balanced) * REACH_SHARE, room_s)


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
