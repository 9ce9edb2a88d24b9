"""Spectral lines: steady tones and mains hum, from long windows of one channel.

A window of 2 s tells frequencies 1 Hz apart, which a frame of 50 ms cannot.

Rules:

- A window is *one tone* if `TONE_SHARE` of its power lies within `TONE_WITHIN_HZ` (or half a
  percent) of one frequency and its multiples: a sine, a square wave, a whistle, a beep.
- The strongest line of a window is its strongest frequency, tone or not.
- *Mains hum* has lines within `HUM_WITHIN_HZ` of at least two of the first three multiples of 50 Hz
  or 60 Hz, `HUM_LINE_DB` above the neighbouring frequencies, one of them `HUM_STRONG_DB`, in the
  median of the windows: harmonics of a voice or an instrument move, those of the mains do not. The
  strongest of them reaches `HUM_LEVEL_DB`; peaks `HUM_RANGE_DB` below it are rounding
  errors, and do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from captoolkit.dsp.tiles import fast_fft_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW_S = 2.0
LOWEST_TONE_HZ = 30.0
TONE_SHARE = 0.85
TONE_WITHIN_HZ = 3.0
TONE_WITHIN = 0.005
MAINS_HZ = (50, 60)
HUM_HARMONICS = 3
HUM_WITHIN_HZ = 0.75
HUM_LINE_DB = 10.0
HUM_STRONG_DB = 16.0
HUM_LEVEL_DB = -75.0
HUM_RANGE_DB = 80.0
HUM_AROUND_HZ = 8.0
HUM_APART_HZ = 2.0
HUM_WINDOWS = 2
LOW_BAND_HZ = 200.0
TINY = np.float32(1e-20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hum:
    """Mains hum: the frequency of the mains, and the level of its strongest line in dBFS."""

    mains_hz: int
    level_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The lines of each window of a clip; all arrays have shape (windows,).

    Attributes:
        frequency_hz: the strongest line, 0 for a silent window.
        tone_share: the share of the power that is that tone and its multiples, 0 to 1.
        power: the mean square of the window.
    """

    frequency_hz: NDArray[np.float32]
    tone_share: NDArray[np.float32]
    power: NDArray[np.float32]

    @property
    def is_one_tone(self) -> NDArray[np.bool_]:
        """The windows that are one tone."""
        return self.tone_share >= TONE_SHARE


class LineMeter:
    """Measures windows of 2 s; an incomplete window at the end is left out."""

    def __init__(self, *, rate_hz: int) -> None:
        self._samples = fast_fft_length(round(WINDOW_S * rate_hz))
        self.window_s = self._samples / rate_hz
        self._bin_hz = rate_hz / self._samples
        self._window = np.hanning(self._samples + 1)[:-1].astype(np.float32)
        # numpy transforms float32 in float32 only where it also divides by the length.
        self._scale = np.float32(2 * self._samples / float((self._window**2).sum()))
        self._spectrum = np.empty(self._samples // 2 + 1, np.complex64)  # used for each window
        self._waiting = np.zeros(0, np.float32)
        self._figures: list[tuple[float, float, float]] = []
        self._low: list[NDArray[np.float32]] = []

    def feed(self, samples: NDArray[np.float32]) -> None:
        """Measure the next samples, shape (frames,)."""
        self._waiting = np.concatenate([self._waiting, samples])
        while len(self._waiting) >= self._samples:
            self._measure(self._waiting[: self._samples])
            self._waiting = self._waiting[self._samples :]

    def _measure(self, samples: NDArray[np.float32]) -> None:
        out = cast("Any", self._spectrum)
        spectrum = np.fft.rfft(samples * self._window, norm="forward", out=out)
        power: NDArray[np.float32] = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        power *= self._scale
        power[: round(LOWEST_TONE_HZ / self._bin_hz)] = 0.0
        total = float(power.sum())
        self._low.append(power[: round(LOW_BAND_HZ / self._bin_hz)].copy())
        top = int(power.argmax())
        if total <= 0 or not 0 < top < len(power) - 1:
            self._figures.append((0.0, 0.0, total))
            return
        around = power[top - 1 : top + 2]
        place = top + float(around @ np.array((-1.0, 0.0, 1.0), np.float32) / around.sum())
        share = self._harmonic_power(power, place) / total
        self._figures.append((place * self._bin_hz, share, total))

    def _harmonic_power(self, power: NDArray[np.float32], place: float) -> float:
        """Return the power around the multiples of a place between bins."""
        multiples = np.arange(1, int((len(power) - 1) / place) + 1)
        reach = np.maximum(TONE_WITHIN_HZ / self._bin_hz, TONE_WITHIN * place * multiples)
        reach = np.minimum(reach, place / 4)
        first = np.round(multiples * place - reach).astype(int)
        end = np.round(multiples * place + reach + 1).astype(int).clip(max=len(power))
        edges = np.stack([first, end], axis=1).reshape(-1)
        sums = np.add.reduceat(np.append(power, np.float32(0)), edges)  # an edge may be the end
        return float(sums[::2].sum())

    def lines(self) -> Lines:
        """Return the lines of all windows so far."""
        figures = np.array(self._figures, np.float32).reshape(-1, 3)
        return Lines(frequency_hz=figures[:, 0], tone_share=figures[:, 1], power=figures[:, 2])

    def hum(self) -> Hum | None:
        """Return the mains hum of the windows so far, None if absent."""
        if len(self._low) < HUM_WINDOWS:
            return None
        middle = np.median(np.array(self._low), axis=0)
        found = [hum for mains_hz in MAINS_HZ if (hum := self._hum_at(mains_hz, middle))]
        return max(found, key=lambda hum: hum.level_db, default=None)

    def _hum_at(self, mains_hz: int, power: NDArray[np.float32]) -> Hum | None:
        heights, levels = [], []
        for harmonic in range(1, HUM_HARMONICS + 1):
            place = harmonic * mains_hz / self._bin_hz
            line = float(power[self._within(place, HUM_WITHIN_HZ)].max())
            around = power[self._within(place, HUM_AROUND_HZ)].copy()
            apart = abs(np.arange(len(around)) - len(around) // 2) * self._bin_hz > HUM_APART_HZ
            heights.append(10 * np.log10((line + TINY) / (np.median(around[apart]) + TINY)))
            levels.append(10 * np.log10(2 * line + TINY))  # a Hann window halves a line's height
        level_db = max(levels)
        lines = [
            height
            for height, level in zip(heights, levels, strict=True)
            if height >= HUM_LINE_DB and level > level_db - HUM_RANGE_DB
        ]
        if len(lines) < 2 or max(lines) < HUM_STRONG_DB or level_db < HUM_LEVEL_DB:
            return None
        return Hum(mains_hz=mains_hz, level_db=float(level_db))

    def _within(self, place: float, reach_hz: float) -> slice:
        reach = reach_hz / self._bin_hz
        return slice(max(0, round(place - reach)), round(place + reach) + 1)
