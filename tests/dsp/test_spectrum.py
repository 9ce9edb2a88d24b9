"""The spectral figures of noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray
from captoolkit.dsp.model_band import BAND_RATE_HZ
from tests.support.measured import measured, noise

RATES = (8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000)


def coloured(exponent: float, rate_hz: int) -> NDArray[np.float32]:
    """Noise with a power that falls with the frequency to that exponent, from 20 Hz up."""
    spectrum = np.fft.rfft(noise(20.0, rate_hz=rate_hz)[:, 0])
    frequency_hz = np.fft.rfftfreq(20 * rate_hz, 1 / rate_hz)
    slope = np.where(frequency_hz < 20, 0.0, np.maximum(frequency_hz, 20.0) ** (-exponent / 2))
    wave = np.fft.irfft(spectrum * slope)
    return np.asarray(0.3 * wave / abs(wave).max(), np.float32)[:, None]


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0], ids=["white", "pink", "brown"])
def test_noise_of_any_colour_is_noise_without_pitch(exponent: float, rate_hz: int) -> None:
    """A slope of the spectrum does not count as tonal."""
    found = measured(coloured(exponent, rate_hz), rate_hz=rate_hz).character
    assert found is not None
    assert found.noise_share > 0.7
    assert found.tonal_share < 0.05
    assert found.pitch_low_hz is None


@pytest.mark.parametrize("rate_hz", RATES)
def test_white_noise_centres_on_half_of_its_band(rate_hz: int) -> None:
    """White noise centres on the middle of the band that models hear, 8 kHz wide at most."""
    found = measured(noise(3.0, rate_hz=rate_hz), rate_hz=rate_hz).character
    assert found is not None
    band_hz = min(rate_hz, BAND_RATE_HZ) / 2
    assert found.centroid_hz == pytest.approx(band_hz / 2, rel=0.06)
    assert found.rolloff_hz == pytest.approx(0.95 * band_hz, rel=0.06)


def test_an_offset_of_the_samples_changes_no_figure() -> None:
    """A converter's offset, louder than the sound itself, adds no power and no low frequencies."""
    sound = 0.01 * noise(3.0, rate_hz=16_000)
    found = [measured(sound + np.float32(offset)).character for offset in (0.0, 0.1)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[1].centroid_hz == pytest.approx(found[0].centroid_hz, rel=1e-3)
    assert found[1].flatness_db == pytest.approx(found[0].flatness_db, abs=0.01)
