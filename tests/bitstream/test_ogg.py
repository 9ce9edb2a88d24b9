"""The pages of an Ogg: those of a whole file, and none of any other."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from captoolkit.bitstream import ogg
from tests.support.odd_packets import page_places, with_page_bytes
from tests.support.sound import Convert, noise, write_wav


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, convert: Convert) -> bytes:
    """An Opus of some seconds, with pages of a second."""
    folder = tmp_path_factory.mktemp("ogg")
    wav = write_wav(folder / "a.wav", noise(3.2, rate_hz=48_000), rate_hz=48_000)
    return convert(wav, folder / "a.opus", ["-c:a", "libopus", "-b:a", "24k"]).read_bytes()


def test_the_pages_of_a_whole_file_are_read(data: bytes) -> None:
    """The checksum equals the one that ffmpeg writes; only the last page is marked."""
    pages = ogg.read_pages(data)
    assert len(pages) == len(page_places(data)) > 4
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert pages[0].packets[0].startswith(b"OpusHead")
    assert sum(len(page.packets) for page in pages[2:]) == 161


def test_a_packet_may_go_on_over_pages() -> None:
    """Segments of 255 bytes belong to a packet that has not ended."""
    packet, pages = bytes(range(256)) * 256, []
    for number, (lengths, flags) in enumerate((([255] * 255, 2), ([255, 255, 1], 5))):
        body = packet[number * 255 * 255 :][: sum(lengths)]
        position = -1 if not number else 7
        head = ogg.MAGIC + bytes([flags]) + position.to_bytes(8, "little", signed=True)
        page = head + b"once" + number.to_bytes(4, "little") + bytes(4)
        page += bytes([len(lengths), *lengths]) + body
        checksum = ogg.page_checksum(page).to_bytes(4, "little")
        pages.append(page[: ogg.CHECKSUM_AT] + checksum + page[ogg.CHECKSUM_AT + 4 :])
    first, second = ogg.read_pages(b"".join(pages))
    assert first.packets == []
    assert second.packets == [packet[: 255 * 257 + 1]]
    assert ogg.read_pages(pages[0]) == []


def test_a_file_with_empty_packets_has_no_pages() -> None:
    """Only a file made to be slow holds packets without a byte; the first page decides."""
    head = ogg.MAGIC + bytes([6]) + bytes(8) + b"once" + bytes(8)
    page = ogg.with_checksum(bytearray(head + bytes([255]) + bytes(255)))
    assert ogg.read_pages(page) == []


def test_a_chain_is_another_recording_behind_the_first(data: bytes) -> None:
    """Streams that begin together are one recording; a cut end or other bytes end the search."""
    assert ogg.is_chained(io.BytesIO(data + data))
    assert not ogg.is_chained(io.BytesIO(data))
    assert not ogg.is_chained(io.BytesIO(data[:-1]))
    first_page = data[: page_places(data)[1][0]]
    assert not ogg.is_chained(io.BytesIO(first_page + data))
    assert not ogg.is_chained(io.BytesIO(b"junk" + data + data))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a changed bit": lambda data: data[:900] + bytes([data[900] ^ 1]) + data[901:],
    "cut off": lambda data: data[:-1],
    "a byte in front": lambda data: b"\0" + data,
    "a byte behind": lambda data: data + b"\0",
    "two files": lambda data: data + data,
    "a page is missing": lambda data: (
        data[: page_places(data)[2][0]] + data[page_places(data)[3][0] :]
    ),
    "another stream": lambda data: with_page_bytes(data, {page_places(data)[3][0] + 14: b"odd!"}),
    "begins late": lambda data: data[page_places(data)[1][0] :],
    "ends twice": lambda data: with_page_bytes(data, {page_places(data)[2][0] + 5: b"\4"}),
    "goes on from nothing": lambda data: with_page_bytes(
        data, {page_places(data)[2][0] + 5: b"\1"}
    ),
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_any_other_file_has_no_pages(damage: str, data: bytes) -> None:
    """Damaged, truncated, chained and multiplexed files are left to ffmpeg."""
    assert ogg.read_pages(DAMAGES[damage](data)) == []
