"""Levels, clipping and channels, measured on made sounds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.sound import silence, tone

if TYPE_CHECKING:
    pass
from tests.support.measured import RATE, measured, noise, pair


@pytest.mark.parametrize("at", [0, 1, 31_999, 32_000, 47_999])
def test_the_sample_peak_is_found_where_it_is(at: int) -> None:
    """The peak is the largest sample, with its position, also at the edge of a tile."""
    sound = noise(3.0, level_db=-40.0)
    sound[at] = -0.75
    found = measured(sound)
    assert (found.peak, found.peak_sample) == (0.75, at)


@pytest.mark.parametrize("first", [0, 100, 31_990, 31_998, 31_999, 32_000, 47_990])
def test_runs_at_full_scale_are_counted_where_they_are(first: int) -> None:
    """A run counts once, also across the edge of a tile and at the end."""
    sound = noise(3.0, level_db=-40.0)
    sound[first : first + 10] = 1.0
    clipping = measured(sound).clipping
    assert (clipping.runs, clipping.first_sample, clipping.last_sample) == (1, first, first)
    assert clipping.share == pytest.approx(10 / 48_000)


def test_two_samples_at_full_scale_are_no_clipping() -> None:
    """Two samples in a row at full scale are not clipped, three are."""
    sound = noise(1.0, level_db=-40.0)
    sound[[10, 11, 20, 22, 24]] = 1.0
    assert measured(sound).clipping.runs == 0
    sound[12] = -1.0
    assert measured(sound).clipping.runs == 1


def test_runs_are_counted_in_each_channel() -> None:
    """Clipping counts in any channel, and its share is over all samples."""
    sound = noise(1.0, level_db=-40.0, channels=3)
    sound[50:60, 2] = 1.0
    sound[20:25, 1] = -1.0
    clipping = measured(sound).clipping
    assert (clipping.runs, clipping.first_sample, clipping.last_sample) == (2, 20, 50)
    assert clipping.share == pytest.approx(15 / 48_000)


def test_a_clipped_sine_clips_twice_a_period() -> None:
    """A sine above full scale has a run on every half wave."""
    found = measured(tone(2.0, rate_hz=RATE, amplitude=2.0, frequency_hz=100.0).clip(-1, 1))
    assert found.clipping.runs == 400
    assert found.clipping.share == pytest.approx(2 / 3, abs=0.02)


def test_a_full_scale_sine_is_not_clipped() -> None:
    """A sine with its peak at full scale has no runs."""
    assert measured(tone(2.0, rate_hz=RATE, amplitude=1.0, frequency_hz=440.0)).clipping.runs == 0


@pytest.mark.parametrize("gain_db", [0.2, 1.0, 8.0, 30.0])
@pytest.mark.parametrize("frequency_hz", [50.0, 400.0])
def test_floats_above_full_scale_are_not_clipped(gain_db: float, frequency_hz: float) -> None:
    """A sine with its peak above full scale is above full scale and keeps its round top."""
    amplitude = 10 ** (gain_db / 20)
    sound = tone(2.0, rate_hz=RATE, amplitude=amplitude, frequency_hz=frequency_hz)
    clipping = measured(sound).clipping
    assert (clipping.runs, clipping.share) == (0, 0)
    assert clipping.above_share == pytest.approx(np.mean(np.abs(sound) > 1), abs=1e-6)


@pytest.mark.parametrize("bits", [12, 16])
def test_coarse_steps_are_no_flat_top(bits: int) -> None:
    """Quiet whole numbers that are amplified above full scale have equal neighbours, unclipped."""
    steps = np.rint(tone(2.0, rate_hz=RATE, amplitude=2 ** (bits - 5), frequency_hz=60.0))
    assert measured(2.5 * steps / steps.max()).clipping.runs == 0


@pytest.mark.parametrize("over_db", [0.2, 3.0, 20.0])
@pytest.mark.parametrize("ceiling", [1.0, 2.5])
def test_flat_tops_of_floats_are_clipped(ceiling: float, over_db: float) -> None:
    """Floats that were cut off at one value are clipped, at full scale or above it."""
    amplitude = ceiling * 10 ** (over_db / 20)
    sound = tone(2.0, rate_hz=RATE, amplitude=amplitude, frequency_hz=100.0)
    clipping = measured(sound.clip(-ceiling, ceiling)).clipping
    assert clipping.runs == 400
    assert clipping.share == pytest.approx(np.mean(np.abs(sound) >= ceiling), abs=1e-3)
    assert (clipping.above_share > 0) is (ceiling > 1)


@pytest.mark.parametrize("first", [0, 31_990, 31_999, 32_000, 63_995])
def test_flat_tops_are_found_across_tiles(first: int) -> None:
    """A flat top counts once, and a larger sample in another tile makes it none."""
    sound = noise(4.0, level_db=-40.0)
    sound[first : first + 5] = 2.0
    clipping = measured(sound).clipping
    assert (clipping.runs, clipping.first_sample, clipping.last_sample) == (1, first, first)
    assert clipping.share == pytest.approx(5 / len(sound))
    sound[first + 4] = 3.0
    assert measured(sound).clipping.runs == 0


def test_what_is_left_over_at_the_end_counts() -> None:
    """A sound in the last, incomplete step is measured."""
    found = measured(silence(1.0, rate_hz=RATE), tone(0.06, rate_hz=RATE))
    assert found.steps == 11
    assert not found.still
    assert found.loudest_db > -15


@pytest.mark.parametrize("samples", [1, 799, 800, 15_999, 16_000, 16_001, 31_999, 32_001, 40_000])
def test_stillness_is_told_at_every_length(samples: int) -> None:
    """A constant is still at any length; one different sample anywhere ends that."""
    sound = np.full((samples, 2), 0.25, np.float32)
    assert measured(sound).still
    for at in {1 % samples, samples // 2, samples - 1} - {0}:
        moved = sound.copy()
        moved[at, 1] = 0.5
        assert not measured(moved).still


def test_an_offset_is_measured_and_makes_no_level() -> None:
    """A constant offset is measured per channel and changes neither level nor loudness."""
    plain = noise(6.0, level_db=-50.0, channels=2)
    found, without = measured(plain + np.array([0.1, -0.02], np.float32)), measured(plain)
    assert found.channels.offsets == pytest.approx((0.1, -0.02), abs=1e-4)
    assert found.loudest_db == pytest.approx(without.loudest_db, abs=0.1)
    assert found.channels.levels_db == pytest.approx(without.channels.levels_db, abs=0.1)


def test_channels_of_opposite_sign_are_heard_and_told() -> None:
    """L = -R has correlation -1 and no mono sum, and the loudness and character of L = R."""
    left = tone(6.0, rate_hz=RATE)
    found, alike = measured(pair(left, -left)), measured(pair(left, left))
    assert found.channels.correlation == pytest.approx(-1.0)
    assert found.channels.mono_loss_db is None
    assert alike.channels.identical
    assert not found.channels.identical
    assert replace(found, channels=alike.channels) == alike


def test_a_dead_channel_is_told_and_changes_neither_level_nor_silence() -> None:
    """The level is that of the living channel."""
    left = noise(6.0, level_db=-30.0)
    found, mono = measured(pair(left, np.zeros_like(left))), measured(left)
    assert found.channels.dead == (2,)
    assert found.channels.correlation is None
    assert found.background == mono.background
    assert found.loudness is not None
    assert mono.loudness is not None
    lufs = mono.loudness.integrated_lufs
    assert found.loudness.integrated_lufs == pytest.approx(lufs, abs=1e-6)


@pytest.mark.parametrize(("shared", "correlation"), [(0.0, 0.0), (0.5, 0.5), (0.9, 0.9)])
def test_correlation_is_the_power_that_is_shared(shared: float, correlation: float) -> None:
    """The correlation of two channels is the share of their common power."""
    common, own = noise(10.0), noise(20.0, channels=2)[-10 * RATE :]
    sound = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    assert measured(sound).channels.correlation == pytest.approx(correlation, abs=0.02)


def test_a_quieter_channel_is_told_by_its_level() -> None:
    """The levels of the channels differ by their difference in gain."""
    left = noise(3.0)
    left_db, right_db = measured(pair(left, left / 2)).channels.levels_db
    assert left_db - right_db == pytest.approx(6.02, abs=0.01)


def test_dead_channels_are_found_among_many() -> None:
    """Of eight channels, the silent ones are named."""
    sound = noise(1.0, channels=8)
    sound[:, [2, 4]] = 0.0
    found = measured(sound)
    assert found.channels.dead == (3, 5)
    assert found.channels.count == 8
