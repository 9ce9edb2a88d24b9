"""How several channels become one without anything going missing.

Adding channels up clips, and averaging them cancels what is out of phase: R = -L loses everything,
one inverted cable loses every voice in the middle. So the average is listened to first. The power
mean of the channels is the truth; where the average loses more than 15 % of the audible cells of
the model's mel picture, and one channel alone loses less than half as many, that channel is taken.
A channel that is dead is left out, because averaging with nothing halves the level.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captoolkit.planning.mel import BANDS, mel_power

Row = tuple[float, ...]
Block = NDArray[np.float32]

LOST_SHARE = 0.15
LOST_DB = 10.0  # a cell is lost when it falls by more than this
AUDIBLE_DB = 70.0  # a cell is audible down to this far under the loudest
DEAD_DB = 60.0  # a channel this far under the other is dead

# ITU-R BS.775-3: centre in full, front at -3 dB, surrounds at -6 dB, no low-frequency channel;
# in ffmpeg's order of channels. Dialogue is in the centre.
LAYOUT_ROWS: dict[str, Row] = {
    "3.0": (0.707, 0.707, 1.0),
    "2.1": (0.5, 0.5, 0.0),
    "3.1": (0.707, 0.707, 1.0, 0.0),
    "4.0": (0.707, 0.707, 1.0, 0.5),
    "5.0": (0.707, 0.707, 1.0, 0.5, 0.5),
    "5.0(side)": (0.707, 0.707, 1.0, 0.5, 0.5),
    "5.1": (0.707, 0.707, 1.0, 0.0, 0.5, 0.5),
    "5.1(side)": (0.707, 0.707, 1.0, 0.0, 0.5, 0.5),
    "6.1": (0.707, 0.707, 1.0, 0.0, 0.5, 0.5, 0.5),
    "7.1": (0.707, 0.707, 1.0, 0.0, 0.5, 0.5, 0.5, 0.5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """One weight per channel, and why it is not the plain average (empty when it is)."""

    weights: Row
    reason: str = ""


def average(channels: int, layout: str = "") -> Mix:
    """Return the mix of that layout which cannot clip: its weights add up to one."""
    row = LAYOUT_ROWS.get(layout, (1.0,) * channels)
    row = row if len(row) == channels else (1.0,) * channels
    return Mix(weights=tuple(weight / sum(row) for weight in row))


def choose_mix(blocks: Iterable[Block], *, rate_hz: int, layout: str, channels: int) -> Mix:
    """Return how to make one channel of several, having listened to some of the sound.

    Args:
        blocks: excerpts, shape (frames, channels), spread over the recording.
        rate_hz: their rate.
        layout: ffmpeg's name of the layout.
        channels: how many there are.
    """
    plain = average(channels, layout)
    if channels != 2:
        return plain
    heard = _Heard()
    for block in blocks:
        heard.listen(block, rate_hz=rate_hz)
    left_db, right_db = heard.levels_db
    if abs(left_db - right_db) > DEAD_DB:
        name, weights = ("right", (1.0, 0.0)) if left_db > right_db else ("left", (0.0, 1.0))
        return Mix(weights=weights, reason=f"The {name} channel is silent, so the other is taken.")
    lost_left, lost_right, lost_average = heard.lost_shares
    best = min(lost_left, lost_right)
    if lost_average > LOST_SHARE and best < lost_average / 2:
        name, weights = ("left", (1.0, 0.0)) if lost_left <= lost_right else ("right", (0.0, 1.0))
        share = f"{100 * lost_average:.0f} %"
        return Mix(
            weights=weights,
            reason=f"Left and right cancel each other: their average would lose {share} of what is "
            f"audible, so the {name} channel alone is taken.",
        )
    return plain


class _Heard:
    """Mel pictures of left, right and their average, gathered over excerpts."""

    def __init__(self) -> None:
        self._pictures: list[NDArray[np.float64]] = []  # each (3, hops, bands)
        self._power = np.zeros(2)
        self._frames = 0

    def listen(self, block: Block, *, rate_hz: int) -> None:
        """Take an excerpt in, shape (frames, 2)."""
        left, right = np.nan_to_num(block.T, nan=0.0, posinf=0.0, neginf=0.0)
        half = np.float32(0.5)
        ways: tuple[Block, ...] = (left, right, half * left + half * right)
        self._pictures.append(np.stack([mel_power(way, rate_hz=rate_hz) for way in ways]))
        self._power += [np.vdot(left, left), np.vdot(right, right)]
        self._frames += len(block)

    @property
    def levels_db(self) -> tuple[float, float]:
        """Level of each channel over all excerpts; -200 for nothing at all."""
        power = self._power / max(1, self._frames)
        left, right = 10 * np.log10(np.maximum(power, 1e-20))
        return float(left), float(right)

    @property
    def lost_shares(self) -> tuple[float, float, float]:
        """Share of the audible cells that left, right and average each lose."""
        empty = np.zeros((3, 0, BANDS))
        picture = np.concatenate([empty, *self._pictures], axis=1)
        truth = (picture[0] + picture[1]) / 2
        audible = truth > truth.max(initial=0.0) * 10 ** (-AUDIBLE_DB / 10)
        cells = max(1, int(audible.sum()))
        lost = (picture < truth * 10 ** (-LOST_DB / 10)) & audible
        left, right, mean = (float(way.sum()) / cells for way in lost)
        return left, right, mean
