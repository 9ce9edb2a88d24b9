"""The sizes of ID3, APE and Lyrics3 tags, which stand before, behind and between frames.

Layouts: id3.org/id3v2.4.0-structure, id3.org/ID3v1, id3.org/Lyrics3, id3.org/Lyrics3v2,
wiki.hydrogenaud.io/index.php?title=APEv2.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import BinaryIO

ID3V1_BYTES = 128
ID3V2_HEAD_BYTES = 10
ID3V1_EXTENSION_BYTES = 227  # "TAG+", before an ID3v1 tag
APE_MAGIC, APE_HEAD_BYTES = b"APETAGEX", 32
APE_IS_HEAD = 0x20  # in the last byte of the flags: set in the header, clear in the footer
LYRICS_BEGIN, LYRICS_END = b"LYRICSBEGIN", (b"LYRICSEND", b"LYRICS200")
LYRICS_SIZE_DIGITS = 6  # before the end of version 2
MAX_LYRICS_BYTES = 5100  # of version 1, which states no size
MAX_TAGS = 2000  # at the front of a file, and at its end


def tag_bytes(data: bytes, *, is_frame: Callable[[bytes], bool]) -> int:
    """Return the size of the ID3v2, ID3v1 or APE tag that `data` begins with, 0 for no tag.

    The three letters of an ID3v1 tag may occur in sound. They count as a tag only where a frame or
    an ID3v2 tag follows, or where `data` ends with the tag.

    Args:
        data: the bytes behind a frame; at least the tag's header.
        is_frame: whether bytes begin with the header of a frame.
    """
    following = data[ID3V1_BYTES:]
    if data.startswith(b"TAG") and (
        len(data) == ID3V1_BYTES or is_frame(following) or id3v2_bytes(following)
    ):
        return ID3V1_BYTES
    is_ape = data.startswith(APE_MAGIC) and len(data) >= APE_HEAD_BYTES
    if is_ape and data[23] & APE_IS_HEAD:
        return APE_HEAD_BYTES + int.from_bytes(data[12:16], "little")
    return id3v2_bytes(data)


def id3v2_bytes(data: bytes) -> int:
    """Return the size of the ID3v2 tag that `data` begins with, header and footer included.

    ```python
    >>> id3v2_bytes(b"ID3" + bytes([4, 0, 0, 0, 0, 1, 0])), id3v2_bytes(b"fLaC")
    (138, 0)

    ```
    """
    head = data[:ID3V2_HEAD_BYTES]
    is_tag = len(head) == ID3V2_HEAD_BYTES and head[:3] == b"ID3" and 0xFF not in head[3:5]
    if not is_tag or max(head[6:]) > 0x7F:
        return 0
    has_footer = head[5] >> 4 & 1
    size = functools.reduce(lambda size, byte: size << 7 | byte, head[6:], 0)
    return ID3V2_HEAD_BYTES * (1 + has_footer) + size


def has_broken_tag(data: bytes) -> bool:
    """Return whether `data` begins like an ID3v2 tag, with a header that states no valid size.

    ```python
    >>> has_broken_tag(b"ID3" + bytes([4, 0, 0, 0, 0, 0x80, 0])), has_broken_tag(b"fLaC")
    (True, False)

    ```
    """
    return data.startswith(b"ID3") and not id3v2_bytes(data)


def front_bytes(stream: BinaryIO) -> int:
    """Return the size of all ID3v2 tags that a file begins with."""
    at = 0
    for _ in range(MAX_TAGS):
        stream.seek(at)
        size = id3v2_bytes(stream.read(ID3V2_HEAD_BYTES))
        if not size:
            break
        at += size
    return at


def back_bytes(stream: BinaryIO) -> int:
    """Return the size of all tags that a file ends with; their footers state it.

    The tags are ID3v1 with its extension, APE, Lyrics3 of both versions, and ID3v2 with a footer.
    """
    end = file_bytes = stream.seek(0, os.SEEK_END)
    for _ in range(MAX_TAGS):
        stream.seek(max(0, end - MAX_LYRICS_BYTES))
        data = stream.read(min(end, MAX_LYRICS_BYTES))
        size = _closing_tag_bytes(data)
        if not 0 < size <= end:
            break
        end -= size
        if data[-APE_HEAD_BYTES:].startswith(APE_MAGIC):
            stream.seek(max(0, end - APE_HEAD_BYTES))
            end -= APE_HEAD_BYTES if stream.read(len(APE_MAGIC)) == APE_MAGIC else 0
    return file_bytes - end


def _closing_tag_bytes(data: bytes) -> int:
    """The size of the tag that `data` ends with, 0 for no tag."""
    if data[-ID3V1_BYTES:].startswith(b"TAG") and len(data) >= ID3V1_BYTES:
        extension = data[:-ID3V1_BYTES][-ID3V1_EXTENSION_BYTES:]
        return ID3V1_BYTES + (ID3V1_EXTENSION_BYTES if extension.startswith(b"TAG+") else 0)
    footer = data[-APE_HEAD_BYTES:]
    if footer.startswith(APE_MAGIC):
        return int.from_bytes(footer[12:16], "little")  # without its header
    if data.endswith(LYRICS_END[0]):
        begin = data.rfind(LYRICS_BEGIN)
        return len(data) - begin if begin >= 0 else 0
    if data.endswith(LYRICS_END[1]):
        digits = data[: -len(LYRICS_END[1])][-LYRICS_SIZE_DIGITS:]
        is_size = len(digits) == LYRICS_SIZE_DIGITS and digits.isdigit()
        return int(digits) + LYRICS_SIZE_DIGITS + len(LYRICS_END[1]) if is_size else 0
    foot = data[-ID3V2_HEAD_BYTES:]
    return id3v2_bytes(b"ID3" + foot[3:]) if foot.startswith(b"3DI") else 0
