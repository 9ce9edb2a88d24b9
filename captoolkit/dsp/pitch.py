"""The pitch of a frame: its repetition rate, if it has one.

Method: the autocorrelation is the inverse transform of the power spectrum (Wiener and Khinchin),
divided by that of the window (P. Boersma, "Accurate short-term analysis of the fundamental
frequency and the harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993). Of its
peaks after the first zero crossing, the first within `KEY_PEAK` of the highest gives the period, so
that the pitch is not an octave too low (P. McLeod and G. Wyvill, "A smarter way to find pitch",
ICMC 2005).

Rules:

- Only power below `TOP_HZ` counts; a frame with most of its power above has no pitch. A frame is
  periodic if its autocorrelation reaches `PERIODIC_FROM`.
- A single periodic frame may be chance: `steady` keeps those with a neighbour of like pitch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from captoolkit.dsp.tiles import fast_fft_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST_HZ = 45.0
HIGHEST_HZ = 4000.0
TOP_HZ = 8000.0
PERIODIC_FROM = 0.8
KEY_PEAK = 0.9
LIKE_PITCH = 0.1
"""Neighbouring frames within a tenth of each other (less than two semitones) have like pitch."""
POWER_SHARE_BELOW_TOP = 0.5
FINENESS = 3
"""Points of the autocorrelation per period of `TOP_HZ`: 1.5 times the minimum for sampling it."""


class PitchFinder:
    """Finds the pitch of power spectra with one window and one spacing of bins."""

    def __init__(self, window: NDArray[np.float32], *, rate_hz: int, fft_samples: int) -> None:
        bin_hz = rate_hz / fft_samples
        self._bins = min(fft_samples // 2 + 1, round(TOP_HZ / bin_hz))
        self._points = fast_fft_length(round(FINENESS * TOP_HZ / bin_hz))
        self._points_per_s = self._points * bin_hz
        self._highest_hz = min(HIGHEST_HZ, rate_hz / 4)
        self._lags = int(self._points_per_s / LOWEST_HZ) + 2
        self._space = np.empty((0, self._points), np.float32)  # used again for each tile
        shape = self._correlation(np.abs(np.fft.rfft(window, n=fft_samples))[None, :] ** 2)
        self._per_window_shape = (shape[:, :1] / shape).astype(np.float32)

    def find(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the pitch in Hz of each power spectrum of shape (frames, bins), 0 without one."""
        below = np.einsum("fn->f", power[:, : self._bins])
        total = np.einsum("fn->f", power)
        has_power_below = (below > 0) & (below >= POWER_SHARE_BELOW_TOP * total)
        pitch_hz = np.zeros(len(power), np.float32)
        pitch_hz[has_power_below] = self._find(power[has_power_below])
        return pitch_hz

    def _find(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(power):
            return np.zeros(0, np.float32)
        correlation = self._correlation(power)
        likeness = correlation * self._per_window_shape
        likeness /= correlation[:, :1]
        lag, height = _first_key_peak(likeness)
        found_hz = self._points_per_s / np.maximum(lag, 1.0)
        pitched = (height >= PERIODIC_FROM) & (found_hz <= self._highest_hz)
        return np.where(pitched, found_hz, 0.0).astype(np.float32)

    def _correlation(self, power: NDArray[np.floating]) -> NDArray[np.floating]:
        if len(self._space) < len(power):
            self._space = np.empty((len(power), self._points), np.float32)
        out = cast("Any", self._space[: len(power)])  # numpy's annotation knows float64 only
        bins = power[:, : self._bins].astype(np.complex64)  # numpy transforms reals in float64
        return np.fft.irfft(bins, n=self._points, out=out)[:, : self._lags]


def _first_key_peak(likeness: NDArray[np.floating]) -> tuple[NDArray[np.floating], ...]:
    """Return the lag (in fractions of points) and the height of the key peak of each row."""
    middle = likeness[:, 1:-1]
    peaks = (middle > likeness[:, :-2]) & (middle >= likeness[:, 2:])
    below_zero = middle < 0
    first_below = np.where(below_zero.any(axis=1), below_zero.argmax(axis=1), middle.shape[1])
    peaks &= np.arange(middle.shape[1]) > first_below[:, None]
    heights = np.where(peaks, middle, 0.0)
    at = (heights >= KEY_PEAK * np.maximum(heights.max(axis=1, keepdims=True), 1e-6)).argmax(axis=1)
    rows = np.arange(len(likeness))
    left, top, right = (likeness[rows, at + shift] for shift in (0, 1, 2))
    bend = left - 2 * top + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1.0), 0.0)
    return at + 1 + shift, heights[rows, at]


def steady(pitch_hz: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return a mask of shape (frames,): the frames with the pitch of a neighbour."""
    pitched = pitch_hz > 0
    ratio = pitch_hz[1:] / np.where(pitched[:-1], pitch_hz[:-1], 1.0)
    alike = pitched[1:] & pitched[:-1] & (abs(np.log(np.maximum(ratio, 1e-6))) < LIKE_PITCH)
    shared: NDArray[np.bool_] = np.append(alike, False) | np.append(False, alike)
    return shared
