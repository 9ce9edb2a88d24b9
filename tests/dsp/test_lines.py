"""Steady tones and mains hum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from captoolkit.dsp.lines import HUM_LEVEL_DB, LineMeter, Lines
from tests.support.made_sounds import RATE, hum, music, rain, sine, square, voice

if TYPE_CHECKING:
    from numpy.typing import NDArray


def meter_of(sound: NDArray[np.float32]) -> LineMeter:
    """The meter that measured a sound of shape (frames, 1)."""
    meter = LineMeter(rate_hz=RATE)
    for start in range(0, len(sound), 5000):
        meter.feed(sound[start : start + 5000, 0])
    return meter


def lines_of(sound: NDArray[np.float32]) -> Lines:
    """The lines of a sound."""
    return meter_of(sound).lines()


@pytest.mark.parametrize("frequency_hz", [60.0, 440.0, 1000.3, 7000.0])
def test_a_tone_has_its_frequency(frequency_hz: float) -> None:
    """A sine and a square wave are one tone, to a tenth of a hertz."""
    for sound in (sine(frequency_hz, 6), square(min(frequency_hz, 1000.0), 6)):
        assert lines_of(sound).is_one_tone.all()
    found = lines_of(sine(frequency_hz, 6)).frequency_hz
    assert found == pytest.approx([frequency_hz] * 3, abs=0.2)


@pytest.mark.parametrize("sound", [music(6), rain(6), voice(6), sine(440, 6) + sine(350, 6)])
def test_other_sounds_are_not_one_tone(sound: NDArray[np.float32]) -> None:
    """Chords, noise, a gliding pitch and two tones are not one tone."""
    assert not lines_of(sound).is_one_tone.any()


@pytest.mark.parametrize("mains_hz", [50, 60])
def test_hum_is_found_under_a_voice_and_rain(mains_hz: int) -> None:
    """Lines at the multiples of the mains are hum, also 20 dB below a voice."""
    for sound in (voice(10), rain(10)):
        found = meter_of(sound + hum(mains_hz, 10, amplitude=0.02)).hum()
        assert found is not None
        assert found.mains_hz == mains_hz


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(voice(10), id="voice"),
        pytest.param(rain(10), id="rain"),
        pytest.param(music(10), id="music"),
        pytest.param(sine(50, 10), id="one line"),
        pytest.param(hum(53, 10), id="53 Hz"),
        pytest.param(voice(10, pitch_hz=100.0), id="voice at 100 Hz"),
        pytest.param(hum(50, 10, amplitude=10 ** ((HUM_LEVEL_DB - 6) / 20)), id="inaudible"),
        pytest.param(hum(50, 3), id="short"),
    ],
)
def test_no_hum_is_found_where_there_is_none(sound: NDArray[np.float32]) -> None:
    """One line, other frequencies, moving harmonics, faint lines and short clips are no hum."""
    assert meter_of(sound).hum() is None


def test_silence_has_no_lines() -> None:
    """Silent windows have no line, and nothing fails on them."""
    found = lines_of(np.zeros((5 * RATE, 1), np.float32))
    assert found.frequency_hz.tolist() == [0.0, 0.0]
    assert not found.is_one_tone.any()
