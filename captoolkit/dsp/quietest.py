"""Blocks of samples -> a loudness curve -> its quietest point.

The curve has one value each 10 ms: the power of the sound after a first difference, which takes out
offsets and rumble and leaves what carries events and consonants. A point is as quiet as the 200 ms
around it, the nearer parts counting more (a Hann window), so a pause between words wins over a
moment between two syllables, and the middle of the pause over its edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HOP_S = 0.01
PAUSE_S = 0.2
STRETCH_HOPS = 500  # five seconds are measured at a time
# Below this a point is simply silent, and silences do not compete: -90 dB under full scale.
SILENCE_POWER = 1e-9
# Points within 1 dB of the quietest count as equally quiet; the one nearest to the target wins.
ALIKE = 10 ** (1 / 10)


def hop_samples(rate_hz: int) -> int:
    """Return how many samples one value of the curve stands for.

    ```python
    >>> hop_samples(24_000)
    240

    ```
    """
    return max(1, int(rate_hz * HOP_S))


def power_curve(samples: NDArray[Any], *, rate_hz: int) -> NDArray[np.float64]:
    """Return the power of each whole 10 ms of a block.

    Args:
        samples: shape (frames, channels): floats, or whole numbers of which the lowest is full
            scale.
        rate_hz: their rate.

    Returns:
        Shape (frames // hop_samples(rate_hz),), float64, not negative; the mean over channels.
        A sample that is not a number counts as nothing.
    """
    hop = hop_samples(rate_hz)
    whole = len(samples) // hop * hop
    starts = range(0, whole, STRETCH_HOPS * hop)
    parts = [
        _power(samples, start, min(start + STRETCH_HOPS * hop, whole), hop) for start in starts
    ]
    return np.concatenate([np.zeros(0), *parts])


def _power(samples: NDArray[Any], start: int, end: int, hop: int) -> NDArray[np.float64]:
    """The curve of samples [start, end), whole hops; the rest need not become floats for it."""
    before = max(0, start - 1)
    stretch = samples[before:end]
    if np.issubdtype(stretch.dtype, np.integer):
        stretch = stretch.astype(np.float32) / -float(np.iinfo(stretch.dtype).min)
    with np.errstate(over="ignore", invalid="ignore"):
        change = np.diff(stretch, axis=0, prepend=stretch[:1])[start - before :]
    np.nan_to_num(change, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    power = np.einsum("fc,fc->f", change, change, dtype=np.float64) / samples.shape[1]
    smoothed: NDArray[np.float64] = power.reshape(-1, hop).mean(axis=1)
    return smoothed


def quietest(samples: NDArray[Any], *, rate_hz: int, near: int) -> int:
    """Return the frame at which a cut is least heard.

    The first and the last 100 ms only lend context: what surrounds a point there is unknown.

    Args:
        samples: shape (frames, channels), as for `power_curve`: the sound within reach of the cut.
        rate_hz: its rate.
        near: the frame at which the cut would lie if all were equally quiet.

    Returns:
        A frame in [0, len(samples)]; `near` itself where the sound is too short to judge.
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
