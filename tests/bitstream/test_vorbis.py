"""Vorbis in Ogg: the length of a whole file, and no value for any unusual one."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from captoolkit.bitstream import ogg, vorbis
from tests.support.odd_packets import page_places, with_page_bytes
from tests.support.sound import Convert, noise, write_wav

SECONDS, RATE_HZ = 4.217, 16_000
FIRST_PACKET, POSITION, LAST_FLAG = 28, 6, 5  # places in a page


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, convert: Convert) -> bytes:
    """A Vorbis of several pages with short and long blocks, the last one of which is shortened."""
    folder = tmp_path_factory.mktemp("ogg")
    sound = noise(SECONDS, rate_hz=RATE_HZ)
    sound[::4000] *= 3
    wav = write_wav(folder / "a.wav", sound, rate_hz=RATE_HZ)
    return convert(wav, folder / "a.ogg", ["-c:a", "libvorbis", "-b:a", "32k"]).read_bytes()


def read(data: bytes) -> ogg.OggSound | None:
    """Read a file."""
    return vorbis.read_vorbis(ogg.read_pages(data))


def test_the_length_of_a_file_is_exact(data: bytes) -> None:
    """The bit rate is the stated one; the samples behind the end do not count."""
    (bit_rate,) = struct.unpack_from("<I", data, FIRST_PACKET + 20)
    assert read(data) == ogg.OggSound(
        codec="vorbis",
        rate_hz=RATE_HZ,
        channels=1,
        samples=round(SECONDS * RATE_HZ),
        bit_rate=bit_rate,
    )


def position(data: bytes, page: int, change: int) -> bytes:
    """Change the position of a page."""
    at = page_places(data)[page][0] + POSITION
    (found,) = struct.unpack_from("<q", data, at)
    return with_page_bytes(data, {at: struct.pack("<q", found + change)})


def sound_at(data: bytes, page: int = 3) -> int:
    """The place of the first packet of a page."""
    start = page_places(data)[page][0]
    return start + ogg.HEADER_BYTES + data[start + ogg.HEADER_BYTES - 1]


ODD: dict[str, Callable[[bytes], bytes]] = {
    "another version": lambda data: with_page_bytes(data, {FIRST_PACKET + 7: b"\1"}),
    "three channels": lambda data: with_page_bytes(data, {FIRST_PACKET + 11: b"\3"}),
    "no rate": lambda data: with_page_bytes(data, {FIRST_PACKET + 12: bytes(4)}),
    "blocks of other lengths": lambda data: with_page_bytes(data, {FIRST_PACKET + 28: b"\xfe"}),
    "longer short blocks": lambda data: with_page_bytes(data, {FIRST_PACKET + 28: b"\x8b"}),
    "a comment of a false length": lambda data: with_page_bytes(
        data, {data.index(b"encoder=") - 1: b"\1"}
    ),
    "a language": lambda data: with_page_bytes(data, {data.index(b"encoder="): b"LANGUAGE"}),
    "no table of kinds": lambda data: with_page_bytes(
        data, {page_places(data)[1][1] - 8: b"\xff" * 8}
    ),
    "no setup": lambda data: with_page_bytes(data, {data.index(vorbis.SETUP): b"\7"}),
    "a header among the sound": lambda data: with_page_bytes(data, {sound_at(data): b"\1"}),
    "a gap": lambda data: position(data, 3, 128),
    "a late begin": lambda data: position(data, 2, 128),
    "a longer end": lambda data: position(data, -1, 4096),
    "no end mark": lambda data: with_page_bytes(
        data, {page_places(data)[-1][0] + LAST_FLAG: b"\0"}
    ),
    "one page of sound": lambda data: data[: page_places(data)[2][1]],
    "no sound": lambda data: data[: page_places(data)[1][1]],
    "no headers": lambda data: data[: page_places(data)[0][1]],
    "Opus": lambda data: with_page_bytes(data, {FIRST_PACKET: b"OpusHead"}),
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("oddity", ODD)
def test_an_unusual_file_has_no_value(oddity: str, data: bytes) -> None:
    """Ffmpeg reads it."""
    assert read(ODD[oddity](data)) is None
