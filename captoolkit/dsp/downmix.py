"""The downmix of several channels to one, without losing sound.

Adding channels clips, and averaging them cancels sound of opposite phase: R = -L loses everything,
and one inverted cable loses every voice in the middle. So captoolkit tests the average on excerpts.
The power mean of the channels is the reference. If the average loses more than 15 % of the audible
cells of the model's mel spectrogram, and one channel alone loses less than half as many, captoolkit
takes that channel. A dead channel is left out, because averaging with silence halves the level.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captoolkit.dsp.mel import BANDS, FRAME_S, mel_power
from captoolkit.dsp.tiles import FAULTY_ABOVE

Weights = tuple[float, ...]
Block = NDArray[np.float32]

LOST_SHARE = 0.15
LOST_DB = 10.0  # a cell is lost if it falls by more than this
AUDIBLE_DB = 70.0  # a cell is audible if it is at most this far below the loudest
DEAD_DB = 60.0  # a channel is dead if it is this far below the loudest
GOLDEN_RATIO = (1 + 5**0.5) / 2

# ITU-R BS.775-3: centre at 0 dB (it carries the dialogue), front at -3 dB, surrounds at -6 dB, no
# low-frequency channel; in ffmpeg's order of channels.
LAYOUT_ROWS: dict[str, Weights] = {
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
    """One weight per channel, and the reason if it is not the plain average (else empty)."""

    weights: Weights
    reason: str = ""


def average_mix(channels: int, layout: str = "") -> Mix:
    """Return the standard mix of a layout, scaled so that it cannot clip: its weights sum to 1."""
    row = LAYOUT_ROWS.get(layout, (1.0,) * channels)
    row = row if len(row) == channels else (1.0,) * channels
    return Mix(weights=tuple(weight / sum(row) for weight in row))


def choose_mix(blocks: Iterable[Block], *, rate_hz: int, layout: str, channels: int) -> Mix:
    """Return the mix for a recording, chosen by excerpts of its sound.

    Args:
        blocks: excerpts, shape (frames, channels), spread over the recording.
        rate_hz: their rate.
        layout: ffmpeg's name of the layout.
        channels: the number of channels.
    """
    plain = average_mix(channels, layout)
    if channels < 2:
        return plain
    meter = _LossMeter(plain.weights)
    for block in blocks:
        meter.feed(block, rate_hz=rate_hz)
    return _single_channel(meter) or _without_dead_channels(meter) or plain


def _single_channel(meter: _LossMeter) -> Mix | None:
    """The channel that loses far less than the average, if the average loses much."""
    *lost_alone, lost_mixed = meter.lost_shares
    best = min(range(len(lost_alone)), key=lost_alone.__getitem__)
    if lost_mixed <= LOST_SHARE or lost_alone[best] >= lost_mixed / 2:
        return None
    channels = len(lost_alone)
    subject = "Left and right" if channels == 2 else "The channels"
    return Mix(
        weights=tuple(float(index == best) for index in range(channels)),
        reason=f"{subject} cancel each other: their average would lose {100 * lost_mixed:.0f} % of "
        f"the audible sound, so the mix is {_name(best, channels)} alone.",
    )


def _without_dead_channels(meter: _LossMeter) -> Mix | None:
    """The mix without the dead channels, if there are any."""
    weights = meter.living_weights
    if weights == meter.weights:
        return None
    channels = len(weights)
    living = [_name(index, channels) for index, weight in enumerate(weights) if weight]
    verb = "has" if len(living) == 1 else "have"
    return Mix(
        weights=tuple(weight / sum(weights) for weight in weights),
        reason=f"Only {' and '.join(living)} {verb} sound; the mix leaves silent channels out.",
    )


def _name(index: int, channels: int) -> str:
    if channels == 2:
        return ("the left channel", "the right channel")[index]
    return f"channel {index + 1}"


def _half_of(sound: Block, rate_hz: int) -> Block:
    """One frame out of every two, end to end, at places that no beat can coincide with.

    The loss is a share of cells, so half of the cells estimate it as well. Steps of the golden
    ratio spread the frames evenly over their possible shifts and never repeat.

    Args:
        sound: shape (channels, frames).
        rate_hz: its rate.

    Returns:
        Shape (channels, a multiple of a frame's length); `sound` itself if it is shorter than one.
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


class _LossMeter:
    """Compares mel spectrograms of each channel and of their mix, over several excerpts."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._spectrograms: list[NDArray[np.float64]] = []  # each (channels + 1, hops, bands)
        self._power = np.zeros(len(weights))

    def feed(self, block: Block, *, rate_hz: int) -> None:
        """Measure an excerpt, shape (frames, channels)."""
        sound = np.array(block.T, order="C")
        np.nan_to_num(sound, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        sound.clip(-FAULTY_ABOVE, FAULTY_ABOVE, out=sound)
        half = _half_of(sound, rate_hz)
        mixed = np.sum(half * np.array(self.weights, np.float32)[:, np.newaxis], axis=0)
        candidates = np.stack([*half, mixed])
        self._spectrograms.append(mel_power(candidates, rate_hz=rate_hz, hop_s=FRAME_S))
        self._power += np.einsum("cf,cf->c", sound, sound, dtype=np.float64)

    @property
    def living_weights(self) -> Weights:
        """The weights with those of dead channels at zero; a lone living channel counts fully."""
        alive = self._power >= self._power.max() * 10 ** (-DEAD_DB / 10)
        weights = tuple(w if live else 0.0 for w, live in zip(self.weights, alive, strict=True))
        return weights if sum(weights) else tuple(float(live) for live in alive)

    @property
    def lost_shares(self) -> list[float]:
        """The share of audible cells that each channel loses alone, and last that of their mix."""
        empty = np.zeros((len(self.weights) + 1, 0, BANDS))
        spectrogram = np.concatenate([empty, *self._spectrograms], axis=1)
        reference = spectrogram[:-1].mean(axis=0)
        # Dead channels only add weight; without them the mix is that much louder.
        spectrogram[-1] /= max(sum(self.living_weights), 1e-9) ** 2
        audible = reference > reference.max(initial=0.0) * 10 ** (-AUDIBLE_DB / 10)
        lost = (spectrogram < reference * 10 ** (-LOST_DB / 10)) & audible
        return [float(cells.sum()) / max(1, int(audible.sum())) for cells in lost]
