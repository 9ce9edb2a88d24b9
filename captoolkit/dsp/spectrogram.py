"""The spectrogram of a whole recording, small enough for a page: blocks of samples in, bytes out.

Rules: memory does not grow with the recording. As soon as there are more than `MOST_COLUMNS`
columns, each two become one. The bands are pairs of the bands that captioning models get.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.dsp import mel
from captoolkit.model import Spectrogram

BANDS = mel.BANDS // 2
MOST_COLUMNS = 2048
LOUDEST_LEVEL = 31
STEP_DB = 2.5


class SpectrogramMeter:
    """Measures the spectrogram of a running sound, frame after frame.

    Powers are averaged over the channels, so that no two channels cancel.

    Args:
        rate_hz: the rate of the sound, at least twice `mel.TOP_HZ`.
        channels: the number of its channels.
    """

    def __init__(self, rate_hz: int, *, channels: int) -> None:
        self._rate_hz = rate_hz
        self._frame = round(rate_hz * mel.FRAME_S)
        self._rest = np.empty((channels, 0), dtype=np.float32)
        self._frames = 0
        self._frames_per_column = 1
        self._powers = np.empty((0, BANDS))  # sums over the frames of each column

    def feed(self, block: NDArray[Any]) -> None:
        """Measure a block of floats, shape (frames, channels)."""
        channels = np.nan_to_num(block).astype(np.float32).T
        sound = np.concatenate([self._rest, channels], axis=1)
        whole = sound.shape[1] // self._frame * self._frame
        self._rest = sound[:, whole:]
        each = mel.mel_power(sound[:, :whole], rate_hz=self._rate_hz, hop_s=mel.FRAME_S)
        powers = each.mean(axis=0)
        self._add(powers[:, 0::2] + powers[:, 1::2])

    def spectrogram(self) -> Spectrogram:
        """Return the spectrogram of all whole frames so far."""
        frames = np.full((len(self._powers), 1), self._frames_per_column)
        if self._frames % self._frames_per_column:
            frames[-1] = self._frames % self._frames_per_column
        powers = self._powers / frames
        highest = max(float(powers.max(initial=0.0)), 1e-12)
        levels_db = 10 * np.log10(np.maximum(powers / highest, 1e-12))
        levels = np.clip(np.rint(LOUDEST_LEVEL + levels_db / STEP_DB), 0, LOUDEST_LEVEL)
        return Spectrogram(
            bands=BANDS,
            rate_hz=self._rate_hz,
            column_samples=self._frame * self._frames_per_column,
            levels=levels.astype(np.uint8).tobytes(),
        )

    def _add(self, powers: NDArray[np.float64]) -> None:
        if not len(powers):
            return
        begun = self._frames % self._frames_per_column
        starts = np.maximum(np.arange(-begun, len(powers), self._frames_per_column), 0)
        sums = np.add.reduceat(powers, starts, axis=0)
        if begun:  # the first of them continues the last column
            self._powers[-1] += sums[0]
            sums = sums[1:]
        self._powers = np.concatenate([self._powers, sums])
        self._frames += len(powers)
        while len(self._powers) > MOST_COLUMNS:
            self._frames_per_column *= 2
            self._powers = np.add.reduceat(self._powers, np.arange(0, len(self._powers), 2), axis=0)
