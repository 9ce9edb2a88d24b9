"""What the channels of a clip have to do with each other.

Rules: everything is computed from the covariance of the channels with the mean of each step taken
out, so an offset counts for nothing. A channel is dead below `DEAD_BELOW_DB` while another is above
`ALIVE_ABOVE_DB`. The correlation is given for two channels that both move; of more than two, only
what is wrong is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEAD_BELOW_DB = -90.0
ALIVE_ABOVE_DB = -60.0
LOWEST_DB = -200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The channels of a clip.

    Attributes:
        levels_db: the RMS level of each over the whole clip, nowhere below -200 dBFS.
        offsets: the mean of each, 1.0 is full scale.
        dead: the numbers (from 1) of the dead channels.
        identical: all hold the same samples.
        correlation: of two channels, -1 to 1; None for any other number or where one is dead.
        mono_loss_db: the power that a mean of two channels loses against the mean of their powers
            (0 for identical channels, 3 for unrelated ones), None where it loses everything.
    """

    levels_db: tuple[float, ...]
    offsets: tuple[float, ...]
    dead: tuple[int, ...]
    identical: bool
    correlation: float | None
    mono_loss_db: float | None

    @property
    def count(self) -> int:
        """How many channels there are."""
        return len(self.levels_db)


def describe_channels(
    covariance: NDArray[np.float64],
    *,
    measured_samples: int,
    offsets: NDArray[np.float64],
    identical: bool,
) -> Channels:
    """Return what a summed covariance of shape (channels, channels) says of the channels."""
    power = np.diag(covariance) / max(1, measured_samples)
    levels_db = 10 * np.log10(np.maximum(power, 10 ** (LOWEST_DB / 10)))
    dead = _dead(levels_db)
    related = len(power) == 2 and not dead and bool((power > 0).all())
    return Channels(
        levels_db=tuple(levels_db.tolist()),
        offsets=tuple(offsets.tolist()),
        dead=dead,
        identical=identical and len(power) > 1,
        correlation=_correlation(covariance) if related else None,
        mono_loss_db=_mono_loss_db(covariance) if related else None,
    )


def _dead(levels_db: NDArray[np.float64]) -> tuple[int, ...]:
    if levels_db.max() <= ALIVE_ABOVE_DB:
        return ()
    return tuple((np.flatnonzero(levels_db < DEAD_BELOW_DB) + 1).tolist())


def _correlation(covariance: NDArray[np.float64]) -> float:
    left, right = np.sqrt(np.diag(covariance))
    return float(np.clip(covariance[0, 1] / (left * right), -1.0, 1.0))


def _mono_loss_db(covariance: NDArray[np.float64]) -> float | None:
    kept = float(covariance.sum() / 2 / np.trace(covariance))
    return None if kept < 1e-6 else max(0.0, -10 * float(np.log10(kept)))
