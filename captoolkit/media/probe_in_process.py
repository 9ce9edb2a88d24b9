"""What a plain WAV or FLAC holds, by its own bytes: a thousand small files start no ffmpeg.

Rules: what is found here is what ffmpeg finds, field by field (the tests ask both); whatever is
unusual is left to ffmpeg: more than two channels, chapters, pictures of unknown kinds, codecs in
disguise, rates of no sound, files that are cut off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from captoolkit.bitstream import channel_layouts, riff
from captoolkit.media import durations
from captoolkit.model import MediaInfo, Picture, Track

LAYOUTS = {1: "mono", 2: "stereo"}

# The blocks before a FLAC's sound, by number; what is not named here is padding or an index.
STREAMINFO, COMMENTS, CUE_SHEET, PICTURE = 0, 4, 5, 6
STREAMINFO_BYTES = 34
MAX_BLOCKS = 64
MAX_CONTENT_BYTES = 1 << 16  # what is read of a block: all comments, the head of a picture
FRAME_STARTS = (b"\xff\xf8", b"\xff\xf9")
# Comments that are more than words: chapters, the places of channels, pictures.
TELLING_COMMENTS = (b"CHAPTER", b"CHANNEL_MASK", b"METADATA_BLOCK_PICTURE", b"COVERART")
# How a picture begins, by the type it is said to be; and what ffmpeg calls its codec.
PICTURE_CODECS = {
    b"image/jpeg": (b"\xff\xd8\xff", "mjpeg"),
    b"image/png": (b"\x89PNG\r\n\x1a\n", "png"),
}


def look(file: Path, *, size_bytes: int) -> MediaInfo | None:
    """Return what a plain WAV or FLAC holds, None for any other file."""
    with file.open("rb") as stream:
        magic = stream.read(4)
        if magic == b"fLaC":
            return _flac(file, stream, size_bytes)
    return _wav(file, size_bytes) if magic == b"RIFF" else None


def _wav(file: Path, size_bytes: int) -> MediaInfo | None:
    pcm = riff.plain_pcm(file)
    if pcm is None or channel_layouts.excess(rate_hz=pcm.rate_hz, channels=pcm.channels):
        return None
    frames = durations.frames_in_header(file, container="wav", rate_hz=pcm.rate_hz)
    if frames is None:
        return None
    bits_per_s = pcm.rate_hz * pcm.channels * pcm.bits
    return MediaInfo(
        path=str(file),
        size_bytes=size_bytes,
        container="wav",
        tracks=(
            _only_track(
                codec=pcm.codec,
                rate_hz=pcm.rate_hz,
                channels=pcm.channels,
                frames=frames,
                bit_rate=bits_per_s // 1000 * 1000,  # ffmpeg prints whole kbit/s
            ),
        ),
        plain_header=pcm.plain_header,
    )


def _only_track(
    *, codec: str, rate_hz: int, channels: int, frames: int, bit_rate: int | None
) -> Track:
    return Track(
        number=1,
        stream_index=0,
        codec=codec,
        sample_rate_hz=rate_hz,
        channels=channels,
        layout=LAYOUTS[channels],
        duration_samples=frames,
        bit_rate=bit_rate,
    )


# ------------------------------------------------------------------------------------ FLAC


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A block before the sound; of a long one only the beginning is here."""

    kind: int
    size: int
    content: bytes


def _flac(file: Path, stream: BinaryIO, size_bytes: int) -> MediaInfo | None:
    blocks = _blocks(stream)
    shape = _shape(blocks)
    pictures = _pictures(blocks)
    if shape is None or pictures is None or _tell_more(blocks):
        return None
    rate_hz, channels = shape
    frames = durations.frames_in_header(file, container="flac", rate_hz=rate_hz)
    if frames is None:
        return None
    track = _only_track(
        codec="flac", rate_hz=rate_hz, channels=channels, frames=frames, bit_rate=None
    )
    return MediaInfo(
        path=str(file), size_bytes=size_bytes, container="flac", tracks=(track,), pictures=pictures
    )


def _blocks(stream: BinaryIO) -> list[_Block]:
    """The blocks that follow; none if no sound follows them."""
    blocks: list[_Block] = []
    while len(blocks) < MAX_BLOCKS:
        head = stream.read(4)
        size = int.from_bytes(head[1:])
        content = stream.read(min(size, MAX_CONTENT_BYTES))
        stream.seek(size - len(content), os.SEEK_CUR)
        if len(head) < 4:
            break
        blocks.append(_Block(kind=head[0] & 0x7F, size=size, content=content))
        if head[0] & 0x80:  # the last one
            return blocks if stream.read(2) in FRAME_STARTS else []
    return []


def _shape(blocks: Sequence[_Block]) -> tuple[int, int] | None:
    """Rate and channels, None where there is more to say of them."""
    if not blocks or blocks[0].kind != STREAMINFO or blocks[0].size != STREAMINFO_BYTES:
        return None
    packed = int.from_bytes(blocks[0].content[10:14])  # 20 bits of rate, 3 of channels, others
    rate_hz, channels = packed >> 12, (packed >> 9 & 7) + 1
    return (rate_hz, channels) if channels in LAYOUTS else None


def _tell_more(blocks: Sequence[_Block]) -> bool:
    """Whether blocks hold chapters, or what only ffmpeg makes sense of."""
    for block in blocks:
        if block.kind == CUE_SHEET or block.kind > PICTURE:
            return True
        if block.kind == COMMENTS:
            comments = block.content.upper()
            told = any(word in comments for word in TELLING_COMMENTS)
            if told or block.size > len(comments):
                return True
    return False


def _pictures(blocks: Sequence[_Block]) -> tuple[Picture, ...] | None:
    """The pictures attached to the sound, None where one is of an unknown kind."""
    codecs = [_picture_codec(block) for block in blocks if block.kind == PICTURE]
    if None in codecs:
        return None
    return tuple(
        Picture(stream_index=index, codec=codec, is_cover=True)
        for index, codec in enumerate(codecs, start=1)
        if codec
    )


def _picture_codec(block: _Block) -> str | None:
    """The codec of a picture that is whole and what it says it is.

    Kind, type and its length, description and its length, 16 bytes, the picture and its length.
    """
    content = block.content
    type_end = 8 + int.from_bytes(content[4:8])
    about_end = type_end + 4 + int.from_bytes(content[type_end : type_end + 4])
    start = about_end + 20
    magic, codec = PICTURE_CODECS.get(content[8:type_end], (b"", None))
    is_whole = start + int.from_bytes(content[start - 4 : start]) == block.size
    return codec if is_whole and content[start:].startswith(magic) else None
