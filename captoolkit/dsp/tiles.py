"""Cut a stream of samples into tiles of equal size, and the grid of hops and steps on them.

The acoustic meters see only tiles. Two streams with the same samples therefore give the same
figures to the last bit, however they were cut into blocks, and memory does not grow with the
blocks.

The grid: a *hop* is a fiftieth of a second, a *step* is five hops (a tenth of a second, the spacing
of gating blocks in ITU-R BS.1770-4), and a *tile* is twenty steps, each rounded to whole samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOPS_PER_S = 50
HOPS_PER_STEP = 5
STEPS_PER_TILE = 20
FAULTY_ABOVE = 1000.0
"""A sample 60 dB above full scale is a fault of the file, like NaN and infinity."""


@dataclass(frozen=True, slots=True)
class HopGrid:
    """The sample rate of a clip, and the lengths of its hops, steps and tiles."""

    rate_hz: int

    @property
    def hop_samples(self) -> int:
        """Samples from one spectral frame to the next."""
        return max(1, round(self.rate_hz / HOPS_PER_S))

    @property
    def step_samples(self) -> int:
        """Samples in one step of the level curve."""
        return HOPS_PER_STEP * self.hop_samples

    @property
    def tile_samples(self) -> int:
        """Samples in one tile."""
        return STEPS_PER_TILE * self.step_samples


class Tiler:
    """Collects blocks and yields tiles of equal length.

    A tile is a view of a buffer that the next tile overwrites: copy it to keep it.
    """

    def __init__(self, *, channels: int, tile_samples: int) -> None:
        self._buffer = np.zeros((channels, tile_samples), np.float32)
        self._filled = 0

    def push(self, block: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Take a block of shape (frames, channels); yield each tile (channels, frames) it fills."""
        start, tile_samples = 0, self._buffer.shape[1]
        while start < len(block):
            taken = min(len(block) - start, tile_samples - self._filled)
            self._buffer[:, self._filled : self._filled + taken] = block[start : start + taken].T
            start += taken
            self._filled += taken
            if self._filled == tile_samples:
                self._filled = 0
                yield self._buffer

    def rest(self) -> NDArray[np.float32]:
        """Return the samples of the last, incomplete tile: shape (channels, frames)."""
        return self._buffer[:, : self._filled]


def zero_faulty_samples(tile: NDArray[np.float32]) -> int:
    """Set the faulty samples of `tile` to zero, in place, and return their number.

    NaN, infinity and values above `FAULTY_ABOVE` times full scale are faulty: a single one would
    make every sum that contains it meaningless.
    """
    if tile.size == 0 or (tile.max() <= FAULTY_ABOVE and tile.min() >= -FAULTY_ABOVE):  # not NaN
        return 0
    faulty = ~(np.abs(tile) <= FAULTY_ABOVE)
    tile[faulty] = 0.0
    return int(np.count_nonzero(faulty))


def fast_fft_length(samples: int) -> int:
    """Return the next even length with only the prime factors 2, 3, 5 and 7: a fast FFT length.

    ```python
    >>> fast_fft_length(1023), fast_fft_length(92_610)
    (1024, 92610)

    ```
    """
    length = samples + samples % 2
    while _without_small_factors(length) != 1:
        length += 2
    return length


def _without_small_factors(number: int) -> int:
    for factor in (2, 3, 5, 7):
        while number % factor == 0:
            number //= factor
    return number
