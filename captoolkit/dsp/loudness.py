"""Loudness after ITU-R BS.1770-4: K-weighting, gating blocks of 0.4 s, integrated and momentary.

Rules:

- The standard gives the two filters of the K-weighting as coefficients at 48 kHz. This module
  designs them at the rate of the clip from the analogue filters behind those coefficients
  (B. De Man, "Evaluation of Implementations of the EBU R128 Loudness Measurement", AES 145, 2018),
  which gives the standard's own coefficients at 48 kHz.
- `LoudnessMeter` applies the filters to each tile as a product of spectra (overlap-save). A tile
  needs 0.1 s of the tile before it: by then the impulse response has fallen by 200 dB.
- `estimate_loudness` multiplies the power of each step by the share that the weighting leaves of
  the spectra of its frames, which other meters have anyway. It costs nothing and stays within 0.3
  LU of the meter (see its tests).
- The gate leaves out blocks below -70 LUFS, then blocks more than 10 LU below the mean of the rest.
- Every channel has weight 1, except in six and eight channels, which count as 5.1 and 7.1 in the
  order of WAV files: the fourth has weight 0, the surrounds at the sides 1.41. One channel counts
  once, not as two identical channels.
- Below `LOWEST_RATE_HZ` the weighting cannot be built and there is no loudness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.dsp.tiles import HopGrid, fast_fft_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST_RATE_HZ = 8000
BLOCK_STEPS = 4
BLOCK_S = 0.4
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
SURROUND = 1.41
ABOVE_BAND_GAIN = 10**0.4
"""The weighting raises power above 8 kHz by 4 dB."""
WEIGHTS = {
    6: (1.0, 1.0, 1.0, 0.0, SURROUND, SURROUND),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, SURROUND, SURROUND),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """The loudness of a clip after BS.1770-4.

    Attributes:
        integrated_lufs: over the whole clip, gated; None if no block reaches -70 LUFS.
        momentary_lufs: of the loudest block of 0.4 s; None if no block reaches -70 LUFS.
        momentary_step: the step at which that block begins.
        blocks: the number of gating blocks; 0 if the clip is shorter than one.
    """

    integrated_lufs: float | None
    momentary_lufs: float | None
    momentary_step: int
    blocks: int


class LoudnessMeter:
    """Measures the K-weighted power of each step."""

    def __init__(self, *, channels: int, grid: HopGrid) -> None:
        self._step_samples = grid.step_samples
        self._fft_samples = fast_fft_length(grid.step_samples + grid.tile_samples)
        self._gain = k_weighting(grid.rate_hz, fft_samples=self._fft_samples)
        self._weights = np.array(channel_weights(channels), np.float32)
        self._buffer = np.zeros((channels, self._fft_samples), np.float32)
        self._power: list[NDArray[np.float32]] = []

    def feed(self, tile: NDArray[np.float32]) -> None:
        """Measure the whole steps of a tile of shape (channels, frames)."""
        step, frames = self._step_samples, tile.shape[1]
        self._buffer[:, step : step + frames] = tile
        self._buffer[:, step + frames :] = 0.0
        weighted = np.fft.irfft(np.fft.rfft(self._buffer) * self._gain, n=self._fft_samples)
        whole = frames // step
        steps = weighted[:, step : step + whole * step].reshape(len(tile), whole, step)
        power = np.einsum("csn,csn->cs", steps, steps) / np.float32(step)
        self._power.append(self._weights @ power)
        self._buffer[:, :step] = self._buffer[:, frames : step + frames]

    def result(self) -> Loudness:
        """Return the loudness of all tiles so far."""
        return gated_loudness(np.concatenate([np.zeros(0, np.float32), *self._power]))


def channel_weights(channels: int) -> tuple[float, ...]:
    """Return the weight of each channel."""
    return WEIGHTS.get(channels, (1.0,) * channels)


def estimate_loudness(
    step_power: NDArray[np.float32], share: NDArray[np.float32], band_share: NDArray[np.float32]
) -> Loudness:
    """Return the loudness for powers without weighting.

    Args:
        step_power: the power of each step summed over the weighted channels, shape (steps,).
        share: what the weighting leaves of the power below 8 kHz of each step, shape (steps,).
        band_share: the share of the power of each step below 8 kHz, 0 to 1, shape (steps,).
    """
    above = np.float32(ABOVE_BAND_GAIN) * (1 - band_share)
    return gated_loudness(step_power * (share * band_share + above))


def gated_loudness(step_power: NDArray[np.float32]) -> Loudness:
    """Return the loudness for K-weighted powers, shape (steps,), summed over the channels."""
    total = np.concatenate([[0.0], np.cumsum(step_power, dtype=np.float64)])
    blocks = np.maximum(total[BLOCK_STEPS:] - total[:-BLOCK_STEPS], 0.0) / BLOCK_STEPS
    counted = blocks[blocks > _power(ABSOLUTE_GATE_LUFS)]
    if not len(counted):
        return Loudness(
            integrated_lufs=None, momentary_lufs=None, momentary_step=0, blocks=len(blocks)
        )
    gated = counted[counted > counted.mean() * 10 ** (RELATIVE_GATE_LU / 10)]
    return Loudness(
        integrated_lufs=_lufs(float(gated.mean())),
        momentary_lufs=_lufs(float(blocks.max())),
        momentary_step=int(blocks.argmax()),
        blocks=len(blocks),
    )


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)


def k_weighting(rate_hz: int, *, fft_samples: int) -> NDArray[np.complex64]:
    """Return the gain of the K-weighting at each bin of a real transform of `fft_samples`."""
    delay = np.exp(-2j * np.pi * np.arange(fft_samples // 2 + 1) / fft_samples)
    gain = _shelf(rate_hz, delay) * _high_pass(rate_hz, delay)
    return gain.astype(np.complex64)


def _shelf(rate_hz: int, delay: NDArray[np.complex128]) -> NDArray[np.complex128]:
    corner_hz, gain_db, quality = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * corner_hz / rate_hz)
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    above = (
        high + band * k / quality + k * k,
        2 * (k * k - high),
        high - band * k / quality + k * k,
    )
    return _quadratic(above, delay) / _quadratic(_denominator(k, quality), delay)


def _high_pass(rate_hz: int, delay: NDArray[np.complex128]) -> NDArray[np.complex128]:
    corner_hz, quality = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * corner_hz / rate_hz)
    # The standard's numerator is 1, -2, 1, not scaled like the denominator.
    scale = 1 + k / quality + k * k
    return scale * (1 - delay) ** 2 / _quadratic(_denominator(k, quality), delay)


def _denominator(k: float, quality: float) -> tuple[float, float, float]:
    return 1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k


def _quadratic(
    coefficients: tuple[float, float, float], delay: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    return coefficients[0] + coefficients[1] * delay + coefficients[2] * delay**2
