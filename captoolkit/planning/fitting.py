"""Encode: the fewest balanced segments that the limits allow, on the best rung that they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from captoolkit.errors import UsageError
from captoolkit.model import Encoding, Target, Track
from captoolkit.planning import ladder, sharing
from captoolkit.planning.options import ParsedOptions, candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one segment may be at most; None where there is no limit."""

    duration_s: Fraction | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """An encoding, how many segments of it each stretch becomes, and how long each may be.

    Attributes:
        is_best: no encoding that may be taken is better.
        numbers: segments of each stretch.
        longest_s: no segment may be longer.
    """

    encoding: Encoding
    is_best: bool
    numbers: tuple[int, ...]
    longest_s: Fraction


def choose(
    durations_s: Sequence[Fraction],
    track: Track,
    target: Target,
    bounds: Bounds,
    options: ParsedOptions,
) -> Fit:
    """Return the fewest segments of each stretch, and the best encoding on which they fit.

    Raises:
        UsageError: the wishes cannot be met within the limits.
    """
    choices = [
        (encoding, _longest_s(encoding, bounds, max(durations_s)))
        for encoding in candidates(track, target, options)
    ]
    most_s = max(longest_s for _, longest_s in choices)
    if most_s < 1:
        raise UsageError(
            "not even a second fits in one segment", fix="ask for a longer segment or a lower rate"
        )
    numbers = sharing.numbers(durations_s, most_s, options)
    stretches = tuple(zip(durations_s, numbers, strict=True))
    encoding, longest_s = next(
        (encoding, longest_s)
        for encoding, longest_s in choices
        if all(sharing.fits(duration_s, number, longest_s) for duration_s, number in stretches)
    )
    return Fit(
        encoding=encoding,
        is_best=encoding == choices[0][0],
        numbers=numbers,
        longest_s=longest_s,
    )


def _longest_s(encoding: Encoding, bounds: Bounds, duration_s: Fraction) -> Fraction:
    most = ladder.max_samples(encoding, size_bytes=bounds.size_bytes, duration_s=bounds.duration_s)
    return max(duration_s, Fraction(1)) if most is None else Fraction(most, encoding.sample_rate_hz)
