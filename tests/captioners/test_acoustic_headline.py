"""The text of a local caption: content first, then what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from captoolkit.captioners.acoustic import AcousticCaptioner
from tests.support.acoustic import ArrayClip, noise, summary_of
from tests.support.made_sounds import RATE, hum, rain, sine, strokes, voice


def test_sections_are_in_time_order_with_their_places() -> None:
    """Few sections are listed in time order; the last needs no end."""
    assert summary_of(sine(440, 10), rain(12)) == (
        "A steady tone at 440 Hz from 0:00 to 0:10, then steady noise."
    )


def test_many_sections_are_listed_by_the_time_they_take() -> None:
    """More than four sections are grouped, those with a name first."""
    text = summary_of(*(part for _ in range(4) for part in (rain(6), sine(440, 4))))
    assert text.startswith("A steady tone at 440 Hz for 4")
    assert "in 4 stretches, the longest from" in text


def test_hum_between_voices_is_a_fault() -> None:
    """In a clip with a voice the hum is a fault; in a clip without one it is a kind of sound."""
    parts = [hum(50, 6), voice(6), hum(50, 6), rain(6), hum(50, 6), rain(6)]
    text = summary_of(*parts)
    assert text.startswith("Voice-like sound from 0:06 to 0:12; ")
    assert text.endswith("; mains hum at 50 Hz.")
    assert text.count("hum") == 1
    text = summary_of(*parts[:1], *parts[2:], *parts[2:])
    assert text.startswith("Mains hum at 50 Hz ")
    assert text.count("hum") == 1


def test_captions_of_one_talk_differ() -> None:
    """Segments of one voice differ by their place and by the pitch of the voice."""
    captions = [
        AcousticCaptioner(hears=False).caption(ArrayClip(voice(20), start_s=start_s)).text
        for start_s in (0.0, 20.0, 3600.0)
    ]
    assert captions[0].startswith("Voice-like sound from 0:00 to 0:20, pitch about 1")
    assert captions[2].startswith("Voice-like sound from 1:00:00 to 1:00:20")
    assert len(set(captions)) == 3


def test_clipping_and_a_dead_channel_come_first_among_the_faults() -> None:
    """Clipping comes before a dead channel, and that before hum."""
    left = voice(20) + hum(50, 20, amplitude=0.01)
    left[17 * RATE : 19 * RATE] = (100 * left[17 * RATE : 19 * RATE]).clip(-1, 1)
    text = summary_of(np.hstack([left, 0 * left]))
    faults = text.partition("; ")[2]
    assert faults.startswith("clipped for ")
    assert faults.endswith(" at 0:17, the right channel is dead and mains hum at 50 Hz.")


def test_power_above_the_band_of_the_models_is_named() -> None:
    """A recording with most of its power above 8 kHz says so, and others do not."""
    times_s = np.arange(48_000 * 6) / 48_000
    high = 0.2 * np.sin(2 * np.pi * 12_000 * times_s)[:, None]
    low = 0.2 * np.sin(2 * np.pi * 6000 * times_s)[:, None]
    assert "of its power lies above 8 kHz" in summary_of(high + 0.05 * low, rate_hz=48_000)
    assert "8 kHz" not in summary_of(low, rate_hz=48_000)


@pytest.mark.parametrize(
    ("sound", "text"),
    [
        (strokes(2.0, 20), "Single strokes every 2 s from 0:00 to 0:20."),
        (hum(60, 12), "Mains hum at 60 Hz from 0:00 to 0:12."),
        (noise(12.0, level_db=-52.0), "Steady noise from 0:00 to 0:12."),
        (noise(12.0, level_db=-58.0), "Steady noise from 0:00 to 0:12; very quiet (-55.2 LUFS)."),
    ],
)
def test_a_sound_has_one_sentence(sound: np.ndarray, text: str) -> None:
    """A plain sound is one plain sentence."""
    assert summary_of(sound) == text
