"""Log-mel input of captioning models: the power in 128 mel bands up to 8 kHz.

The bands are those of Malcolm Slaney's Auditory Toolbox (1998): linear to 1 kHz and logarithmic
above, triangles of equal area. Whisper-like models, Qwen3-Omni's audio encoder among them, take the
logarithm of these powers.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

BANDS = 128
TOP_HZ = 8_000
FRAME_S = 0.025
HOP_S = 0.01
LINEAR_HZ = 1_000.0  # below this a mel is 200/3 Hz
MELS_AT_LINEAR = 15.0
LOG_STEP = np.log(6.4) / 27


def mel_power(
    samples: NDArray[np.float32], *, rate_hz: int, hop_s: float = HOP_S
) -> NDArray[np.float64]:
    """Return the power of each 25 ms frame in each band.

    Args:
        samples: shape (..., frames): one channel, or several sounds of the same length.
        rate_hz: their rate.
        hop_s: the time from the start of a frame to the start of the next.

    Returns:
        Shape (..., hops, 128), float64; no hops for a sound shorter than one frame.
    """
    size, hop = max(1, round(rate_hz * FRAME_S)), max(1, round(rate_hz * hop_s))
    if samples.shape[-1] < size:
        return np.zeros((*samples.shape[:-1], 0, BANDS))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size, axis=-1)[..., ::hop, :]
    spectrum = np.fft.rfft(frames * _hann(size))
    power = spectrum.real**2 + spectrum.imag**2
    # Band by band, because a band is a few bins wide. One product of whole matrices would start the
    # threads of the linear algebra library, which spin while other threads need the cores.
    triangles = _triangles(size, rate_hz)
    return np.stack([power[..., at : at + len(row)] @ row for at, row in triangles], axis=-1)


@functools.lru_cache(maxsize=8)
def _hann(size: int) -> NDArray[np.float64]:
    return np.hanning(size + 1)[:-1]


@functools.lru_cache(maxsize=8)
def _triangles(size: int, rate_hz: int) -> tuple[tuple[int, NDArray[np.float64]], ...]:
    """For each band, its first bin of the spectrum and the weights from there on."""
    edges = _to_hz(np.linspace(0, _to_mel(float(TOP_HZ)), BANDS + 2))
    bins = np.fft.rfftfreq(size, 1 / rate_hz)
    width, ramp = np.diff(edges), edges[:, None] - bins[None]
    rising, falling = -ramp[:-2] / width[:-1, None], ramp[2:] / width[1:, None]
    area: NDArray[np.float64] = 2 / (edges[2:] - edges[:-2])
    bank = np.maximum(0, np.minimum(rising, falling)) * area[:, None]
    first, last = np.searchsorted(bins, edges[:-2]), np.searchsorted(bins, edges[2:])
    return tuple((int(a), row[a:b]) for row, a, b in zip(bank, first, last, strict=True))


def _to_mel(hz: float) -> float:
    if hz < LINEAR_HZ:
        return hz * 3 / 200
    return MELS_AT_LINEAR + float(np.log(hz / LINEAR_HZ)) / float(LOG_STEP)


def _to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = LINEAR_HZ * np.exp(LOG_STEP * (mels - MELS_AT_LINEAR))
    return np.where(mels < MELS_AT_LINEAR, mels * 200 / 3, above)
