"""A damaged FLAC is found frame by frame, and written again with silence in its holes."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
import soundfile

from captoolkit.bitstream import flac, flac_mending
from captoolkit.bitstream.flac_pieces import FlacPieces
from tests.support.sound import noise

RATE_HZ, FRAME = 16_000, 4096
LENGTH = 40 * FRAME + 100


def made(subtype: str = "PCM_16", channels: int = 1) -> tuple[bytes, list[int]]:
    """Return a FLAC of noise and the places of its frames."""
    file = io.BytesIO()
    sound = noise(LENGTH / RATE_HZ, rate_hz=RATE_HZ, channels=channels)[:LENGTH]
    soundfile.write(file, sound, RATE_HZ, subtype, format="FLAC")
    data = file.getvalue()
    pieces = FlacPieces(io.BytesIO(data), start=0, total=LENGTH)
    return data, [at for at, _, _ in pieces.frames()]


def decoded(data: bytes) -> np.ndarray:
    """Decode a FLAC."""
    found: np.ndarray = soundfile.read(io.BytesIO(data), dtype="int32", always_2d=True)[0]
    return found


@pytest.mark.parametrize(("subtype", "channels"), [("PCM_16", 1), ("PCM_24", 2)])
@pytest.mark.parametrize(
    ("lost", "silent"),
    [
        ([(20, 0, 30, 0)], [(20, 30)]),
        ([(20, 100, 30, 50)], [(20, 31)]),  # two torn frames
        ([(20, 100, 21, 0)], [(20, 21)]),  # only a part of a frame
        ([(0, 100, 1, 0)], [(0, 1)]),
        ([(39, 0, 40, 0)], [(39, 40)]),  # the last frame has no frame behind it
        ([(3, 0, 4, 0), (5, 0, 6, 0), (7, 0, 8, 0)], [(3, 4), (5, 6), (7, 8)]),
    ],
)
def test_silence_takes_the_place_of_each_damaged_frame(
    subtype: str,
    channels: int,
    lost: list[tuple[int, int, int, int]],
    silent: list[tuple[int, int]],
) -> None:
    """Every other sample is the one of the whole file, at its place."""
    data, frames = made(subtype, channels)
    damaged = data
    for first, offset, last, more in reversed(lost):
        damaged = damaged[: frames[first] + offset] + damaged[frames[last] + more :]
    stream = io.BytesIO(damaged)
    pieces = FlacPieces(stream, start=0, total=LENGTH)
    expected = decoded(data)
    for begin, end in silent:
        expected[begin * FRAME : end * FRAME] = 0
    mended = b"".join(flac_mending.mended(pieces, stream, LENGTH))
    head = bytearray(mended)
    head[21:26] = (data[21] & 0xF0).to_bytes(1) + LENGTH.to_bytes(4)  # libsndfile needs the length
    assert np.array_equal(decoded(bytes(head)), expected)


def test_a_header_within_the_sound_is_no_frame() -> None:
    """The bytes up to it do not have the checksum of a frame; each is summed a few times only."""
    data, frames = made()
    whole = FlacPieces(io.BytesIO(data), start=0, total=LENGTH)
    silent = flac_mending.silent_frames(whole, 30 * FRAME, 5000 * FRAME)
    fakes = b"".join(frame[:12] for frame in silent)
    stream = io.BytesIO(data[: frames[20]] + fakes + data[frames[20] :])
    pieces = FlacPieces(stream, start=0, total=100_000 * FRAME)
    found = [frame.begin // FRAME for frame in flac_mending.whole_frames(pieces, stream, LENGTH)]
    assert found == [*range(41)]


def test_the_fast_checksum_is_that_of_a_frame() -> None:
    """Also in parts, at any length."""
    for length in (0, 1, 255, 256, 257, 5000):
        data = random.Random(length).randbytes(length)
        before = flac_mending.checksum(data[: length // 3])
        assert flac_mending.checksum(data) == flac.crc16(data)
        assert flac_mending.checksum(data[length // 3 :], before) == flac.crc16(data)


def test_a_file_of_false_headers_ends_the_search() -> None:
    """The same header again and again is no frame; a limited number of them is read."""
    data, places = made()
    start = data[places[0] : places[0] + flac.MAX_HEADER_BYTES]
    first = flac.frame_header(start)
    assert first is not None
    slow = data[: places[1]] + start[: first.size] * 100_000 + data[places[1] :]
    pieces = FlacPieces(io.BytesIO(slow), start=0, total=1 << 35)
    with pytest.raises(flac_mending.FalseHeadersError):
        list(flac_mending.whole_frames(pieces, io.BytesIO(slow), 1 << 35))
