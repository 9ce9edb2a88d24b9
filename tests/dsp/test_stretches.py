"""Near-silences, backgrounds and events, measured on made sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.sound import silence, tone

if TYPE_CHECKING:
    pass
from tests.support.measured import RATE, measured, noise, places_s

RATES = (8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000)


@pytest.mark.parametrize("rate_hz", RATES)
def test_silences_are_found_where_they_are(rate_hz: int) -> None:
    """Digital and near silence are found at their places at every rate."""
    found = measured(
        tone(2.0, rate_hz=rate_hz),
        silence(1.0, rate_hz=rate_hz),
        tone(3.0, rate_hz=rate_hz),
        noise(1.5, level_db=-65.0, rate_hz=rate_hz),
        tone(0.5, rate_hz=rate_hz),
        rate_hz=rate_hz,
    )
    places = np.array(places_s(found))
    assert places == pytest.approx(np.array([(2.0, 3.0), (6.0, 7.5)]), abs=0.11)
    assert found.flat_steps == pytest.approx(10, abs=1)


def test_a_pause_shorter_than_half_a_second_is_no_silence() -> None:
    """A pause of 0.4 s is no silence, one of 0.5 s is."""
    loud, pause = tone(1.0, rate_hz=RATE), silence(0.4, rate_hz=RATE)
    assert places_s(measured(loud, pause, loud)) == []
    assert places_s(measured(loud, pause, pause[:1600], loud)) == [(1.0, 1.5)]


@pytest.mark.parametrize("level_db", [-60.0, -45.0, -30.0])
def test_events_stand_out_of_the_background(level_db: float) -> None:
    """Bursts 20 dB above a background of any level are events at their places."""
    sound = noise(60.0, level_db=level_db)
    for start_s in (10, 30, 50):
        sound[start_s * RATE : (start_s + 2) * RATE] *= 10.0
    sound[30 * RATE : 31 * RATE] *= 1.5
    background = measured(sound).background
    assert background is not None
    assert background.l90_db == pytest.approx(level_db, abs=0.5)
    starts = [event.stretch.start_step for event in background.events]
    ends = [event.stretch.end_step for event in background.events]
    assert (starts, ends) == ([100, 300, 500], [120, 320, 520])
    loudest = max(background.events, key=lambda event: event.peak_db)
    assert loudest.peak_db == pytest.approx(level_db + 23.5, abs=0.6)
    assert 300 <= loudest.peak_step < 310


def test_what_rises_by_less_is_no_event() -> None:
    """A rise of 10 dB above the background is no event."""
    sound = noise(30.0, level_db=-40.0)
    sound[10 * RATE : 12 * RATE] *= 10 ** (10 / 20)
    background = measured(sound).background
    assert background is not None
    assert background.events == ()


def test_a_short_dip_does_not_end_an_event() -> None:
    """Two bursts half a second apart are one event, three seconds apart they are two."""
    sound = noise(60.0, level_db=-60.0)
    for start_s in (10.0, 11.5, 40.0, 44.0):
        sound[round(start_s * RATE) : round((start_s + 1) * RATE)] *= 30.0
    background = measured(sound).background
    assert background is not None
    starts = [event.stretch.start_step for event in background.events]
    assert starts == [100, 400, 440]


def test_a_background_of_digital_silence_lets_only_the_audible_stand_out() -> None:
    """In digital silence a sound at -80 dBFS is no event, and one at -40 dBFS is."""
    sound = silence(60.0, rate_hz=RATE)
    sound[5 * RATE : 6 * RATE] = noise(1.0, level_db=-80.0)
    sound[25 * RATE : 26 * RATE] = noise(1.0, level_db=-40.0)
    background = measured(sound).background
    assert background is not None
    assert [event.stretch.start_step for event in background.events] == [250]
