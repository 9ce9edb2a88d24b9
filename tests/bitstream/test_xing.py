from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from captoolkit.bitstream import frames, xing
from tests.support.sound import Convert, Count


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 24_000, 16_000, 8000])
@pytest.mark.parametrize("channels", [1, 2])
def test_ffmpeg_takes_the_frame_for_no_sound(
    stereo: Path,
    convert: Convert,
    decoded_samples: Count,
    tmp_path: Path,
    rate_hz: int,
    channels: int,
) -> None:
    """Before a stream of any kind it is read as what it is: the sound is not longer by it."""
    options = ["-c:a", "libmp3lame", "-q:a", "5", "-write_xing", "0", "-id3v2_version", "0"]
    options += ["-ar", str(rate_hz), "-ac", str(channels)]
    bare = convert(stereo, tmp_path / "bare.mp3", options)
    index = frames.index(bare)
    assert index is not None
    stream = bare.read_bytes()
    told = xing.index_frame(stream[:4], index.sizes)
    whole = tmp_path / "whole.mp3"
    whole.write_bytes(told + stream)
    found = frames.index(whole)
    assert found is not None
    assert found.info == told
    assert np.array_equal(found.sizes, index.sizes)
    assert decoded_samples(whole) == decoded_samples(bare)
