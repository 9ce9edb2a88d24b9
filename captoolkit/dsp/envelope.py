"""The envelope of a whole recording, small enough for a page: blocks of samples in, bytes out.

Rules: memory does not grow with the recording, and its length need not be known. Measuring starts
with short steps; as soon as there are more than `MOST_STEPS`, each two become one. A minute keeps
its details, and ten hours need no more memory.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.model import Envelope

SHORTEST_STEPS_PER_S = 50
MOST_STEPS = 8192  # two to four per pixel of a wide screen

STEPS_PER_DB = 4
LOUDEST_BYTE = 255
INT16_SCALE = 32768.0
# A longer block is measured in pieces, because the system provides new memory for larger arrays.
BLOCK_FRAMES = 1 << 14


class EnvelopeMeter:
    """Measures the envelope of a running sound of unknown length.

    Args:
        rate_hz: the rate of the sound.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._step = max(1, rate_hz // SHORTEST_STEPS_PER_S)
        self._samples = 0
        self._peaks = np.empty(0)
        self._energies = np.empty(0)  # sums of squares, averaged over the channels

    def feed(self, block: NDArray[Any]) -> None:
        """Measure a block of any length.

        Args:
            block: shape (frames, channels); floats with 1.0 as full scale, or integers that fill
                their type. NaN and infinity count as zero.
        """
        for start in range(0, len(block), BLOCK_FRAMES):
            self._add(block[start : start + BLOCK_FRAMES])
            while len(self._peaks) > MOST_STEPS:
                self._halve()

    def feed_silence(self, samples: int) -> None:
        """Measure a number of silent samples, in the same time for any number."""
        self._samples += samples
        while -(-self._samples // self._step) > MOST_STEPS:
            self._halve()
        steps = np.zeros(-(-self._samples // self._step) - len(self._peaks))
        self._peaks = np.append(self._peaks, steps)
        self._energies = np.append(self._energies, steps)

    def envelope(self) -> Envelope:
        """Return the envelope of all blocks so far."""
        lengths = np.full(len(self._peaks), self._step)
        if self._samples % self._step:
            lengths[-1] = self._samples % self._step
        return Envelope(
            rate_hz=self._rate_hz,
            step_samples=self._step,
            duration_samples=self._samples,
            peaks=_encoded(20 * _log10(self._peaks)),
            loudness=_encoded(10 * _log10(self._energies / lengths)),
        )

    def _add(self, block: NDArray[Any]) -> None:
        begun = self._samples % self._step
        starts = np.maximum(np.arange(-begun, len(block), self._step), 0)
        peaks, energies = _peaks_and_energies(block, starts)
        if begun:  # the first of them continues the last step
            self._peaks[-1] = max(self._peaks[-1], peaks[0])
            self._energies[-1] += energies[0]
            peaks, energies = peaks[1:], energies[1:]
        self._peaks = np.append(self._peaks, peaks)
        self._energies = np.append(self._energies, energies)
        self._samples += len(block)

    def _halve(self) -> None:
        """Merge each two steps into one."""
        self._step *= 2
        if len(self._peaks):
            firsts = np.arange(0, len(self._peaks), 2)
            self._peaks = np.maximum.reduceat(self._peaks, firsts)
            self._energies = np.add.reduceat(self._energies, firsts)


class StretchedEnvelopeMeter:
    """Measures the envelope of a sound of known length from stretches in any order.

    The result does not depend on the order of the stretches or on their number. Samples that are
    never fed count as silent. Several threads may feed one meter.

    Args:
        rate_hz: the rate of the sound.
        duration_samples: its length; the envelope grows if there are more samples.
    """

    def __init__(self, rate_hz: int, duration_samples: int) -> None:
        self._rate_hz = rate_hz
        self._step = max(1, rate_hz // SHORTEST_STEPS_PER_S)
        while -(-duration_samples // self._step) > MOST_STEPS:
            self._step *= 2
        self._samples = duration_samples
        self._peaks = np.zeros(-(-duration_samples // self._step))
        self._energies = np.zeros(len(self._peaks))
        self._lock = threading.Lock()

    def feed(self, at_samples: int, block: NDArray[Any]) -> None:
        """Measure a block that begins at `at_samples`; as `EnvelopeMeter.feed`."""
        for start in range(0, len(block), BLOCK_FRAMES):
            piece = block[start : start + BLOCK_FRAMES]
            first = at_samples + start
            begun = first % self._step
            starts = np.maximum(np.arange(-begun, len(piece), self._step), 0)
            peaks, energies = _peaks_and_energies(piece, starts)
            self._merge(first // self._step, peaks, energies, end=first + len(piece))

    def envelope(self, *, gain_db: float = 0.0) -> Envelope:
        """Return the envelope, without the gain that was applied to the sound before."""
        lengths = np.full(len(self._peaks), self._step)
        if self._samples % self._step:
            lengths[-1] = self._samples % self._step
        return Envelope(
            rate_hz=self._rate_hz,
            step_samples=self._step,
            duration_samples=self._samples,
            peaks=_encoded(20 * _log10(self._peaks) - gain_db),
            loudness=_encoded(10 * _log10(self._energies / lengths) - gain_db),
        )

    def _merge(
        self,
        first: int,
        peaks: NDArray[np.float64],
        energies: NDArray[np.float64],
        *,
        end: int,
    ) -> None:
        last = first + len(peaks)
        with self._lock:
            missing = max(0, last - len(self._peaks))
            if missing:
                self._peaks = np.append(self._peaks, np.zeros(missing))
                self._energies = np.append(self._energies, np.zeros(missing))
            self._samples = max(self._samples, end)
            np.maximum(self._peaks[first:last], peaks, out=self._peaks[first:last])
            self._energies[first:last] += energies


def _peaks_and_energies(
    block: NDArray[Any], starts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The peak of each step in any channel, and its sum of squares averaged over the channels.

    The sums of 16-bit samples are exact, so that they do not depend on where a block begins.
    """
    channels = block.shape[1]
    if block.dtype == np.int16:
        peaks, energies = _of_int16(np.ascontiguousarray(block).reshape(-1), starts * channels)
        return peaks, energies / channels
    if block.dtype == np.float32:
        peaks, energies = _of_floats(np.ascontiguousarray(block).reshape(-1), starts * channels)
        if np.isfinite(energies).all():
            return peaks, energies / channels
    magnitudes = _magnitudes(block)
    peaks = np.maximum.reduceat(magnitudes.max(axis=1), starts)
    return peaks, np.add.reduceat(np.square(magnitudes).mean(axis=1), starts)


def _of_int16(
    samples: NDArray[np.int16], starts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The peak and the sum of squares of each step, 1.0 is full scale.

    Reductions of one dimension: of two they take ten times as long.
    """
    highest = np.maximum.reduceat(samples, starts).astype(np.float64)
    lowest = np.minimum.reduceat(samples, starts).astype(np.float64)
    return np.maximum(highest, -lowest) / INT16_SCALE, _energies(samples, starts) / INT16_SCALE**2


def _energies(samples: NDArray[np.int16], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum of squares of each step; all steps but the first and the last have one length.

    Each square and each sum is a whole number below 2**53, so float64 holds it exactly.
    """
    values = samples.astype(np.float64)
    if len(starts) < 3:
        return np.add.reduceat(np.square(values), starts)
    between = values[starts[1] : starts[-1]].reshape(len(starts) - 2, -1)
    edges = (values[None, : starts[1]], between, values[None, starts[-1] :])
    # Not `vecdot`: a BLAS divides long products among threads of its own, which wait in a loop.
    return np.concatenate([np.einsum("sn,sn->s", part, part) for part in edges])


def _of_floats(
    samples: NDArray[np.float32], starts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The peak and the sum of squares of each step, not finite if a sample is not or is huge."""
    with np.errstate(over="ignore", invalid="ignore"):
        energies = np.add.reduceat(np.square(samples), starts, dtype=np.float64)
        highest = np.maximum.reduceat(samples, starts)
        lowest = np.minimum.reduceat(samples, starts)
    return np.maximum(highest, -lowest).astype(np.float64), energies


def _magnitudes(block: NDArray[Any]) -> NDArray[np.float64]:
    """The absolute value of each sample, 1.0 is full scale."""
    with np.errstate(invalid="ignore"):  # numpy warns of a NaN that signals
        sound = np.abs(block.astype(np.float64))
    if np.issubdtype(block.dtype, np.integer):
        return sound / (np.iinfo(block.dtype).max + 1)
    return np.where(np.isfinite(sound), sound, 0.0)


def _log10(values: NDArray[np.float64]) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log10(np.maximum(values, 1e-30))
    return logs


def _encoded(levels_db: NDArray[np.float64]) -> bytes:
    steps = np.clip(np.rint(LOUDEST_BYTE + STEPS_PER_DB * levels_db), 0, LOUDEST_BYTE)
    return steps.astype(np.uint8).tobytes()
