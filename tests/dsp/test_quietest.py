from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from captoolkit.dsp.quietest import hop_samples, power_curve, quietest
from tests.support.sound import silence, tone

RATE_HZ = 16_000
HOP = RATE_HZ // 100


def noise(seconds: float, *, level_db: float = -20.0, seed: int = 1) -> NDArray[np.float32]:
    """White noise of that level under full scale, shape (frames, 1)."""
    made = np.random.default_rng(seed).standard_normal((round(seconds * RATE_HZ), 1))
    return (made * 10 ** (level_db / 20)).astype(np.float32)


def joined(*parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sounds, one after another."""
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("rate_hz", "hop"), [(8_000, 80), (44_100, 441), (22_050, 220), (50, 1), (1, 1)]
)
def test_hop_is_ten_milliseconds(rate_hz: int, hop: int) -> None:
    """One value of the curve is for 10 ms, and for at least one sample."""
    assert hop_samples(rate_hz) == hop


@pytest.mark.parametrize("frequency_hz", [100, 1000, 4000])
def test_power_of_a_tone(frequency_hz: int) -> None:
    """The curve has the power of a tone after a first difference, in each whole 10 ms."""
    sound = tone(1, rate_hz=RATE_HZ, frequency_hz=frequency_hz, amplitude=0.5)
    curve = power_curve(sound, rate_hz=RATE_HZ)
    expected = (2 * 0.5 * math.sin(math.pi * frequency_hz / RATE_HZ)) ** 2 / 2
    assert curve.shape == (100,)
    assert curve[1:] == pytest.approx(np.full(99, expected), rel=0.02)


@given(frames=st.integers(0, 1000), channels=st.integers(1, 6))
@settings(deadline=None)
def test_curve_has_a_value_for_each_whole_hop(frames: int, channels: int) -> None:
    """Only whole stretches of 10 ms count, and all channels with the same weight."""
    one = np.random.default_rng(frames).standard_normal((frames, 1)).astype(np.float32)
    curve = power_curve(np.repeat(one, channels, axis=1), rate_hz=RATE_HZ)
    assert curve.shape == (frames // HOP,)
    assert curve == pytest.approx(power_curve(one, rate_hz=RATE_HZ))


def test_silent_channel_halves_the_power() -> None:
    """The curve is the mean over the channels, so a silent one of two halves it."""
    one = noise(0.1)
    both = np.hstack([one, np.zeros_like(one)])
    assert power_curve(both, rate_hz=RATE_HZ) == pytest.approx(
        power_curve(one, rate_hz=RATE_HZ) / 2
    )


def test_offset_and_rumble_count_little() -> None:
    """An offset is silent, and rumble at full level is quieter than a soft voice."""
    offset = np.full((RATE_HZ, 1), 0.8, np.float32)
    rumble = tone(1, rate_hz=RATE_HZ, frequency_hz=20, amplitude=0.9)
    soft = tone(1, rate_hz=RATE_HZ, frequency_hz=1000, amplitude=0.05)
    assert power_curve(offset, rate_hz=RATE_HZ).max() == 0
    assert power_curve(rumble, rate_hz=RATE_HZ).max() < power_curve(soft, rate_hz=RATE_HZ)[1:].min()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_impossible_samples_count_as_nothing(bad: float) -> None:
    """NaN and infinity count as zero and change no other value of the curve."""
    sound = noise(1)
    clean = power_curve(sound, rate_hz=RATE_HZ)
    sound[5000:5003] = bad
    sound[5001] *= -1
    curve = power_curve(sound, rate_hz=RATE_HZ)
    assert np.isfinite(curve).all()
    assert np.delete(curve, 31) == pytest.approx(np.delete(clean, 31))


# --------------------------------------------------------------------------- quietest


@pytest.mark.parametrize("start_s", [0.2, 0.9, 1.5])
def test_middle_of_the_pause_is_found(start_s: float) -> None:
    """The result is the middle of a silence at any place."""
    sound = joined(noise(start_s), silence(0.3, rate_hz=RATE_HZ), noise(2 - start_s))
    at = quietest(sound, rate_hz=RATE_HZ, near=RATE_HZ)
    assert at == pytest.approx((start_s + 0.15) * RATE_HZ, abs=0.06 * RATE_HZ)


def test_pause_between_words_wins_over_one_between_syllables() -> None:
    """A longer pause is preferred to a nearer, very short one."""
    moment, pause = silence(0.04, rate_hz=RATE_HZ), silence(0.25, rate_hz=RATE_HZ)
    sound = joined(noise(1), moment, noise(0.6), pause, noise(1))
    at = quietest(sound, rate_hz=RATE_HZ, near=RATE_HZ)
    assert 1.64 * RATE_HZ <= at <= 1.89 * RATE_HZ


@pytest.mark.parametrize(("first_db", "second_db", "found_s"), [(-60, -50, 0.6), (-50, -60, 1.7)])
def test_deeper_of_two_pauses_wins(first_db: float, second_db: float, found_s: float) -> None:
    """The quieter of two pauses is taken, near or far."""
    sound = joined(
        *(noise(0.5), noise(0.2, level_db=first_db), noise(0.9)),
        *(noise(0.2, level_db=second_db), noise(0.5)),
    )
    for near in (0, RATE_HZ, len(sound)):
        at = quietest(sound, rate_hz=RATE_HZ, near=near)
        assert at == pytest.approx(found_s * RATE_HZ, abs=0.05 * RATE_HZ)


@pytest.mark.parametrize(("near_s", "found_s"), [(0.9, 0.65), (1.4, 1.75)])
def test_nearer_of_two_equal_pauses_wins(near_s: float, found_s: float) -> None:
    """The nearer of two equally quiet pauses is taken."""
    pause = silence(0.3, rate_hz=RATE_HZ)
    sound = joined(noise(0.5), pause, noise(0.8), pause, noise(0.5))
    at = quietest(sound, rate_hz=RATE_HZ, near=round(near_s * RATE_HZ))
    assert at == pytest.approx(found_s * RATE_HZ, abs=0.06 * RATE_HZ)


def test_silences_do_not_compete() -> None:
    """Everything below -90 dBFS is equally silent, so distant digital silence is not preferred."""
    dither = noise(1, level_db=-110)
    sound = joined(noise(1), dither, noise(1), silence(1, rate_hz=RATE_HZ), noise(1))
    near = round(1.5 * RATE_HZ)
    assert quietest(sound, rate_hz=RATE_HZ, near=near) == near


@given(near=st.integers(1_600, 30_400))
@settings(deadline=None)
def test_silence_is_cut_where_it_was_wanted(near: int) -> None:
    """In uniform sound the cut stays at its place, within 10 ms."""
    at = quietest(silence(2, rate_hz=RATE_HZ), rate_hz=RATE_HZ, near=near)
    assert abs(at - near) <= HOP / 2


@pytest.mark.parametrize("frames", [0, 1, HOP, 20 * HOP])
def test_too_short_to_judge(frames: int) -> None:
    """In 200 ms or less the cut stays at its place."""
    assert quietest(noise(1)[:frames], rate_hz=RATE_HZ, near=frames // 3) == frames // 3


@given(
    frames=st.integers(0, 12_000),
    near=st.integers(-100, 13_000),
    seed=st.integers(0, 99),
    rate_hz=st.sampled_from([50, 8_000, 11_025, 44_100]),
)
@settings(deadline=None)
def test_cut_lies_in_the_sound(frames: int, near: int, seed: int, rate_hz: int) -> None:
    """The result is a frame inside the sound, for any sound and any preferred place."""
    sound = np.random.default_rng(seed).standard_normal((frames, 2)).astype(np.float32)
    at = quietest(sound, rate_hz=rate_hz, near=near)
    assert 0 <= at <= frames or at == near
