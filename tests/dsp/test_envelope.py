from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.dsp.envelope import MOST_STEPS, EnvelopeMeter, StretchedEnvelopeMeter
from tests.support.sound import silence, tone

RATE_HZ = 16_000
SIGNALLING_NAN = 0x7FA00001  # the bits of a float32


def levels_db(levels: bytes) -> list[float]:
    """The levels that the bytes of an envelope stand for, in dBFS."""
    return [(level - 255) / 4 for level in levels]


def test_a_tone_has_its_peak_and_its_power() -> None:
    """A sine of half scale has peaks at -6 dBFS and a mean 3 dB below; then there is silence."""
    meter = EnvelopeMeter(RATE_HZ)
    meter.feed(np.concatenate([tone(1, rate_hz=RATE_HZ), silence(1, rate_hz=RATE_HZ)]))
    found = meter.envelope()
    assert (found.duration_samples, found.step_samples) == (2 * RATE_HZ, RATE_HZ // 50)
    assert levels_db(found.peaks[:50]) == pytest.approx([-6.02] * 50, abs=0.2)
    assert levels_db(found.loudness[1:50]) == pytest.approx([-9.03] * 49, abs=0.4)
    assert found.peaks[50:] == found.loudness[50:] == bytes(50)


def test_full_scale_is_the_highest_level_in_integers_too() -> None:
    """The lowest 16-bit number is full scale in any channel."""
    meter = EnvelopeMeter(RATE_HZ)
    meter.feed(np.array([[0, -32768], [0, 0]], np.int16))
    assert meter.envelope().peaks == b"\xff"
    assert levels_db(meter.envelope().loudness) == pytest.approx([-6.02], abs=0.2)


def test_what_is_no_number_counts_as_nothing() -> None:
    """NaN and infinity count as zero; a NaN that signals causes no warning of numpy."""
    meter = EnvelopeMeter(RATE_HZ)
    block = np.array([[np.nan], [np.inf], [-np.inf], [0.5]], np.float32)
    block.view(np.uint32)[0] = SIGNALLING_NAN
    meter.feed(block)
    assert levels_db(meter.envelope().peaks) == pytest.approx([-6.02], abs=0.2)


def test_an_hour_takes_no_more_room_than_some_minutes() -> None:
    """Steps become longer with the sound; peaks stay, and the power stays the mean."""
    meter = EnvelopeMeter(RATE_HZ)
    minute = np.full((60 * RATE_HZ, 1), 0.1, np.float32)
    for _ in range(60):
        meter.feed(minute)
    click = np.zeros((1, 1), np.float32) + 1
    meter.feed(click)
    found = meter.envelope()
    assert MOST_STEPS / 2 < len(found.peaks) == len(found.loudness) <= MOST_STEPS
    assert found.duration_samples == 3600 * RATE_HZ + 1
    assert -(-found.duration_samples // found.step_samples) == len(found.peaks)
    assert found.peaks[-1] == 255
    assert set(levels_db(found.peaks[:-1])) == set(levels_db(found.loudness[:-1])) == {-20.0}


@given(st.lists(st.integers(0, 4000), max_size=12), st.integers(0, 2**32 - 1))
def test_how_the_sound_is_parted_makes_no_difference(lengths: list[int], seed: int) -> None:
    """Blocks of any lengths, including empty ones, give the envelope of one block."""
    sound = np.random.default_rng(seed).normal(0, 0.1, (sum(lengths), 2)).astype(np.float32)
    whole, parts = EnvelopeMeter(RATE_HZ), EnvelopeMeter(RATE_HZ)
    whole.feed(sound)
    for block in np.split(sound, np.cumsum(lengths)[:-1]) if lengths else []:
        parts.feed(block)
    assert parts.envelope() == whole.envelope()


@pytest.mark.parametrize("before", [0, 1, 319, 320, 70_001])
@pytest.mark.parametrize("silent", [0, 1, 320, 100_000, MOST_STEPS * 320 + 1])
def test_silence_without_samples_counts_as_silent_samples(before: int, silent: int) -> None:
    """The envelope is the same; a million years cost no more time than a second."""
    sound = np.full((before, 1), 0.5, np.float32)
    numbered, sampled = EnvelopeMeter(RATE_HZ), EnvelopeMeter(RATE_HZ)
    numbered.feed(sound)
    sampled.feed(sound)

    numbered.feed_silence(silent)
    sampled.feed(np.zeros((silent, 1), np.float32))
    numbered.feed(sound)
    sampled.feed(sound)

    assert numbered.envelope() == sampled.envelope()
    numbered.feed_silence(31_557_600 * 10**6 * RATE_HZ)
    assert len(numbered.envelope().peaks) <= MOST_STEPS


@pytest.mark.parametrize("kind", [np.int16, np.float32])
@pytest.mark.parametrize("channels", [1, 2])
def test_stretches_in_any_order_have_the_envelope_of_the_whole(kind: type, channels: int) -> None:
    """Stretches of any length, fed in any order, give the envelope of a running sound."""
    generator = np.random.default_rng(1)
    sound = (generator.normal(0, 3000, (50_000, channels))).astype(np.int16)
    sound = sound if kind is np.int16 else (sound / 32768).astype(kind)
    running = EnvelopeMeter(RATE_HZ)
    running.feed(sound)
    edges = [0, 1, 319, 320, 7777, 20_000, 49_999, 50_000]
    stretches = [*itertools.pairwise(edges)]
    for order in (stretches, stretches[::-1]):
        meter = StretchedEnvelopeMeter(RATE_HZ, 40_000)  # 10,000 fewer than there are
        for start, end in order:
            meter.feed(start, sound[start:end])
        assert meter.envelope() == running.envelope()


def test_a_gain_is_taken_back_and_a_gap_is_silent() -> None:
    """The envelope has the level before the gain, and no level where nothing was fed."""
    meter = StretchedEnvelopeMeter(RATE_HZ, 3 * RATE_HZ)
    meter.feed(2 * RATE_HZ, np.full((RATE_HZ, 1), 0.5, np.float32))
    found = meter.envelope(gain_db=6.0206)
    assert levels_db(found.peaks[100:]) == pytest.approx([-12.0] * 50, abs=0.2)
    assert found.loudness[:100] == bytes(100)
