"""Levels, envelopes and quiet places of files of known sound."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from captoolkit.media import measure_file
from captoolkit.media.probe_file import probe
from tests.support.sound import silence, tone, write_wav

RATE_HZ = 16_000


def spoken(path: Path, *lengths_s: float) -> Path:
    """Write tones of these lengths with half a second of silence between them."""
    parts = []
    for length_s in lengths_s:
        parts += [tone(length_s, rate_hz=RATE_HZ), silence(0.5, rate_hz=RATE_HZ)]
    return write_wav(path, *parts[:-1], rate_hz=RATE_HZ)


def test_levels_follow_the_sound(tmp_path: Path) -> None:
    """Each 100 ms has its own level."""
    path = spoken(tmp_path / "talk.wav", 1, 1)
    levels_db = measure_file.levels_db(path, probe(path).default_track)
    assert len(levels_db) == 25
    assert (levels_db[:10] > -15).all()
    assert (levels_db[11:14] < -60).all()
    assert (levels_db[16:] > -15).all()


def test_an_envelope_is_as_long_as_the_track(tmp_path: Path) -> None:
    """The envelope covers the track, and shows its silence."""
    path = spoken(tmp_path / "talk.wav", 1, 1)
    envelope = measure_file.envelope(path, probe(path).default_track)
    loudness = np.frombuffer(envelope.loudness, np.uint8)
    middle = len(loudness) // 2
    assert loudness[middle] < loudness[0]
    assert loudness[middle] < loudness[-1]


def test_an_envelope_begins_on_the_clock_of_the_file(tmp_path: Path) -> None:
    """A late start is silence, however late a header claims it."""
    path = spoken(tmp_path / "talk.wav", 1)
    years = 10 * 365 * 86_400 * RATE_HZ
    track = dataclasses.replace(probe(path).default_track, start_samples=years)
    envelope = measure_file.envelope(path, track)
    assert envelope.duration_samples == years + RATE_HZ
    assert envelope.loudness[0] == 0 < envelope.loudness[-1]
