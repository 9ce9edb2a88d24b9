from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from captoolkit.media import sndfile
from tests.support.sound import noise, write_wav

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
