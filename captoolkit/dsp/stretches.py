"""Stretches of the level curve: near-silences, the background, and events above it.

Rules, all for the level curve in steps of 0.1 s:

- *Near-silent* is a stretch of at least `SILENCE_S` below `NEAR_SILENCE_DB`, digital silence
  included.
- The *background* is the level exceeded 90 % of the time, L90 in ISO 1996-1 (environmental noise).
  L10 is exceeded 10 % of the time; L10 - L90 measures the unevenness of the level.
- An *event* is a stretch at least `EVENT_DB` above the background, or above `HEARABLE_DB` if the
  background is below that; dips of up to `EVENT_GAP_S` do not end it.
- Clips shorter than `BACKGROUND_FROM_S` have neither a background nor events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR_SILENCE_DB = -60.0
SILENCE_S = 0.5
EVENT_DB = 15.0
EVENT_GAP_S = 1.0
HEARABLE_DB = -70.0
BACKGROUND_FROM_S = 5.0
FLOOR_DB = -100.0
"""The lowest level of the curve; the noise floor of 16 bits is at -96 dBFS."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Stretch:
    """Steps of the level curve, half open: `start_step <= n < end_step`."""

    start_step: int
    end_step: int

    @property
    def steps(self) -> int:
        """Its length in steps."""
        return self.end_step - self.start_step


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundEvent:
    """A stretch that stands out from the background; its peak is its loudest step."""

    stretch: Stretch
    peak_db: float
    peak_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """The background level of a clip, and the events above it.

    Attributes:
        l90_db: exceeded 90 % of the time, in dBFS.
        l10_db: exceeded 10 % of the time.
        events: in time order.
    """

    l90_db: float
    l10_db: float
    events: tuple[SoundEvent, ...]

    @property
    def reference_db(self) -> float:
        """The level that events are measured against."""
        return max(self.l90_db, HEARABLE_DB)

    @property
    def spread_db(self) -> float:
        """The range of the level, L10 - L90, counted from `HEARABLE_DB` up."""
        return max(self.l10_db, HEARABLE_DB) - self.reference_db

    @property
    def event_steps(self) -> int:
        """The number of steps in all events."""
        return sum(event.stretch.steps for event in self.events)


def true_runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the starts and the (exclusive) ends of the runs of True in a mask of shape (n,)."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges[::2], edges[1::2]


def stretches(mask: NDArray[np.bool_], *, shortest: int = 1, gap: int = 0) -> tuple[Stretch, ...]:
    """Return the runs of True in `mask` of shape (steps,), bridging gaps of up to `gap` steps.

    ```python
    >>> mask = np.array([1, 0, 1, 0, 0, 1], bool)
    >>> [(run.start_step, run.end_step) for run in stretches(mask, gap=1)]
    [(0, 3), (5, 6)]

    ```
    """
    starts, ends = true_runs(mask)
    if not len(starts):
        return ()
    apart = starts[1:] - ends[:-1] > gap
    joined = zip(
        starts[np.append(True, apart)].tolist(), ends[np.append(apart, True)].tolist(), strict=True
    )
    return tuple(
        Stretch(start_step=start, end_step=end) for start, end in joined if end - start >= shortest
    )


def mask_of(chosen: Iterable[Stretch], *, steps: int) -> NDArray[np.bool_]:
    """Return a mask of shape (steps,) that is true inside the stretches."""
    mask = np.zeros(steps, bool)
    for stretch in chosen:
        mask[stretch.start_step : stretch.end_step] = True
    return mask


def near_silences(level_db: NDArray[np.float32], *, steps_per_s: float) -> tuple[Stretch, ...]:
    """Return the near-silent stretches of a level of shape (steps,), or of a shorter clip."""
    shortest = min(round(SILENCE_S * steps_per_s), len(level_db))
    return stretches(level_db < NEAR_SILENCE_DB, shortest=max(1, shortest))


def background(level_db: NDArray[np.float32], *, steps_per_s: float) -> Background | None:
    """Return the background of a level of shape (steps,), None if the clip is too short."""
    if len(level_db) < round(BACKGROUND_FROM_S * steps_per_s):
        return None
    l90_db, l10_db = (float(level) for level in np.percentile(level_db, (10, 90)))
    above = level_db >= max(l90_db, HEARABLE_DB) + EVENT_DB
    loud = stretches(above, gap=round(EVENT_GAP_S * steps_per_s))
    events = tuple(_event(stretch, level_db) for stretch in loud)
    return Background(l90_db=l90_db, l10_db=l10_db, events=events)


def _event(stretch: Stretch, level_db: NDArray[np.float32]) -> SoundEvent:
    peak_step = stretch.start_step + int(level_db[stretch.start_step : stretch.end_step].argmax())
    return SoundEvent(stretch=stretch, peak_db=float(level_db[peak_step]), peak_step=peak_step)
