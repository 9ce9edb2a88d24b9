from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from captoolkit.media import sndfile
from captoolkit.media.probe_file import probe
from tests.support.sound import Convert, noise, write_wav

RATE_HZ = 16_000


@pytest.mark.parametrize("shares", [True, False])
def test_a_file_of_any_name_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    """A file with any bytes in its name is read, by descriptor and by stream."""
    monkeypatch.setattr(sndfile, "SHARES_DESCRIPTORS", shares and sndfile.SHARES_DESCRIPTORS)
    sound = noise(0.5, rate_hz=RATE_HZ, channels=2)
    plain = write_wav(tmp_path / "a.wav", sound, rate_hz=RATE_HZ, subtype="FLOAT")
    path = plain.rename(tmp_path / "caf\udce9 \udcff.wav")
    with sndfile.open_file(path) as stream, sndfile.sound_in(stream) as read:
        np.testing.assert_array_equal(read.read(dtype="float32", always_2d=True), sound)


def test_the_file_is_open_as_long_as_its_stream(tmp_path: Path) -> None:
    """Closing the sound leaves the caller's stream open."""
    sound = noise(0.5, rate_hz=RATE_HZ, channels=1)
    path = write_wav(tmp_path / "a.wav", sound, rate_hz=RATE_HZ, subtype="FLOAT")
    with sndfile.open_file(path) as stream:
        with sndfile.sound_in(stream):
            pass
        stream.seek(0)
        assert stream.read(4) == b"RIFF"


def test_another_rate_of_the_same_length_is_a_misreading(tmp_path: Path) -> None:
    """The sound would be slower or faster, or hold other frequencies."""
    sound = noise(1, rate_hz=RATE_HZ, channels=1)
    path = write_wav(tmp_path / "a.wav", sound, rate_hz=RATE_HZ)
    track = probe(path).default_track
    other = dataclasses.replace(track, sample_rate_hz=8_000, duration_samples=8_000)

    assert sndfile.misreadings(path, "wav", [track]) == []
    (sentence,) = sndfile.misreadings(path, "wav", [other])
    assert "find a rate of 16000 Hz in it, not 8000 Hz" in sentence


def test_opus_has_no_rate_of_its_own(tmp_path: Path, convert: Convert) -> None:
    """Libsndfile decodes it at the rate of the original sound, ffmpeg at 48 kHz."""
    wav = write_wav(tmp_path / "a.wav", noise(1, rate_hz=RATE_HZ, channels=1), rate_hz=RATE_HZ)
    path = convert(wav, tmp_path / "a.opus", ["-c:a", "libopus"])

    shape = sndfile.read_shape(path)

    assert shape is not None
    assert shape.rate_hz == RATE_HZ
    assert probe(path).misreadings == ()


def test_a_damaged_tag_is_a_misreading(
    tmp_path: Path, convert: Convert, capfd: pytest.CaptureFixture[str]
) -> None:
    """Libsndfile is not called for it: its MP3 decoder prints on standard error itself."""
    wav = write_wav(tmp_path / "a.wav", noise(5, rate_hz=RATE_HZ, channels=1), rate_hz=RATE_HZ)
    path = convert(wav, tmp_path / "a.mp3", ["-c:a", "libmp3lame"])
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"\x80" + data[9:])
    (sentence,) = probe(path).misreadings
    assert sentence.endswith("do not find the end of its damaged ID3 tag.")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("front", "sentences"),
    [
        # A free bit rate without a frame of that rate; a TXXX frame without its text; a tag with
        # an extended header.
        (b"\xff\xfb\0\xc0" * 5, ("Some readers (libsndfile) may not find its first frame.",)),
        (b"ID3\4\0\0\0\0\0\x0eTXXX\0\0\0\4\0\0\3abc", ()),
        (b"ID3\4\0\x40\0\0\0\x13\0\0\0\6\1\0TIT2\0\0\0\3\0\0\0ab", ()),
    ],
)
def test_damage_at_the_front_prints_nothing(
    front: bytes,
    sentences: tuple[str, ...],
    tmp_path: Path,
    convert: Convert,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Damage in front of the first frame or in a tag makes libsndfile print no line of its own."""
    wav = write_wav(tmp_path / "a.wav", noise(5, rate_hz=RATE_HZ, channels=1), rate_hz=RATE_HZ)
    path = convert(wav, tmp_path / "a.mp3", ["-c:a", "libmp3lame", "-id3v2_version", "0"])
    path.write_bytes(front + path.read_bytes())
    assert probe(path).misreadings == sentences
    assert capfd.readouterr().err == ""


def test_mpeg_layer_2_has_no_damage(tmp_path: Path, convert: Convert) -> None:
    """Its frames are not those of an MP3, and libsndfile reads them."""
    wav = write_wav(tmp_path / "a.wav", noise(2, rate_hz=RATE_HZ, channels=1), rate_hz=RATE_HZ)
    path = convert(wav, tmp_path / "a.mp2", ["-c:a", "mp2"])
    assert not any("first frame" in sentence for sentence in probe(path).misreadings)


def test_a_rate_with_a_fraction_is_the_same_rate(tmp_path: Path) -> None:
    """Old AIFF files have 22,254.5 Hz, which readers round or cut off."""
    path = tmp_path / "a.aiff"
    soundfile.write(path, noise(1, rate_hz=22_254, channels=1), 22_254)
    data = bytearray(path.read_bytes())
    rate_at = data.find(b"COMM") + 16  # an 80-bit float: exponent, then 64 bits of the fraction
    data[rate_at : rate_at + 10] = struct.pack(">HQ", 0x3FFF + 14, round(22_254.6 * (1 << 49)))
    path.write_bytes(data)

    shape = sndfile.read_shape(path)

    assert shape is not None
    assert shape.rate_hz != probe(path).default_track.sample_rate_hz
    assert probe(path).misreadings == ()
