"""Opus in Ogg: the length of a whole file, and no value for any unusual one."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from captoolkit.bitstream import ogg_sound, opus
from captoolkit.bitstream.ogg import OggSound
from tests.support.odd_packets import page_places, with_page_bytes, with_pre_skip
from tests.support.sound import Convert, noise, write_wav

SECONDS = 3.217
LAST_FLAG, POSITION, FIRST_PACKET = 5, 6, 28  # places in a page


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, convert: Convert) -> bytes:
    """An Opus with packets of 20 ms, the last one of which is shortened."""
    folder = tmp_path_factory.mktemp("ogg")
    wav = write_wav(folder / "a.wav", noise(SECONDS, rate_hz=48_000), rate_hz=48_000)
    return convert(wav, folder / "a.opus", ["-c:a", "libopus", "-b:a", "24k"]).read_bytes()


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (bytes([0 << 3]), 480),
        (bytes([3 << 3]) + bytes(40), 2880),
        (bytes([15 << 3]) + bytes(40), 960),
        (bytes([16 << 3]) + bytes(40), 120),
        (bytes([31 << 3 | 1]) + bytes(40), 1920),
        (bytes([31 << 3 | 1]) + bytes(41), None),
        (bytes([31 << 3 | 2, 30]) + bytes(40), 1920),
        (bytes([31 << 3 | 2, 41]) + bytes(40), None),
        (bytes([31 << 3 | 2, 252, 1]) + bytes(256 + 9), 1920),
        (bytes([31 << 3 | 2, 252]), None),
        (bytes([31 << 3 | 2]), None),
        (bytes([31 << 3 | 3, 3]) + bytes(30), 2880),
        (bytes([31 << 3 | 3, 3]) + bytes(31), None),
        (bytes([31 << 3 | 3, 0]) + bytes(30), None),
        (bytes([31 << 3 | 3, 7]) + bytes(70), None),  # more than 120 ms
        (bytes([31 << 3 | 3, 0x80 | 3, 10, 5]) + bytes(25), 2880),
        (bytes([31 << 3 | 3, 0x80 | 3, 10, 25]) + bytes(25), None),
        (bytes([31 << 3 | 3, 0x40 | 2, 4]) + bytes(20 + 4), 1920),
        (bytes([31 << 3 | 3, 0x40 | 2, 255, 3]) + bytes(20 + 254 + 3), 1920),
        (bytes([31 << 3 | 3, 0x40 | 2, 255]), None),
        (bytes([31 << 3 | 3, 0x40 | 2, 30]) + bytes(20), None),
        (bytes([31 << 3 | 3]), None),
        (bytes([31 << 3]) + bytes(1276), None),
        (b"", None),
    ],
)
def test_a_packet_states_its_length(packet: bytes, samples: int | None) -> None:
    """By the configuration and the number of frames, the sizes of which must fill the packet."""
    assert opus.packet_samples(packet) == samples


def test_the_length_of_a_file_is_exact(data: bytes) -> None:
    """The pre-skip and the samples behind the end do not count."""
    sound = ogg_sound.read_sound(data)
    assert sound == OggSound(
        codec="opus",
        rate_hz=opus.RATE_HZ,
        channels=1,
        samples=round(SECONDS * opus.RATE_HZ),
        start_samples=0,
        is_edited=False,
    )


def test_a_long_pre_skip_removes_sound(data: bytes) -> None:
    """Four packets are an encoder's delay at most."""
    for pre_skip, is_edited in ((3840, False), (3841, True)):
        sound = ogg_sound.read_sound(with_pre_skip(data, pre_skip))
        assert sound is not None
        assert sound.is_edited == is_edited


def test_a_late_recording_keeps_its_length(data: bytes) -> None:
    """Positions may begin anywhere; in the plain form they begin at 0, at 48 kHz."""
    late = data
    for page in range(2, len(page_places(data))):
        late = position(late, page, 12_345)
    late = with_page_bytes(late, {FIRST_PACKET + 12: struct.pack("<I", 8_000)})
    sound, usual = ogg_sound.read_sound(late), ogg_sound.read_sound(data)
    assert sound is not None
    assert usual is not None
    assert (sound.samples, sound.start_samples) == (usual.samples, 12_345)
    assert ogg_sound.plainest(late, sound) == ogg_sound.plainest(data, usual) == data


def last(data: bytes, place: int) -> int:
    """A place in the last page of a file."""
    return page_places(data)[-1][0] + place


def position(data: bytes, page: int, change: int) -> bytes:
    """Change the position of a page."""
    at = page_places(data)[page][0] + POSITION
    (found,) = struct.unpack_from("<q", data, at)
    return with_page_bytes(data, {at: struct.pack("<q", found + change)})


ODD: dict[str, Callable[[bytes], bytes]] = {
    "a gain": lambda data: with_page_bytes(data, {FIRST_PACKET + 16: b"\0\1"}),
    "another version": lambda data: with_page_bytes(data, {FIRST_PACKET + 8: b"\2"}),
    "three channels": lambda data: with_page_bytes(data, {FIRST_PACKET + 9: b"\3"}),
    "no channel": lambda data: with_page_bytes(data, {FIRST_PACKET + 9: b"\0"}),
    "another family": lambda data: with_page_bytes(data, {FIRST_PACKET + 18: b"\1"}),
    "a comment of a false length": lambda data: with_page_bytes(
        data, {data.index(b"encoder=") - 1: b"\1"}
    ),
    "a language": lambda data: with_page_bytes(data, {data.index(b"encoder="): b"LANGUAGE=eng;"}),
    "no end": lambda data: with_page_bytes(data, {last(data, LAST_FLAG): b"\0"}),
    "a gap": lambda data: position(data, 3, 960),
    "a late first page": lambda data: position(data, 2, 960),
    "an early first page": lambda data: position(data, 2, -960),
    "a longer end": lambda data: position(data, -1, 960),
    "two packets less": lambda data: position(data, -1, -1920),
    "a long pre-skip": lambda data: with_pre_skip(data[: page_places(data)[2][1]], 48_000),
    "no sound": lambda data: data[: page_places(data)[1][1]],
    "no tags": lambda data: data[: page_places(data)[0][1]],
    "Vorbis": lambda data: with_page_bytes(data, {FIRST_PACKET: b"\1vorbis."}),
}


@pytest.mark.parametrize("oddity", ODD)
def test_an_unusual_file_has_no_value(oddity: str, data: bytes) -> None:
    """Ffmpeg reads it."""
    assert ogg_sound.read_sound(ODD[oddity](data)) is None


def test_a_file_without_an_end_mark_may_end_with_a_whole_packet(data: bytes) -> None:
    """As a recorder leaves it that was stopped; then no packet is shortened."""
    cut = data[: page_places(data)[-2][1]]
    sound = ogg_sound.read_sound(cut)
    assert sound is not None
    assert sound.samples == 3 * opus.RATE_HZ - 312
