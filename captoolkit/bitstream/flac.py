"""FLAC: sample rate, channels, pictures, the blocks for ffmpeg alone, and the last frame.

Rules: bytes in, values out. Anything unusual has no value here, so that the caller lets ffmpeg read
the file. The number in the last frame gives the length of a FLAC that states none; a frame counts
only if both its checksums are right.

Layout: RFC 9639, sections 8 and 9.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from captoolkit.bitstream import id3

MAGIC = b"fLaC"
# Numbers of blocks; any other up to 6 is padding, an application's data or a seek table.
STREAMINFO, COMMENTS, CUE_SHEET, PICTURE = 0, 4, 5, 6
STREAMINFO_BYTES = 34
MAX_BLOCKS = 64
MAX_CONTENT_BYTES = 1 << 16  # read of each block: all comments, the head of a picture
FRAME_STARTS = (b"\xff\xf8", b"\xff\xf9")
# Comments with a meaning for the sound: chapters, the places of channels, pictures.
SPECIAL_COMMENTS = (b"CHAPTER", b"CHANNEL_MASK", b"METADATA_BLOCK_PICTURE", b"COVERART")
# The largest frame: 65,535 samples of 8 channels, stored as they are in 32 bits.
MAX_FRAME_BYTES = 1 << 21
MAX_HEADER_BYTES = 16
MAX_SYNCS = 1 << 14  # places that a search for frames looks at
# The search for the last frame: headers whose frame is checked as a whole, and their bytes.
MAX_CANDIDATES, MAX_CHECKED_BYTES = 8, 1 << 22
CHECKPOINTS = 8  # places in a file at which the numbers of frames are read
WINDOW_BYTES = 1 << 20
MARK_BYTES = 1 << 17  # read at a checkpoint of a large file that states its length
SEARCHED_BYTES = 1 << 24  # the largest file that is searched for another FLAC throughout
# By the code in a frame's header; 0 is reserved, and 6 and 7 announce the number behind the header.
BLOCK_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}} | {
    code: 1 << code for code in range(8, 16)
}
SHORT_SAMPLES = BLOCK_SIZES[1]  # encoders make no shorter frames, except the last one
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


def stated_samples(blocks: Sequence[MetadataBlock]) -> int:
    """Return the number of samples that a STREAMINFO states in 36 bits; 0 if it states none."""
    return int.from_bytes(blocks[0].content[13:18]) & (1 << 36) - 1


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


# --------------------------------------------------------------------------------- frames


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    """The header of a frame.

    Attributes:
        number: of the frame, or of its first sample where `is_variable`.
        is_variable: the frames have different lengths, so that samples are numbered.
        samples: the length of the frame.
        channels: the number of channels.
        rate_code: the code of the sample rate; 0 is that of STREAMINFO.
        size: bytes of the header.
    """

    number: int
    is_variable: bool
    samples: int
    channels: int
    rate_code: int
    size: int


def frame_header(data: bytes | bytearray, at: int = 0) -> FrameHeader | None:
    """Return the header of the frame at an offset of `data`, None for any other bytes.

    The bytes must have the sync word, no reserved value, and the right CRC-8.
    """
    head = data[at : at + MAX_HEADER_BYTES]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 15
    assignment, depth_code = head[3] >> 4, head[3] >> 1 & 7
    if not size_code or rate_code == 15 or assignment > 10 or depth_code == 3:
        return None
    number, place = _coded_number(head)
    if number is None:
        return None
    if size_code in (6, 7):
        samples = int.from_bytes(head[place : place + size_code - 5]) + 1
        place += size_code - 5
    else:
        samples = BLOCK_SIZES[size_code]
    place += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if place >= len(head) or crc8(head[:place]) != head[place]:
        return None
    return FrameHeader(
        number=number,
        is_variable=bool(head[1] & 1),
        samples=samples,
        channels=assignment + 1 if assignment < 8 else 2,
        rate_code=rate_code,
        size=place + 1,
    )


def _coded_number(head: bytes | bytearray) -> tuple[int | None, int]:
    """The number behind the first four bytes of a header, coded like UTF-8, and its end."""
    first = head[4]
    if first < 0x80:
        return first, 5
    length = 8 - (first ^ 0xFF).bit_length()  # the ones in front
    rest = head[5 : 4 + length]
    if not 2 <= length <= 7 or len(rest) < length - 1 or any(byte >> 6 != 2 for byte in rest):
        return None, 0
    number = first & (0x7F >> length)
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return number, 4 + length


def samples_by_last_frame(stream: BinaryIO) -> int | None:
    """Return the length of a FLAC in samples, by the number in its last frame.

    None if the file states another length, and in any doubt: the file does not end with a whole
    frame (tags may follow it), it holds another FLAC, the numbers of its frames do not ascend, or
    rate or channels change. Frames may be missing before the last two.

    Args:
        stream: the file, opened for reading; its position changes.
    """
    front_bytes = id3.front_bytes(stream)
    stream.seek(front_bytes)
    blocks = read_blocks(stream) if stream.read(len(MAGIC)) == MAGIC else []
    shape = rate_and_channels(blocks)
    if shape is None:
        return None
    first_at = front_bytes + len(MAGIC) + sum(4 + block.size for block in blocks)
    end = stream.seek(0, os.SEEK_END) - id3.back_bytes(stream)
    first = _header_at(stream, first_at)
    found = _last_frame(stream, first_at, end)
    if first is None or found is None:
        return None
    last_at, last = found
    if stated_samples(blocks) not in (0, _end(last, first)):
        return None
    marks = [first, *_headers_between(stream, first, first_at, last_at), last]
    if last_at > first_at:
        before = _last_frame(stream, first_at, last_at)
        if before is None or _end(before[1], first) != first_sample(last, first):
            return None
    places = [first_sample(one, first) for one in marks]
    is_ascending = all(one < other for one, other in itertools.pairwise(places))
    is_one = is_ascending or first_at == last_at
    is_alike = all(
        (one.channels, one.rate_code, one.is_variable)
        == (shape[1], first.rate_code, first.is_variable)
        for one in marks
    )
    if not is_one or not is_alike or first.number or _holds_another(stream, first_at):
        return None
    return _end(last, first)


def holds_another(stream: BinaryIO) -> bool:
    """Return whether a FLAC is followed by another one that a seek may take for a part of it.

    A file of up to SEARCHED_BYTES is searched throughout. In a larger one the numbers of frames
    must ascend at CHECKPOINTS places.

    Args:
        stream: the file, opened for reading; its position changes.
    """
    front_bytes = id3.front_bytes(stream)
    start = front_bytes + len(MAGIC)
    size = stream.seek(0, os.SEEK_END)
    if size <= SEARCHED_BYTES:
        return _holds_another(stream, start)
    stream.seek(start)
    first_at = start + sum(4 + block.size for block in read_blocks(stream))
    first = _header_at(stream, first_at)
    if first is None:
        return False
    marks = _headers_between(stream, first, first_at, size, window_bytes=MARK_BYTES)
    places = [first_sample(one, first) for one in marks]
    return any(one >= other for one, other in itertools.pairwise(places))


def begins_late(stream: BinaryIO) -> bool:
    """Return whether the first frame of a FLAC has another number than 0.

    So begins the rest of a FLAC whose begin was cut off, as by `ffmpeg -ss 5 -c copy`. Its header
    states the old length, and a seek by the numbers of the frames goes to a wrong place.

    Args:
        stream: the file, opened for reading; its position changes.
    """
    start = id3.front_bytes(stream) + len(MAGIC)
    stream.seek(start)
    first = _header_at(stream, start + sum(4 + block.size for block in read_blocks(stream)))
    return first is not None and first.number > 0


def _end(frame: FrameHeader, first: FrameHeader) -> int:
    """The sample of the stream with which a frame ends."""
    return first_sample(frame, first) + frame.samples


def first_sample(frame: FrameHeader, first: FrameHeader) -> int:
    """The sample of the stream with which a frame begins."""
    return frame.number if frame.is_variable else frame.number * first.samples


def _header_at(stream: BinaryIO, at: int) -> FrameHeader | None:
    stream.seek(at)
    return frame_header(stream.read(MAX_HEADER_BYTES))


def _last_frame(stream: BinaryIO, start: int, end: int) -> tuple[int, FrameHeader] | None:
    """The frame that ends at a byte of the file, and where it begins; None beyond the limits."""
    begin = max(start, end - MAX_FRAME_BYTES)
    stream.seek(begin)
    data = stream.read(end - begin)
    candidates = checked_bytes = 0
    for at in itertools.islice(syncs_from_end(data), MAX_SYNCS):
        header = frame_header(data, at)
        if header is None:
            continue
        candidates += 1
        checked_bytes += len(data) - at
        if candidates > MAX_CANDIDATES or checked_bytes > MAX_CHECKED_BYTES:
            break
        if is_whole_frame(data[at:]):
            return begin + at, header
    return None


def is_whole_frame(data: bytes) -> bool:
    """Return whether the checksum at the end of a frame is that of its bytes."""
    return crc16(data) == 0  # that of the checksum itself included


def syncs_from_end(
    data: bytes | bytearray,
    starts: Sequence[bytes] = FRAME_STARTS,
    *,
    begin: int = 0,
    end: int | None = None,
) -> Iterator[int]:
    """Yield each offset at which a frame may begin, the last one first.

    Args:
        data: some bytes of the file.
        starts: the first two bytes of a frame; all frames of a file have the same.
        begin: the first offset that is searched.
        end: search before this offset; None is the end of the data.
    """
    end = len(data) if end is None else end
    places = {start: data.rfind(start, begin, end) for start in starts}
    while (at := max(places.values())) >= 0:
        yield at
        start = bytes(data[at : at + 2])
        places[start] = data.rfind(start, begin, at + 1)


def _headers_between(
    stream: BinaryIO,
    first: FrameHeader,
    start: int,
    end: int,
    *,
    window_bytes: int = WINDOW_BYTES,
) -> Iterator[FrameHeader]:
    """Yield a header of a frame at each of some places between two bytes of the file.

    Bytes of the sound may look like a header, checksum included, but rarely twice in a row with
    neighbouring numbers.
    """
    step = (end - start) // (CHECKPOINTS + 1)
    for place in range(1, CHECKPOINTS + 1):
        stream.seek(start + place * step)
        data = stream.read(min(step, window_bytes))
        found = (
            header
            for at in itertools.islice(syncs(data), MAX_SYNCS)
            if (header := frame_header(data, at)) and header.is_variable == first.is_variable
        )
        for one, other in itertools.pairwise(found):
            if other.number == one.number + (one.samples if one.is_variable else 1):
                yield one
                break


def syncs(data: bytes | bytearray) -> Iterator[int]:
    """Yield each offset at which a frame may begin."""
    at = -1
    while (at := data.find(b"\xff", at + 1)) >= 0:
        if data[at : at + 2] in FRAME_STARTS:
            yield at


def _holds_another(stream: BinaryIO, start: int) -> bool:
    """Whether another FLAC, with its STREAMINFO, stands behind a byte of the file."""
    stream.seek(start)
    overlap = b""
    while chunk := stream.read(WINDOW_BYTES):
        data, at = overlap + chunk, -1
        while (at := data.find(MAGIC, at + 1)) >= 0:
            head = data[at + 4 : at + 8]
            if len(head) == 4 and head[0] & 0x7F == STREAMINFO and head[3] == STREAMINFO_BYTES:
                return True
        overlap = data[-7:]
    return False


def crc8(data: bytes | bytearray) -> int:
    """Return the checksum at the end of a frame's header."""
    value = 0
    for byte in data:
        value = _crc_table(0x07, 8)[value ^ byte]
    return value


def crc16(data: bytes, value: int = 0) -> int:
    """Return the checksum at the end of a frame; `value` is that of the bytes before."""
    table = _crc_table(0x8005, 16)
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ table[value >> 8 ^ byte]
    return value


@functools.cache
def _crc_table(polynomial: int, bits: int) -> tuple[int, ...]:
    """The checksum of each byte, for a polynomial without its highest bit."""
    table = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return tuple(table)
