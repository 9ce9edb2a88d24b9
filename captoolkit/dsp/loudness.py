"""Loudness after ITU-R BS.1770-4: K-weighting, gating blocks of 0.4 s, integrated and momentary.

Rules:

- The two filters of the K-weighting are given in the standard as coefficients at 48 kHz. Here they
  are designed anew at the rate of the clip from the analogue filters behind those coefficients
  (B. De Man, "Evaluation of Implementations of the EBU R128 Loudness Measurement", AES 145, 2018),
  which gives the standard's own figures at 48 kHz.
- They are applied tile by tile as a product of spectra (overlap-save). What a tile needs of the one
  before it is the length of the impulse response; after 0.1 s that has fallen by 200 dB.
- Blocks quieter than -70 LUFS do not count, then those 10 LU below the mean of the others.
- Channels count once, but six or eight of them are taken for 5.1 and 7.1 in the order of WAV: the
  fourth is left out, the surrounds that stand at the sides count 1.41 times. One channel is one
  channel, not two that are alike.
- Below `LOWEST_RATE_HZ` the weighting cannot be built and there is no figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.dsp.tiles import Clock, fast_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST_RATE_HZ = 8000
BLOCK_STEPS = 4
BLOCK_S = 0.4
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
SURROUND = 1.41
WEIGHTS = {
    6: (1.0, 1.0, 1.0, 0.0, SURROUND, SURROUND),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, SURROUND, SURROUND),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """What BS.1770-4 gives; None where it gives nothing.

    Attributes:
        integrated_lufs: over the whole clip, gated; None when no block reaches -70 LUFS.
        momentary_lufs: that of the loudest block of 0.4 s; None when there is none.
        momentary_step: the step at which that block begins.
        blocks: how many gating blocks the clip holds; 0 when it is shorter than one.
    """

    integrated_lufs: float | None
    momentary_lufs: float | None
    momentary_step: int
    blocks: int


class LoudnessMeter:
    """Gathers the weighted power of each step."""

    def __init__(self, *, channels: int, clock: Clock) -> None:
        self._step_samples = clock.step_samples
        self._fft_samples = fast_length(clock.step_samples + clock.tile_samples)
        self._gain = k_weighting(clock.rate_hz, fft_samples=self._fft_samples)
        self._weights = np.array(WEIGHTS.get(channels, (1.0,) * channels), np.float32)
        self._room = np.zeros((channels, self._fft_samples), np.float32)
        self._power: list[NDArray[np.float32]] = []

    def feed(self, tile: NDArray[np.float32]) -> None:
        """Take a tile of shape (channels, frames); what fills no step is left out."""
        step, frames = self._step_samples, tile.shape[1]
        self._room[:, step : step + frames] = tile
        self._room[:, step + frames :] = 0.0
        weighted = np.fft.irfft(np.fft.rfft(self._room) * self._gain, n=self._fft_samples)
        whole = frames // step
        steps = weighted[:, step : step + whole * step].reshape(len(tile), whole, step)
        power = np.einsum("csn,csn->cs", steps, steps) / np.float32(step)
        self._power.append(self._weights @ power)
        self._room[:, :step] = self._room[:, frames : step + frames]

    def result(self) -> Loudness:
        """Return the loudness of all tiles so far."""
        return gated_loudness(np.concatenate([np.zeros(0, np.float32), *self._power]))


def gated_loudness(step_power: NDArray[np.float32]) -> Loudness:
    """Return the loudness of a K-weighted power per step, shape (steps,), summed over channels."""
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
    # The standard's own numerator is 1, -2, 1 whatever the denominator begins with.
    scale = 1 + k / quality + k * k
    return scale * (1 - delay) ** 2 / _quadratic(_denominator(k, quality), delay)


def _denominator(k: float, quality: float) -> tuple[float, float, float]:
    return 1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k


def _quadratic(
    context: tuple[float, float, float], delay: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    return context[0] + context[1] * delay + context[2] * delay**2
