"""A damaged FLAC as a whole one: its whole frames, and frames of silence for the others.

Rules: bytes may be missing from the middle of a file, as after a copy that lost some, or may have
changed. Each decoder goes on with the next frame it can read, so that all later sound is early. The
numbers of the frames show where each belongs, and their checksums which are whole. A frame is whole
if the bytes up to a later header have the right checksum: bytes of the sound may look like a
header. Memory holds a megabyte, each byte is summed a limited number of times, and the search ends
at a number of headers that only a file made to be slow exceeds.

Layout: RFC 9639, sections 8 and 9.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream import flac, id3
from captoolkit.bitstream.flac import FrameHeader
from captoolkit.bitstream.flac_pieces import FlacPieces

FALSE_HEADERS, FALSE_PER_FRAME = 50_000, 4  # more of them belong to a file made to be slow
MAX_OPEN = 4  # headers behind a frame that may be true ones
SUMMED_BYTES = 256  # of a checksum at each step


class FalseHeadersError(Exception):
    """A file holds more headers of frames than frames, and its holes cannot be found."""


@dataclass(slots=True)
class Frame:
    """A frame between two places of the file: the samples [begin, end) of the sound."""

    at: int
    at_end: int
    begin: int
    end: int
    checksum: int = 0  # of the bytes up to `at_end`

    def reach(self, stream: BinaryIO, at: int) -> bool:
        """Extend a frame to a place; return whether it is whole then."""
        if at - self.at > flac.MAX_FRAME_BYTES:
            return False
        stream.seek(self.at_end)
        self.checksum = checksum(stream.read(at - self.at_end), self.checksum)
        self.at_end = at
        return self.checksum == 0


def whole_frames(pieces: FlacPieces, stream: BinaryIO, until: int) -> Iterator[Frame]:
    """Yield the whole frames in the order of their samples, from the next piece to a sample.

    The last frame counts as whole in any case: unknown bytes may follow it.

    Raises:
        FalseHeadersError: the file holds too many headers.
    """
    open_frames: list[Frame] = []  # the next frame, and those behind it that may be it instead
    due = frames = 0
    most = pieces.most_headers
    for count, (at, begin, end) in enumerate(pieces.frames()):
        if count > min(most, FALSE_HEADERS + FALSE_PER_FRAME * frames):
            raise FalseHeadersError
        if begin < due:
            continue
        whole = next((frame for frame in open_frames if frame.reach(stream, at)), None)
        if whole is not None:
            yield whole
            frames += 1
            due, open_frames = whole.end, []
            if due >= until:
                return
        elif open_frames and begin == open_frames[0].end:
            open_frames = []  # the frame before this one is damaged
        if begin >= due:
            open_frames = [*open_frames[:1], *open_frames[1:][1 - MAX_OPEN :]]
            open_frames.append(Frame(at=at, at_end=at, begin=begin, end=end))
    if open_frames:
        stream.seek(0, os.SEEK_END)
        end_at = stream.tell() - id3.back_bytes(stream)
        last = next((frame for frame in open_frames if frame.reach(stream, end_at)), open_frames[0])
        last.at_end = max(last.at_end, min(end_at, last.at + flac.MAX_FRAME_BYTES))
        yield last


def mended(pieces: FlacPieces, stream: BinaryIO, until: int) -> Iterator[bytes]:
    """Yield the bytes of a FLAC without holes, from the first sample of the next piece on."""
    yield pieces.head_of_all()
    at = pieces.sample
    for frame in whole_frames(pieces, stream, until):
        yield from silent_frames(pieces, at, frame.begin)
        stream.seek(frame.at)
        yield stream.read(frame.at_end - frame.at)
        at = frame.end


def silent_frames(pieces: FlacPieces, begin: int, end: int) -> Iterator[bytes]:
    """Yield frames of silence for the samples [begin, end) of a stream."""
    first, start = pieces.first_frame
    while begin < end:
        samples = min(end - begin, max(first.samples, flac.SHORT_SAMPLES))
        yield _silent_frame(first, start, begin, samples, depth_bits=pieces.depth_bits)
        begin += samples


def _silent_frame(
    first: FrameHeader, start: bytes, begin: int, samples: int, *, depth_bits: int
) -> bytes:
    """A frame of constant zeros, like the first frame of the stream, whose header is `start`."""
    number = begin if first.is_variable else begin // first.samples
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(first.rate_code, 0)
    header = (
        start[:2]
        + bytes([7 << 4 | first.rate_code, first.channels - 1 << 4 | start[3] & 0x0E])
        + _coded(number)
        + (samples - 1).to_bytes(2)
        + start[first.size - 1 - rate_bytes : first.size - 1]
    )
    header += bytes([flac.crc8(header)])
    frame = header + bytes(-(-first.channels * (8 + depth_bits) // 8))
    return frame + checksum(frame).to_bytes(2)


def _coded(number: int) -> bytes:
    """A number coded like UTF-8, in up to seven bytes."""
    if number < 0x80:
        return bytes([number])
    rest: list[int] = []
    while number >= 1 << max(0, 6 - len(rest)):
        rest.insert(0, 0x80 | number & 0x3F)
        number >>= 6
    return bytes([0xFF << 7 - len(rest) & 0xFF | number, *rest])


def checksum(data: bytes, before: int = 0) -> int:
    """Return the checksum at the end of a frame (CRC-16), which is 0 for a frame with its own."""
    if len(data) < SUMMED_BYTES:
        return flac.crc16(data, before)
    by_place, high, low = _tables()
    padded = np.zeros(-(-len(data) // SUMMED_BYTES) * SUMMED_BYTES, np.uint8)
    padded[len(padded) - len(data) :] = np.frombuffer(data, np.uint8)
    padded[len(padded) - len(data)] ^= before >> 8
    padded[len(padded) - len(data) + 1] ^= before & 0xFF
    rows = by_place[np.arange(SUMMED_BYTES), padded.reshape(-1, SUMMED_BYTES)]
    value = 0
    for part in np.bitwise_xor.reduce(rows, axis=1).tolist():
        value = high[value >> 8] ^ low[value & 0xFF] ^ part
    return value


@functools.cache
def _tables() -> tuple[NDArray[np.uint16], list[int], list[int]]:
    """The checksums of a byte by its place in a step, and of a checksum's bytes a step later."""
    one = np.array([flac.crc16(bytes([byte])) for byte in range(256)], np.uint16)

    def later(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
        shifted: NDArray[np.uint16] = (values << 8) ^ one[values >> 8]
        return shifted

    by_place = [one]
    for _ in range(SUMMED_BYTES - 1):
        by_place.insert(0, later(by_place[0]))
    low = np.array(range(256), np.uint16)
    high = np.array(range(0, 1 << 16, 256), np.uint16)
    for _ in range(SUMMED_BYTES):
        high, low = later(high), later(low)
    return np.stack(by_place), high.tolist(), low.tolist()
