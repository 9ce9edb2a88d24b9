"""Measure the band that models hear (see `dsp/model_band.py`): frames, lines, speech and music.

Rules: frames, windows and the model's frames have their own spacing. `steps_of` and `mean_by_step`
bring them to the steps of the level curve by their time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from captoolkit.captioners.acoustic.hearing import Heard, Listener
from captoolkit.dsp.lines import Hum, LineMeter, Lines
from captoolkit.dsp.loudness import Loudness, estimate_loudness, k_weighting
from captoolkit.dsp.model_band import ModelBand
from captoolkit.dsp.spectrum import FRAME_S, FrameFigures, Rises, SpectrumMeter
from captoolkit.dsp.tiles import STEPS_PER_TILE, HopGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BandFigures:
    """Everything that was measured in the band.

    Attributes:
        hop_s: the spacing of `rises`; `frames` has every second hop.
        frames: figures of every second frame.
        rises: figures of every frame.
        window_s: the length of the windows of `lines`, which follow each other.
        lines: figures of each window.
        hum: mains hum, None if absent.
        heard: speech and music, None without a model.
        band_share: the share of the power of each step that lies in the band, shape (steps,).
    """

    hop_s: float
    frames: FrameFigures
    rises: Rises
    window_s: float
    lines: Lines
    hum: Hum | None
    heard: Heard | None
    band_share: NDArray[np.float32]

    def frame_steps(self, *, step_s: float, steps: int) -> NDArray[np.intp]:
        """Return the step in which the middle of each of `frames` lies."""
        middle_s = 2 * self.hop_s * np.arange(len(self.frames.power)) + FRAME_S / 2
        return _steps_at(middle_s, step_s=step_s, steps=steps)

    def mean_band_share(self, step_power: NDArray[np.float32]) -> float:
        """Return the share of the power of all steps that lies in the band."""
        total = float(step_power.sum())
        share = float(step_power @ self.band_share[: len(step_power)])
        return share / total if total else 1.0

    def loudness(self, step_power: NDArray[np.float32], *, step_s: float) -> Loudness:
        """Return the loudness for the power of each step, shape (steps,)."""
        steps, power = len(step_power), 10 ** (self.rises.level_db.astype(np.float64) / 10)
        middle_s = self.hop_s * np.arange(len(power)) + FRAME_S / 2
        at = _steps_at(middle_s, step_s=step_s, steps=max(1, steps))
        total = np.bincount(at, weights=power, minlength=steps)[:steps]
        weighted = np.bincount(at, weights=power * self.rises.weighted_share, minlength=steps)
        share = (weighted[:steps] / np.maximum(total, 1e-30)).astype(np.float32)
        return estimate_loudness(step_power, share, self.band_share[:steps])


def _steps_at(times_s: NDArray[np.floating], *, step_s: float, steps: int) -> NDArray[np.intp]:
    """Return the step in which each time lies; times after the last step are in it."""
    return np.minimum((times_s / step_s).astype(np.intp), steps - 1)


def _k_weighting(rate_hz: int, fft_samples: int) -> NDArray[np.complex64]:
    return k_weighting(rate_hz, fft_samples=fft_samples)


class BandMeter:
    """Measures the band of a clip, tile by tile.

    Args:
        rate_hz: of the clip.
        channels: of the clip.
        hears: whether to run the model for speech and music.
    """

    def __init__(self, *, rate_hz: int, channels: int, hears: bool) -> None:
        self._band = ModelBand(rate_hz=rate_hz, channels=channels)
        self._grid = HopGrid(self._band.rate_hz)
        self._spectrum = SpectrumMeter(grid=self._grid, weighting=_k_weighting)
        self._lines = LineMeter(rate_hz=self._band.rate_hz)
        self._listener = Listener(rate_hz=self._band.rate_hz) if hears else None
        self._band_share: list[float] = []

    def feed(
        self, tile: NDArray[np.float32], covariance: NDArray[np.float64], *, is_last: bool
    ) -> None:
        """Measure a tile of shape (channels, frames) with its covariance."""
        mixed = self._band.mix_power
        mono = self._band.feed(tile, covariance, is_last=is_last)
        self._spectrum.feed(mono, gain=self._band.gain)
        self._lines.feed(mono)
        if self._listener:
            self._listener.feed(mono)
        mixed = (self._band.mix_power - mixed) / max(1, tile.shape[1])
        power = float(np.einsum("n,n->", mono, mono)) / max(1, len(mono))
        share = power / mixed if mixed > 0 else 1.0
        self._band_share.append(min(1.0, share) if self._band.is_narrower else 1.0)

    def figures(self) -> BandFigures:
        """Return the figures of all tiles so far."""
        return BandFigures(
            hop_s=self._grid.hop_samples / self._grid.rate_hz,
            frames=self._spectrum.frames(),
            rises=self._spectrum.rises(),
            window_s=self._lines.window_s,
            lines=self._lines.lines(),
            hum=self._lines.hum(),
            heard=self._listener.heard() if self._listener else None,
            band_share=np.repeat(np.array(self._band_share, np.float32), STEPS_PER_TILE),
        )
