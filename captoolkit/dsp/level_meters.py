"""Levels step by step, clipping, and the relations between the channels.

Rules:

- A level is the RMS of one step of 0.1 s, in dB relative to a full-scale square wave, so that a
  full-scale sine is at -3 dBFS. It is the level of the loudest channel: neither a dead channel nor
  two channels of opposite sign make a clip look quieter than it is.
- The mean of each step is removed first, because a constant offset is not audible.
- An incomplete step at the end is completed with the samples before it and counts as a step; a clip
  shorter than one step has none.
- A step is *flat* if no channel changes within it: digital silence.
- Samples are clipped if at least `CLIP_RUN_SAMPLES` in a row of one channel are at full scale, the
  rule of audio editors. Full scale is the highest value of 16 bits.
- Floats hold sound above full scale, and a gain turns it down unharmed. So a run that exceeds full
  scale is clipped only if it has a flat top: at least `CLIP_RUN_SAMPLES` of its samples, and
  `FLAT_TOP_SHARE` of them, have its largest value.
- The relations between channels are computed from their covariance with the mean of each step
  removed. A channel is dead below `DEAD_BELOW_DB` while another is above `ALIVE_ABOVE_DB`. The
  correlation is defined for two channels that both change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.dsp.stretches import true_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP_AT = 32766.5 / 32768
CLIP_RUN_SAMPLES = 3
# At +8 dBFS a sine that was clipped by 0.1 dB has 13 %, and a sine of 12 bits, amplified, 2 %.
FLAT_TOP_SHARE = 1 / 8
DEAD_BELOW_DB = -90.0
ALIVE_ABOVE_DB = -60.0
LOWEST_DB = -200.0
CANNOT_BE_FLAT_POWER = 1e-9
"""A step with more power than this (-90 dBFS) cannot be flat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCurve:
    """The level over time.

    Attributes:
        power: mean square of each step in its loudest channel, shape (steps,), 1.0 is full scale.
        summed_power: the sum over the channels, each with its weight, of the complete steps.
        flat: the steps in which no sample changes, shape (steps,).
    """

    power: NDArray[np.float32]
    summed_power: NDArray[np.float32]
    flat: NDArray[np.bool_]

    def level_db(self, *, floor_db: float) -> NDArray[np.float32]:
        """Return the level of each step in dBFS, at least `floor_db`, shape (steps,)."""
        return 10 * np.log10(np.maximum(self.power, np.float32(10 ** (floor_db / 10))))


class LevelMeter:
    """Measures the level of each step, and the covariance of the channels."""

    def __init__(
        self, *, channels: int, step_samples: int, weights: Sequence[float] | None = None
    ) -> None:
        self._step_samples = step_samples
        self._weights = np.array((1.0,) * channels if weights is None else weights, np.float32)
        self._summed: list[NDArray[np.float32]] = []
        self._recent = np.zeros((channels, 0), np.float32)
        self._incomplete_samples = 0
        self._power: list[NDArray[np.float32]] = []
        self._flat: list[NDArray[np.bool_]] = []
        self._space = np.empty((channels, 0, step_samples), np.float32)  # used for each tile
        self.covariance = np.zeros((channels, channels))

    def feed(self, tile: NDArray[np.float32]) -> NDArray[np.float64]:
        """Measure a tile of shape (channels, frames); return its covariance, summed over it."""
        centred, power = self._measure(_in_steps(tile, self._step_samples))
        self._summed.append(self._weights @ power)
        covariance = _covariance(centred, power)
        self.covariance += covariance
        self._incomplete_samples = tile.shape[1] % self._step_samples
        recent = np.concatenate([self._recent, tile[:, -self._step_samples :]], axis=1)
        self._recent = recent[:, -self._step_samples :].copy()
        return covariance

    def _measure(
        self, steps: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Store the levels of (channels, steps, samples).

        Return the samples without the mean of their step, and the power of each channel and step.
        """
        count = steps.shape[1]
        if self._space.shape[1] < count:
            self._space = np.empty(steps.shape, np.float32)
        centred = self._space[:, :count]
        means = np.einsum("csn->cs", steps) / np.float32(self._step_samples)
        np.subtract(steps, means[:, :, None], out=centred)
        power = np.einsum("csn,csn->cs", centred, centred) / np.float32(self._step_samples)
        self._power.append(power.max(axis=0))
        self._flat.append(_flat_steps(steps, power.max(axis=0)))
        return centred, power

    def finish(self) -> LevelCurve:
        """Return the level of every step; do not feed the meter after this."""
        if self._incomplete_samples and self._recent.shape[1] == self._step_samples:
            self._measure(self._recent[:, None, :])
        return LevelCurve(
            power=np.concatenate([np.zeros(0, np.float32), *self._power]),
            summed_power=np.concatenate([np.zeros(0, np.float32), *self._summed]),
            flat=np.concatenate([np.zeros(0, bool), *self._flat]),
        )


def _covariance(centred: NDArray[np.float32], power: NDArray[np.float32]) -> NDArray[np.float64]:
    """The covariance of the channels, shape (channels, channels), summed over all steps.

    Args:
        centred: the samples without the mean of their step, shape (channels, steps, samples).
        power: their mean square, shape (channels, steps).
    """
    step_samples = centred.shape[2]
    covariance = np.diag(power.sum(axis=1, dtype=np.float64) * step_samples)
    for first, row in enumerate(centred):
        for second in range(first):
            # Not by a BLAS, which divides the work among threads of its own that wait in a loop.
            products = np.einsum("sn,sn->s", row, centred[second])
            total = products.sum(dtype=np.float64)
            covariance[first, second] = covariance[second, first] = total
    return covariance


def _in_steps(tile: NDArray[np.float32], step_samples: int) -> NDArray[np.float32]:
    whole = tile.shape[1] // step_samples
    return tile[:, : whole * step_samples].reshape(len(tile), whole, step_samples)


def _flat_steps(steps: NDArray[np.float32], power: NDArray[np.float32]) -> NDArray[np.bool_]:
    flat = power < CANNOT_BE_FLAT_POWER
    if flat.any():
        flat[flat] = (np.ptp(steps[:, flat], axis=2) == 0).all(axis=0)
    return flat


def peaks_of(tile: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest absolute value of each channel of (channels, frames); NaN if one is NaN.

    Two reductions take less time than an array of absolute values.
    """
    peaks: NDArray[np.float32] = tile.max(axis=1, initial=0.0)
    np.maximum(peaks, -tile.min(axis=1, initial=0.0), out=peaks)
    return peaks


class SampleMeter:
    """Measures single samples: the peak, the offsets, and whether the channels are identical.

    Attributes:
        samples: frames so far.
        peak: the largest absolute value.
        peak_sample: the frame that first reached it.
        sums: the sum of each channel, shape (channels,).
        identical: every channel has had the same samples.
        still: no channel has ever changed: digital silence throughout.
    """

    def __init__(self, *, channels: int) -> None:
        self.samples = 0
        self.peak = 0.0
        self.peak_sample = 0
        self.sums = np.zeros(channels)
        self.identical = True
        self.still = True
        self._first = np.zeros((channels, 0), np.float32)

    def feed(self, tile: NDArray[np.float32], peaks: NDArray[np.float32]) -> None:
        """Measure a tile of shape (channels, frames) with its peaks, shape (channels,)."""
        if peaks.max() > self.peak:
            loudest = np.abs(tile).max(axis=0)
            at = int(loudest.argmax())
            self.peak, self.peak_sample = float(loudest[at]), self.samples + at
        self.sums += tile.sum(axis=1, dtype=np.float64)
        self.identical = self.identical and bool((tile[1:] == tile[0]).all())
        self._first = self._first if self.samples else tile[:, :1].copy()
        self.still = self.still and bool((tile == self._first).all())
        self.samples += tile.shape[1]


# A run of samples at full scale or above; `at_peak` of them have its largest value.
RUN = np.dtype([("start", "i8"), ("samples", "i8"), ("peak", "f4"), ("at_peak", "i8")])


class ClippingMeter:
    """Counts the samples above full scale and the clipped runs, also across tiles.

    Attributes:
        above: the number of samples above full scale, over all channels.
        runs: the number of clipped runs, over all channels.
        clipped: the number of clipped samples, over all channels.
        first_sample: the frame at which the first run begins; meaningless without runs.
        last_sample: the frame at which the last run begins.
    """

    def __init__(self, *, channels: int, step_samples: int) -> None:
        self._step_samples = step_samples
        self._clipped_steps: set[int] = set()
        self.above = 0
        self.runs = 0
        self.clipped = 0
        self.first_sample = 0
        self.last_sample = 0
        self._position = 0
        self._open = [np.zeros(0, RUN)] * channels

    def feed(self, tile: NDArray[np.float32], peaks: NDArray[np.float32]) -> None:
        """Measure a tile of shape (channels, frames) with its peaks, shape (channels,)."""
        for channel, samples in enumerate(tile):
            if len(self._open[channel]) or peaks[channel] >= CLIP_AT:
                self._feed_channel(channel, np.abs(samples))
        self._position += tile.shape[1]

    def finish(self) -> None:
        """Count the runs that reach the end."""
        for run in self._open:
            self._count(run)

    def clipped_steps(self, steps: int) -> NDArray[np.bool_]:
        """Return a mask of shape (steps,): the steps in which a clipped run begins or ends."""
        mask = np.zeros(steps, bool)
        mask[[min(step, steps - 1) for step in self._clipped_steps] if steps else []] = True
        return mask

    def _feed_channel(self, channel: int, levels: NDArray[np.float32]) -> None:
        full = levels >= CLIP_AT
        begun, self._open[channel] = self._open[channel], np.zeros(0, RUN)
        self.above += int(np.count_nonzero(levels > 1))
        runs = _find_runs(levels, full, position=self._position)
        if len(begun) and full[0]:
            begun, runs = _join(begun, runs[:1]), runs[1:]
        runs = np.concatenate([begun, runs])
        if full[-1]:
            self._open[channel], runs = runs[-1:], runs[:-1]
        self._count(runs)

    def _count(self, runs: NDArray[np.void]) -> None:
        flat = np.where(runs["peak"] > 1, runs["at_peak"], runs["samples"])
        is_clipped = (flat >= CLIP_RUN_SAMPLES) & (flat >= FLAT_TOP_SHARE * runs["samples"])
        if not is_clipped.any():
            return
        starts = runs["start"][is_clipped]
        first = int(starts[0])
        self.first_sample = min(self.first_sample, first) if self.runs else first
        self.last_sample = max(self.last_sample, int(starts[-1]))
        edges = np.concatenate([starts, starts + runs["samples"][is_clipped] - 1])
        self._clipped_steps.update(np.unique(edges // self._step_samples).tolist())
        self.runs += len(starts)
        self.clipped += int(flat[is_clipped].sum())


def _find_runs(
    levels: NDArray[np.float32], full: NDArray[np.bool_], *, position: int
) -> NDArray[np.void]:
    """The runs of a tile that begins at a position; `full` are its samples at full scale."""
    starts, ends = true_runs(full)
    runs = np.zeros(len(starts), RUN)
    if len(runs):
        lengths = ends - starts
        begins = np.cumsum(lengths) - lengths
        loud = levels[full]
        peaks = np.maximum.reduceat(loud, begins)
        runs["start"], runs["samples"], runs["peak"] = position + starts, lengths, peaks
        runs["at_peak"] = np.add.reduceat(loud == np.repeat(peaks, lengths), begins, dtype=np.int64)
    return runs


def _join(begun: NDArray[np.void], rest: NDArray[np.void]) -> NDArray[np.void]:
    """The run that begins in one tile and goes on in the next, shape (1,)."""
    both = np.concatenate([begun, rest])
    run = begun.copy()
    run["samples"], run["peak"] = both["samples"].sum(), both["peak"].max()
    run["at_peak"] = both["at_peak"][both["peak"] == run["peak"]].sum()
    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The relations between the channels of a clip.

    Attributes:
        levels_db: the RMS level of each over the whole clip, at least -200 dBFS.
        offsets: the mean of each channel, 1.0 is full scale.
        dead: the numbers (from 1) of the dead channels.
        identical: all channels have the same samples.
        correlation: of two channels, -1 to 1; None for another number, or if one is dead.
        mono_loss_db: the power of the mean of two channels below the mean of their powers (0 for
            identical channels, 3 for unrelated ones), None if the mean is silent.
    """

    levels_db: tuple[float, ...]
    offsets: tuple[float, ...]
    dead: tuple[int, ...]
    identical: bool
    correlation: float | None
    mono_loss_db: float | None

    @property
    def count(self) -> int:
        """The number of channels."""
        return len(self.levels_db)


def describe_channels(
    covariance: NDArray[np.float64],
    *,
    measured_samples: int,
    offsets: NDArray[np.float64],
    identical: bool,
) -> Channels:
    """Return the relations between channels, from their covariance.

    Args:
        covariance: summed over all measured samples, shape (channels, channels).
        measured_samples: the number of samples in the sum.
        offsets: the mean of each channel, shape (channels,).
        identical: all channels have the same samples.
    """
    power = np.diag(covariance) / max(1, measured_samples)
    levels_db = 10 * np.log10(np.maximum(power, 10 ** (LOWEST_DB / 10)))
    dead = _dead(levels_db)
    is_pair = len(power) == 2 and not dead and bool((power > 0).all())
    return Channels(
        levels_db=tuple(levels_db.tolist()),
        offsets=tuple(offsets.tolist()),
        dead=dead,
        identical=identical and len(power) > 1,
        correlation=_correlation(covariance) if is_pair else None,
        mono_loss_db=_mono_loss_db(covariance) if is_pair else None,
    )


def _dead(levels_db: NDArray[np.float64]) -> tuple[int, ...]:
    if levels_db.max() <= ALIVE_ABOVE_DB:
        return ()
    return tuple((np.flatnonzero(levels_db < DEAD_BELOW_DB) + 1).tolist())


def _correlation(covariance: NDArray[np.float64]) -> float:
    left, right = np.sqrt(np.diag(covariance))
    return float(np.clip(covariance[0, 1] / (left * right), -1.0, 1.0))


def _mono_loss_db(covariance: NDArray[np.float64]) -> float | None:
    share = float(covariance.sum() / 2 / np.trace(covariance))
    return None if share < 1e-6 else max(0.0, -10 * float(np.log10(share)))
