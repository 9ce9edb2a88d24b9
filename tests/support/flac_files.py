"""FLAC files of frames with one value each: of any length, by construction."""

from __future__ import annotations

import functools
from collections.abc import Sequence

RATE_HZ = 44_100
MOST_SAMPLES = 65_535


def _checksum(data: bytes, polynomial: int, bits: int) -> bytes:
    """The CRC of RFC 9639."""
    value = 0
    for byte in data:
        front = value >> bits - 8 ^ byte
        value = (value << 8 & (1 << bits) - 1) ^ _of_byte(front, polynomial, bits)
    return value.to_bytes(bits // 8)


@functools.cache
def _of_byte(byte: int, polynomial: int, bits: int) -> int:
    """The CRC of one byte, bit by bit."""
    value = byte << bits - 8
    for _ in range(8):
        value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
        value &= (1 << bits) - 1
    return value


def _coded(number: int) -> bytes:
    """A number coded like UTF-8, of up to 36 bits."""
    if number < 0x80:
        return bytes([number])
    length = next(n for n in range(2, 8) if number < 1 << (5 * n + 1))
    rest = [0x80 | number >> 6 * at & 0x3F for at in range(length - 1)]
    first = (0xFF00 >> length & 0xFF) | number >> 6 * (length - 1)
    return bytes([first, *reversed(rest)])


def frame(number: int, samples: int, *, channels: int = 1, variable: bool = False) -> bytes:
    """Return a frame of 16-bit samples that all have the same value."""
    head = bytes([0xFF, 0xF8 | variable, 7 << 4, channels - 1 << 4 | 4 << 1])
    head += _coded(number) + (samples - 1).to_bytes(2)
    head += _checksum(head, 0x07, 8)
    body = head + b"\0\1\0" * channels  # a constant subframe of the value 256
    return body + _checksum(body, 0x8005, 16)


def header(*, channels: int = 1, total: int = 0, block: int = MOST_SAMPLES) -> bytes:
    """Return the magic and a STREAMINFO; a total of 0 states no length."""
    shape = RATE_HZ << 44 | channels - 1 << 41 | 15 << 36 | total
    info = block.to_bytes(2) * 2 + bytes(6) + shape.to_bytes(8) + bytes(16)
    return b"fLaC\x80\0\0\x22" + info


def stream(lengths: Sequence[int], *, channels: int = 1, variable: bool = False) -> bytes:
    """Return a FLAC that states no length, with a frame of each of these lengths."""
    parts, at = [header(channels=channels, block=lengths[0])], 0
    for number, samples in enumerate(lengths):
        parts.append(
            frame(at if variable else number, samples, channels=channels, variable=variable)
        )
        at += samples
    return b"".join(parts)
