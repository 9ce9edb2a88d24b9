"""Peaks: the largest sample of a recording, its true peak, its samples above full scale.

Rules: blocks have the shape (frames, channels) and hold floats, 1.0 is full scale, or whole numbers
at the full scale of their type. NaN and infinity are no numbers: they are counted and have no part
in a peak. Memory does not grow with the recording.

The true peak is that of the sound between the samples, after ITU-R BS.1770-4, annex 2: four times
oversampled by the standard's own filter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST_PEAK_DB = -200.0
# The standard's filter of 48 taps, in four phases of 12; the last two mirror the first two.
_PHASE_0 = (
    *(0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000),
    *(-0.0594482421875, 0.1373291015625, 0.9721679687500, -0.1022949218750),
    *(0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500),
)
_PHASE_1 = (
    *(-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250),
    *(-0.1665039062500, 0.4650878906250, 0.7797851562500, -0.2003173828125),
    *(0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375),
)
TRUE_PEAK_FILTER = np.array([_PHASE_0, _PHASE_1, _PHASE_1[::-1], _PHASE_0[::-1]], np.float32)
MOST_OVERSHOOT = float(np.abs(TRUE_PEAK_FILTER).sum(axis=1).max())


def in_db(amplitude: float) -> float:
    """Return an amplitude in dB relative to full scale, at least `LOWEST_PEAK_DB`.

    ```python
    >>> in_db(1.0), in_db(0.1), in_db(0.0)
    (0.0, -20.0, -200.0)

    ```
    """
    return 20 * math.log10(amplitude) if amplitude > 1e-10 else LOWEST_PEAK_DB


class PeakMeter:
    """Measures the largest sample, and counts the samples that full scale cannot hold.

    Attributes:
        samples: the number of samples so far, over all channels.
        peak: the largest absolute value; 1.0 is full scale.
        clipped: the samples above full scale. Of whole numbers, which cannot be above it, those at
            the ends of their type.
        not_numbers: the samples that are NaN or infinite.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.peak = 0.0
        self.clipped = 0
        self.not_numbers = 0

    @property
    def peak_db(self) -> float:
        """The largest sample in dBFS, at least `LOWEST_PEAK_DB`."""
        return in_db(self.peak)

    def feed(self, block: NDArray[Any]) -> None:
        """Measure a block."""
        self.samples += block.size
        if not block.size:
            return
        if block.dtype.kind == "i":
            self._feed_whole_numbers(block)
            return
        peak = max(float(block.max()), -float(block.min()))
        if not math.isfinite(peak):
            finite = np.isfinite(block)
            self.not_numbers += block.size - int(np.count_nonzero(finite))
            block = block[finite]
            peak = float(np.abs(block).max(initial=0))
        self.peak = max(self.peak, peak)
        if peak > 1:
            self.clipped += int(np.count_nonzero(np.abs(block) > 1))

    def _feed_whole_numbers(self, block: NDArray[Any]) -> None:
        limits = np.iinfo(block.dtype)
        low, high = int(block.min()), int(block.max())
        self.peak = max(self.peak, max(high, -low) / -int(limits.min))
        if low == limits.min or high == limits.max:
            at_an_end = (block == limits.min) | (block == limits.max)
            self.clipped += int(np.count_nonzero(at_an_end))


class TruePeakMeter:
    """Measures the true peak.

    Attributes:
        peak: the largest absolute value so far; 1.0 is full scale.
    """

    def __init__(self, *, channels: int) -> None:
        self.peak = 0.0
        self._before = np.zeros((TRUE_PEAK_FILTER.shape[1] - 1, channels), np.float32)

    def feed(self, block: NDArray[np.float32]) -> None:
        """Measure a block of shape (frames, channels), which holds numbers alone."""
        sound = np.concatenate([self._before, block])
        self._before = sound[-len(self._before) :]
        # A block whose samples are so low cannot have the largest value.
        if float(np.abs(sound).max(initial=0)) * MOST_OVERSHOOT <= self.peak:
            return
        for channel in sound.T:
            for phase in TRUE_PEAK_FILTER:
                value = float(np.abs(np.convolve(channel, phase, "valid")).max(initial=0))
                self.peak = max(self.peak, value)
