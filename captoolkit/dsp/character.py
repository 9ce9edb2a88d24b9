"""What the sounding part of a clip is like: tonal or noisy, dark or bright, with what pitch.

Rules:

- Only frames that sound (see `spectrum`) say anything about the sound.
- Such a frame is tonal when its flatness lies below `TONAL_DB` or it is periodic together with a
  neighbour, noise-like when its flatness lies above `NOISE_DB` and it is not periodic, else between
  the two.
- Centroid and roll-off are medians over the sounding frames, so that each moment counts the same
  however loud it is. The pitch range goes from the 10th to the 90th percentile.
- Fewer than `FEWEST_FRAMES` sounding frames (0.2 s) have no character.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.dsp.pitch import steady
from captoolkit.dsp.spectrum import SOUNDING_POWER, Frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

TONAL_DB = -10.0
NOISE_DB = -5.0
FEWEST_FRAMES = 5
PITCH_SHARE = 0.2
"""Where less of the sounding time is periodic than this, no pitch is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """Figures over the sounding frames; shares are of them, 0 to 1.

    Attributes:
        sounding_share: the share of all frames that sound.
        pitch_low_hz: the 10th percentile of the periodic frames, None below `PITCH_SHARE`.
        pitch_high_hz: the 90th percentile.
    """

    sounding_share: float
    tonal_share: float
    noise_share: float
    flatness_db: float
    centroid_hz: float
    rolloff_hz: float
    periodic_share: float
    pitch_low_hz: float | None
    pitch_high_hz: float | None


def describe_frames(frames: Frames, *, chosen: NDArray[np.bool_]) -> Character | None:
    """Return the character of the chosen frames (mask of shape (frames,)) that sound."""
    sounding = chosen & (frames.power >= SOUNDING_POWER)
    if sounding.sum() < FEWEST_FRAMES:
        return None
    periodic = steady(frames.pitch_hz)[sounding]
    flatness_db = frames.flatness_db[sounding]
    low_hz, high_hz = _pitch_range(frames.pitch_hz[sounding][periodic], of=len(periodic))
    return Character(
        sounding_share=float(sounding.sum() / chosen.sum()),
        tonal_share=float((periodic | (flatness_db < TONAL_DB)).mean()),
        noise_share=float((~periodic & (flatness_db > NOISE_DB)).mean()),
        flatness_db=float(np.median(flatness_db)),
        centroid_hz=float(np.median(frames.centroid_hz[sounding])),
        rolloff_hz=float(np.median(frames.rolloff_hz[sounding])),
        periodic_share=float(periodic.mean()),
        pitch_low_hz=low_hz,
        pitch_high_hz=high_hz,
    )


def _pitch_range(pitch_hz: NDArray[np.float32], *, of: int) -> tuple[float | None, float | None]:
    if len(pitch_hz) < PITCH_SHARE * of:
        return None, None
    low_hz, high_hz = np.percentile(pitch_hz, (10, 90))
    return float(low_hz), float(high_hz)
