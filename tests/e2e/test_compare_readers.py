"""A small part of `scripts/compare_readers.py`, which compares two readers on 200 recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.compare_readers import Recording, compare, recordings

NAMES = (
    "wav: pcm_s24le, 192000 Hz, 6 ch",
    "wav: adpcm_ms, 8000 Hz, 2 ch",
    "flac: flac -sample_fmt s32 -strict -2, 48000 Hz, 2 ch",
    "m4a: aac, 96000 Hz, 1 ch",
    "mp3: libmp3lame -q:a 5, 22050 Hz, 2 ch",
    "ogg: libvorbis, 48000 Hz, cut off",  # the limits allow cuts in a tone only
    "webm: libopus, 48000 Hz, 1 ch",
    "avi: libmp3lame, 44100 Hz, 2 ch",
    "wma: wmav2, 44100 Hz, 2 ch",
    "wav: pcm_f32le, 48000 Hz, sizes FFFFFFFF",
    "flac: flac, 96000 Hz, joined",
)
CHOSEN = [one for one in recordings() if one.name in NAMES]


def test_there_are_about_two_hundred() -> None:
    """The script covers about 200 recordings, each of another kind."""
    names = [one.name for one in recordings()]
    assert len(names) == len({*names}) >= 180
    assert len(CHOSEN) == len(NAMES)


@pytest.mark.parametrize("recording", CHOSEN, ids=lambda one: str(one.name))
def test_both_readers_find_the_source(recording: Recording, tmp_path: Path) -> None:
    """Ffmpeg and libsndfile find the tones of the source in what `prepare` and `split` make."""
    assert compare(recording, tmp_path) == {"prepare": "", "split": ""}
