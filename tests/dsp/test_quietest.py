from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from captoolkit.dsp.quietest import (
    AROUND_HOPS,
    PowerMeter,
    hop_samples,
    place_loudness,
    power_curve,
    quietest,
)
from tests.support.sound import silence, tone

RATE_HZ = 16_000
HOP = RATE_HZ // 50


def noise(seconds: float, *, level_db: float = -20.0, seed: int = 1) -> NDArray[np.float32]:
    """White noise of that level under full scale, shape (frames, 1)."""
    made = np.random.default_rng(seed).standard_normal((round(seconds * RATE_HZ), 1))
    return (made * 10 ** (level_db / 20)).astype(np.float32)


def joined(*parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sounds, one after another."""
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("rate_hz", "hop"), [(8_000, 160), (44_100, 882), (22_050, 441), (50, 1), (1, 1)]
)
def test_hop_is_twenty_milliseconds(rate_hz: int, hop: int) -> None:
    """One value of the curve is for 20 ms, and for at least one sample."""
    assert hop_samples(rate_hz) == hop


@pytest.mark.parametrize("frequency_hz", [100, 1000, 4000])
def test_power_of_a_tone(frequency_hz: int) -> None:
    """The curve has the power of a tone after a first difference, in each whole 20 ms."""
    sound = tone(1, rate_hz=RATE_HZ, frequency_hz=frequency_hz, amplitude=0.5)
    curve = power_curve(sound, rate_hz=RATE_HZ)
    expected = (2 * 0.5 * math.sin(math.pi * frequency_hz / RATE_HZ)) ** 2 / 2
    assert curve.shape == (50,)
    assert curve[1:] == pytest.approx(np.full(49, expected), rel=0.02)


@given(frames=st.integers(0, 1000), channels=st.integers(1, 6))
@settings(deadline=None)
def test_curve_has_a_value_for_each_whole_hop(frames: int, channels: int) -> None:
    """Only whole stretches of 20 ms count, and all channels with the same weight."""
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
    assert np.delete(curve, 15) == pytest.approx(np.delete(clean, 15))


@given(sizes=st.lists(st.integers(0, 3_000), max_size=12), channels=st.integers(1, 2))
@settings(deadline=None)
def test_meter_does_not_depend_on_the_blocks(sizes: list[int], channels: int) -> None:
    """Blocks of any lengths give the curve of the whole sound."""
    sound = np.random.default_rng(1).standard_normal((sum(sizes), channels)).astype(np.float32)
    meter = PowerMeter(RATE_HZ)
    at = 0
    for size in sizes:
        meter.feed(sound[at : at + size])
        at += size
    assert meter.curve() == pytest.approx(power_curve(sound, rate_hz=RATE_HZ))


# --------------------------------------------------------------------------- quietest


def quietest_s(sound: NDArray[np.float32], *, near_s: float) -> float:
    """The quietest place of a sound, in seconds."""
    loudness = place_loudness(power_curve(sound, rate_hz=RATE_HZ))
    last = len(loudness) - 1 - max(AROUND_HOPS)
    at = quietest(loudness, first=max(AROUND_HOPS), last=last, near=round(near_s * RATE_HZ / HOP))
    return at * HOP / RATE_HZ


@pytest.mark.parametrize("start_s", [0.3, 0.9, 1.4])
def test_middle_of_the_pause_is_found(start_s: float) -> None:
    """The result is the middle of a silence at any place."""
    sound = joined(noise(start_s), silence(0.52, rate_hz=RATE_HZ), noise(2.3 - start_s))
    assert quietest_s(sound, near_s=1.0) == pytest.approx(start_s + 0.26, abs=0.05)


def test_pause_between_sentences_wins_over_one_between_words() -> None:
    """A longer pause is preferred to a nearer short one."""
    moment, pause = silence(0.15, rate_hz=RATE_HZ), silence(0.6, rate_hz=RATE_HZ)
    sound = joined(noise(1), moment, noise(0.6), pause, noise(1))
    assert 1.75 <= quietest_s(sound, near_s=1.0) <= 2.35


def test_click_in_a_pause_counts() -> None:
    """A pause with a click in it is louder than a soft sound without one."""
    clicked = silence(0.6, rate_hz=RATE_HZ)
    clicked[len(clicked) // 2] = 0.5
    sound = joined(noise(1), clicked, noise(1), noise(0.6, level_db=-60), noise(1))
    assert 2.6 <= quietest_s(sound, near_s=1.3) <= 3.2


@pytest.mark.parametrize(("first_db", "second_db", "found_s"), [(-60, -50, 0.8), (-50, -60, 2.3)])
def test_deeper_of_two_pauses_wins(first_db: float, second_db: float, found_s: float) -> None:
    """The quieter of two pauses is taken, near or far."""
    sound = joined(
        *(noise(0.5), noise(0.6, level_db=first_db), noise(0.9)),
        *(noise(0.6, level_db=second_db), noise(0.5)),
    )
    for near_s in (0.0, 1.0, 3.1):
        assert quietest_s(sound, near_s=near_s) == pytest.approx(found_s, abs=0.1)


@pytest.mark.parametrize(("near_s", "found_s"), [(1.1, 0.8), (2.0, 2.2)])
def test_nearer_of_two_equal_pauses_wins(near_s: float, found_s: float) -> None:
    """The nearer of two equally quiet pauses is taken."""
    pause = silence(0.6, rate_hz=RATE_HZ)
    sound = joined(noise(0.5), pause, noise(0.8), pause, noise(0.5))
    assert quietest_s(sound, near_s=near_s) == pytest.approx(found_s, abs=0.1)


def test_silences_do_not_compete() -> None:
    """Everything below -90 dBFS is equally silent, so distant digital silence is not preferred."""
    dither = noise(1, level_db=-110)
    sound = joined(noise(1), dither, noise(1), silence(1, rate_hz=RATE_HZ), noise(1))
    assert quietest_s(sound, near_s=1.5) == pytest.approx(1.5)


@given(near=st.integers(0, 100))
@settings(deadline=None)
def test_silence_is_cut_where_it_was_wanted(near: int) -> None:
    """In uniform sound the cut stays at its place."""
    loudness = place_loudness(power_curve(silence(2, rate_hz=RATE_HZ), rate_hz=RATE_HZ))
    assert quietest(loudness, first=0, last=100, near=near) == near


@pytest.mark.parametrize(("first", "last"), [(60, 80), (-9, -3), (7, 6)])
def test_range_without_a_place_leaves_the_cut(first: int, last: int) -> None:
    """Where the range holds no place of the sound, the cut stays at its place."""
    loudness = place_loudness(power_curve(noise(1), rate_hz=RATE_HZ))
    assert quietest(loudness, first=first, last=last, near=33) == 33


def test_sound_without_a_hop_has_one_place() -> None:
    """An empty curve has one silent place."""
    assert place_loudness(np.zeros(0)).shape == (1,)
