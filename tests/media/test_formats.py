"""Every row of the table of formats, probed and prepared.

Each file is made of a known sound (silence, then a tone), then probed, planned, prepared and read
back: container, codec, shape, duration to the sample, and the start of the tone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import captoolkit
from captoolkit.media.probe_file import probe
from captoolkit.model import Action
from tests.support.media_files import AMPLITUDE, KINDS, TONE_S, Kind, MediaMaker
from tests.support.sound import ODD_LENGTH_S, Count

TONE_SHARE = 0.25  # of its amplitude: louder samples are the tone
LATE_S = 0.03  # codecs smear, and some have a delay that no header states
ROUNDED_S = 0.001  # a length at another rate
PADDED_S = 0.12  # whole frames, and an encoder's delay that no header states
FRAME_SAMPLES = 1152  # the longest frame of a format that is remuxed; a delay is no longer

BY_NAME = {one.name: one for one in KINDS}
every_kind = pytest.mark.parametrize("one", KINDS, ids=BY_NAME)
Made = Callable[[Kind], Path]


@every_kind
def test_a_file_is_what_it_was_made_as(made: Made, decoded_samples: Count, one: Kind) -> None:
    """The probe finds container, codec and shape, and the duration of a full decode."""
    path = made(one)

    info = probe(path)

    track = info.default_track
    found = (info.container, track.codec, track.sample_rate_hz, track.channels, track.number)
    assert found == (one.container, one.codec, one.rate_hz, one.channels, 1)
    assert track.duration_samples == decoded_samples(path)
    assert track.duration_s == pytest.approx(ODD_LENGTH_S - TONE_S + one.tone_s, abs=PADDED_S)
    assert (info.size_bytes, info.path) == (path.stat().st_size, str(path))
    assert (len(info.tracks), info.warnings) == (1, ())
    covers = [picture.is_cover for picture in info.pictures]
    assert covers == ["cover" in one.name] * one.pictures


@every_kind
def test_a_file_is_prepared_for_the_service(made: Made, tmp_path: Path, one: Kind) -> None:
    """After any action the service accepts the file, and no sound is lost or moved."""
    path = made(one)
    planned = captoolkit.plan(path)

    with captoolkit.prepare(path) as prepared:
        (segment,) = prepared.save(tmp_path)
    sound, rate_hz = segment.to_array()

    assert planned.action in set(Action)
    assert captoolkit.plan(segment.path).action is Action.PASS_THROUGH
    # Copied frames bring their encoder's delay and padding with them.
    kept = planned.action in (Action.REMUX, Action.COPY)
    frame_s = FRAME_SAMPLES / one.rate_hz if kept else 0.0
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > TONE_SHARE * AMPLITUDE)
    assert loud[0] / rate_hz == pytest.approx(one.tone_s, abs=max(LATE_S, frame_s))
    whole_s = planned.track.duration_s
    assert len(sound) / rate_hz == pytest.approx(whole_s, abs=ROUNDED_S + 2 * frame_s)


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4", "film.mov", "film.ts", "film.webm"])
def test_the_track_in_the_requested_language_is_prepared(
    bench: MediaMaker, tmp_path: Path, name: str
) -> None:
    """Each track keeps its language in every container with languages, and is chosen by it."""
    tones = {"eng": 440.0, "ita": 1_000.0}
    argv: list[str | Path] = []
    for frequency_hz in tones.values():
        argv += ["-f", "lavfi", "-i", f"sine=f={frequency_hz}:r=48000:d=2"]
    codec = "libopus" if name.endswith("webm") else "aac"
    argv += ["-map", "0", "-map", "1", "-c:a", codec]
    for number, language in enumerate(tones):
        argv += [f"-metadata:s:a:{number}", f"language={language}"]
    path = tmp_path / name
    bench.ffmpeg(*argv, path)

    assert [track.language for track in probe(path).tracks] == [*tones]
    for language, frequency_hz in tones.items():
        with captoolkit.prepare(path, track=language, format="wav") as prepared:
            sound, rate_hz = next(iter(prepared)).to_array()
        spectrum = np.abs(np.fft.rfft(sound[:rate_hz, 0]))
        assert int(spectrum.argmax()) == pytest.approx(frequency_hz, abs=2)
