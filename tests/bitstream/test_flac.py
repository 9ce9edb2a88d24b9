from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.bitstream import flac
from captoolkit.media.probe_file import probe
from tests.support.flac_files import MOST_SAMPLES, RATE_HZ, frame, header, stream
from tests.support.sound import Count

STREAMINFO = bytes(10) + (44_100 << 12 | 1 << 9 | 15 << 4).to_bytes(4) + bytes(20)
SOUND = flac.FRAME_STARTS[0]


def block(kind: int, content: bytes, *, is_last: bool = False) -> bytes:
    """Return a metadata block."""
    return bytes([kind | 0x80 * is_last]) + len(content).to_bytes(3) + content


def test_blocks_are_read_up_to_the_sound() -> None:
    """The blocks state rate and channels, and the last one must be followed by a frame."""
    data = block(flac.STREAMINFO, STREAMINFO) + block(1, bytes(100_000), is_last=True)
    blocks = flac.read_blocks(io.BytesIO(data + SOUND))
    assert [(one.kind, one.size) for one in blocks] == [(0, 34), (1, 100_000)]
    assert len(blocks[1].content) == flac.MAX_CONTENT_BYTES
    assert flac.rate_and_channels(blocks) == (44_100, 2)
    assert not flac.needs_ffmpeg(blocks)
    assert flac.read_blocks(io.BytesIO(data + b"RIFF")) == []
    assert flac.rate_and_channels([]) is None


@pytest.mark.parametrize("kind", [flac.CUE_SHEET, flac.PICTURE + 1])
def test_cue_sheets_and_unknown_blocks_need_ffmpeg(kind: int) -> None:
    """Chapters, and blocks of an unknown kind, are left to ffmpeg."""
    data = block(flac.STREAMINFO, STREAMINFO) + block(kind, bytes(8), is_last=True) + SOUND
    assert flac.needs_ffmpeg(flac.read_blocks(io.BytesIO(data)))


# ---------------------------------------------------------------------------- the last frame

LENGTHS = {
    "one frame": [4096],
    "one short frame": [5],
    "two frames": [4096, 1],
    "many": [4096] * 300 + [77],
    "ends full": [4608] * 200,
}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("variable", [False, True], ids=["fixed", "variable"])
@pytest.mark.parametrize("tail", [b"", b"TAG" + bytes(125)], ids=["", "id3v1"])
def test_the_last_frame_states_the_length(
    lengths: list[int], channels: int, variable: bool, tail: bytes
) -> None:
    """The number of the last frame and its length give the sum of all frames."""
    data = stream(lengths, channels=channels, variable=variable) + tail
    assert flac.samples_by_last_frame(io.BytesIO(data)) == sum(lengths)


def test_frames_of_unequal_length_are_summed() -> None:
    """With numbered samples the frames may have any lengths."""
    lengths = [4096, 100, 65_535, 17] * 50
    assert flac.samples_by_last_frame(io.BytesIO(stream(lengths, variable=True))) == sum(lengths)


def test_a_day_is_counted_by_its_last_frame(tmp_path: Path, decoded_samples: Count) -> None:
    """The length of 25 hours is exact, and both readers agree on a shorter file of this kind."""
    frames = 25 * 3600 * RATE_HZ // MOST_SAMPLES
    path = tmp_path / "day.flac"
    path.write_bytes(stream([MOST_SAMPLES] * frames + [9]))
    track = probe(path).default_track
    assert track.duration_samples == frames * MOST_SAMPLES + 9
    data, total = stream([MOST_SAMPLES] * 30 + [9]), 30 * MOST_SAMPLES + 9
    path.write_bytes(data)
    assert probe(path).default_track.duration_samples == decoded_samples(path) == total
    path.write_bytes(header(total=total) + data[42:])  # libsndfile reads no FLAC without a length
    assert len(soundfile.read(path)[0]) == total


WHOLE = stream([4096] * 60)
DOUBTS = {
    "cut off": WHOLE[:-1],
    "junk behind": WHOLE + b"junk",
    "two files": WHOLE + WHOLE,
    "numbers begin again": WHOLE + WHOLE[42:],
    "a frame twice as late": WHOLE + frame(59, 4096),
    "other channels at the end": WHOLE + frame(60, 4096, channels=2),
    "no frames": WHOLE[:42],
    "a wrong checksum": WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]),
    "states another length": header(total=61 * 4096) + WHOLE[42:],
    "begins in the middle": WHOLE[:42] + b"".join(frame(n, 4096) for n in range(9, 60)),
    "no FLAC": b"RIFF" + WHOLE,
    "empty": b"",
}


@pytest.mark.parametrize("data", DOUBTS.values(), ids=DOUBTS)
def test_in_doubt_there_is_no_length(data: bytes) -> None:
    """Any irregularity leaves the file to a full decode."""
    assert flac.samples_by_last_frame(io.BytesIO(data)) is None


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 96_000])
@pytest.mark.parametrize("samples", [20, 4_097, 123_456])
def test_encoders_number_their_frames(tmp_path: Path, rate_hz: int, samples: int) -> None:
    """The files of libFLAC without the length in their header have that length."""
    path = tmp_path / "a.flac"
    sound = np.random.default_rng(0).normal(0, 0.1, (samples, 2))
    soundfile.write(path, sound, rate_hz, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[21:26] = bytes([data[21] & 0xF0, 0, 0, 0, 0])
    path.write_bytes(data)
    assert probe(path).default_track.duration_samples == samples


@given(st.binary(max_size=300), st.integers(0, 42 + 60 * 14))
def test_no_bytes_are_too_hostile_for_the_last_frame(content: bytes, at: int) -> None:
    """Any bytes give a length or none, and never an error."""
    for data in (content, WHOLE[:at] + content + WHOLE[at:], WHOLE[:at] + content):
        found = flac.samples_by_last_frame(io.BytesIO(data))
        assert found is None or found >= 0


@pytest.mark.parametrize(
    "unit", [frame(0, 4096)[:6], b"\xff\xf8", b"\xff", frame(0, 4096)], ids=range(4)
)
def test_the_search_for_the_last_frame_is_bounded(unit: bytes) -> None:
    """A file that is cut off, or made of headers, has no last frame after a short search."""
    begun_s = time.process_time()
    data = WHOLE + unit * ((1 << 21) // len(unit)) + b"x"
    assert flac.samples_by_last_frame(io.BytesIO(data)) is None
    assert time.process_time() - begun_s < 3
