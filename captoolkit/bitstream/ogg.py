"""The pages of an Ogg with one stream, and the packets in them.

Rules: bytes in, values out. Only a whole file has pages here: the pages follow one another without
other bytes, each has the right checksum, all belong to one stream and are numbered without a gap,
no packet is empty. So a damaged, chained or multiplexed file has none, nor one that is cut off
within a page.

Layout: RFC 3533, section 6.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

MAGIC = b"OggS\0"  # with the version
HEADER_BYTES = 27  # in front of the lengths of segments
FLAGS_AT, POSITION_AT, CHECKSUM_AT = 5, 6, 22
CONTINUED, FIRST, LAST = 1, 2, 4  # flags of a page
FULL_SEGMENT = 255  # the length of a segment that its packet does not end with
NO_POSITION = -1  # of a page on which no packet ends
MAX_CHANNELS = 2  # of a sound that is read here; the order of more differs between decoders

# Comments with a meaning for the tracks: chapters, pictures, the language.
SPECIAL_TAGS = (b"CHAPTER", b"METADATA_BLOCK_PICTURE", b"COVERART", b"LANGUAGE")

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ONES = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class OggSound:
    """The sound of a whole file with one stream.

    Attributes:
        codec: by ffmpeg's name.
        rate_hz: of positions and decoded samples.
        channels: one or two.
        samples: the audible samples of each channel.
        bit_rate: as the header states it; 0 if it states none.
        start_samples: how late the recording begins on the clock of its positions.
        is_edited: the begin of the first packets is left out, more than an encoder's delay, so that
            copied packets would bring sound back.
    """

    codec: str
    rate_hz: int
    channels: int
    samples: int
    bit_rate: int = 0
    start_samples: int = 0
    is_edited: bool = False


class OggPage(NamedTuple):
    """A page: its position, the packets that end on it, whether it is marked as the last one."""

    position: int
    packets: list[bytes]
    is_last: bool


def read_pages(data: bytes) -> list[OggPage]:
    """Return the pages of a whole file with one stream; none for any other file."""
    pages: list[OggPage] = []
    at, open_packet, first_number, stream = 0, bytearray(), 0, 0
    while at < len(data):
        head = data[at : at + HEADER_BYTES]
        if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
            return []
        flags, position, serial, number, checksum, count = struct.unpack_from("<BqIIIB", head, 5)
        body = at + HEADER_BYTES + count
        lengths = data[at + HEADER_BYTES : body]
        end = body + sum(lengths)
        if not pages:
            stream, first_number = serial, number
        is_next = (serial, number) == (stream, first_number + len(pages) & _ONES)
        due_flags = CONTINUED * bool(open_packet) | FIRST * (not pages)
        is_last = bool(flags & LAST) and end == len(data)
        if not is_next or flags != due_flags | LAST * is_last or end > len(data):
            return []
        if page_checksum(data[at:end]) != checksum:
            return []
        packets = _packets(data, body, lengths, open_packet)
        if not all(packets):
            return []
        if (position == NO_POSITION) == bool(packets):
            return []
        pages.append(OggPage(position, packets, is_last))
        at = end
    return [] if open_packet else pages


def is_chained(stream: BinaryIO) -> bool:
    """Return whether another recording follows the first one in an Ogg, as in a recorded radio.

    All streams of one recording begin before any of them goes on (RFC 3533, section 4).

    Args:
        stream: the file, opened for reading; its position changes.
    """
    at, goes_on = 0, False
    while True:
        stream.seek(at)
        head = stream.read(HEADER_BYTES + 255)
        if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
            return False
        is_first = bool(head[FLAGS_AT] & FIRST)
        if is_first and goes_on:
            return True
        goes_on = goes_on or not is_first
        body = HEADER_BYTES + head[HEADER_BYTES - 1]
        at += body + sum(head[HEADER_BYTES:body])


def _packets(data: bytes, at: int, lengths: bytes, open_packet: bytearray) -> list[bytes]:
    """The packets that end on a page.

    Args:
        data: holds the segments of the page from `at` on.
        at: where they begin.
        lengths: their lengths.
        open_packet: the bytes of a packet that began on an earlier page. On return, those of a
            packet that continues on the next page.
    """
    ends = list(itertools.accumulate(lengths, initial=at))
    if not open_packet and FULL_SEGMENT not in lengths:  # each segment is a packet
        return [data[begin:end] for begin, end in itertools.pairwise(ends)]
    packets = []
    for length, (begin, end) in zip(lengths, itertools.pairwise(ends), strict=True):
        open_packet += data[begin:end]
        if length < FULL_SEGMENT:
            packets.append(bytes(open_packet))
            open_packet.clear()
    return packets


def are_plain_tags(packet: bytes, magic: bytes) -> bool:
    """Return whether a packet has the comments of a stream, none of them in SPECIAL_TAGS.

    The lengths of the comments must fit into the packet: libsndfile refuses a file with others.
    """
    upper = packet.upper()
    if not packet.startswith(magic) or any(tag in upper for tag in SPECIAL_TAGS):
        return False
    at = _behind_text(packet, len(magic))  # the encoder's name
    count = int.from_bytes(packet[at : at + 4], "little")
    at += 4
    while count and at < len(packet):
        at, count = _behind_text(packet, at), count - 1
    return not count and at <= len(packet)


def _behind_text(packet: bytes, at: int) -> int:
    """The place behind a text, in front of which its length stands."""
    return at + 4 + int.from_bytes(packet[at : at + 4], "little")


def earlier(data: bytes, by: int) -> bytes:
    """Return a whole file with lower positions; those of pages of a header, which are 0, stay."""
    pages, at = [], 0
    while at < len(data):
        body = at + HEADER_BYTES + data[at + HEADER_BYTES - 1]
        end = body + sum(data[at + HEADER_BYTES : body])
        page = bytearray(data[at:end])
        (position,) = struct.unpack_from("<q", page, POSITION_AT)
        if position > 0:
            struct.pack_into("<q", page, POSITION_AT, position - by)
        pages.append(with_checksum(page))
        at = end
    return b"".join(pages)


def with_checksum(page: bytearray) -> bytes:
    """Return a page with the checksum of its bytes."""
    struct.pack_into("<I", page, CHECKSUM_AT, page_checksum(bytes(page)))
    return bytes(page)


def page_checksum(page: bytes) -> int:
    """Return the checksum of a page (CRC-32, highest bit first), whatever its field for it holds.

    zlib computes the same sum lowest bit first, so that the bits of each byte are reversed for it.
    """
    bare = page[:CHECKSUM_AT] + bytes(4) + page[CHECKSUM_AT + 4 :]
    reversed_sum = zlib.crc32(bare.translate(_REVERSED), _ONES) ^ _ONES
    return int.from_bytes(reversed_sum.to_bytes(4, "little").translate(_REVERSED))
