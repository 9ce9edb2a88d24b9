"""The loudness of places in a sound, to cut it where a cut is least audible.

Blocks of samples become a power curve with one value per 20 ms: the power after a first difference,
which removes offsets and rumble and keeps the band of voices and consonants. A place is between two
values. Its loudness is the geometric mean of four powers: of the loudest value in the 0.2 s, the
0.32 s, the 0.48 s and the 0.8 s around it. So the middle of a long pause is the quietest, a pause
between two words is quieter than none, and a breath or a click in a pause counts. Over music, where
a pause is hardly quieter than speech, four lengths find more pauses than one or two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HOP_S = 0.02
AROUND_HOPS = (5, 8, 12, 20)  # on either side of a place, ascending
CONTEXT_S = max(AROUND_HOPS) * HOP_S
# Over all channels. A longer block is measured in pieces, which the processor's cache holds.
PIECE_SAMPLES = 1 << 15
INT16_FULL_SCALE = 32768.0
# All places below this (-90 dBFS) count as equally silent.
SILENCE_POWER = 1e-9
# Places within 1 dB of the quietest count as equally quiet; the one nearest to the target is taken.
ALIKE = 10 ** (1 / 10)


def hop_samples(rate_hz: int) -> int:
    """Return the number of samples per value of the curve.

    ```python
    >>> hop_samples(24_000)
    480

    ```
    """
    return max(1, int(rate_hz * HOP_S))


class _Space:
    """Memory for arrays that are used once, as the system takes time to provide new memory."""

    def __init__(self) -> None:
        self._arrays = [np.empty(0), np.empty(0)]

    def arrays(self, *lengths: int) -> list[NDArray[np.float64]]:
        """Return two arrays of some lengths; they hold values of an earlier use."""
        for number, length in enumerate(lengths):
            if len(self._arrays[number]) < length:
                self._arrays[number] = np.empty(length)
        return [array[:length] for array, length in zip(self._arrays, lengths, strict=True)]


def power_curve(
    samples: NDArray[Any], *, rate_hz: int, space: _Space | None = None
) -> NDArray[np.float64]:
    """Return the power of each whole 20 ms of a block.

    Args:
        samples: shape (frames, channels): floats with 1.0 as full scale, or integers that fill
            their type. NaN and infinity count as zero.
        rate_hz: their rate.
        space: what a caller with many blocks gives for all of them.

    Returns:
        Shape (frames // hop_samples(rate_hz),), float64, not negative: the mean over the channels.
    """
    hop = hop_samples(rate_hz)
    whole = len(samples) // hop * hop
    step = hop * max(1, PIECE_SAMPLES // (hop * samples.shape[1]))
    pieces = [(start, min(start + step, whole)) for start in range(0, whole, step)]
    if samples.dtype == np.int16:
        space = space or _Space()
        parts = [_power_of_int16(samples, start, end, hop, space) for start, end in pieces]
    else:
        parts = [_power(samples, start, end, hop) for start, end in pieces]
    return np.concatenate([np.zeros(0), *parts])


def _power_of_int16(
    samples: NDArray[Any], start: int, end: int, hop: int, space: _Space
) -> NDArray[np.float64]:
    """As `_power`. Differences, squares and sums are exact: the order of a sum means nothing."""
    channels = samples.shape[1]
    piece = samples[max(0, start - 1) : end].reshape(-1)  # interleaved
    values, change = space.arrays(len(piece), (end - start) * channels)
    np.copyto(values, piece)
    change[:channels] = 0  # unless a sample precedes the first one
    after_first = change[len(change) + channels - len(piece) :]
    np.subtract(values[channels:], values[:-channels], out=after_first)
    hops = change.reshape(-1, hop * channels)
    power: NDArray[np.float64] = np.vecdot(hops, hops)
    power /= hops.shape[1]
    power /= INT16_FULL_SCALE**2
    return power


def _power(samples: NDArray[Any], start: int, end: int, hop: int) -> NDArray[np.float64]:
    """The curve of samples [start, end), which are whole hops."""
    piece = samples[max(0, start - 1) : end]
    is_whole = np.issubdtype(samples.dtype, np.integer)
    change = np.zeros((end - start, samples.shape[1]), np.float64 if is_whole else samples.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        after_first = change[end - start + 1 - len(piece) :]
        np.subtract(piece[1:], piece[:-1], out=after_first, dtype=change.dtype)
    if not is_whole:
        np.nan_to_num(change, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    # The mean of a row does not depend on its place in the block, as a sum by einsum does.
    hops = change.reshape(-1, hop * samples.shape[1])
    power: NDArray[np.float64] = np.square(hops, dtype=np.float64).mean(axis=1)
    if is_whole:
        power /= float(np.iinfo(samples.dtype).min) ** 2
    return power


class PowerMeter:
    """Measures the power curve of a sound that arrives in blocks of any length."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._hop = hop_samples(rate_hz)
        self._parts: list[NDArray[np.float64]] = []
        self._space = _Space()
        self._rest: NDArray[Any] | None = None  # the last measured hop, and the sound behind it

    def feed(self, block: NDArray[Any]) -> None:
        """Measure a block of shape (frames, channels)."""
        if not len(block):
            return
        sound = block if self._rest is None else np.concatenate([self._rest, block])
        curve = power_curve(sound, rate_hz=self._rate_hz, space=self._space)
        measured = len(curve) * self._hop
        if len(curve):
            # The first hop was measured before, with the sample that precedes it.
            self._parts.append(curve if self._rest is None or not self._parts else curve[1:])
            measured -= self._hop
        self._rest = sound[measured:].copy()

    def curve(self) -> NDArray[np.float64]:
        """Return the power of each whole 20 ms so far."""
        return np.concatenate([np.zeros(0), *self._parts])


def place_loudness(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the loudness of each place of a curve of shape (hops,); shape (hops + 1,).

    Place `n` is at the beginning of hop `n`; the last place is the end of the sound. Places near
    the ends are measured by the part of their surroundings that there is.
    """
    if not len(curve):
        return np.full(1, SILENCE_POWER)
    # The root rises with the power, so the largest root is that of the largest power.
    roots = np.maximum(curve, SILENCE_POWER) ** (1 / len(AROUND_HOPS))
    loudest = np.pad(roots, max(AROUND_HOPS), mode="edge")  # of `width` values from each one on
    width, loudness = 1, np.ones(len(curve) + 1)
    for hops in AROUND_HOPS:
        while width < 2 * hops:
            step = min(width, 2 * hops - width)
            loudest = np.maximum(loudest[:-step], loudest[step:])
            width += step
        first = max(AROUND_HOPS) - hops
        loudness *= loudest[first : first + len(loudness)]
    return loudness


def quietest(loudness: NDArray[np.float64], *, first: int, last: int, near: int) -> int:
    """Return the quietest of the places [first, last]; of equally quiet ones the nearest to `near`.

    Returns `near`, moved into the range, if the range holds no place of the sound.

    Args:
        loudness: of each place, as `place_loudness` returns it.
        first: the first place to choose from.
        last: the last one.
        near: the preferred place.
    """
    first, last = max(0, first), min(last, len(loudness) - 1)
    if first > last:
        return near
    within = loudness[first : last + 1]
    alike = first + np.flatnonzero(within <= within.min() * ALIKE)
    return int(alike[np.argmin(np.abs(alike - near))])
