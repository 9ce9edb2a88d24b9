"""The sizes of ID3v2, ID3v1 and APE tags, which stand before, behind and between frames.

Layouts: id3.org/id3v2.4.0-structure, id3.org/ID3v1, wiki.hydrogenaud.io/index.php?title=APEv2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import BinaryIO

ID3V1_BYTES = 128
ID3V2_HEAD_BYTES = 10
APE_HEAD_BYTES = 32
APE_IS_HEAD = 0x20  # in the last byte of the flags: set in the header, clear in the footer
MAX_TAGS = 2000  # at the front of a file


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
    is_ape = data.startswith(b"APETAGEX") and len(data) >= APE_HEAD_BYTES
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
