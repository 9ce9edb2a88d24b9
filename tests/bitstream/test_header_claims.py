"""What MP4 and Ogg files state about their sound, before anything is decoded."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.bitstream.header_claims import SoundClaim, claimed_sound, missing_bytes
from tests.support.sound import Convert, noise, write_wav

KINDS = {
    "m4a": ("aac", ("-c:a", "aac")),
    "mp4": ("aac", ("-c:a", "aac", "-movflags", "+faststart")),
    "mov": ("alac", ("-c:a", "alac")),
    "ogg": ("vorbis", ("-c:a", "libvorbis")),
    "opus": ("opus", ("-c:a", "libopus", "-ar", "48000")),
}
SECONDS = 3.5


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A WAV of some seconds."""
    sound = noise(SECONDS, rate_hz=44_100, channels=2)
    return write_wav(tmp_path / "source.wav", sound, rate_hz=44_100)


def claim_of(path: Path) -> SoundClaim | None:
    """Return the claim of a file."""
    with path.open("rb") as stream:
        return claimed_sound(stream)


@pytest.mark.parametrize("kind", KINDS)
def test_codec_and_length_are_about_those_of_the_sound(
    kind: str, source: Path, convert: Convert, tmp_path: Path
) -> None:
    """The claim names the codec, and the length to a page."""
    codec, arguments = KINDS[kind]
    claim = claim_of(convert(source, tmp_path / f"short.{kind}", arguments))
    assert claim is not None
    assert claim.codec == codec
    assert abs(claim.seconds - SECONDS) <= 1


@pytest.mark.parametrize("name", ["moov-first.mp4", "fragments.mp4", "two.mkv", "live.mkv"])
def test_a_torn_file_lacks_bytes_that_its_header_states(
    name: str, source: Path, convert: Convert, tmp_path: Path
) -> None:
    """The number is exact; a whole file, and one without a statement, lacks none."""
    options = {
        "moov-first.mp4": ("-movflags", "+faststart"),
        "fragments.mp4": ("-movflags", "+frag_keyframe+empty_moov", "-frag_duration", "500000"),
        "live.mkv": ("-live", "1"),
    }.get(name, ())
    whole = convert(source, tmp_path / name, ("-c:a", "aac", *options)).read_bytes()
    assert missing_bytes(io.BytesIO(whole)) == 0
    assert missing_bytes(io.BytesIO(whole + bytes(40))) == 0
    if name != "fragments.mp4":  # each fragment states its own size
        torn = io.BytesIO(whole[:-3000])
        assert missing_bytes(torn) == (0 if name == "live.mkv" else 3000)
    else:
        at = whole.rindex(b"mdat") - 4
        assert missing_bytes(io.BytesIO(whole[: at + 500])) > 0


def test_a_recording_that_begins_late_claims_its_own_length(
    source: Path, convert: Convert, tmp_path: Path
) -> None:
    """The positions in an Ogg may begin anywhere."""
    late = ("-c:a", "libopus", "-output_ts_offset", "1000")
    claim = claim_of(convert(source, tmp_path / "late.opus", late))
    assert claim is not None
    assert abs(claim.seconds - SECONDS) <= 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c:a", "aac", "-map", "0:a", "-map", "0:a"),
        ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
        ("-c:a", "ac3"),
        ("-c:a", "libmp3lame"),
    ],
    ids=["two tracks", "fragments", "another codec", "MP3"],
)
def test_an_unusual_file_claims_nothing(
    arguments: tuple[str, ...], source: Path, convert: Convert, tmp_path: Path
) -> None:
    """Several tracks, fragments and rare codecs are left to ffmpeg."""
    assert claim_of(convert(source, tmp_path / "odd.mp4", arguments)) is None
    assert claim_of(source) is None


@given(st.binary(max_size=120), st.sampled_from([b"\0\0\0\x10ftypM4A ", b"OggS\0\2", b""]))
def test_torn_headers_claim_nothing_and_raise_nothing(data: bytes, magic: bytes) -> None:
    """Any bytes are read without an error."""
    claim = claimed_sound(io.BytesIO(magic + data))
    assert claim is None or claim.codec


def test_a_box_of_two_exabytes_makes_no_claim(tmp_path: Path) -> None:
    """No file system can go to the end of such a box."""
    path = tmp_path / "huge.mp4"
    path.write_bytes(struct.pack(">I4s8xI4sQ", 16, b"ftyp", 1, b"mdat", 1 << 61) + bytes(64))
    assert claim_of(path) is None
