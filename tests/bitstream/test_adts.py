from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from captoolkit.media.frame_index import read_frame_index
from tests.support.frame_files import (
    Listing,
    Made,
    indexed,
    packets_of,
    patched,
    written,
)
from tests.support.sound import Convert, noise, starts, write_wav

ADTS_RATES_HZ = (7_350, 8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000)


@pytest.mark.parametrize(
    ("rate_hz", "channels"),
    [*itertools.product(ADTS_RATES_HZ, (1, 2)), *((44_100, channels) for channels in (4, 5, 6))],
)
def test_frames_of_adts_are_ffmpegs_packets(
    tmp_path: Path, convert: Convert, listing: Listing, rate_hz: int, channels: int
) -> None:
    """The frames equal ffmpeg's packets at every rate and number of channels."""
    source = tmp_path / "talk.wav"
    write_wav(source, noise(0.5, rate_hz=rate_hz, channels=channels), rate_hz=rate_hz)
    path = convert(source, tmp_path / "talk.aac", [])
    assert packets_of(path) == listing(path)
    index = indexed(path)
    assert (index.format, index.codec, index.frame_samples) == ("aac", "aac", 1024)
    assert (index.rate_hz, index.channels, index.head) == (rate_hz, channels, b"")


@pytest.mark.parametrize(("offset", "value"), [(6, 1), (6, 3)], ids=["two", "four"])
@pytest.mark.parametrize("step", [1, 40])
def test_several_raw_blocks_are_not_indexed(
    tmp_path: Path, made: Made, offset: int, value: int, step: int
) -> None:
    """A frame of several raw blocks holds more samples than its header reveals: no index."""
    path = written(tmp_path / "talk.aac", made("aac", "-ar 44100"))
    data = path.read_bytes()
    for start in starts(indexed(path)).tolist()[::step]:
        data = patched(data, start + offset, data[start + offset] & 0xFC | value)
    assert read_frame_index(written(path, data)) is None


@pytest.mark.parametrize(("told", "channels"), [(0, None), (3, 3), (7, 8)])
def test_channels_are_as_stated_or_the_file_is_not_indexed(
    tmp_path: Path, made: Made, told: int, channels: int | None
) -> None:
    """Configuration 0 leaves the channels to the frames: no index. Configuration 7 is 7.1."""
    path = written(tmp_path / "talk.aac", made("aac", "-ar 44100"))
    data = path.read_bytes()
    for start in starts(indexed(path)).tolist():
        packed = data[start + 2] & 0xFE | told >> 2, data[start + 3] & 0x3F | (told & 3) << 6
        data = patched(data, start + 2, *packed)
    index = read_frame_index(written(path, data))
    assert (index.channels if index else None) == channels
