"""Short Ogg files, decoded by libsndfile: the samples of ffmpeg's decoder, at their places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from captoolkit.media import decode, decode_in_process, decode_ogg, short_files
from captoolkit.media.probe_file import probe
from captoolkit.model import Track
from tests.support.odd_packets import with_page_bytes
from tests.support.paths import CORPUS
from tests.support.sound import Convert

SPEECH = CORPUS / "austen-0870.wav"
SECONDS = "2.517"
# Opus has two codecs. ffmpeg's decoder equals libopus in CELT up to rounding. Its resampler in SILK
# is another than that of libopus: it delays by up to 2 samples.
CELT_DB = 60
SILK_DB, SILK_SAMPLES = 10, 2
QUIETER = (-6 * 256).to_bytes(2, "little", signed=True)  # a gain of -6 dB
KINDS = {
    "celt-stereo": ("-ac 2 -b:a 96k -ar 48000", CELT_DB, 0),
    "celt-short": ("-ac 1 -b:a 64k -ar 48000 -frame_duration 2.5", CELT_DB, 0),
    "narrow": ("-ac 1 -b:a 24k -ar 8000 -frame_duration 10 -application lowdelay", CELT_DB, 0),
    "silk-60": (
        "-ac 1 -b:a 16k -ar 16000 -frame_duration 60 -application voip",
        SILK_DB,
        SILK_SAMPLES,
    ),
    "late": ("-ac 1 -b:a 64k -ar 48000 -output_ts_offset 1.001", CELT_DB, 0),
    "vorbis-stereo": ("-ac 2 -ar 44100 -q:a 4", CELT_DB, 0),
    "vorbis-low": ("-ac 1 -ar 8000 -q:a 0", CELT_DB, 0),
    "hybrid-stereo": ("-ac 2 -b:a 32k -ar 48000 -application voip", SILK_DB, SILK_SAMPLES),
}


def make(kind: str, folder: Path, convert: Convert) -> Path:
    """Return an Ogg of speech."""
    codec = "libvorbis" if kind.startswith("vorbis") else "libopus"
    options = [*KINDS[kind][0].split(), "-t", SECONDS, "-c:a", codec]
    return convert(SPEECH, folder / f"{kind}.ogg", options)


def decoded(path: Path, track: Track, **options: int | str) -> decode.Block:
    """Return what a decoder yields."""
    with decode.TrackDecoder(path, track=track, **options) as decoder:  # type: ignore[arg-type]
        return np.concatenate([block.copy() for block in decoder])


@pytest.mark.parametrize("kind", KINDS)
def test_the_sound_is_that_of_ffmpeg(
    kind: str, tmp_path: Path, convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Length, place, level and shape are those of ffmpeg's own decoder."""
    _, least_db, most_shift = KINDS[kind]
    path = make(kind, tmp_path, convert)
    track = probe(path).default_track
    found = decode_ogg.decode_whole(path, track)
    assert found is not None
    monkeypatch.setenv(decode_in_process.ENVIRONMENT_VARIABLE, decode_in_process.FFMPEG)
    assert decode_ogg.decode_whole(path, track) is None
    usual = decoded(path, track)
    assert (
        found.shape
        == usual.shape
        == (
            round(float(SECONDS) * track.sample_rate_hz),
            track.channels,
        )
    )
    noise = np.sum((found - usual) ** 2)
    assert 10 * np.log10(np.sum(usual**2) / max(noise, 1e-12)) > least_db
    assert abs(20 * np.log10(np.std(found) / np.std(usual))) < 0.05
    spectra = (np.fft.rfft(each[:, 0], 2 * len(usual)) for each in (usual, found))
    match = np.fft.irfft(next(spectra) * np.conj(next(spectra)))
    shift = int(np.argmax(match))
    assert min(shift, len(match) - shift) <= most_shift


def test_each_stretch_has_the_samples_of_the_whole(tmp_path: Path, convert: Convert) -> None:
    """A decoder that begins and ends within the track starts no ffmpeg, and returns the same."""
    path = make("silk-60", tmp_path, convert)
    track = probe(path).default_track
    whole = decode_ogg.decode_whole(path, track)
    assert whole is not None
    part = decoded(path, track, start_samples=31_111, end_samples=61_111)
    assert np.array_equal(part, whole[31_111:61_111])
    rounded = decoded(path, track, dtype="int16")
    assert np.array_equal(rounded, np.rint(whole * 32768))
    kept = short_files.cached_samples(path, track)
    assert kept is not None
    assert np.array_equal(kept, whole)


def test_an_unusual_file_is_left_to_ffmpeg(tmp_path: Path, convert: Convert) -> None:
    """A gain in the header is applied, and a file behind the probed one is not decoded."""
    path = make("celt-short", tmp_path, convert)
    track = probe(path).default_track
    plain = decoded(path, track)
    data = path.read_bytes()
    path.write_bytes(with_page_bytes(data, {28 + 16: QUIETER}))
    assert decode_ogg.decode_whole(path, track) is None
    loud = decoded(path, probe(path).default_track)
    assert abs(20 * np.log10(np.std(loud) / np.std(plain)) + 6) < 0.05
    path.write_bytes(make("celt-stereo", tmp_path, convert).read_bytes())
    assert decode_ogg.decode_whole(path, track) is None
    path.unlink()
    assert decode_ogg.decode_whole(path, track) is None
