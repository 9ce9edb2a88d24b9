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

from captoolkit.dsp.mel import BANDS, FRAME_S, mel_power

Row = tuple[float, ...]
Block = NDArray[np.float32]

LOST_SHARE = 0.15
LOST_DB = 10.0  # a cell is lost when it falls by more than this
AUDIBLE_DB = 70.0  # a cell is audible down to this far under the loudest
DEAD_DB = 60.0  # a channel this far under the loudest is dead
GOLDEN_RATIO = (1 + 5**0.5) / 2
LOUDEST = 1e3  # what is louder is no sound but a fault, and would only overflow

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
    if channels < 2:
        return plain
    heard = _Heard(plain.weights)
    for block in blocks:
        heard.listen(block, rate_hz=rate_hz)
    return _of_one(heard) or _of_the_living(heard) or plain


def _of_one(heard: _Heard) -> Mix | None:
    """The one channel that loses far less than the average does, if that loses much."""
    *lost_alone, lost_mixed = heard.lost_shares
    best = min(range(len(lost_alone)), key=lost_alone.__getitem__)
    if lost_mixed <= LOST_SHARE or lost_alone[best] >= lost_mixed / 2:
        return None
    channels = len(lost_alone)
    who = "Left and right" if channels == 2 else "The channels"
    return Mix(
        weights=tuple(float(index == best) for index in range(channels)),
        reason=f"{who} cancel each other: their average would lose {100 * lost_mixed:.0f} % of "
        f"what is audible, so {_name(best, channels)} alone is taken.",
    )


def _of_the_living(heard: _Heard) -> Mix | None:
    """The mix without the channels that are dead, if there are any."""
    weights = heard.living_weights
    if weights == heard.weights:
        return None
    channels = len(weights)
    kept = [_name(index, channels) for index, weight in enumerate(weights) if weight]
    verb = "sounds" if len(kept) == 1 else "sound"
    return Mix(
        weights=tuple(weight / sum(weights) for weight in weights),
        reason=f"Only {' and '.join(kept)} {verb}, so what is silent is left out of the mix.",
    )


def _name(index: int, channels: int) -> str:
    if channels == 2:
        return ("the left channel", "the right channel")[index]
    return f"channel {index + 1}"


def _half_of(sound: Block, rate_hz: int) -> Block:
    """One frame out of every two, end to end, at places that no beat can hide from.

    Shares of cells are counted, not followed, so half of them tell as much. Steps of the golden
    ratio spread the places evenly over what a frame may be shifted by, and never come round.

    Args:
        sound: shape (channels, frames).
        rate_hz: its rate.

    Returns:
        Shape (channels, a multiple of a frame's length); the sound itself if shorter than one.
    """
    size = max(1, round(rate_hz * FRAME_S))
    latest = sound.shape[-1] - size
    if latest < 0:
        return sound
    turns = np.arange(latest // (2 * size) + 1)
    starts = turns * 2 * size + (turns * GOLDEN_RATIO % 1 * size).astype(np.intp)
    windows = np.lib.stride_tricks.sliding_window_view(sound, size, axis=-1)
    half: Block = windows[:, np.minimum(starts, latest)].reshape(len(sound), -1)
    return half


class _Heard:
    """Mel pictures of each channel and of their mix, gathered over excerpts."""

    def __init__(self, weights: Row) -> None:
        self.weights = weights
        self._pictures: list[NDArray[np.float64]] = []  # each (channels + 1, hops, bands)
        self._power = np.zeros(len(weights))

    def listen(self, block: Block, *, rate_hz: int) -> None:
        """Take an excerpt in, shape (frames, channels)."""
        channels = np.ascontiguousarray(block.T)
        sound = np.nan_to_num(channels, nan=0.0, posinf=0.0, neginf=0.0).clip(-LOUDEST, LOUDEST)
        heard = _half_of(sound, rate_hz)
        mixed = np.sum(heard * np.array(self.weights, np.float32)[:, np.newaxis], axis=0)
        ways = np.stack([*heard, mixed])
        self._pictures.append(mel_power(ways, rate_hz=rate_hz, hop_s=FRAME_S))
        self._power += np.einsum("cf,cf->c", sound, sound, dtype=np.float64)

    @property
    def living_weights(self) -> Row:
        """The weights with those of dead channels at zero; a lone living one counts in full."""
        alive = self._power >= self._power.max() * 10 ** (-DEAD_DB / 10)
        weights = tuple(w if live else 0.0 for w, live in zip(self.weights, alive, strict=True))
        return weights if sum(weights) else tuple(float(live) for live in alive)

    @property
    def lost_shares(self) -> list[float]:
        """Share of the audible cells that each channel loses alone, and last their mix."""
        empty = np.zeros((len(self.weights) + 1, 0, BANDS))
        picture = np.concatenate([empty, *self._pictures], axis=1)
        truth = picture[:-1].mean(axis=0)
        # Dead channels add nothing but weight: without them the mix is that much louder.
        picture[-1] /= max(sum(self.living_weights), 1e-9) ** 2
        audible = truth > truth.max(initial=0.0) * 10 ** (-AUDIBLE_DB / 10)
        lost = (picture < truth * 10 ** (-LOST_DB / 10)) & audible
        return [float(way.sum()) / max(1, int(audible.sum())) for way in lost]
