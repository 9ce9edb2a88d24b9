"""MP3, ADTS and AMR files of known frames: makers, tags and readers that tests share."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

from captoolkit.bitstream.frames import FrameIndex
from captoolkit.media.frame_index import read_frame_index
from tests.support.sound import starts

Packet = tuple[int, int]  # bytes, checksum


Listing = Callable[[Path], list[Packet]]


Made = Callable[[str, str], bytes]


ID3V1 = b"TAG" + bytes(125)


APE_ITEMS = b"\5\0\0\0\0\0\0\0Title\0hello"


def id3v2(content_bytes: int, *, footer: bool = False) -> bytes:
    """Return an ID3v2 tag of padding."""
    size = bytes(content_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
    fields = b"\4\0" + bytes([0x10 if footer else 0]) + size
    return b"ID3" + fields + bytes(content_bytes) + (b"3DI" + fields if footer else b"")


def ape_frame(flags: int) -> bytes:
    """Return the header or footer of an APE tag."""
    fields = (2000, len(APE_ITEMS) + 32, 1, flags)
    return b"APETAGEX" + b"".join(field.to_bytes(4, "little") for field in fields) + bytes(8)


APE = ape_frame(0xA000_0000) + APE_ITEMS + ape_frame(0x8000_0000)


def written(path: Path, *parts: bytes) -> Path:
    """Write the parts to a file and return its path."""
    path.write_bytes(b"".join(parts))
    return path


def indexed(path: Path) -> FrameIndex:
    """Return the index of a file that must have one."""
    index = read_frame_index(path)
    assert index is not None
    return index


def contents(path: Path, index: FrameIndex) -> list[bytes]:
    """Return the bytes of each frame."""
    data = path.read_bytes()
    places = zip(starts(index).tolist(), index.sizes.tolist(), strict=True)
    return [data[start : start + size] for start, size in places]


def checked(frame: bytes) -> Packet:
    """Return size and checksum as framecrc prints them: Adler-32 that starts at 0 instead of 1."""
    return len(frame), zlib.adler32(frame, 0)


def packets_of(path: Path) -> list[Packet]:
    """Return the packets that `listing` should return."""
    return [checked(frame) for frame in contents(path, indexed(path))]


def patched(data: bytes, at: int, *values: int) -> bytes:
    """Return data with other bytes at an offset."""
    return data[:at] + bytes(values) + data[at + len(values) :]
