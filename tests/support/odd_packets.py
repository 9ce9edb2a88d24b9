"""Files whose packets are unusual: changed in place, from a plain file that ffmpeg wrote."""

from __future__ import annotations

import struct
from collections.abc import Iterator

BRANCHES = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
AC3_SYNC = b"\x0b\x77"
HALF_RATE = 9  # the bit stream identification of AC-3 at half its stated rate; 8 is the plain one


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of each box of an MP4."""
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def grouped_samples(data: bytes, frames: int) -> bytes:
    """Return a 3GP of one chunk and one track with so many AMR frames in each sample.

    Frames that do not fill a last sample are left out.
    """

    def rebuilt(name: bytes, body: bytes) -> bytes:
        if name in BRANCHES:
            body = b"".join(rebuilt(*inner) for inner in boxes(body))
        elif name == b"stsz":
            size, count = struct.unpack_from(">II", body, 4)
            sizes = [size] * count if size else struct.unpack_from(f">{count}I", body, 12)
            sums = [sum(sizes[at : at + frames]) for at in range(0, count - frames + 1, frames)]
            body = struct.pack(f">III{len(sums)}I", 0, 0, len(sums), *sums)
            total.append(len(sums))
        elif name == b"stts":
            length = struct.unpack_from(">I", body, 12)[0]
            count = sum(struct.unpack_from(">I", body, 8 + 8 * n)[0] for n in range(body[7]))
            body = struct.pack(">IIII", 0, 1, count // frames, length * frames)
        elif name == b"stsc":
            body = struct.pack(">IIIII", 0, 1, 1, 1 << 20, 1)
        elif name == b"stco":
            body = struct.pack(">III", 0, 1, struct.unpack_from(">I", body, 8)[0])
        return struct.pack(">I", len(body) + 8) + name + body

    total: list[int] = []
    first = b"".join(rebuilt(*box) if box[0] == b"moov" else _plain(*box) for box in boxes(data))
    # All samples stand in one chunk; their number is known after the first pass.
    return first.replace(struct.pack(">II", 1, 1 << 20), struct.pack(">II", 1, total[0]), 1)


def _plain(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def with_pre_skip(opus: bytes, samples: int) -> bytes:
    """Return an Ogg Opus that states another pre-skip."""
    place = opus.index(b"OpusHead") + 10
    return with_page_bytes(opus, {place: struct.pack("<H", samples)})


def page_places(data: bytes) -> list[tuple[int, int]]:
    """Return the first byte of each page of an Ogg, and one past the last."""
    places, at = [], 0
    while at < len(data):
        lengths = data[at + 27 : at + 27 + data[at + 26]]
        places.append((at, at + 27 + len(lengths) + sum(lengths)))
        at = places[-1][1]
    return places


def with_page_bytes(ogg: bytes, changes: dict[int, bytes]) -> bytes:
    """Return an Ogg with other bytes at some places, and the checksums that belong to them."""
    data = bytearray(ogg)
    for place, new in changes.items():
        data[place : place + len(new)] = new
        start, end = next(page for page in page_places(ogg) if page[0] <= place < page[1])
        data[start + 22 : start + 26] = bytes(4)
        data[start + 22 : start + 26] = struct.pack("<I", _ogg_checksum(bytes(data[start:end])))
    return bytes(data)


def _ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def at_half_rate(data: bytes, frame_bytes: int) -> bytes:
    """Return AC-3 frames, bare or end to end in an MP4, at half their sample rate."""
    changed = bytearray(data)
    at = data.index(AC3_SYNC)
    while changed[at : at + 2] == AC3_SYNC:
        changed[at + 5] = HALF_RATE << 3 | changed[at + 5] & 7
        at += frame_bytes
    return bytes(changed)
