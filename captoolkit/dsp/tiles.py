"""Cut a stream of samples into tiles of one size, whatever blocks it arrives in.

Everything that is measured sees tiles only. Two streams with the same samples therefore give the
same figures to the last bit, however they were cut into blocks, and memory does not grow with the
blocks.

Also here: the two clocks of the measuring. A *hop* is a fiftieth of a second, a *step* is five hops
(a tenth of a second, the spacing that ITU-R BS.1770-4 asks of its gating blocks) and a tile is
twenty steps, each rounded to whole samples at the rate of the clip.
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
"""A sample 60 dB beyond full scale is a fault of the file, as NaN and infinity are."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The rate of a clip and the stretches of samples it is measured in."""

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
    """Collects blocks and hands out tiles of equal length.

    A tile is a view of one buffer that the next tile overwrites: copy what must last.
    """

    def __init__(self, *, channels: int, tile_samples: int) -> None:
        self._room = np.zeros((channels, tile_samples), np.float32)
        self._filled = 0

    def push(self, block: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Take a block of shape (frames, channels); yield each tile (channels, frames) it fills."""
        start, tile_samples = 0, self._room.shape[1]
        while start < len(block):
            taken = min(len(block) - start, tile_samples - self._filled)
            self._room[:, self._filled : self._filled + taken] = block[start : start + taken].T
            start += taken
            self._filled += taken
            if self._filled == tile_samples:
                self._filled = 0
                yield self._room

    def rest(self) -> NDArray[np.float32]:
        """Return what does not fill a tile: shape (channels, frames), frames may be 0."""
        return self._room[:, : self._filled]


def silence_faults(tile: NDArray[np.float32]) -> int:
    """Set the faulty samples of `tile` to zero, in place, and return how many there were.

    Faulty are NaN, infinity and whatever lies beyond `FAULTY_ABOVE` times full scale: one of them
    would turn every sum that it enters into nonsense.
    """
    if tile.size == 0 or float(np.abs(tile).max()) <= FAULTY_ABOVE:  # False for NaN, too
        return 0
    faulty = ~(np.abs(tile) <= FAULTY_ABOVE)
    tile[faulty] = 0.0
    return int(np.count_nonzero(faulty))


def fast_length(samples: int) -> int:
    """Return the next even length whose only prime factors are 2, 3, 5 and 7: quick to transform.

    ```python
    >>> fast_length(1023), fast_length(92_610)
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
