"""Vorbis in Ogg: the exact length and the channels of a whole file in the usual form.

Rules: as in `opus`. The length of a packet depends on the kinds of this and of the packet before
it: long or short blocks. The table of kinds stands at the end of the third packet, behind codebooks
whose lengths only a decoder finds. So it is read backwards, as ffmpeg does.

Layout: the Vorbis I specification (xiph.org), sections 4.2, 4.3 and A.2.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from captoolkit.bitstream.ogg import MAX_CHANNELS, OggPage, OggSound, are_plain_tags

HEAD, TAGS, SETUP = b"\x01vorbis", b"\x03vorbis", b"\x05vorbis"
HEAD_BYTES = 30
BLOCK_BITS = range(6, 14)  # of the lengths of blocks
MAX_BIT_RATE = 1 << 31
# Of a kind of packet: its block is long, two fields that are 0, the number of its mapping.
KIND_BITS, COUNT_BITS, MAX_KINDS, MAX_MAPPINGS = 41, 6, 64, 64
TABLE_BYTES = 512  # more than the table takes


def read_vorbis(pages: Sequence[OggPage]) -> OggSound | None:
    """Return the sound of a whole file with one stream of Vorbis; None for any other."""
    head = pages[0].packets if pages else []
    if len(head) != 1 or len(head[0]) != HEAD_BYTES or not head[0].startswith(HEAD):
        return None
    version, channels, rate_hz, _, bit_rate, _, blocks, framing = struct.unpack_from(
        "<IBIIIIBB", head[0], len(HEAD)
    )
    sizes = 1 << (blocks & 15), 1 << (blocks >> 4)
    is_usual = not version and 1 <= channels <= MAX_CHANNELS and rate_hz and framing & 1
    if not is_usual or not {blocks & 15, blocks >> 4} <= {*BLOCK_BITS} or sizes[0] > sizes[1]:
        return None
    headers: list[bytes] = []
    first = 1
    while len(headers) < 2 and first < len(pages):
        headers += pages[first].packets
        first += 1
    if len(headers) != 2 or not are_plain_tags(headers[0], TAGS) or bit_rate >= MAX_BIT_RATE:
        return None
    kinds = _kinds(headers[1])
    samples = _audible_samples(pages[first:], [sizes[is_long] for is_long in kinds])
    if not samples:
        return None
    return OggSound(
        codec="vorbis", rate_hz=rate_hz, channels=channels, samples=samples, bit_rate=bit_rate
    )


def _kinds(setup: bytes) -> list[bool]:
    """For each kind of packet, whether its block is long; empty for a malformed table.

    Bits are packed from the lowest on, so that a number of all bytes has the last field in front.
    """
    if not setup.startswith(SETUP):
        return []
    bits = int.from_bytes(setup[-TABLE_BYTES:], "little")
    at = bits.bit_length() - 1  # the last bit is 1
    kinds: list[bool] = []
    found: list[bool] = []
    while len(kinds) < MAX_KINDS and at >= KIND_BITS + COUNT_BITS:
        kind = bits >> at - KIND_BITS & (1 << KIND_BITS) - 1
        if kind >> 33 >= MAX_MAPPINGS or kind >> 1 & (1 << 32) - 1:
            break
        kinds.insert(0, bool(kind & 1))
        at -= KIND_BITS
        if (bits >> at - COUNT_BITS & (1 << COUNT_BITS) - 1) + 1 == len(kinds):
            found = list(kinds)
    return found


def _audible_samples(pages: Sequence[OggPage], sizes: Sequence[int]) -> int:
    """The samples of some pages, the positions of which must follow from the packets; else 0.

    The first packet only prepares the second. Only the last one may be shortened, on a page that is
    marked as the last. Of a single page, ffmpeg and libvorbis find different lengths.
    """
    if sum(bool(page.packets) for page in pages) < 2:
        return 0
    mask = (1 << max(0, len(sizes) - 1).bit_length()) - 1
    reached = before = last_samples = 0
    for page in pages:
        for packet in page.packets:
            kind = (packet[0] >> 1 & mask) if packet and not packet[0] & 1 else len(sizes)
            if kind >= len(sizes):
                return 0
            last_samples = (before + sizes[kind]) // 4 if before else 0
            before = sizes[kind]
            reached += last_samples
        if page.packets and page.position != reached and page is not pages[-1]:
            return 0
    end, can_be_short = pages[-1].position, pages[-1].is_last
    shorter = reached - end
    is_right = end > 0 and (shorter == 0 or (can_be_short and 0 < shorter < last_samples))
    return end if is_right else 0
