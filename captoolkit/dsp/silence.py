"""Blocks of samples -> the level of each 100 ms -> the long silences that may be left out.

Quiet sound is not silence, and what is in doubt is kept. The rules:

- The *level* of 100 ms is that of their loudest 10 ms in the loudest channel, without offset: a
  short tick counts, and neither a dead channel nor two that cancel hide anything.
- A recording is *loud* at the level that its loudest second reaches, all of it together: a single
  knock on the microphone is shorter.
- *Silence* stays more than 45 dB below that and below -60 dBFS; what stays below -90 dBFS always is
  silence. So soft rain is kept where it is all there is, because nothing is that much louder.
- What *stands out* of the hush around it by more than 10 dB is sound even so: an owl, far away in a
  quiet night.
- A silence gives half a second back to the sound on either side, so that no onset and no decay is
  cut; nothing shorter than a second is kept or left out.
- A recording that is silent all through is kept whole: there must be something to send.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOPS_PER_S = 10
HOP_S = Fraction(1, HOPS_PER_S)
HOP_TICKS = 10
TICKS_PER_S = HOP_TICKS * HOPS_PER_S

LOUD_HOPS = HOPS_PER_S
# Steady rain at -50 dBFS under a voice at -10 is heard; turned down together they still are.
BELOW_LOUD_DB = 45.0
HIGHEST_DB = -60.0
LOWEST_DB = -90.0  # 16 bits with dither end at -96 dBFS

# In an hour of pink noise no hop lies 9 dB above the lower quartile, in white noise none 2 dB.
STANDS_OUT_DB = 10.0
HUSH_HOPS = 60 * HOPS_PER_S  # longer than a car takes to pass

MARGIN_HOPS = HOPS_PER_S // 2
SHORTEST_HOPS = HOPS_PER_S

LOUDEST = 1e3  # what is louder is no sound but a fault
FLOOR_POWER = 1e-12  # nothing has no logarithm: levels end at -120 dBFS

Levels = NDArray[np.float64]
Run = tuple[int, int]  # hops [first, end)
Sound = NDArray[np.float64]  # shape (channels, frames), unlike blocks: sums run along the frames


class Meter:
    """The level of each 100 ms of a running sound; of the sound itself it holds less than that.

    Args:
        rate_hz: of the sound, at least 100.
    """

    def __init__(self, rate_hz: int) -> None:
        if rate_hz < TICKS_PER_S:
            raise ValueError(f"{rate_hz=} must be at least {TICKS_PER_S}")
        self._rate_hz = rate_hz
        self._levels_db = array("d")
        self._left_over: Sound | None = None

    def listen(self, block: NDArray[Any]) -> None:
        """Take a block in, of any length.

        Args:
            block: shape (frames, channels), as many channels each time; floats of which 1.0 is full
                scale, or integers that fill their type. What is no number counts as nothing.
        """
        for start in range(0, len(block), self._rate_hz):  # a long block is not copied whole
            self._take(_sound(block[start : start + self._rate_hz]))

    def levels_db(self) -> Levels:
        """Return the levels so far in dBFS, one per `HOP_S`, that of a hop just begun included.

        A full-scale sine has -3 dBFS. The blocks make no difference, and a hop is a tenth of a
        second at any rate: levels measured at one rate tell of the same sound at another.
        """
        whole = np.array(self._levels_db)
        if self._left_over is None or not self._left_over.size:
            return whole
        edges = np.unique(np.minimum(self._tick_edges(1), self._left_over.shape[1]))
        return np.append(whole, _levels_db(self._left_over, edges))

    def _take(self, sound: Sound) -> None:
        if self._left_over is not None:
            sound = np.concatenate([self._left_over, sound], axis=1)
        edges = self._tick_edges(self._whole_hops(sound.shape[1]))
        end = edges[-1]
        if end:
            self._levels_db.extend(_levels_db(sound[:, :end], edges))
        self._left_over = sound[:, end:]

    def _whole_hops(self, frames: int) -> int:
        """How many hops the frames complete that follow the last whole hop."""
        done = len(self._levels_db)
        heard = _hop_start(done, self._rate_hz) + frames
        # The most hops of which the end, as `_hop_start` rounds it, has been heard.
        return ((heard + 1) * HOPS_PER_S - 1) // self._rate_hz - done

    def _tick_edges(self, hops: int) -> NDArray[np.int64]:
        """Where the ticks of the next hops begin, counted from the last whole hop, and their end.

        Not every rate is a multiple of 100: each edge is rounded by itself, so they never drift.
        """
        done = len(self._levels_db)
        ticks = np.arange(done * HOP_TICKS, (done + hops) * HOP_TICKS + 1, dtype=np.int64)
        edges: NDArray[np.int64] = ticks * self._rate_hz // TICKS_PER_S
        edges -= edges[0]
        return edges


def _hop_start(hop: int, rate_hz: int) -> int:
    return hop * rate_hz // HOPS_PER_S


def _sound(block: NDArray[Any]) -> Sound:
    """A block with its channels first, full scale at 1.0, and nothing in it that cannot be."""
    sound = block.T.astype(np.float64, order="C")
    if np.issubdtype(block.dtype, np.integer):
        return sound / (np.iinfo(block.dtype).max + 1)
    if np.abs(sound).max() <= LOUDEST:  # not so if there is a NaN
        return sound
    return np.where(np.abs(sound) <= LOUDEST, sound, 0.0)


def _levels_db(sound: Sound, edges: NDArray[np.int64]) -> Levels:
    """The level of each hop, given where its ticks begin and the last one ends."""
    ticks, lengths = edges[:-1], np.diff(edges)
    hops = np.arange(0, len(ticks), HOP_TICKS)
    sums = np.add.reduceat(sound, ticks, axis=1)
    squares = np.add.reduceat(sound * sound, ticks, axis=1)
    offsets = np.add.reduceat(sums, hops, axis=1) / np.add.reduceat(lengths, hops)
    offsets = offsets.repeat(HOP_TICKS, axis=1)[:, : len(ticks)]
    powers = (squares - 2 * offsets * sums) / lengths + offsets**2
    loudest = np.maximum.reduceat(powers, hops, axis=1).max(axis=0)
    levels: Levels = 10 * np.log10(np.maximum(loudest, FLOOR_POWER))
    return levels


def threshold_db(levels_db: Levels) -> float:
    """Return the level in dBFS below which a recording is silent, unless something stands out.

    It is 45 dB below the level that the loudest second reaches, the hops of which need not be
    neighbours, but never above -60 dBFS and never below -90 dBFS.

    ```python
    >>> voice, hush = [-15.0] * 50, [-70.0] * 500
    >>> threshold_db(np.array(voice + hush)), threshold_db(np.array(hush))
    (-60.0, -90.0)

    ```
    """
    if not len(levels_db):
        return LOWEST_DB
    loud = np.sort(levels_db)[-LOUD_HOPS:][0]
    return float(np.clip(loud - BELOW_LOUD_DB, LOWEST_DB, HIGHEST_DB))


def silences(
    levels_db: Levels, *, rate_hz: int, total_samples: int, at_least_s: Fraction | float
) -> tuple[tuple[int, int], ...]:
    """Return what may be left out: spans [start, end) in samples, in order.

    The margins are given back already: a silence of 10 s between sounds leaves out 9 s. At the
    start and the end of the recording there is no sound on the outer side, and no margin.

    Args:
        levels_db: of the whole recording, by a `Meter`, which may have listened at another rate.
        rate_hz: of the samples that are returned.
        total_samples: how long the recording is at that rate.
        at_least_s: how long a silence must last, to the tenth of a second.

    ```python
    >>> levels_db = np.array([-15.0] * 50 + [-70.0] * 200 + [-15.0] * 50)
    >>> silences(levels_db, rate_hz=1000, total_samples=30_000, at_least_s=10)
    ((5500, 24500),)

    ```
    """
    sounds = _sounds(levels_db)
    if not sounds.any():
        return ()
    at_least_hops = Fraction(at_least_s) * HOPS_PER_S
    shortest = max(at_least_hops - 2 * MARGIN_HOPS, Fraction(SHORTEST_HOPS))
    long = (run for run in _runs(~sounds) if _hops(run) >= at_least_hops)
    trimmed = (_without_margins(run, hops=len(sounds)) for run in long)
    spans = (
        _in_samples(run, hops=len(sounds), rate_hz=rate_hz, total_samples=total_samples)
        for run in trimmed
        if _hops(run) >= shortest
    )
    return tuple((start, end) for start, end in spans if start < end)


def _sounds(levels_db: Levels) -> NDArray[np.bool_]:
    """Which hops are sound: those that reach the threshold, and what stands out of the hush."""
    sounds = levels_db >= threshold_db(levels_db)
    hush = levels_db[~sounds]
    if hush.size:
        sounds[~sounds] = hush > _background_db(hush) + STANDS_OUT_DB
    return sounds


def _background_db(hush_db: Levels) -> Levels:
    """The background of each hop of hush: the lower quartile of about a minute around it.

    Of three such minutes the quietest counts, so that what lasts for a whole one stands out too.
    """
    minutes = np.array_split(hush_db, max(1, len(hush_db) // HUSH_HOPS))
    quartiles = [max(LOWEST_DB, float(np.quantile(minute, 0.25))) for minute in minutes]
    beside = np.pad(quartiles, 1, mode="edge")
    quietest = np.minimum.reduce([beside[:-2], beside[1:-1], beside[2:]])
    return np.repeat(quietest, [len(minute) for minute in minutes])


def _runs(mask: NDArray[np.bool_]) -> Iterator[Run]:
    """The stretches over which the mask is true."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    return zip(edges[::2], edges[1::2], strict=True)


def _hops(run: Run) -> int:
    first, end = run
    return end - first


def _without_margins(run: Run, *, hops: int) -> Run:
    """What of a run of silent hops is left out; what is kept beside it lasts a second at least."""
    first, end = run
    if first > 0:
        first = max(first + MARGIN_HOPS, SHORTEST_HOPS)
    if end < hops:  # the last hop may be a short one, and is not counted
        end = min(end - MARGIN_HOPS, hops - 1 - SHORTEST_HOPS)
    return first, end


def _in_samples(run: Run, *, hops: int, rate_hz: int, total_samples: int) -> tuple[int, int]:
    """The run in samples; the last hop ends with the recording, even if that was resampled."""
    first, end = run
    end_samples = total_samples if end == hops else _hop_start(end, rate_hz)
    return _hop_start(first, rate_hz), min(end_samples, total_samples)
