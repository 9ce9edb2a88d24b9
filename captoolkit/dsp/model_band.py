"""The band that captioning models hear: one channel at no more than 16 kHz.

The models resample to 16 kHz and mix to one channel, so the character of a sound is measured there;
this also takes a third of the time of measuring each channel at 44.1 kHz.

Rules:

- The channel is the mean of all channels. Where they cancel (the mean has less than half of the
  power of unrelated channels), it is the loudest channel, until the mean has that power again.
- The mix is chosen tile by tile, so that it does not depend on the blocks.
- A clip at 16 kHz or below keeps its rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BAND_RATE_HZ = 16_000
CANCELS_BELOW = 0.5
RESAMPLER_QUALITY = "MQ"


class ModelBand:
    """Mixes tiles to one channel and resamples them.

    Attributes:
        rate_hz: the rate of the samples that `feed` returns.
        mix_power: the power of the mix summed over all samples at the rate of the clip.
        gain: the mean power of the channels of the last tile divided by that of the mix.
    """

    def __init__(self, *, rate_hz: int, channels: int) -> None:
        self.rate_hz = min(rate_hz, BAND_RATE_HZ)
        self.mix_power = 0.0
        self.gain = 1.0
        self._mean = np.full(channels, 1 / channels, np.float32)
        self._weights = self._mean
        self._resampler = None
        if rate_hz > BAND_RATE_HZ:
            import soxr  # clips at 16 kHz do not need it

            self._resampler = soxr.ResampleStream(
                rate_hz, BAND_RATE_HZ, 1, dtype="float32", quality=RESAMPLER_QUALITY
            )

    @property
    def is_narrower(self) -> bool:
        """Whether the clip has frequencies above the band."""
        return self._resampler is not None

    def feed(
        self, tile: NDArray[np.float32], covariance: NDArray[np.float64], *, is_last: bool = False
    ) -> NDArray[np.float32]:
        """Return the next samples of the band, shape (frames,).

        Args:
            tile: the next samples, shape (channels, frames).
            covariance: of this tile, summed over its samples, shape (channels, channels).
            is_last: whether no tile follows.
        """
        power = np.diag(covariance)
        self._choose(power, covariance)
        mixed = float(self._weights @ covariance @ self._weights)
        self.mix_power += mixed
        self.gain = min(float(power.mean()) / mixed, float(len(power))) if mixed > 0 else 1.0
        mono = tile[0] if len(tile) == 1 else self._mixed(tile)
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono, last=is_last)
        return mono

    def _mixed(self, tile: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weighted sum of the channels; not by a BLAS, as in `level_meters`."""
        mono: NDArray[np.float32] = tile[0] * self._weights[0]
        for channel, weight in zip(tile[1:], self._weights[1:], strict=True):
            if weight:
                mono += channel * weight
        return mono

    def _choose(self, power: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
        unrelated = float(power.mean()) / len(power)
        of_mean = float(self._mean @ covariance @ self._mean)
        if of_mean < CANCELS_BELOW * unrelated:
            self._weights = np.zeros(len(power), np.float32)
            self._weights[int(power.argmax())] = 1.0
        elif of_mean >= unrelated * (1 - 1e-9):
            self._weights = self._mean
