from __future__ import annotations

import math

import numpy as np
import pytest

from captoolkit.dsp.peaks import LOWEST_PEAK_DB, PeakMeter, TruePeakMeter


@pytest.mark.parametrize("block_frames", [1, 7, 1000])
def test_the_peak_is_that_of_all_blocks(block_frames: int) -> None:
    """Peak and clipped samples do not depend on how the sound is cut into blocks."""
    sound = np.random.default_rng(0).normal(0, 0.4, (1000, 2)).astype(np.float32)
    meter = PeakMeter()
    for start in range(0, 1000, block_frames):
        meter.feed(sound[start : start + block_frames])
    assert meter.peak == np.abs(sound).max() > 1
    assert meter.clipped == np.count_nonzero(np.abs(sound) > 1) > 0
    assert meter.samples == 2000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_number_has_no_part_in_the_peak(value: float) -> None:
    """NaN and infinity are counted; the peak is that of the other samples."""
    meter = PeakMeter()
    meter.feed(np.array([[0.5], [value], [-1.5]], np.float32))
    meter.feed(np.array([[value]], np.float32))
    assert (meter.peak, meter.not_numbers, meter.clipped) == (1.5, 2, 1)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_whole_numbers_are_clipped_at_the_ends_of_their_type(dtype: type) -> None:
    """Full scale is the lowest value of the type."""
    limits = np.iinfo(dtype)
    meter = PeakMeter()
    meter.feed(np.array([[limits.min], [limits.max], [0], [limits.max - 1]], dtype))
    assert (meter.peak, meter.clipped, meter.peak_db) == (1.0, 2, 0.0)


def test_silence_has_the_lowest_peak() -> None:
    """No sample and digital silence have no infinite figure."""
    meter = PeakMeter()
    assert meter.peak_db == LOWEST_PEAK_DB
    meter.feed(np.zeros((0, 1), np.float32))
    meter.feed(np.zeros((9, 1), np.float32))
    assert meter.peak_db == LOWEST_PEAK_DB


@pytest.mark.parametrize("block_frames", [1, 100, 4000])
@pytest.mark.parametrize("phase", [0.25, 0.125])
def test_the_true_peak_lies_between_the_samples(block_frames: int, phase: float) -> None:
    """A sine at a quarter of the rate has samples of 0.707 and a true peak of 1 (BS.1770-4)."""
    angles = 2 * math.pi * (np.arange(4000) / 4 + phase / 2)
    sine = np.sin(angles).astype(np.float32)[:, None]
    meter = TruePeakMeter(channels=1)
    for start in range(0, 4000, block_frames):
        meter.feed(sine[start : start + block_frames])
    assert -0.6 < 20 * math.log10(meter.peak) < 0.3
    assert np.abs(sine).max() <= meter.peak
