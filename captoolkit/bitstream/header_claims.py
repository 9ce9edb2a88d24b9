"""Statements of a header: codec and length of an MP4's or Ogg's only sound track; the file's size.

Rules: a statement is a claim. It decides which way of reading is cheaper, and a warning, never a
result: `media` counts the samples. A file with several sound tracks, in fragments, or with an
unusual header makes no claim about its sound.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MAX_BOXES = 64  # at the top of an MP4
MAX_FRAGMENT_BOXES = 4096  # of a live stream
FRAME_BOXES = (b"mdat", b"moof")  # anything else behind the frames may be junk
MAX_MOOV_BYTES = 1 << 20
TAIL_BYTES = 1 << 16  # of an Ogg, with the head of its last page
OGG_PAGE = b"OggS"
PAGE_S = 1.0  # about the length of a page of an Ogg
MAX_HEADER_PAGES = 64
MP4_CODECS = {b"mp4a": "aac", b"alac": "alac", b"Opus": "opus"}  # by the tag of a track
# Of an `esds` box the kind of its sound, behind two tags with lengths of one to four bytes.
OBJECT_TYPE = re.compile(rb"esds.{4}\x03[\x80-\xff]{0,3}.{4}\x04[\x80-\xff]{0,3}.(.)", re.DOTALL)
AAC_OBJECTS = (b"\x40", b"\x66", b"\x67", b"\x68")
EBML_HEADER, EBML_SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
OPUS_HZ = 48_000  # of the positions in an Ogg, at any rate of the source


class SoundClaim(NamedTuple):
    """A codec, by ffmpeg's name, and a length in seconds."""

    codec: str
    seconds: float


def claimed_sound(stream: BinaryIO) -> SoundClaim | None:
    """Return the claim of a file about its only sound track; None if it makes none."""
    stream.seek(0)
    head = stream.read(64)
    try:
        if head[4:8] == b"ftyp":
            return _in_mp4(stream)
        return _in_ogg(stream, head) if head.startswith(OGG_PAGE) else None
    except (struct.error, IndexError, ZeroDivisionError):  # a torn header
        return None


def missing_bytes(stream: BinaryIO) -> int:
    """Return how many of the bytes that its header states an MP4 or a Matroska lacks.

    The result is 0 for a whole file, for another container, and without a statement.
    """
    size_bytes = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(64)
    try:
        if head[4:8] == b"ftyp":
            return _missing_in_mp4(stream, size_bytes)
        if head.startswith(EBML_HEADER):
            _, at = _ebml_size(head, len(EBML_HEADER), skips=True)
            if head.startswith(EBML_SEGMENT, at):
                promised, begin = _ebml_size(head, at + len(EBML_SEGMENT))
                return max(0, begin + promised - size_bytes)
    except (struct.error, IndexError):  # a torn header
        pass
    return 0


def _missing_in_mp4(stream: BinaryIO, size_bytes: int) -> int:
    at = 0
    for _ in range(MAX_FRAGMENT_BOXES):
        stream.seek(at)
        head = stream.read(16)
        size, name = struct.unpack(">I4s", head[:8])
        size = struct.unpack(">Q", head[8:])[0] if size == 1 else size
        if size < 8:  # 0: up to the end of the file
            return 0
        at += size
        if at >= size_bytes:
            return int(at - size_bytes) if name in FRAME_BOXES else 0
    return 0


def _ebml_size(head: bytes, at: int, *, skips: bool = False) -> tuple[int, int]:
    """The size of an element's content, and the place where it begins or, with `skips`, ends.

    An unknown size, of a live stream, counts as 0.
    """
    length = 9 - head[at].bit_length()
    bits = int.from_bytes(head[at : at + length]) & ((1 << 7 * length) - 1)
    size = 0 if bits == (1 << 7 * length) - 1 else bits
    begin = at + length
    return size, begin + size if skips else begin


def _in_mp4(stream: BinaryIO) -> SoundClaim | None:
    moov = _moov(stream)
    claims = []
    for name, track in _boxes(moov):
        media = dict(_boxes(track)).get(b"mdia", b"") if name == b"trak" else b""
        boxes = dict(_boxes(media))
        if boxes.get(b"hdlr", b"")[8:12] == b"soun":
            tables = dict(_boxes(dict(_boxes(boxes.get(b"minf", b""))).get(b"stbl", b"")))
            codec = _codec(tables.get(b"stsd", b""))
            claims.append((codec, _media_seconds(boxes.get(b"mdhd", b""))))
    if len(claims) != 1 or not all(claims[0]):  # a file of fragments states a length of 0
        return None
    return SoundClaim(*claims[0])


def _codec(descriptions: bytes) -> str:
    """The codec of a track by its `stsd` box; `mp4a` may also be MP3 and others."""
    codec = MP4_CODECS.get(descriptions[12:16], "")
    if codec == "aac":
        kind = OBJECT_TYPE.search(descriptions)
        return codec if kind is not None and kind[1] in AAC_OBJECTS else ""
    return codec


def _moov(stream: BinaryIO) -> bytes:
    """The content of the box with all tables; empty in a file of fragments."""
    at, end = 0, stream.seek(0, 2)
    for _ in range(MAX_BOXES):
        if at >= end:  # a file system may refuse to go there
            return b""
        stream.seek(at)
        head = stream.read(16)
        size, name = struct.unpack(">I4s", head[:8])
        if name == b"moof" or (name == b"moov" and not 8 <= size <= MAX_MOOV_BYTES):
            return b""
        if name == b"moov":
            stream.seek(at + 8)
            return stream.read(size - 8)
        size = struct.unpack(">Q", head[8:])[0] if size == 1 else size
        if size < 8:
            return b""
        at += size
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in the content of a box, up to the first that reaches beyond it."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            return
        yield name, data[at + 8 : at + size]
        at += size


def _media_seconds(header: bytes) -> float:
    """The length of a track, by its `mdhd` box."""
    if header[:1] == b"\x01":
        rate_hz, ticks = struct.unpack_from(">IQ", header, 20)
    else:
        rate_hz, ticks = struct.unpack_from(">II", header, 12)
    return float(ticks / rate_hz)


def _in_ogg(stream: BinaryIO, head: bytes) -> SoundClaim | None:
    """The claim of the first stream, if the last page belongs to it."""
    packet = head[27 + head[26] :]
    if packet.startswith(b"OpusHead"):
        codec, rate_hz = "opus", OPUS_HZ
    elif packet.startswith(b"\x01vorbis"):
        codec, rate_hz = "vorbis", struct.unpack_from("<I", packet, 12)[0]
    else:
        return None
    first = _first_position(stream)
    stream.seek(max(0, stream.seek(0, 2) - TAIL_BYTES))
    tail = stream.read(TAIL_BYTES)
    at = tail.rfind(OGG_PAGE)
    last, serial = struct.unpack_from("<qI", tail, max(0, at) + 6)
    if at < 0 or first is None or serial != struct.unpack_from("<I", head, 14)[0]:
        return None
    return SoundClaim(codec, (last - first) / rate_hz + PAGE_S)


def _first_position(stream: BinaryIO) -> int | None:
    """The position that the first page of sound ends at; a recording may begin late."""
    at = 0
    for _ in range(MAX_HEADER_PAGES):
        stream.seek(at)
        head = stream.read(27)
        lengths = stream.read(head[26])
        position = int(struct.unpack_from("<q", head, 6)[0])
        if not head.startswith(OGG_PAGE) or position > 0:
            return position if head.startswith(OGG_PAGE) else None
        at += len(head) + len(lengths) + sum(lengths)
    return None
