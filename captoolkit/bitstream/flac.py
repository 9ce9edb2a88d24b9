"""The metadata blocks of a FLAC: sample rate, channels, pictures, and the blocks for ffmpeg alone.

Rules: bytes in, values out. Anything unusual has no value here, so that the caller lets ffmpeg read
the file.

Layout: RFC 9639, section 8.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"fLaC"
# Numbers of blocks; any other up to 6 is padding, an application's data or a seek table.
STREAMINFO, COMMENTS, CUE_SHEET, PICTURE = 0, 4, 5, 6
STREAMINFO_BYTES = 34
MAX_BLOCKS = 64
MAX_CONTENT_BYTES = 1 << 16  # read of each block: all comments, the head of a picture
FRAME_STARTS = (b"\xff\xf8", b"\xff\xf9")
# Comments with a meaning for the sound: chapters, the places of channels, pictures.
SPECIAL_COMMENTS = (b"CHAPTER", b"CHANNEL_MASK", b"METADATA_BLOCK_PICTURE", b"COVERART")
# By media type: the first bytes of a picture, and ffmpeg's name of its codec.
PICTURE_CODECS = {
    b"image/jpeg": (b"\xff\xd8\xff", "mjpeg"),
    b"image/png": (b"\x89PNG\r\n\x1a\n", "png"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataBlock:
    """A block before the sound; `content` holds at most MAX_CONTENT_BYTES of its `size`."""

    kind: int
    size: int
    content: bytes


def read_blocks(stream: BinaryIO) -> list[MetadataBlock]:
    """Return the blocks from the stream's place after the magic; none if no sound follows."""
    blocks: list[MetadataBlock] = []
    while len(blocks) < MAX_BLOCKS:
        head = stream.read(4)
        size = int.from_bytes(head[1:])
        content = stream.read(min(size, MAX_CONTENT_BYTES))
        stream.seek(size - len(content), os.SEEK_CUR)
        if len(head) < 4:
            break
        blocks.append(MetadataBlock(kind=head[0] & 0x7F, size=size, content=content))
        if head[0] & 0x80:  # the last one
            return blocks if stream.read(2) in FRAME_STARTS else []
    return []


def rate_and_channels(blocks: Sequence[MetadataBlock]) -> tuple[int, int] | None:
    """Return the sample rate in Hz and the number of channels; None without a valid STREAMINFO."""
    if not blocks or blocks[0].kind != STREAMINFO or blocks[0].size != STREAMINFO_BYTES:
        return None
    packed = int.from_bytes(blocks[0].content[10:14])  # 20 bits of rate, 3 of channels, others
    return packed >> 12, (packed >> 9 & 7) + 1


def needs_ffmpeg(blocks: Sequence[MetadataBlock]) -> bool:
    """Return whether blocks hold chapters, or anything else that only ffmpeg reads here."""
    for block in blocks:
        if block.kind == CUE_SHEET or block.kind > PICTURE:
            return True
        if block.kind == COMMENTS:
            comments = block.content.upper()
            is_special = any(word in comments for word in SPECIAL_COMMENTS)
            if is_special or block.size > len(comments):
                return True
    return False


def picture_codecs(blocks: Sequence[MetadataBlock]) -> tuple[str, ...] | None:
    """Return ffmpeg's name for the codec of each picture; None if one is of an unknown kind."""
    codecs = [_picture_codec(block) for block in blocks if block.kind == PICTURE]
    return None if None in codecs else tuple(codec for codec in codecs if codec)


def _picture_codec(block: MetadataBlock) -> str | None:
    """The codec of a picture that is whole and has the stated media type.

    Fields: kind, type with its length, description with its length, 16 bytes, picture with its
    length.
    """
    content = block.content
    type_end = 8 + int.from_bytes(content[4:8])
    about_end = type_end + 4 + int.from_bytes(content[type_end : type_end + 4])
    start = about_end + 20
    magic, codec = PICTURE_CODECS.get(content[8:type_end], (b"", None))
    is_whole = start + int.from_bytes(content[start - 4 : start]) == block.size
    return codec if is_whole and content[start:].startswith(magic) else None
