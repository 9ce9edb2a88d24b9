"""The probe by ffmpeg's header: it agrees with the probe in this process, and names streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit.errors import NoAudioError, NotMediaError
from captoolkit.media.probe_by_ffmpeg import (
    first_codec,
    probe_by_ffmpeg,
    probe_streams,
    sample_format,
)
from captoolkit.media.probe_file import probe
from tests.support.sound import Convert, noise, write_wav

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of noise in stereo."""
    folder = tmp_path_factory.mktemp("probed")
    return write_wav(folder / "a.wav", noise(2, rate_hz=RATE_HZ, channels=2), rate_hz=RATE_HZ)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_both_ways_to_probe_agree(wav: Path, convert: Convert, name: str) -> None:
    """A file that captoolkit reads itself has the same track when ffmpeg reads it."""
    path = wav if name == wav.name else convert(wav, wav.with_name(name), [])
    by_ffmpeg = probe_by_ffmpeg(path, size_bytes=path.stat().st_size)
    own = probe(path)
    assert by_ffmpeg.container == own.container
    for field in ("codec", "sample_rate_hz", "channels", "duration_samples"):
        assert getattr(by_ffmpeg.default_track, field) == getattr(own.default_track, field)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-sample_fmt", "s32"], ("int32", 24)),
        (["-sample_fmt", "s16"], ("int16", 16)),
    ],
)
def test_format_of_the_samples(
    wav: Path, convert: Convert, tmp_path: Path, options: list[str], expected: tuple[str, int]
) -> None:
    """A FLAC of 24 bits is decoded to 32, of which 24 are significant."""
    path = convert(wav, tmp_path / "a.flac", options)
    assert sample_format(path, probe(path).default_track) == expected


def test_streams_of_a_film(fixtures: Path) -> None:
    """All streams are listed, of any kind, and the codec is that of the first sound."""
    film = fixtures / "two-languages.mp4"
    found = probe_streams(film)
    sounds = [stream for stream in found.streams if stream.kind == "Audio"]
    assert len(sounds) == 2
    assert first_codec(film) == sounds[0].codec
    assert found.late_s(1) >= 0


def test_a_file_without_sound_is_refused(fixtures: Path, tmp_path: Path) -> None:
    """A film without sound has no codec, and a text is no media."""
    with pytest.raises(NoAudioError):
        first_codec(fixtures / "video-without-sound.mp4")
    text = tmp_path / "a.txt"
    text.write_text("hello\n" * 99)
    with pytest.raises(NotMediaError):
        first_codec(text)


def test_sound_that_begins_late_in_a_transport_stream(
    wav: Path, convert: Convert, tmp_path: Path
) -> None:
    """A film may announce its sound and begin it later than ffmpeg looks by itself."""
    picture = ("-f", "lavfi", "-i", "color=s=64x64:r=25:d=15")
    coded = ("-map", "1:v", "-map", "0:a", "-c:v", "mpeg1video", "-c:a", "aac", "-ac", "1")
    options = (*picture, *coded, "-af", "asetpts=PTS+12/TB")
    track = probe(convert(wav, tmp_path / "film.ts", options)).default_track
    assert track.codec == "aac"
    assert abs(track.start_samples / track.sample_rate_hz - 12) < 0.2
