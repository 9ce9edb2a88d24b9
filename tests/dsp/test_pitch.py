"""The pitch of tones, harmonics and glides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.sound import tone

if TYPE_CHECKING:
    pass
from tests.support.measured import RATE, measured

RATES = (8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000)


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("frequency_hz", [60.0, 110.0, 440.0, 1000.0, 1900.0])
def test_a_pure_tone_is_tonal_and_has_its_pitch(frequency_hz: float, rate_hz: int) -> None:
    """The pitch of a sine is its frequency within half a percent, at every rate."""
    character = measured(tone(1.0, rate_hz=rate_hz, frequency_hz=frequency_hz), rate_hz=rate_hz)
    found = character.character
    assert found is not None
    assert found.pitch_low_hz == pytest.approx(frequency_hz, rel=0.005)
    assert found.pitch_high_hz == pytest.approx(frequency_hz, rel=0.005)
    assert (found.tonal_share, found.noise_share, found.periodic_share) == (1.0, 0.0, 1.0)
    assert found.centroid_hz == pytest.approx(frequency_hz, rel=0.02)
    assert found.rolloff_hz == pytest.approx(frequency_hz, abs=40)


@pytest.mark.parametrize("fundamental_hz", [55.0, 100.0, 220.0, 700.0])
def test_a_sawtooth_has_the_pitch_of_its_fundamental(fundamental_hz: float) -> None:
    """Harmonics do not shift the pitch by an octave."""
    time_s = np.arange(2 * RATE) / RATE
    harmonics = np.arange(1, 7000 / fundamental_hz)
    wave = sum(np.sin(2 * np.pi * fundamental_hz * n * time_s) / n for n in harmonics)
    found = measured(0.2 * np.asarray(wave)[:, None]).character
    assert found is not None
    assert found.pitch_low_hz == pytest.approx(fundamental_hz, rel=0.01)
    assert found.pitch_high_hz == pytest.approx(fundamental_hz, rel=0.01)
    assert found.tonal_share == 1.0


def test_a_tone_above_the_range_of_pitch_has_none() -> None:
    """A sine of 6 kHz is tonal and bright, and has no pitch octaves below."""
    found = measured(tone(1.0, rate_hz=48_000, frequency_hz=6000.0), rate_hz=48_000).character
    assert found is not None
    assert found.pitch_low_hz is None
    assert found.tonal_share == 1.0
    assert found.centroid_hz == pytest.approx(6000, rel=0.01)


def test_a_glide_gives_the_range_of_its_pitch() -> None:
    """A glide from 200 to 400 Hz has a pitch range of 220 to 380 Hz."""
    sweep_hz = np.linspace(200.0, 400.0, 10 * RATE)
    wave = 0.3 * np.sin(2 * np.pi * np.cumsum(sweep_hz) / RATE)
    found = measured(wave[:, None]).character
    assert found is not None
    assert found.pitch_low_hz == pytest.approx(220, abs=4)
    assert found.pitch_high_hz == pytest.approx(380, abs=4)
