"""The kind of a codec's frames: the common ground of MPEG audio, ADTS and AMR.

`mpeg_audio`, `adts` and `amr` each build the kinds of their codec from its tables; `frames` follows
the frames of one kind through a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SYNC_BYTE = 0xFF  # first byte of an MPEG audio or ADTS header
SYNC_BITS = 0xE0  # three more ones in the second byte: the sync word has eleven


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameKind:
    """The properties that all frames of one stream share.

    Attributes:
        format: `mp3`, `aac` (ADTS) or `amr`.
        codec: ffmpeg's name: `mp3`, `aac`, `amr_nb`, `amr_wb`.
        rate_hz: the sample rate in the header.
        channels: the number of channels in the header.
        frame_samples: samples of each frame, per channel.
        allowed: for each byte of a header a table of 256 flags: 1 where the byte may have that
            value.
        size_at: returns the size in bytes of the frame whose header is at an offset of the data, 0
            for an invalid frame. The data must hold the whole header.
        likeness: mask of the bits, of the first 4 bytes, that two headers must share for a stream
            to begin.
        magic: the first bytes of the file. Streams with a magic have no sync words.
    """

    format: str
    codec: str
    rate_hz: int
    channels: int
    frame_samples: int
    allowed: tuple[bytes, ...]
    size_at: Callable[[bytes, int], int]
    likeness: int = 0
    magic: bytes = b""

    @property
    def header_bytes(self) -> int:
        """The size of a header."""
        return len(self.allowed)

    def is_at(self, data: bytes, at: int) -> bool:
        """Whether a frame of this kind starts at `at`; the frame need not be whole."""
        header = data[at : at + self.header_bytes]
        is_whole = len(header) == self.header_bytes
        return is_whole and self._allows(header) and self.size_at(data, at) > 0

    def is_torn_in(self, rest: bytes) -> bool:
        """Whether the last bytes of a file, less than a frame, look like the start of one."""
        is_torn_header = 0 < len(rest) < self.header_bytes and self._allows(rest)
        return is_torn_header or self.is_at(rest, 0)

    def leads_on(self, data: bytes, at: int) -> bool:
        """Whether a frame of this kind starts at `at`, and another one where it ends."""
        return self.is_at(data, at) and self.is_at(data, at + self.size_at(data, at))

    def begins(self, data: bytes, at: int) -> bool:
        """Whether a stream begins at `at`: two frames in a row with similar headers."""
        if not self.leads_on(data, at):
            return False
        following = at + self.size_at(data, at)
        one, other = (int.from_bytes(data[start : start + 4]) for start in (at, following))
        return not (one ^ other) & self.likeness

    def _allows(self, header: bytes) -> bool:
        """Whether a header, or its first bytes, may belong to this kind."""
        return all(table[byte] for byte, table in zip(header, self.allowed, strict=False))


def byte_table(is_allowed: Callable[[int], bool]) -> bytes:
    """Return a table of 256 flags: 1 for each value of a byte that is allowed."""
    return bytes(map(is_allowed, range(256)))


ANY_BYTE = b"\1" * 256
