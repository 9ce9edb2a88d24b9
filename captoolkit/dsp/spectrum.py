"""Spectral figures of each frame, and the character of the sounding frames of a clip.

The spectra are those of one channel, the mix of `model_band`. A frame is 50 ms under a Hann window;
one begins with every hop (20 ms). The sum of its power spectrum is the mean square of the samples.
The rise and the K-weighted share (see `loudness`) are measured in every frame, the other figures in
every second one. The mean of the samples of a tile and power below `LOWEST_HZ` are left out.

Rules for a frame:

- A frame *sounds* at `SOUNDING_DB` or above; quieter frames have no pitch.
- *Rise* is the spectral flux of S. Böck and G. Widmer ("Maximum filter vibrato suppression for
  onset detection", DAFx 2013): the dB by which the bands are above the maximum of themselves and
  their neighbours two frames before, falling bands counted as 0, as a mean over `BANDS` bands on
  the mel scale. Bands are not followed below `BAND_FLOOR_DB`.
- *Flatness* is the geometric mean of the power divided by the arithmetic mean (J. D. Johnston,
  "Transform coding of audio signals using perceptual noise criteria", IEEE JSAC 6(2), 1988), in
  bands, as AudioSpectrumFlatness of MPEG-7 (ISO/IEC 15938-4), after raising the spectrum by 3 dB an
  octave, so that a slope does not count as tonal. The dB of the bands are averaged by their power:
  noise gives about -3 dB, a single tone less than -20 dB.
- *Centroid* is the centre of the power, *roll-off* the frequency below which 95 % of it is.

Rules for a clip:

- Only sounding frames count. A frame is tonal if its flatness is below `TONAL_DB` or it is periodic
  together with a neighbour, noise-like if its flatness is above `NOISE_DB` and it is not periodic,
  otherwise neither.
- Centroid and roll-off are medians over the frames, so that each moment has the same weight at any
  level. The pitch range is from the 10th to the 90th percentile.
- Fewer than `FEWEST_FRAMES` sounding frames (0.2 s) have no character.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from captoolkit.dsp.pitch import PitchFinder, steady
from captoolkit.dsp.tiles import HopGrid, fast_fft_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_S = 0.05
FFT_S = 0.064
"""Long enough for the autocorrelation: at the longest period, less than 0.4 % wraps around."""
LOWEST_HZ = 16.0
SOUNDING_DB = -60.0
SOUNDING_POWER = np.float32(10 ** (SOUNDING_DB / 10))
BANDS = 32
BAND_LOWEST_HZ = 50.0
BAND_HIGHEST_HZ = 16_000.0
BAND_FLOOR_DB = -80.0
RISE_FRAMES = 2
FLATNESS_BAND_HZ = 300.0
ROLLOFF_SHARE = 0.95
GROUP_BINS = 24
TINY = np.float32(1e-20)
"""Added before a logarithm: -200 dB."""
TONAL_DB = -10.0
NOISE_DB = -5.0
FEWEST_FRAMES = 5
PITCH_SHARE = 0.2
"""If fewer of the sounding frames are periodic, the clip has no pitch."""


# The complex gain at each bin of a real transform, by the rate and the length of the transform.
Weighting = Callable[[int, int], "NDArray[np.complex64]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFigures:
    """Figures of every second frame; all arrays have shape (frames,) and type float32.

    Attributes:
        power: mean square, 1.0 is full scale.
        flatness_db: at most 0.
        centroid_hz: the centre of the power.
        rolloff_hz: 95 % of the power is below it.
        pitch_hz: 0 for a frame without pitch.
    """

    power: NDArray[np.float32]
    flatness_db: NDArray[np.float32]
    centroid_hz: NDArray[np.float32]
    rolloff_hz: NDArray[np.float32]
    pitch_hz: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rises:
    """Figures of every frame, shape (frames,): rise and level in dB, and weighted share.

    The weighted share is the power after a weighting by frequency, divided by the power.
    """

    rise_db: NDArray[np.float32]
    level_db: NDArray[np.float32]
    weighted_share: NDArray[np.float32]


class SpectrumMeter:
    """Cuts tiles into frames and stores the figures of each, not the spectra."""

    def __init__(self, *, grid: HopGrid, weighting: Weighting | None = None) -> None:
        self._hop = grid.hop_samples
        self._window = np.hanning(round(FRAME_S * grid.rate_hz) + 1)[:-1].astype(np.float32)
        self._fft_samples = fast_fft_length(round(FFT_S * grid.rate_hz))
        self._bin_hz = grid.rate_hz / self._fft_samples
        energy = float((self._window**2).sum()) * self._fft_samples / 2
        # numpy transforms float32 in float32 only where it also divides by the length.
        self._scale = np.float32(self._fft_samples**2 / energy)
        self._pitch = PitchFinder(self._window, rate_hz=grid.rate_hz, fft_samples=self._fft_samples)
        # Of the bin that contains `LOWEST_HZ`, the share above it counts.
        lowest = LOWEST_HZ / self._bin_hz + 0.5
        self._lowest_bin, self._lowest_share = int(lowest), np.float32(1 - lowest % 1)
        self._edges = _band_edges(self._bin_hz, self._fft_samples // 2 + 1)
        gain = weighting(grid.rate_hz, self._fft_samples) if weighting else np.ones(1, np.float32)
        self._weights = (abs(gain) ** 2).astype(np.float32)
        self._waiting = np.zeros(0, np.float32)
        # Used again for each tile: fresh memory costs time.
        self._spectrum = np.empty((0, self._fft_samples // 2 + 1), np.complex64)
        self._squares = np.empty((2, *self._spectrum.shape), np.float32)
        self._recent = np.zeros((0, len(self._edges) - 1), np.float32)
        self._frames_so_far = 0
        self._rises: list[NDArray[np.float32]] = []
        self._figures: list[NDArray[np.float32]] = []

    def feed(self, samples: NDArray[np.float32], *, gain: float = 1.0) -> None:
        """Measure the next samples, shape (frames,).

        Args:
            samples: of one channel.
            gain: the power of these frames is multiplied by it; their shapes do not depend on it.
        """
        samples = np.concatenate([self._waiting, samples])
        count = max(0, (len(samples) - len(self._window)) // self._hop + 1)
        self._waiting = samples[count * self._hop :].copy()
        if count:
            self._measure(self._spectra(samples - samples.mean(), count), gain)
            self._frames_so_far += count

    def _spectra(self, samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """Return the power spectra of the first frames, shape (count, bins)."""
        hop_bytes, sample_bytes = self._hop * samples.itemsize, samples.itemsize
        shape = (count, len(self._window))
        # `sliding_window_view` takes as long as a tenth of the transform.
        frames = np.ndarray(shape, np.float32, samples, strides=(hop_bytes, sample_bytes))
        frames = frames * self._window
        if len(self._spectrum) < count:
            self._spectrum = np.empty((count, self._spectrum.shape[1]), np.complex64)
            self._squares = np.empty((2, *self._spectrum.shape), np.float32)
        out = cast("Any", self._spectrum[:count])
        spectra = np.fft.rfft(frames, n=self._fft_samples, norm="forward", out=out)
        squares: list[NDArray[np.float32]] = [*self._squares[:, :count]]
        power = squares[0]
        np.square(spectra.real, out=power)
        power += np.square(spectra.imag, out=squares[1])
        power *= self._scale
        power[:, : self._lowest_bin] = 0.0
        power[:, self._lowest_bin] *= self._lowest_share
        return power

    def _measure(self, power: NDArray[np.float32], gain: float) -> None:
        total = np.einsum("fn->f", power)
        share = np.einsum("fn,n->f", power, self._weights) / (total + TINY)
        self._rises.append(np.stack([self._rise_db(power), 10 * np.log10(total + TINY), share]))
        chosen = power[self._frames_so_far % 2 :: 2]
        total = total[self._frames_so_far % 2 :: 2] * np.float32(gain)
        pitch_hz = np.zeros(len(chosen), np.float32)
        pitch_hz[total >= SOUNDING_POWER] = self._pitch.find(chosen[total >= SOUNDING_POWER])
        self._figures.append(
            np.stack(
                [
                    total,
                    flatness_db(chosen, bin_hz=self._bin_hz),
                    *_centre_hz(chosen, self._bin_hz),
                    pitch_hz,
                ]
            )
        )

    def _rise_db(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        sums = np.add.reduceat(power[:, : self._edges[-1]], self._edges[:-1], axis=1)
        bands_db = np.maximum(10 * np.log10(sums + TINY), np.float32(BAND_FLOOR_DB))
        bands = np.concatenate([self._recent, bands_db])
        self._recent = bands[-RISE_FRAMES:]
        before = _spread(bands[:-RISE_FRAMES])
        rises = np.maximum(bands[RISE_FRAMES:] - before, 0.0).mean(axis=1)
        return np.concatenate([np.zeros(len(power) - len(rises), np.float32), rises])

    def frames(self) -> FrameFigures:
        """Return the figures of every second frame so far."""
        figures = np.concatenate([np.zeros((5, 0), np.float32), *self._figures], axis=1)
        power, flatness, centroid_hz, rolloff_hz, pitch_hz = figures
        return FrameFigures(
            power=power,
            flatness_db=flatness,
            centroid_hz=centroid_hz,
            rolloff_hz=rolloff_hz,
            pitch_hz=pitch_hz,
        )

    def rises(self) -> Rises:
        """Return the rise and the level of every frame so far."""
        rise_db, level_db, weighted = np.concatenate(
            [np.zeros((3, 0), np.float32), *self._rises], axis=1
        )
        return Rises(rise_db=rise_db, level_db=level_db, weighted_share=weighted)


def _band_edges(bin_hz: float, bins: int) -> NDArray[np.intp]:
    """Return the first bin of each mel band and the end of the last: shape (bands + 1,)."""
    highest_hz = min(BAND_HIGHEST_HZ, (bins - 1) * bin_hz)
    mels = np.linspace(_mel(BAND_LOWEST_HZ), _mel(highest_hz), BANDS + 1)
    edges_hz = 700 * (10 ** (mels / 2595) - 1)
    return np.unique(np.round(edges_hz / bin_hz).astype(np.intp))


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _spread(bands_db: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each band's maximum with its two neighbours, shape (frames, bands)."""
    wide = bands_db.copy()
    np.maximum(wide[:, 1:], bands_db[:, :-1], out=wide[:, 1:])
    np.maximum(wide[:, :-1], bands_db[:, 1:], out=wide[:, :-1])
    return wide


def flatness_db(power: NDArray[np.float32], *, bin_hz: float) -> NDArray[np.float32]:
    """Return the flatness of each power spectrum of shape (frames, bins), in dB, at most 0."""
    first, width = math.ceil(LOWEST_HZ / bin_hz), max(2, round(FLATNESS_BAND_HZ / bin_hz))
    bands = (power.shape[1] - first) // width
    cut = power[:, first : first + bands * width].reshape(len(power), bands, width) + TINY
    tilt = np.arange(first, first + bands * width, dtype=np.float32).reshape(bands, width)
    level = cut * tilt
    mean = np.einsum("fbn->fb", level) / np.float32(width)  # less time than `mean` for few values
    ratio = np.einsum("fbn->fb", np.log(level)) / np.float32(width) - np.log(mean)
    band_db = (10 / math.log(10)) * ratio
    weight = np.einsum("fbn->fb", cut)
    weighted: NDArray[np.float32] = (band_db * weight).sum(axis=1) / weight.sum(axis=1)
    return weighted


def _centre_hz(power: NDArray[np.float32], bin_hz: float) -> tuple[NDArray[np.float32], ...]:
    """Return the centroid and roll-off of each power spectrum of shape (frames, bins), in Hz."""
    total = np.einsum("fn->f", power) + TINY
    bins = np.arange(power.shape[1], dtype=np.float32)
    centroid = np.einsum("fn,n->f", power, bins) / total
    return centroid * np.float32(bin_hz), _rolloff_bins(power, total) * np.float32(bin_hz)


def _rolloff_bins(power: NDArray[np.float32], total: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the bin of each spectrum below which `ROLLOFF_SHARE` of the power is.

    Bins are summed up in groups first, and singly in the group that reaches the share: a running
    sum over all of them takes longer.
    """
    rows, bins = np.arange(len(power)), power.shape[1]
    sums = np.add.reduceat(power, np.arange(0, bins, GROUP_BINS), axis=1).cumsum(axis=1)
    share = ROLLOFF_SHARE * total
    group = (sums >= share[:, None]).argmax(axis=1)
    before = np.where(group > 0, sums[rows, group - 1], np.float32(0))
    at = group[:, None] * GROUP_BINS + np.arange(GROUP_BINS)
    within = power[rows[:, None], np.minimum(at, bins - 1)].cumsum(axis=1)
    reached = within >= (share - before)[:, None]
    reached[:, -1] |= sums[rows, group] >= share  # single sums may round below it
    bin_numbers: NDArray[np.intp] = np.minimum(at[rows, reached.argmax(axis=1)], bins - 1)
    return bin_numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """Figures over the sounding frames of a clip; shares are fractions of them, 0 to 1.

    Attributes:
        sounding_share: the fraction of all frames that sound.
        pitch_low_hz: the 10th percentile over the periodic frames, None below `PITCH_SHARE`.
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


def describe_frames(frames: FrameFigures, *, chosen: NDArray[np.bool_]) -> Character | None:
    """Return the character of the sounding frames in `chosen`, a mask of shape (frames,)."""
    sounding = chosen & (frames.power >= SOUNDING_POWER)
    if sounding.sum() < FEWEST_FRAMES:
        return None
    periodic = steady(frames.pitch_hz)[sounding]
    flatness_db = frames.flatness_db[sounding]
    low_hz, high_hz = _pitch_range(frames.pitch_hz[sounding][periodic], frames=len(periodic))
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


def _pitch_range(
    pitch_hz: NDArray[np.float32], *, frames: int
) -> tuple[float | None, float | None]:
    if len(pitch_hz) < PITCH_SHARE * frames:
        return None, None
    low_hz, high_hz = np.percentile(pitch_hz, (10, 90))
    return float(low_hz), float(high_hz)
