"""Opus in Ogg: the exact length and the channels of a whole file in the usual form.

Rules: bytes in, values out. Anything unusual has no value here, so that the caller lets ffmpeg read
the file: several streams, more than two channels, an output gain, chapters, pictures, a language,
packets out of order, a position that does not follow from the packets, and every damage.

Layout: RFC 7845 (Ogg), sections 4 and 5; RFC 6716 (packets), section 3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from captoolkit.bitstream import ogg
from captoolkit.bitstream.ogg import MAX_CHANNELS, OggPage, OggSound

RATE_HZ = 48_000  # of positions and decoded samples, at any rate of the source
HEAD, TAGS = b"OpusHead", b"OpusTags"
HEAD_BYTES = 19
VERSION, PLAIN_FAMILY = 1, 0
SOURCE_RATE_AT = 12  # in the first packet
PRIMING_PACKETS = 4  # that an encoder's delay takes at most; its pre-skip removes them
MAX_PACKET_SAMPLES = 5760
MAX_FRAME_BYTES = 1275
# Samples of a frame, by a packet's configuration: SILK at three bandwidths, hybrid, CELT at four.
FRAME_SAMPLES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4


def read_opus(pages: Sequence[OggPage]) -> OggSound | None:
    """Return the sound of a whole file with one stream of Opus; None for any other file."""
    head = pages[0].packets if pages else []
    if len(head) != 1 or len(head[0]) != HEAD_BYTES or not head[0].startswith(HEAD):
        return None
    version, channels, pre_skip, _, gain, family = struct.unpack_from("<BBHIhB", head[0], len(HEAD))
    if version != VERSION or not 1 <= channels <= MAX_CHANNELS or gain or family != PLAIN_FAMILY:
        return None
    first = next((index for index, page in enumerate(pages[1:], start=2) if page.packets), 0)
    tags = pages[first - 1].packets
    if not first or len(tags) != 1 or not ogg.are_plain_tags(tags[0], TAGS):
        return None
    return _measured(pages[first:], channels=channels, pre_skip=pre_skip)


def _measured(pages: Sequence[OggPage], *, channels: int, pre_skip: int) -> OggSound | None:
    """The sound of some pages; the position of each must follow from the packets up to it.

    Only the last packet may be shortened, on a page that is marked as the last. A recording that
    lacks packets has higher positions behind them, one that begins late has them from the begin.
    """
    start, lengths = 0, [0]
    reached = 0
    for page in pages:
        own = [
            FRAME_SAMPLES[packet[0] >> 3]
            if not packet[0] & 3 and len(packet) <= MAX_FRAME_BYTES  # one frame
            else packet_samples(packet) or 0
            for packet in page.packets
        ]
        if not all(own):
            return None
        if own and not reached and not page.is_last:
            start = reached = max(0, page.position - sum(own))
        reached += sum(own)
        lengths += own
        is_due = page.position == reached or not own
        if not is_due and page is not pages[-1]:
            return None
    end, can_be_short = (pages[-1].position, pages[-1].is_last) if pages else (0, False)
    shorter = reached - end
    if not 0 <= shorter < lengths[-1] or (shorter and not can_be_short):
        return None
    samples = end - start - pre_skip
    is_edited = pre_skip - start > PRIMING_PACKETS * lengths[1]
    sound = OggSound(
        codec="opus",
        rate_hz=RATE_HZ,
        channels=channels,
        samples=samples,
        start_samples=start,
        is_edited=is_edited,
    )
    return sound if samples > 0 else None


def with_plain_rate(data: bytes) -> bytes:
    """Return a whole file that states RATE_HZ as the rate of its source."""
    end = ogg.HEADER_BYTES + 1 + HEAD_BYTES
    page = bytearray(data[:end])
    struct.pack_into("<I", page, ogg.HEADER_BYTES + 1 + SOURCE_RATE_AT, RATE_HZ)
    return ogg.with_checksum(page) + data[end:]


# -------------------------------------------------------------------------------- packets


def packet_samples(packet: bytes) -> int | None:
    """Return the length of a packet in samples of each channel; None for a malformed one."""
    if not packet:
        return None
    samples = _frame_count(packet) * FRAME_SAMPLES[packet[0] >> 3]
    return samples if 0 < samples <= MAX_PACKET_SAMPLES else None


def _frame_count(packet: bytes) -> int:
    """The frames in a packet; 0 if their lengths do not fill it."""
    code, rest_bytes = packet[0] & 3, len(packet) - 1
    if code < 2:
        count = code + 1
        is_right = rest_bytes % count == 0 and rest_bytes <= count * MAX_FRAME_BYTES
        return count if is_right else 0
    if code == 2:
        first, at = _coded_length(packet, 1)
        last = len(packet) - at - first
        return 2 if 0 <= last <= MAX_FRAME_BYTES else 0
    return _many_frames(packet)


def _many_frames(packet: bytes) -> int:
    """The frames in a packet that states their number, and maybe padding and each length."""
    if len(packet) < 2:
        return 0
    has_lengths, has_padding, count = packet[1] & 0x80, packet[1] & 0x40, packet[1] & 0x3F
    at, end = 2, len(packet)
    while has_padding and at < len(packet):
        step = packet[at]
        at, end = at + 1, end - min(step, 254)
        has_padding = step == 255
    if has_padding or not count:
        return 0
    for _ in range(count - 1 if has_lengths else 0):
        length, at = _coded_length(packet, at)
        end -= length
    rest_bytes, frames = end - at, 1 if has_lengths else count
    is_right = rest_bytes % frames == 0 and 0 <= rest_bytes <= frames * MAX_FRAME_BYTES
    return count if is_right else 0


def _coded_length(packet: bytes, at: int) -> tuple[int, int]:
    """The length of a frame at a place of a packet, and the place behind it.

    A length that the packet ends in reaches beyond its end.
    """
    first = packet[at] if at < len(packet) else MAX_FRAME_BYTES
    if first < 252 or at + 1 >= len(packet):
        return (first, at + 1) if first < 252 else (len(packet), at + 1)
    return first + 4 * packet[at + 1], at + 2
