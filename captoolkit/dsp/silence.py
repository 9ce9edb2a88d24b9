"""Levels of a recording in hops of 100 ms, and the long silences that may be left out.

Quiet sound is not silence; in doubt, sound is kept. The rules:

- The *level* of a hop is that of its loudest 10 ms in the loudest channel, without offset: a short
  tick counts, and neither a dead channel nor two channels that cancel hide anything.
- The *loud level* is the level that the loudest second of the recording reaches in total. A single
  knock on the microphone is shorter than that.
- *Silence* is more than 45 dB below the loud level and below -60 dBFS; everything below -90 dBFS is
  silence. A recording of nothing but soft rain is therefore kept, because nothing in it is louder.
- A sound more than 10 dB above the *hush* (the silence around it), such as a distant owl in a quiet
  night, is not silence.
- A silence leaves half a second to the sound on either side, so that no onset and no decay is cut.
  No stretch that is kept or left out is shorter than a second.
- A recording that is silent throughout is kept whole, because there must be something to send.
"""

from __future__ import annotations

from array import array
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.dsp.stretches import true_runs
from captoolkit.dsp.tiles import FAULTY_ABOVE

HOPS_PER_S = 10
HOP_S = Fraction(1, HOPS_PER_S)
HOP_TICKS = 10
TICKS_PER_S = HOP_TICKS * HOPS_PER_S

LOUD_HOPS = HOPS_PER_S
# Steady rain 40 dB below a voice is audible, at any volume.
BELOW_LOUD_DB = 45.0
HIGHEST_DB = -60.0
LOWEST_DB = -90.0  # the noise floor of 16 bits with dither is at -96 dBFS

# In an hour of pink noise no hop is 9 dB above the lower quartile, in white noise none is 2 dB.
STANDS_OUT_DB = 10.0
HUSH_HOPS = 60 * HOPS_PER_S  # longer than a car takes to pass

MARGIN_HOPS = HOPS_PER_S // 2
SHORTEST_HOPS = HOPS_PER_S

FLOOR_POWER = 1e-12  # the lowest level is -120 dBFS

Levels = NDArray[np.float64]
Run = tuple[int, int]  # hops [first, end)
Sound = NDArray[np.float64]  # shape (channels, frames), unlike blocks: sums are along the frames


class HopLevelMeter:
    """Measures the level of each 100 ms of a running sound, with less than 100 ms in memory.

    Args:
        rate_hz: the rate of the sound, at least 100.
    """

    def __init__(self, rate_hz: int) -> None:
        if rate_hz < TICKS_PER_S:
            raise ValueError(f"{rate_hz=} must be at least {TICKS_PER_S}")
        self._rate_hz = rate_hz
        self._levels_db = array("d")
        self._incomplete: Sound | None = None

    def feed(self, block: NDArray[Any]) -> None:
        """Measure a block of any length.

        Args:
            block: shape (frames, channels), with the same channels each time; floats with 1.0 as
                full scale, or integers that fill their type. NaN and infinity count as zero.
        """
        for start in range(0, len(block), self._rate_hz):  # a long block is converted in pieces
            self._add(_sound(block[start : start + self._rate_hz]))

    def levels_db(self) -> Levels:
        """Return the levels so far in dBFS, one per `HOP_S`; the last hop may be shorter.

        A full-scale sine is at -3 dBFS. A hop is a tenth of a second at any rate, so levels
        measured at one rate are valid for the same sound at another.
        """
        whole = np.array(self._levels_db)
        if self._incomplete is None or not self._incomplete.size:
            return whole
        edges = np.unique(np.minimum(self._tick_edges(1), self._incomplete.shape[1]))
        return np.append(whole, _levels_db(self._incomplete, edges))

    def _add(self, sound: Sound) -> None:
        if self._incomplete is not None:
            sound = np.concatenate([self._incomplete, sound], axis=1)
        edges = self._tick_edges(self._whole_hops(sound.shape[1]))
        end = edges[-1]
        if end:
            self._levels_db.extend(_levels_db(sound[:, :end], edges))
        self._incomplete = sound[:, end:]

    def _whole_hops(self, frames: int) -> int:
        """The number of hops that are complete with `frames` frames after the last whole hop."""
        done = len(self._levels_db)
        end = _hop_start(done, self._rate_hz) + frames
        # The largest number of hops whose end, as `_hop_start` rounds it, is not after `end`.
        return ((end + 1) * HOPS_PER_S - 1) // self._rate_hz - done

    def _tick_edges(self, hops: int) -> NDArray[np.int64]:
        """The starts of the ticks of the next hops, from the last whole hop, and their end.

        Not every rate is a multiple of 100. Each edge is rounded on its own, so they never drift.
        """
        done = len(self._levels_db)
        ticks = np.arange(done * HOP_TICKS, (done + hops) * HOP_TICKS + 1, dtype=np.int64)
        edges: NDArray[np.int64] = ticks * self._rate_hz // TICKS_PER_S
        edges -= edges[0]
        return edges


def _hop_start(hop: int, rate_hz: int) -> int:
    return hop * rate_hz // HOPS_PER_S


def _sound(block: NDArray[Any]) -> Sound:
    """A block with channels first, 1.0 as full scale, and faulty samples at zero."""
    with np.errstate(invalid="ignore"):  # numpy warns of a NaN that signals
        sound = block.T.astype(np.float64, order="C")
    if np.issubdtype(block.dtype, np.integer):
        return sound / (np.iinfo(block.dtype).max + 1)
    if np.abs(sound).max() <= FAULTY_ABOVE:  # False for NaN
        return sound
    return np.where(np.abs(sound) <= FAULTY_ABOVE, sound, 0.0)


def _levels_db(sound: Sound, edges: NDArray[np.int64]) -> Levels:
    """The level of each hop; `edges` are the starts of its ticks, and the end of the last."""
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
    """Return the level in dBFS below which a recording is silent, except sounds above the hush.

    It is 45 dB below the level that the ten loudest hops reach, which need not be neighbours, but
    at most -60 dBFS and at least -90 dBFS.

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
    """Return the stretches that may be left out: spans [start, end) in samples, in order.

    They are without the margins: a silence of 10 s between sounds gives a span of 9 s. There is no
    margin at the start and the end of the recording.

    Args:
        levels_db: the levels of the whole recording from a `HopLevelMeter`, at any rate.
        rate_hz: the rate of the returned samples.
        total_samples: the length of the recording at that rate.
        at_least_s: the shortest silence, to the tenth of a second.

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
    starts, ends = true_runs(~sounds)
    runs = zip(starts.tolist(), ends.tolist(), strict=True)
    long = (run for run in runs if _hops(run) >= at_least_hops)
    trimmed = (_without_margins(run, hops=len(sounds)) for run in long)
    spans = (
        _in_samples(run, hops=len(sounds), rate_hz=rate_hz, total_samples=total_samples)
        for run in trimmed
        if _hops(run) >= shortest
    )
    return tuple((start, end) for start, end in spans if start < end)


def _sounds(levels_db: Levels) -> NDArray[np.bool_]:
    """A mask of the hops with sound: those above the threshold, and those far above the hush."""
    sounds = levels_db >= threshold_db(levels_db)
    hush = levels_db[~sounds]
    if hush.size:
        sounds[~sounds] = hush > _background_db(hush) + STANDS_OUT_DB
    return sounds


def _background_db(hush_db: Levels) -> Levels:
    """The background of each hop of hush: the lower quartile of about a minute around it.

    The lowest of three neighbouring minutes counts, so that a sound may last for a whole minute.
    """
    minutes = np.array_split(hush_db, max(1, len(hush_db) // HUSH_HOPS))
    quartiles = [max(LOWEST_DB, float(np.quantile(minute, 0.25))) for minute in minutes]
    padded = np.pad(quartiles, 1, mode="edge")
    quietest = np.minimum.reduce([padded[:-2], padded[1:-1], padded[2:]])
    return np.repeat(quietest, [len(minute) for minute in minutes])


def _hops(run: Run) -> int:
    first, end = run
    return end - first


def _without_margins(run: Run, *, hops: int) -> Run:
    """A run of silent hops without its margins; at least a second on either side is kept."""
    first, end = run
    if first > 0:
        first = max(first + MARGIN_HOPS, SHORTEST_HOPS)
    if end < hops:  # the last hop may be shorter, so it is not counted
        end = min(end - MARGIN_HOPS, hops - 1 - SHORTEST_HOPS)
    return first, end


def _in_samples(run: Run, *, hops: int, rate_hz: int, total_samples: int) -> tuple[int, int]:
    """The run in samples; the last hop ends with the recording, which may have been resampled."""
    first, end = run
    end_samples = total_samples if end == hops else _hop_start(end, rate_hz)
    return _hop_start(first, rate_hz), min(end_samples, total_samples)
