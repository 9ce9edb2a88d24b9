"""The sound of an Ogg by its codec."""

from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit.bitstream import ogg_sound
from tests.support.sound import Convert, noise, write_wav


@pytest.mark.parametrize(("codec", "rate_hz"), [("opus", 48_000), ("vorbis", 32_000)])
def test_the_codec_is_found(codec: str, rate_hz: int, tmp_path: Path, convert: Convert) -> None:
    """Two channels and the exact length; the plain form has the same sound."""
    sound = noise(3, rate_hz=32_000, channels=2)
    wav = write_wav(tmp_path / "a.wav", sound, rate_hz=32_000)
    data = convert(wav, tmp_path / "a.ogg", ["-c:a", f"lib{codec}"]).read_bytes()
    found = ogg_sound.read_sound(data)
    assert found is not None
    assert (found.codec, found.rate_hz, found.channels) == (codec, rate_hz, 2)
    assert found.samples == 3 * rate_hz
    assert ogg_sound.read_sound(ogg_sound.plainest(data, found)) == found


def test_other_and_larger_files_have_none(tmp_path: Path, convert: Convert) -> None:
    """FLAC in Ogg, and a file with more bytes than are read as a whole."""
    wav = write_wav(tmp_path / "a.wav", noise(1, rate_hz=32_000), rate_hz=32_000)
    data = convert(wav, tmp_path / "a.ogg", ["-c:a", "flac"]).read_bytes()
    assert ogg_sound.read_sound(data) is None
    assert ogg_sound.read_sound(bytes(ogg_sound.MAX_FILE_BYTES + 1)) is None
