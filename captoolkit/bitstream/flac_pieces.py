"""Pieces of a FLAC: whole frames whose first and last sample are known, each as a FLAC of its own.

Rules: a piece begins and ends where a frame's header begins, and the numbers in the two headers
give its samples. So a decoder that returns another number of samples has lost a frame, or found one
that does not belong there. Memory holds one piece. Bytes in, values out: a file without the usual
order has no pieces.

Layout: RFC 9639, sections 8 and 9.
"""

from __future__ import annotations

import io
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from captoolkit.bitstream import flac, id3
from captoolkit.bitstream.flac import FrameHeader

PIECE_BYTES = 1 << 18
PIECE_SAMPLES = 5 << 15  # of a piece at most, but for one long frame
USUAL_SHARE = 4 / 5  # of these, which a piece should hold: it then seldom holds too many
MOST_BYTES = 2 * flac.MAX_FRAME_BYTES  # read for one piece
SEARCH_BYTES = 1 << 16  # read at each step of the search for a sample
CHUNK_BYTES = 1 << 20  # read at each step of the search for missing frames
MAX_STEPS = 32
SPARE_HEADERS = 10_000  # that bytes of the sound may look like, beside those of the frames
SHORT_FRAMES = 20_000  # shorter than SHORT_SAMPLES: only a file made to be slow holds more
PATTERN_BYTES = 4  # of a header, by which false ones are sorted out
NEAR_SAMPLES = 1 << 14  # a piece may begin so far before the first sample that is needed
EXTRA_SAMPLES = 1 << 16  # more than a frame holds
HEAD_BYTES = len(flac.MAGIC) + 4 + flac.STREAMINFO_BYTES  # of a FLAC, in front of its frames
TOTAL_BITS = 36  # of STREAMINFO, in front of the checksum of 16 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FlacPiece:
    """Some frames.

    Attributes:
        begin, end: the samples [begin, end) that the frames should hold.
        data: a FLAC of these frames, which leaves room for more samples than they should hold. The
            next piece overwrites it.
    """

    begin: int
    end: int
    data: memoryview


class FlacPieces:
    """The frames of a FLAC in pieces, from the one that holds a sample on.

    Args:
        stream: the file, opened for reading; its position changes.
        start: the first sample that is needed.
        total: the number of samples in the file.
    """

    def __init__(self, stream: io.BufferedReader | io.BytesIO, *, start: int, total: int) -> None:
        self._stream = stream
        self._total = total
        front_bytes = id3.front_bytes(stream)
        stream.seek(front_bytes)
        blocks = flac.read_blocks(stream) if stream.read(len(flac.MAGIC)) == flac.MAGIC else []
        self._info = blocks[0].content if blocks and blocks[0].kind == flac.STREAMINFO else b""
        self._at = front_bytes + len(flac.MAGIC) + sum(4 + block.size for block in blocks)
        self._sample = 0
        self._usual_bytes = PIECE_BYTES  # of a piece, as the last one was
        self._space = bytearray()  # for one piece
        stream.seek(self._at)
        self._header = stream.read(flac.MAX_HEADER_BYTES)
        self._first = flac.frame_header(self._header)
        self._starts = (self._header[:2],)  # of all frames here; a search for others takes time
        if self.is_usual:
            self._find(start)

    @property
    def is_usual(self) -> bool:
        """Whether the first frame is in its place and of usual length; else there are no pieces."""
        first = self._first
        if first is None or first.number or len(self._info) != flac.STREAMINFO_BYTES:
            return False
        return min(flac.SHORT_SAMPLES, self._total // SHORT_FRAMES) <= first.samples

    def read(self) -> FlacPiece | None:
        """Return the next piece; None at the end, and in any doubt."""
        if not self.is_usual or self._sample >= self._total:
            return None
        size_bytes, length, end = min(PIECE_BYTES, self._usual_bytes), 0, 0
        while size_bytes <= MOST_BYTES:
            count = self._fill(size_bytes)
            length, end = self._end_in(count)
            if length or count < size_bytes:
                break
            size_bytes *= 2
        if not length and count < size_bytes:  # the last frames; tags may follow them
            length, end = count, self._total
        # The headers of a true file promise no more; a decoder takes memory for the promise.
        if not length or end - self._sample > PIECE_SAMPLES + EXTRA_SAMPLES:
            return None
        self._space[:HEAD_BYTES] = self._head(end - self._sample)
        data = memoryview(self._space)[: HEAD_BYTES + length]
        piece = FlacPiece(begin=self._sample, end=end, data=data)
        self._at, self._sample = self._at + length, end
        usual_samples = int(PIECE_SAMPLES * USUAL_SHARE)
        self._usual_bytes = max(SEARCH_BYTES, length * usual_samples // (end - piece.begin))
        return piece

    def _fill(self, size_bytes: int) -> int:
        """Read from the begin of the next piece on, behind the head; return how much there is."""
        if len(self._space) < HEAD_BYTES + size_bytes:
            self._space = bytearray(HEAD_BYTES + size_bytes)
        self._stream.seek(self._at)
        return self._stream.readinto(memoryview(self._space)[HEAD_BYTES:][:size_bytes])

    @property
    def sample(self) -> int:
        """The first sample of the next piece."""
        return self._sample

    @property
    def first_frame(self) -> tuple[FrameHeader, bytes]:
        """The header of the first frame, and its bytes; only where `is_usual`."""
        assert self._first is not None
        return self._first, self._header[: self._first.size]

    @property
    def depth_bits(self) -> int:
        """The bits of a sample, by STREAMINFO."""
        return (int.from_bytes(self._info[10:14]) >> 4 & 31) + 1

    @property
    def most_headers(self) -> int:
        """More headers than a file of this length has, by chance included; only where `is_usual`.

        A file made to be slow may hold one in every few bytes.
        """
        first, _ = self.first_frame
        stated = int.from_bytes(self._info[:2])  # the shortest frame
        samples = max(1, min(stated, first.samples)) if first.is_variable else first.samples
        most = max(SHORT_FRAMES, self._total // flac.SHORT_SAMPLES)
        return 2 * min(most, self._total // samples) + SPARE_HEADERS

    def head_of_all(self) -> bytes:
        """Return what stands in front of the frames, without a length or a checksum."""
        fields = int.from_bytes(self._info[:18]) >> TOTAL_BITS << TOTAL_BITS
        return self._front(fields, bytes(16))

    def frames(self) -> Iterator[tuple[int, int, int]]:
        """Yield place, begin and end of all that look like frames, from the next piece on."""
        at, pattern = self._at, self._header_pattern()
        while True:
            self._stream.seek(at)
            data = self._stream.read(CHUNK_BYTES)
            is_last = len(data) < CHUNK_BYTES
            searched = len(data) if is_last else len(data) - flac.MAX_HEADER_BYTES
            for found in pattern.finditer(data, 0, searched + PATTERN_BYTES - 1):
                header = flac.frame_header(data, found.start())
                sample = self._sample_of(header)
                if header is not None and sample is not None and sample < self._total:
                    yield at + found.start(), sample, sample + header.samples
            if is_last:
                return
            at += searched

    def _header_pattern(self) -> re.Pattern[bytes]:
        """The first four bytes of a header like the first one: sync word, rate, channels."""
        first, start = self.first_frame
        assignments = {first.channels - 1, *(range(8, 11) if first.channels == 2 else ())}
        sets = (
            (size << 4 | first.rate_code for size in range(1, 16)),
            (assignment << 4 | depth << 1 for assignment in assignments for depth in range(8)),
        )
        classes = (b"[" + b"".join(map(_escaped, one)) + b"]" for one in sets)
        return re.compile(re.escape(start[:2]) + b"".join(classes), re.DOTALL)

    def _end_in(self, count: int) -> tuple[int, int]:
        """Where a piece of the usual length ends in so many bytes from its begin on: byte, sample.

        Both are 0 if no frame begins there behind the first one.
        """
        found, rest = (0, 0), count
        while last := self._last_header(rest):
            found = last
            samples = found[1] - self._sample
            if samples <= PIECE_SAMPLES:
                return found
            rest = found[0] * PIECE_SAMPLES // samples
        data = bytes(self._space[HEAD_BYTES : HEAD_BYTES + found[0]])
        return self._last_usual_header(data) or found

    def _last_header(self, count: int) -> tuple[int, int] | None:
        """The offset and the first sample of the last frame that begins in so many bytes."""
        space, end = self._space, HEAD_BYTES + count
        places = flac.syncs_from_end(space, self._starts, begin=HEAD_BYTES, end=end)
        for at in itertools.islice(places, flac.MAX_SYNCS):
            # A header that the bytes end in is not taken.
            header = flac.frame_header(space[at : min(end, at + flac.MAX_HEADER_BYTES)])
            sample = self._sample_of(header)
            if sample is not None and self._sample < sample < self._total:
                return at - HEAD_BYTES, sample
        return None

    def _last_usual_header(self, data: bytes) -> tuple[int, int] | None:
        """As `_last_header`, for a piece of the usual length, where the bit rate changes a lot."""
        found = None
        for at in itertools.islice(flac.syncs(data), flac.MAX_SYNCS):
            sample = self._sample_of(flac.frame_header(data, at))
            if sample is not None and sample > self._sample:
                if sample - self._sample > PIECE_SAMPLES:
                    return found or (at, sample)
                found = (at, sample)
        return found

    def _sample_of(self, header: FrameHeader | None) -> int | None:
        """The first sample of a frame; None unless it is like the first frame."""
        first = self._first
        if header is None or first is None:
            return None
        shape = (header.is_variable, header.channels, header.rate_code)
        if shape != (first.is_variable, first.channels, first.rate_code):
            return None
        return flac.first_sample(header, first)

    def _find(self, start: int) -> None:
        """Go to a frame shortly before a sample."""
        end_at, end = self._stream.seek(0, os.SEEK_END), self._total
        for _ in range(MAX_STEPS):
            room = end_at - self._at
            if start - self._sample <= NEAR_SAMPLES or room <= SEARCH_BYTES:
                return
            share = (start - self._sample) / max(1, end - self._sample)
            guess = self._at + max(1, int(room * share) - SEARCH_BYTES // 2)
            self._stream.seek(guess)
            data = self._stream.read(SEARCH_BYTES)
            places = (
                (guess + at, sample)
                for at in flac.syncs(data)
                if (sample := self._sample_of(flac.frame_header(data, at))) is not None
            )
            at, sample = next(places, (end_at, end))
            if sample > start:
                end_at, end = guess, sample
            elif sample > self._sample:
                self._at, self._sample = at, sample
            else:
                return

    def _head(self, samples: int) -> bytes:
        """The begin of a FLAC of that many samples; it leaves room for a frame too much."""
        fields = int.from_bytes(self._info[:18])
        fields = (fields >> TOTAL_BITS << TOTAL_BITS) + samples + EXTRA_SAMPLES
        return self._front(fields, self._info[18:])

    @staticmethod
    def _front(fields: int, checksum: bytes) -> bytes:
        block = bytes([0x80 | flac.STREAMINFO, 0, 0, flac.STREAMINFO_BYTES])
        return flac.MAGIC + block + fields.to_bytes(18) + checksum


def _escaped(byte: int) -> bytes:
    """A byte in a set of a regular expression."""
    return b"\\x%02x" % byte
