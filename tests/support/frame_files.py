"""MP3, ADTS and AMR files of known frames: makers, tags and readers that tests share."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

from captoolkit.bitstream import mpeg_audio
from captoolkit.bitstream.frames import FrameIndex
from captoolkit.media.frame_index import read_frame_index
from tests.support.sound import Convert, starts

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


def ape_footer_alone(items: bytes) -> bytes:
    """Return an APE tag that has a footer and no header."""
    fields = (1000, len(items) + 32, 1, 0)
    return items + b"APETAGEX" + b"".join(one.to_bytes(4, "little") for one in fields) + bytes(8)


_LYRICS = b"LYRICSBEGININD00002" + b"00" + b"LYR00040" + b"[00:01]a line of text\r\n" * 20
LYRICS3 = b"LYRICSBEGIN" + b"[00:01]a line of text\r\n" * 20 + b"LYRICSEND" + ID3V1
LYRICS3_V2 = _LYRICS + f"{len(_LYRICS):06d}LYRICS200".encode() + ID3V1
# Bytes that follow the last frame of an MP3.
TAILS = {
    "id3v1": ID3V1,
    "extended id3v1": b"TAG+" + bytes(223) + ID3V1,
    "id3v2 with a footer": id3v2(50, footer=True),
    "lyrics3": LYRICS3,
    "lyrics3v2": LYRICS3_V2,
    "lyrics3v2 and ape": LYRICS3_V2[:-128] + APE + ID3V1,
    "ape": APE + ID3V1,
    "ape without a header": ape_footer_alone(APE_ITEMS),
    "ape with a picture": ape_footer_alone(b"\0\0\0\0\0\0\0\0Cover\0" + bytes(range(256)) * 1200),
    "few zeros": bytes(191),
    "many zeros": bytes(300_000),
    "text": b"a line of text\n" * 40,
    "one byte": b"x",
    "like a sync word": b"\xff\xfb" * 200,
}


def with_information_packet(sound: bytes, convert: Convert, path: Path) -> Path:
    """Write an MP3 into a container whose first packet is the MP3's information frame.

    Args:
        sound: a whole MP3 of constant bit rate, as ffmpeg writes it.
        convert: copies a file into another container.
        path: the file to write.
    """
    size = int.from_bytes(sound[6:10])
    start = 10 + sum((size >> 8 * at & 0x7F) << 7 * at for at in range(4))
    kind = mpeg_audio.frame_bytes
    first = start + kind(sound[start : start + 4])
    frame = sound[first : first + kind(sound[first : first + 4])]
    stream = path.with_suffix(".mp3")
    stream.write_bytes(frame + sound[first:])  # of two equal frames one is then replaced
    made = convert(stream, path, ["-c", "copy"]).read_bytes()
    information = bytearray(sound[start:first].ljust(len(frame), b"\0"))
    information[2] = frame[2]  # the same size
    path.write_bytes(made.replace(frame, bytes(information), 1))
    return path
