"""How loud the samples are, step by step, and what the channels have to do with each other.

Rules:

- A level is the RMS of one step of 0.1 s, in dB of a full-scale square wave, so that a full-scale
  sine is at -3 dBFS. It is that of the loudest channel: neither a dead channel nor two channels of
  opposite sign can make a clip look quieter than it is.
- The mean of each step is taken out first. A constant offset makes no sound.
- What is left over at the end counts as a step of its own, filled up with the samples before it; a
  clip shorter than one step has none.
- A step is *flat* when no channel moves at all within it: digital silence.
- Samples are clipped where at least `CLIP_RUN_SAMPLES` in a row of one channel lie at full scale,
  the way audio editors count them. Full scale is the top step of 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP_AT = 32766.5 / 32768
CLIP_RUN_SAMPLES = 3
POWER_SURELY_MOVING = 1e-9
"""Above this (-90 dBFS) a step cannot be flat, so nobody needs to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCurve:
    """The level over time.

    Attributes:
        power: mean square of each step, the loudest channel's, shape (steps,), 1.0 is full scale.
        flat: which steps do not move at all, shape (steps,).
    """

    power: NDArray[np.float32]
    flat: NDArray[np.bool_]

    def level_db(self, *, floor_db: float) -> NDArray[np.float32]:
        """Return the level of each step in dBFS, nowhere below `floor_db`, shape (steps,)."""
        return 10 * np.log10(np.maximum(self.power, np.float32(10 ** (floor_db / 10))))


class LevelMeter:
    """Measures the level of each step and the covariance of the channels."""

    def __init__(self, *, channels: int, step_samples: int) -> None:
        self._step_samples = step_samples
        self._recent = np.zeros((channels, 0), np.float32)
        self._left_over = 0
        self._power: list[NDArray[np.float32]] = []
        self._flat: list[NDArray[np.bool_]] = []
        self.covariance = np.zeros((channels, channels))

    def feed(self, tile: NDArray[np.float32]) -> None:
        """Take a tile of shape (channels, frames)."""
        across = self._measure(_in_steps(tile, self._step_samples)).reshape(len(tile), -1)
        self.covariance += across @ across.T
        self._left_over = tile.shape[1] % self._step_samples
        recent = np.concatenate([self._recent, tile[:, -self._step_samples :]], axis=1)
        self._recent = recent[:, -self._step_samples :].copy()

    def _measure(self, steps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Keep level and flatness of (channels, steps, samples); return them without the means."""
        moving: NDArray[np.float32] = steps - steps.mean(axis=2, keepdims=True)
        power = np.einsum("csn,csn->cs", moving, moving) / np.float32(self._step_samples)
        self._power.append(power.max(axis=0))
        self._flat.append(_flat_steps(steps, power.max(axis=0)))
        return moving

    def finish(self) -> LevelCurve:
        """Return the level of every step; nothing may be fed after this."""
        if self._left_over and self._recent.shape[1] == self._step_samples:
            self._measure(self._recent[:, None, :])
        return LevelCurve(
            power=np.concatenate([np.zeros(0, np.float32), *self._power]),
            flat=np.concatenate([np.zeros(0, bool), *self._flat]),
        )


def _in_steps(tile: NDArray[np.float32], step_samples: int) -> NDArray[np.float32]:
    whole = tile.shape[1] // step_samples
    return tile[:, : whole * step_samples].reshape(len(tile), whole, step_samples)


def _flat_steps(steps: NDArray[np.float32], power: NDArray[np.float32]) -> NDArray[np.bool_]:
    flat = power < POWER_SURELY_MOVING
    if flat.any():
        flat[flat] = (np.ptp(steps[:, flat], axis=2) == 0).all(axis=0)
    return flat


class SampleMeter:
    """Counts over single samples: the peak, the offsets, whether the channels are all the same.

    Attributes:
        samples: frames seen.
        peak: the largest absolute value.
        peak_sample: where it was first reached, in frames from the start.
        sums: the sum of each channel, shape (channels,).
        identical: whether every channel has held the same samples.
        still: whether no channel has ever changed: digital silence throughout.
    """

    def __init__(self, *, channels: int) -> None:
        self.samples = 0
        self.peak = 0.0
        self.peak_sample = 0
        self.sums = np.zeros(channels)
        self.identical = True
        self.still = True
        self._first = np.zeros((channels, 0), np.float32)

    def feed(self, tile: NDArray[np.float32]) -> None:
        """Take a tile of shape (channels, frames)."""
        loudest = np.abs(tile).max(axis=0)
        at = int(loudest.argmax())
        if loudest[at] > self.peak:
            self.peak, self.peak_sample = float(loudest[at]), self.samples + at
        self.sums += tile.sum(axis=1, dtype=np.float64)
        self.identical = self.identical and bool((tile[1:] == tile[0]).all())
        self._first = self._first if self.samples else tile[:, :1].copy()
        self.still = self.still and bool((tile == self._first).all())
        self.samples += tile.shape[1]


class ClipMeter:
    """Counts the runs of samples at full scale, also those that cross from tile to tile.

    Attributes:
        runs: how many runs of at least `CLIP_RUN_SAMPLES` there were, over all channels.
        clipped: the samples in them, over all channels.
        first_sample: where the first of them begins, in frames; meaningless without runs.
        last_sample: where the last of them begins.
    """

    def __init__(self, *, channels: int) -> None:
        self.runs = 0
        self.clipped = 0
        self.first_sample = 0
        self.last_sample = 0
        self._position = 0
        self._open_samples = [0] * channels

    def feed(self, tile: NDArray[np.float32]) -> None:
        """Take a tile of shape (channels, frames)."""
        for channel, samples in enumerate(tile):
            self._feed_channel(channel, np.abs(samples) >= CLIP_AT)
        self._position += tile.shape[1]

    def finish(self) -> None:
        """Close the runs that reach the end."""
        for length in self._open_samples:
            self._close(np.array([self._position - length]), np.array([length]))

    def _feed_channel(self, channel: int, full: NDArray[np.bool_]) -> None:
        open_samples, self._open_samples[channel] = self._open_samples[channel], 0
        if not open_samples and not full.any():
            return
        starts, ends = _runs(full)
        starts, ends = _resumed(starts, ends, open_samples=open_samples)
        if len(ends) and ends[-1] == len(full):
            self._open_samples[channel] = int(ends[-1] - starts[-1])
            starts, ends = starts[:-1], ends[:-1]
        self._close(starts + self._position, ends - starts)

    def _close(self, starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> None:
        starts, lengths = starts[lengths >= CLIP_RUN_SAMPLES], lengths[lengths >= CLIP_RUN_SAMPLES]
        if not len(starts):
            return
        first = int(starts[0])
        self.first_sample = min(self.first_sample, first) if self.runs else first
        self.last_sample = max(self.last_sample, int(starts[-1]))
        self.runs += len(starts)
        self.clipped += int(lengths.sum())


def _resumed(
    starts: NDArray[np.intp], ends: NDArray[np.intp], *, open_samples: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Let the run that was open when the tile began go on in it, or end where it begins."""
    if not open_samples:
        return starts, ends
    if len(starts) and starts[0] == 0:
        return np.append(-open_samples, starts[1:]), ends
    return np.append(-open_samples, starts), np.append(0, ends)


def _runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the starts and (exclusive) ends of the runs of True in a mask of shape (n,)."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges[::2], edges[1::2]
