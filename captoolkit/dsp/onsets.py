"""Onsets: sudden starts of sound, their number and their regularity.

Rules:

- An onset is a frame whose rise (see `spectrum`) is the highest within `PEAK_REACH_FRAMES` on
  either side, and at least `RISE_DB` above the mean of the second around it. The first frames of a
  clip have no rise and are no onsets.
- Its level must not have fallen: a tone that breaks off spreads power over the whole spectrum
  without a new sound.
- The onsets are regular if at least `REGULAR_SHARE` of the intervals between them, and at least
  `REGULAR_INTERVALS`, are within a tenth (or one frame, the resolution) of the median interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.dsp.spectrum import RISE_FRAMES, Rises

if TYPE_CHECKING:
    from numpy.typing import NDArray

RISE_DB = 2.5
PEAK_REACH_FRAMES = 2
MEAN_REACH_FRAMES = 25
MAY_FALL_DB = 0.5
REGULAR_SHARE = 0.75
REGULAR_INTERVALS = 5
REGULAR_WITHIN = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Onsets:
    """The sudden starts of a clip.

    Attributes:
        count: the number of onsets.
        interval_s: the mean of the intervals close to the median, None if the onsets are irregular.
        alike_share: the share of the intervals close to the median, 0 to 1.
    """

    count: int
    interval_s: float | None
    alike_share: float


def find_onsets(rises: Rises) -> NDArray[np.intp]:
    """Return the frames of the onsets, ascending."""
    rise_db, level_db = rises.rise_db, rises.level_db
    if len(rise_db) <= RISE_FRAMES:
        return np.zeros(0, np.intp)
    peaks = rise_db >= _mean_around(rise_db, MEAN_REACH_FRAMES) + RISE_DB
    for shift in range(1, PEAK_REACH_FRAMES + 1):
        peaks[shift:] &= rise_db[shift:] > rise_db[:-shift]
        peaks[:-shift] &= rise_db[:-shift] >= rise_db[shift:]
    level_after_db = np.maximum(level_db, np.append(level_db[1:], level_db[-1]))
    peaks[RISE_FRAMES:] &= level_after_db[RISE_FRAMES:] >= level_db[:-RISE_FRAMES] - MAY_FALL_DB
    return np.flatnonzero(peaks)


def _mean_around(values: NDArray[np.float32], reach: int) -> NDArray[np.float64]:
    """Return the mean of each value and up to `reach` on either side, shape (frames,)."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    places = np.arange(len(values))
    first, end = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    mean: NDArray[np.float64] = (total[end] - total[first]) / (end - first)
    return mean


def describe_onsets(frames: NDArray[np.intp], *, frame_s: float) -> Onsets:
    """Return the number and the regularity of onsets at `frames`, which are `frame_s` long."""
    intervals = np.diff(frames)
    if not len(intervals):
        return Onsets(count=len(frames), interval_s=None, alike_share=0.0)
    median = float(np.median(intervals))
    alike = abs(intervals - median) <= max(REGULAR_WITHIN * median, 1.0)
    regular = alike.mean() >= REGULAR_SHARE and alike.sum() >= REGULAR_INTERVALS
    return Onsets(
        count=len(frames),
        interval_s=float(intervals[alike].mean()) * frame_s if regular else None,
        alike_share=float(alike.mean()),
    )
