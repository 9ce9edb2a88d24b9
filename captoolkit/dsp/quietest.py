"""The quietest point of a sound, where a cut is least audible.

Blocks of samples become a power curve with one value per 10 ms: the power after a first difference,
which removes offsets and rumble and keeps events and consonants. The loudness of a point is the
power of the 200 ms around it under a Hann window, so a pause between words is quieter than a moment
between two syllables, and the middle of a pause quieter than its edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HOP_S = 0.01
PAUSE_S = 0.2
PIECE_HOPS = 500  # a longer block is measured in pieces of five seconds
# All points below this (-90 dBFS) count as equally silent.
SILENCE_POWER = 1e-9
# Points within 1 dB of the quietest count as equally quiet; the one nearest to the target is taken.
ALIKE = 10 ** (1 / 10)


def hop_samples(rate_hz: int) -> int:
    """Return the number of samples per value of the curve.

    ```python
    >>> hop_samples(24_000)
    240

    ```
    """
    return max(1, int(rate_hz * HOP_S))


def power_curve(samples: NDArray[Any], *, rate_hz: int) -> NDArray[np.float64]:
    """Return the power of each whole 10 ms of a block.

    Args:
        samples: shape (frames, channels): floats with 1.0 as full scale, or integers that fill
            their type. NaN and infinity count as zero.
        rate_hz: their rate.

    Returns:
        Shape (frames // hop_samples(rate_hz),), float64, not negative: the mean over the channels.
    """
    hop = hop_samples(rate_hz)
    whole = len(samples) // hop * hop
    starts = range(0, whole, PIECE_HOPS * hop)
    parts = [_power(samples, start, min(start + PIECE_HOPS * hop, whole), hop) for start in starts]
    return np.concatenate([np.zeros(0), *parts])


def _power(samples: NDArray[Any], start: int, end: int, hop: int) -> NDArray[np.float64]:
    """The curve of samples [start, end), which are whole hops."""
    before = max(0, start - 1)
    piece = samples[before:end]
    if np.issubdtype(piece.dtype, np.integer):
        piece = piece.astype(np.float32) / -float(np.iinfo(piece.dtype).min)
    with np.errstate(over="ignore", invalid="ignore"):
        change = np.diff(piece, axis=0, prepend=piece[:1])[start - before :]
    np.nan_to_num(change, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    power = np.einsum("fc,fc->f", change, change, dtype=np.float64) / samples.shape[1]
    smoothed: NDArray[np.float64] = power.reshape(-1, hop).mean(axis=1)
    return smoothed


def quietest(samples: NDArray[Any], *, rate_hz: int, near: int) -> int:
    """Return the frame at which a cut is least audible.

    The result is never within the first or the last 100 ms, which have no complete context.

    Args:
        samples: shape (frames, channels), as for `power_curve`: the sound within reach of the cut.
        rate_hz: its rate.
        near: the preferred frame among equally quiet ones.

    Returns:
        A frame in [0, len(samples)]; `near` itself if the sound is shorter than 200 ms.
    """
    hop, around = hop_samples(rate_hz), round(PAUSE_S / HOP_S)
    curve = power_curve(samples, rate_hz=rate_hz)
    if len(curve) <= around:
        return near
    window = np.hanning(around + 2)[1:-1]
    loudness = np.convolve(curve, window / window.sum(), "valid")
    frames = (np.arange(len(loudness)) + around // 2) * hop
    loudness = np.maximum(loudness, SILENCE_POWER)
    alike = np.flatnonzero(loudness <= loudness.min() * ALIKE)
    return int(frames[alike[np.argmin(np.abs(frames[alike] - near))]])
