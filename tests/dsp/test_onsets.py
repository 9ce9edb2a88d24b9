"""Onsets of clicks and bursts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.sound import tone

if TYPE_CHECKING:
    pass
from tests.support.measured import bursts, clicks, measured, noise


@pytest.mark.parametrize("bed_db", [-120.0, -70.0, -50.0])
@pytest.mark.parametrize("length_s", [0.03, 0.2, 0.9])
def test_each_burst_is_one_onset(length_s: float, bed_db: float) -> None:
    """The start of a tone is one onset, and its end is none."""
    starts_s = (1.0, 2.5, 4.01, 6.2, 8.33)
    sound = bursts(*starts_s, length_s=length_s, seconds=10.0, bed_db=bed_db)
    onsets = measured(sound).onsets
    assert onsets is not None
    assert onsets.count == len(starts_s)


@pytest.mark.parametrize("interval_s", [0.12, 0.25, 0.55, 1.0, 7.3])
def test_a_regular_train_of_clicks_gives_its_interval(interval_s: float) -> None:
    """Clicks at equal distances are regular, with their interval."""
    times_s = np.arange(12) * interval_s + 0.5
    onsets = measured(clicks(*times_s.tolist(), seconds=float(times_s[-1]) + 0.5)).onsets
    assert onsets is not None
    assert onsets.count == 12
    assert onsets.interval_s == pytest.approx(interval_s, abs=0.004)


def test_a_missing_click_does_not_end_regularity() -> None:
    """A few different intervals do not make a train irregular."""
    times_s = [0.5 + 0.4 * number for number in range(12) if number != 5]
    onsets = measured(clicks(*times_s, seconds=6.0)).onsets
    assert onsets is not None
    assert onsets.interval_s == pytest.approx(0.4, abs=0.004)


def test_clicks_at_random_are_irregular() -> None:
    """Clicks without a common interval have the interval None."""
    times_s = np.cumsum(np.random.default_rng(3).uniform(0.15, 1.5, 30))
    onsets = measured(clicks(*times_s.tolist(), seconds=float(times_s[-1]) + 0.5)).onsets
    assert onsets is not None
    assert onsets.count == 30
    assert onsets.interval_s is None


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 48_000])
def test_steady_noise_and_steady_tones_have_no_onsets(rate_hz: int) -> None:
    """Steady sound has no onsets, although noise fluctuates."""
    for sound in (noise(60.0, rate_hz=rate_hz), tone(60.0, rate_hz=rate_hz)):
        onsets = measured(sound, rate_hz=rate_hz).onsets
        assert onsets is not None
        assert onsets.count == 0
