from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit.bitstream.riff import has_plain_header
from tests.support.sound import Convert, noise, write_wav

PLAIN = {"u8": "pcm_u8", "s16": "pcm_s16le", "mu-law": "pcm_mulaw", "adpcm": "adpcm_ms"}
EXTENDED = {"s24": "pcm_s24le", "s32": "pcm_s32le"}


@pytest.mark.parametrize("codec", PLAIN.values(), ids=PLAIN)
def test_a_header_that_names_its_codec_is_plain(
    tmp_path: Path, stereo: Path, convert: Convert, codec: str
) -> None:
    """The classic forms of WAV are plain."""
    assert has_plain_header(convert(stereo, tmp_path / "talk.wav", ["-c:a", codec]))


@pytest.mark.parametrize("codec", EXTENDED.values(), ids=EXTENDED)
def test_an_extensible_header_is_not(
    tmp_path: Path, stereo: Path, convert: Convert, codec: str
) -> None:
    """WAVE_FORMAT_EXTENSIBLE hides the codec in a GUID."""
    assert not has_plain_header(convert(stereo, tmp_path / "talk.wav", ["-c:a", codec]))


@pytest.mark.parametrize("options", ["-rf64 always", "-f w64", "-f aiff", "-f flac"])
def test_another_form_than_riff_is_not(
    tmp_path: Path, stereo: Path, convert: Convert, options: str
) -> None:
    """RF64 and other containers are no plain WAV, under any name."""
    assert not has_plain_header(convert(stereo, tmp_path / "talk.wav", options.split()))


@pytest.mark.parametrize("size", [0, 1, 27, 28, 60_000])
def test_chunks_before_the_format_are_passed_over(tmp_path: Path, size: int) -> None:
    """The format need not come first; a chunk of odd length has a byte of padding."""
    path = write_wav(tmp_path / "talk.wav", noise(0.1, rate_hz=8_000), rate_hz=8_000)
    data = path.read_bytes()
    junk = b"JUNK" + size.to_bytes(4, "little") + bytes(size + size % 2)
    path.write_bytes(data[:12] + junk + data[12:])
    assert has_plain_header(path)


@pytest.mark.parametrize("length", [0, 4, 11, 12, 19])
def test_a_torn_header_is_not(tmp_path: Path, length: int) -> None:
    """A file that ends before its format is known has no plain header."""
    path = write_wav(tmp_path / "talk.wav", noise(0.1, rate_hz=8_000), rate_hz=8_000)
    path.write_bytes(path.read_bytes()[:length])
    assert not has_plain_header(path)
