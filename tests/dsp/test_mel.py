from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.dsp.mel import BANDS, mel_power
from tests.support.sound import tone

RATE_HZ = 16_000


def loudest_band(frequency_hz: float, *, rate_hz: int = RATE_HZ) -> int:
    """The band in which a tone is loudest."""
    sound = tone(1, rate_hz=rate_hz, frequency_hz=frequency_hz)[:, 0]
    return int(mel_power(sound, rate_hz=rate_hz).mean(axis=0).argmax())


def test_bands_rise_with_the_tone() -> None:
    """The higher a tone, the higher its band, from the first bands to the last."""
    bands = [loudest_band(hz) for hz in (60, 200, 440, 1000, 2000, 4000, 6000, 7900)]
    assert bands == sorted(set(bands))
    assert bands[0] < 5
    assert bands[-1] >= BANDS - 2


def test_scale_is_linear_below_1_khz_and_logarithmic_above() -> None:
    """Below 1 kHz equal steps in hertz are equal steps in bands, above it equal ratios are."""
    low = np.diff([loudest_band(hz) for hz in (200, 400, 600, 800)])
    high = np.diff([loudest_band(hz) for hz in (1000, 2000, 4000)])
    assert low.max() - low.min() <= 1
    assert high.max() - high.min() <= 1
    assert loudest_band(1000) in (41, 42)  # 15 of the 45.25 mels up to 8 kHz, in 129 steps


def test_several_sounds_are_heard_as_each_alone() -> None:
    """Several sounds give the spectrograms of each alone; a longer hop leaves out frames."""
    sounds = np.stack([tone(1, rate_hz=RATE_HZ, frequency_hz=hz)[:, 0] for hz in (440, 3000)])
    together = mel_power(sounds, rate_hz=RATE_HZ)
    for sound, picture in zip(sounds, together, strict=True):
        np.testing.assert_allclose(picture, mel_power(sound, rate_hz=RATE_HZ))
    every_fifth = mel_power(sounds, rate_hz=RATE_HZ, hop_s=0.05)
    np.testing.assert_allclose(every_fifth, together[:, ::5])


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000, 96_000])
def test_band_does_not_depend_on_the_rate(rate_hz: int) -> None:
    """The same tone has the same band at any rate, to one band."""
    assert abs(loudest_band(2000, rate_hz=rate_hz) - loudest_band(2000)) <= 1


def test_power_goes_with_the_square() -> None:
    """Twice the amplitude is four times the power in every band."""
    sound = np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32)
    once, twice = mel_power(sound, rate_hz=RATE_HZ), mel_power(2 * sound, rate_hz=RATE_HZ)
    assert twice == pytest.approx(4 * once)
    assert once.min() > 0


def test_nothing_is_heard_above_the_band() -> None:
    """Power above 8 kHz does not count, and a low rate leaves its upper bands empty."""
    high = tone(1, rate_hz=48_000, frequency_hz=12_000)[:, 0]
    low = tone(1, rate_hz=48_000, frequency_hz=1_000)[:, 0]
    heard = mel_power(high, rate_hz=48_000)[5:-5].max()
    assert heard < 1e-4 * mel_power(low, rate_hz=48_000).max()
    noise = np.random.default_rng(1).standard_normal(8_000).astype(np.float32)
    upper = mel_power(noise, rate_hz=8_000)[:, loudest_band(4_300) :]
    assert upper.max() == 0


@given(frames=st.integers(0, 3_000), rate_hz=st.sampled_from([1, 15, 50, 8_000, 16_000, 44_100]))
@settings(deadline=None)
def test_one_row_for_each_hop_that_has_a_frame(frames: int, rate_hz: int) -> None:
    """A frame of 25 ms begins every 10 ms while there is sound for a whole frame."""
    size, hop = max(1, round(rate_hz / 40)), max(1, round(rate_hz / 100))
    power = mel_power(np.ones(frames, np.float32), rate_hz=rate_hz)
    assert power.shape == (len(range(0, frames - size + 1, hop)), BANDS)
    assert np.isfinite(power).all()
