"""Where the frames of an MP3, ADTS or AMR file lie: what it takes to cut one by copying bytes.

Rules: a frame is found where the one before it ends, and believed when its header is of the same
kind; lengths are followed one by one, headers are held against their kind all at once, window by
window, so that memory does not grow with the file beyond the index itself. Frames are what
ffmpeg's demuxers take as packets (the tests ask it), without the junk that it leaves in front of
some. A stream that changes on the way, or holds much that is no frame, is not indexed: ffmpeg can
still make sense of it, and whoever cuts at bytes should not try.

Layouts: ISO/IEC 11172-3 and 13818-3 (MP3), 14496-3 annex 1.A (ADTS), RFC 4867 section 5 (AMR).
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

WINDOW_BYTES = 1 << 18  # what is read at a time
MAX_JUNK_BYTES = 1 << 16  # in all; also how far ffmpeg looks for the first frame of an MP3
MAX_JUNK_SHARE = 1 / 8  # of the frames' bytes: more, and they are something else's inside
MAX_HOLES = 2000  # tags or junk between frames
MAX_FRAMES = 1 << 24  # an index of 34 MB: 93 hours of AMR, 121 hours of MP3 at 44.1 kHz
REMEMBERED = 4  # indices, of the files last looked at
SETTLED_NS = 2_000_000_000  # file systems tell times as coarsely as this
MIN_FRAMES = 2  # one header alone may be an accident
LOOKAHEAD_BYTES = 1 << 17  # holds all junk that is borne, and two ADTS frames of 8191 bytes

SYNC_BYTE, SYNC_BITS = 0xFF, 0xE0  # an MP3 or ADTS header begins with eleven ones

# How files begin that may hold whole frames one behind another, and are no raw streams for that.
CONTAINERS = frozenset(
    {b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"caff", b"FORM", b"OggS", b"FLV\1"}
    | {b"\x1aE\xdf\xa3", b"0&\xb2u", b"\0\0\1\xba"}  # Matroska, ASF, MPEG-PS
)
MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})  # at byte 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frames:
    """Where the frames of a raw stream lie.

    Attributes:
        format: `mp3`, `aac` (ADTS) or `amr`.
        codec: ffmpeg's name: `mp3`, `aac`, `amr_nb`, `amr_wb`.
        rate_hz: as the headers say; an HE-AAC decoder may double it.
        channels: as the headers say; an HE-AAC v2 decoder makes two of one.
        frame_samples: samples that each frame holds, per channel, at `rate_hz`.
        sizes: the bytes of each frame, shape (frames,); none overlaps the next.
        run_frames: the first frame of each run of frames that follow one another, ascending.
        run_bytes: the byte of the file at which each run starts.
        head: what a file of this format begins with, before any frame: AMR's magic line.
        id3_bytes: the length of the ID3v2 tags at the very front of the file.
        info: the frame of an MP3 that holds a Xing, Info or VBRI header instead of sound; it lies
            behind the ID3v2 tags and is not among the frames.
        junk_bytes: bytes that are neither frame nor tag, all over the file.
        torn_bytes: bytes of a last frame that the file ends within; it is not among the frames.
    """

    format: str
    codec: str
    rate_hz: int
    channels: int
    frame_samples: int
    sizes: NDArray[np.uint16]
    run_frames: NDArray[np.int64]
    run_bytes: NDArray[np.int64]
    head: bytes
    id3_bytes: int
    info: bytes
    junk_bytes: int
    torn_bytes: int

    @property
    def duration_samples(self) -> int:
        """What all frames hold, per channel, the encoder's delay and padding included."""
        return self.sizes.size * self.frame_samples

    def starts_of(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the bytes at which frames [first, last) start, shape (last - first,)."""
        run = int(np.searchsorted(self.run_frames, first, side="right")) - 1
        end = int(np.searchsorted(self.run_frames, last))
        bounds = [*self.run_frames[run:end].tolist(), last]
        parts = [
            start + np.cumsum(self.sizes[one:following], dtype=np.int64) - self.sizes[one:following]
            for start, (one, following) in zip(
                self.run_bytes[run:end].tolist(), itertools.pairwise(bounds), strict=True
            )
        ]
        return np.concatenate([np.zeros(0, np.int64), *parts])[first - bounds[0] :]


def index(path: str | os.PathLike[str]) -> Frames | None:
    """Return where the frames of an MP3, ADTS or AMR file lie.

    None where the file is none of these, or one that should not be cut by copying: rate,
    channels or layer change on the way; the MP3's bit rate is free; an ADTS frame holds several
    raw blocks or does not say how many channels; an AMR frame is of a reserved type, or anything
    else stands between AMR frames; there are fewer than two whole frames, or much is no frame.

    A file that has not changed for a while is read once for all who ask: who measures it, who
    plans, who cuts.

    Raises:
        OSError: the file cannot be read.
    """
    said = Path(path).stat()
    if time.time_ns() - said.st_mtime_ns < SETTLED_NS:  # its next change may not show in its time
        return _read_index(path)
    return _remembered(os.fspath(path), (said.st_dev, said.st_ino, said.st_size, said.st_mtime_ns))


@functools.lru_cache(maxsize=REMEMBERED)
def _remembered(path: str, _identity: tuple[int, int, int, int]) -> Frames | None:
    """The index of a file that is as it was when it had this identity."""
    return _read_index(path)


def _read_index(path: str | os.PathLike[str]) -> Frames | None:
    """Read a file from its front to its end."""
    with Path(path).open("rb") as stream:
        id3_bytes = id3_bytes_in_front(stream)
        data = _read(stream, id3_bytes)
        info = _info_frame(data)
        first = _first_frame(data[len(info) :])
        if first is None:
            return None
        kind, junk_bytes = first
        if kind.magic and id3_bytes:  # ffmpeg knows no such thing
            return None
        at = id3_bytes + len(info) + junk_bytes + len(kind.magic)
        found = _follow(stream, kind, at, _Found(junk_bytes=junk_bytes))
    if found is None or not found.is_a_stream:
        return None
    return Frames(
        format=kind.format,
        codec=kind.codec,
        rate_hz=kind.rate_hz,
        channels=kind.channels,
        frame_samples=kind.frame_samples,
        sizes=np.frombuffer(found.sizes, np.uint16),
        run_frames=np.frombuffer(found.run_frames, np.int64),
        run_bytes=np.frombuffer(found.run_bytes, np.int64),
        head=kind.magic,
        id3_bytes=id3_bytes,
        info=info,
        junk_bytes=found.junk_bytes,
        torn_bytes=found.torn_bytes,
    )


def frame_bytes(header: bytes) -> int:
    """Return how long the MP3 or ADTS frame is that begins with a header; 0 where none does."""
    kind = _kind_of(header)
    return 0 if kind is None else kind.size_at(header, 0)


# ----------------------------------------------------------------------------------- kinds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Kind:
    """What the frames of one stream have in common.

    Attributes:
        allowed: for each byte of a header, which values it may have, shape (header bytes, 256).
        size_at: the bytes of the frame whose header is at a place in data, 0 for no frame; the
            data must hold the whole header.
        likeness: the bits that two headers share where a stream begins, of their first 4 bytes.
        magic: what the file begins with; streams that have one have no sync words.
    """

    format: str
    codec: str
    rate_hz: int
    channels: int
    frame_samples: int
    allowed: NDArray[np.bool_]
    size_at: Callable[[bytes, int], int]
    likeness: int = 0
    magic: bytes = b""

    @property
    def header_bytes(self) -> int:
        return len(self.allowed)

    def accepts(self, data: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a header of this kind is at each of the places, which lie inside data."""
        accepted = np.ones(places.size, bool)
        for offset, allowed in enumerate(self.allowed):
            accepted &= allowed[data[places + offset]]
        return accepted

    def is_at(self, data: bytes, at: int) -> bool:
        """Whether a frame of this kind starts here; it need not be whole."""
        header = data[at : at + self.header_bytes]
        is_whole = len(header) == self.header_bytes
        return is_whole and self._fits(header) and self.size_at(data, at) > 0

    def is_torn_in(self, rest: bytes) -> bool:
        """Whether what a file ends with, less than a frame, looks like the beginning of one."""
        is_torn_header = 0 < len(rest) < self.header_bytes and self._fits(rest)
        return is_torn_header or self.is_at(rest, 0)

    def leads_on(self, data: bytes, at: int) -> bool:
        """Whether a frame of this kind starts here, and another one where it ends."""
        return self.is_at(data, at) and self.is_at(data, at + self.size_at(data, at))

    def begins(self, data: bytes, at: int) -> bool:
        """Whether a stream begins here: one frame leads on to another that is much like it."""
        if not self.leads_on(data, at):
            return False
        following = at + self.size_at(data, at)
        one, other = (int.from_bytes(data[start : start + 4]) for start in (at, following))
        return not (one ^ other) & self.likeness

    def _fits(self, header: bytes) -> bool:
        """Whether these first bytes of a header, or all of them, may be of this kind."""
        return all(allowed[byte] for byte, allowed in zip(header, self.allowed, strict=False))


def _values(fits: Callable[[int], bool]) -> NDArray[np.bool_]:
    """Which of a byte's values fit, shape (256,)."""
    return np.array([fits(byte) for byte in range(256)])


def _any_value(_byte: int) -> bool:
    return True


def _kind_of(header: bytes) -> _Kind | None:
    """The kind of the MP3 or ADTS frame whose header this is, None for anything else."""
    if len(header) < 4 or header[0] != SYNC_BYTE or header[1] & SYNC_BITS != SYNC_BITS:
        return None
    layer = header[1] >> 1 & 3
    if layer == 0:
        return _adts_kind(header[1] & 0xFE, header[2] & 0xFD, header[3] & 0xC0)
    if layer == 1:
        return _mp3_kind(header[1] >> 3 & 3, header[2] >> 2 & 3, header[3] >> 6 == 3)
    return None


# kbit/s by the header's bit rate index; 0 is free format, which says no length.
MPEG1_KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_KBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MPEG1_RATES_HZ = (44_100, 48_000, 32_000)
MPEG1, MPEG2, MPEG25 = 3, 2, 0  # the header's version bits
RATE_DIVISORS = {MPEG1: 1, MPEG2: 2, MPEG25: 4}
# ffmpeg begins an MP3 where two headers agree in these bits: all but protection, bit rate,
# padding and the extension of the stereo mode.
MP3_LIKENESS = 0xFFFE0CCF


@functools.cache
def _mp3_kind(version: int, rate_index: int, is_mono: bool) -> _Kind | None:
    """The kind of layer III frames with these header fields, None where they are reserved."""
    if version not in RATE_DIVISORS or rate_index >= len(MPEG1_RATES_HZ):
        return None
    rate_hz = MPEG1_RATES_HZ[rate_index] // RATE_DIVISORS[version]
    kbits = MPEG1_KBITS if version == MPEG1 else MPEG2_KBITS
    frame_samples = 1152 if version == MPEG1 else 576

    def size(third: int) -> int:
        """Bytes of a frame with this third byte: bit rate, sample rate, padding."""
        bit_rate = third >> 4
        if third >> 2 & 3 != rate_index or not 0 < bit_rate < len(kbits):
            return 0
        return frame_samples * 125 * kbits[bit_rate] // rate_hz + (third >> 1 & 1)

    sizes = [size(third) for third in range(256)]
    second = 0xE0 | version << 3 | 1 << 1  # whatever the last bit says of a checksum
    return _Kind(
        format="mp3",
        codec="mp3",
        rate_hz=rate_hz,
        channels=1 if is_mono else 2,
        frame_samples=frame_samples,
        allowed=np.stack(
            [
                _values(lambda byte: byte == SYNC_BYTE),
                _values(lambda byte: byte & 0xFE == second),
                np.array(sizes) > 0,
                _values(lambda byte: (byte >> 6 == 3) == is_mono),
            ]
        ),
        size_at=lambda data, at: sizes[data[at + 2]],
        likeness=MP3_LIKENESS,
    )


ADTS_RATES_HZ = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000),
    *(22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
ADTS_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8}  # 0: told inside the frames
ADTS_FRAME_SAMPLES = 1024
ADTS_HEADER_BYTES = 7
ADTS_LIKENESS = 0xFFFEFDC0


@functools.cache
def _adts_kind(second: int, third: int, fourth: int) -> _Kind | None:
    """The kind of ADTS frames with these header bytes, less the bits that differ in a stream.

    None where they are reserved or do not say the number of channels.
    """
    rate_index, channels_index = third >> 2 & 15, (third & 1) << 2 | fourth >> 6
    is_known = rate_index < len(ADTS_RATES_HZ) and channels_index in ADTS_CHANNELS
    if not is_known or second & 0xF6 != 0xF0:
        return None
    return _Kind(
        format="aac",
        codec="aac",
        rate_hz=ADTS_RATES_HZ[rate_index],
        channels=ADTS_CHANNELS[channels_index],
        frame_samples=ADTS_FRAME_SAMPLES,
        allowed=np.stack(
            [
                _values(lambda byte: byte == SYNC_BYTE),
                _values(lambda byte: byte & 0xFE == second),
                _values(lambda byte: byte & 0xFD == third),
                _values(lambda byte: byte & 0xC0 == fourth),
                _values(_any_value),
                _values(_any_value),
                _values(lambda byte: byte & 3 == 0),  # one raw block
            ]
        ),
        size_at=_adts_size,
        likeness=ADTS_LIKENESS,
    )


def _adts_size(data: bytes, at: int) -> int:
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    return size if size >= ADTS_HEADER_BYTES else 0


def _amr_kind(magic: bytes, codec: str, rate_hz: int, sizes: dict[int, int]) -> _Kind:
    """The kind of AMR frames of these types: each has its size in bytes, header included."""
    by_header = [sizes.get(header >> 3, 0) if header & 0x83 == 0 else 0 for header in range(256)]
    return _Kind(
        format="amr",
        codec=codec,
        rate_hz=rate_hz,
        channels=1,
        frame_samples=rate_hz // 50,
        allowed=np.array([by_header]) > 0,
        size_at=lambda data, at: by_header[data[at]],
        magic=magic,
    )


# Frame types: the codec's modes, comfort noise, (AMR-WB: 14, speech lost,) 15, nothing.
AMR_NB_BYTES = dict(enumerate((13, 14, 16, 18, 20, 21, 27, 32, 6))) | {15: 1}
AMR_WB_BYTES = dict(enumerate((18, 24, 33, 37, 41, 47, 51, 59, 61, 6))) | {14: 1, 15: 1}
AMR_KINDS = (
    _amr_kind(b"#!AMR\n", "amr_nb", 8_000, AMR_NB_BYTES),
    _amr_kind(b"#!AMR-WB\n", "amr_wb", 16_000, AMR_WB_BYTES),
)


# ------------------------------------------------------------------------------- the front


def _read(stream: BinaryIO, at: int) -> bytes:
    """The window at a place of the file; one that is not full reaches to its end."""
    stream.seek(at)
    return stream.read(WINDOW_BYTES)


def id3_bytes_in_front(stream: BinaryIO) -> int:
    """Return the length of all ID3v2 tags that a file begins with."""
    at = 0
    for _ in range(MAX_HOLES):
        stream.seek(at)
        tag_bytes = _id3v2_bytes(stream.read(ID3V2_HEAD_BYTES))
        if not tag_bytes:
            break
        at += tag_bytes
    return at


def _info_frame(data: bytes) -> bytes:
    """The frame that data begins with if it holds a header for players, nothing otherwise.

    As ffmpeg has it: one that tells neither frames nor bytes is sound.
    """
    kind = _kind_of(data[:4])
    if kind is None or kind.codec != "mp3":
        return b""
    frame = data[: kind.size_at(data, 0)]
    is_mpeg1, is_mono = kind.frame_samples == 1152, kind.channels == 1
    side_bytes = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    xing, vbri = frame[4 + side_bytes :], frame[4 + 32 :]
    told = b""
    if xing[:4] in (b"Xing", b"Info") and len(xing) >= 16:
        told = xing[8 : 8 + 4 * (xing[7] & 1) + 4 * (xing[7] >> 1 & 1)]
    elif vbri[:6] == b"VBRI\0\1":
        told = vbri[10:18]
    return frame if any(told) else b""


def _first_frame(data: bytes) -> tuple[_Kind, int] | None:
    """The kind of the stream that begins in data, and the bytes of junk before it."""
    for kind in AMR_KINDS:
        if data.startswith(kind.magic):
            return kind, 0
    head = np.frombuffer(data[:MAX_JUNK_BYTES], np.uint8)
    syncs = (head[:-1] == SYNC_BYTE) & (head[1:] >= SYNC_BITS)
    for at in np.flatnonzero(syncs).tolist():
        found = _kind_of(data[at : at + 4])
        if found is not None and found.begins(data, at):
            return None if at and _is_container(data) else (found, at)
    return None


def _is_container(data: bytes) -> bool:
    return data[:4] in CONTAINERS or data[4:8] in MP4_BOXES


# ------------------------------------------------------------------------------- the chain


@dataclass(slots=True, kw_only=True)
class _Found:
    """What has been found so far; of a day of frames their sizes are the most that is held."""

    sizes: array[int] = field(default_factory=lambda: array("H"))
    run_frames: array[int] = field(default_factory=lambda: array("q"))
    run_bytes: array[int] = field(default_factory=lambda: array("q"))
    frame_bytes: int = 0
    junk_bytes: int = 0
    torn_bytes: int = 0
    holes: int = 0

    def add(self, start: int, sizes: NDArray[np.int64]) -> None:
        """Put a run of frames to the others, which starts at a byte of the file."""
        if not sizes.size:
            return
        self.run_frames.append(self.frames)
        self.run_bytes.append(start)
        self.sizes.frombytes(sizes.astype(np.uint16).tobytes())
        self.frame_bytes += int(sizes.sum())

    @property
    def frames(self) -> int:
        """How many frames have been found."""
        return len(self.sizes)

    @property
    def is_too_much(self) -> bool:
        """Whether there is no use in going on."""
        is_broken = self.holes > MAX_HOLES or self.junk_bytes > MAX_JUNK_BYTES
        return is_broken or self.frames > MAX_FRAMES

    @property
    def is_a_stream(self) -> bool:
        """Whether this is all in all a stream of frames."""
        is_clean = self.junk_bytes <= self.frame_bytes * MAX_JUNK_SHARE
        return self.frames >= MIN_FRAMES and is_clean and not self.is_too_much


def _follow(stream: BinaryIO, kind: _Kind, at: int, found: _Found) -> _Found | None:
    """Follow a stream from its first frame to the end; None where it cannot be trusted."""
    file_bytes = os.fstat(stream.fileno()).st_size
    while not found.is_too_much:
        data = _read(stream, at)
        starts, end = _walk(data, kind)
        found.add(at, np.diff(starts, append=end))
        at += end
        rest, is_last = data[end:], len(data) < WINDOW_BYTES
        if not is_last and len(rest) < LOOKAHEAD_BYTES:
            continue
        if not rest:
            return found
        if kind.is_torn_in(rest):
            found.torn_bytes = len(rest)
            return found
        hole_bytes: int | None = _tag_bytes(rest)
        if not hole_bytes or at + hole_bytes > file_bytes:
            hole_bytes = _junk_bytes(rest, kind, is_last=is_last)
            if hole_bytes is None:
                return None
            found.junk_bytes += hole_bytes
        found.holes += 1
        at += hole_bytes
    return None


def _walk(data: bytes, kind: _Kind) -> tuple[NDArray[np.int64], int]:
    """Where the whole frames start that follow one another from the first byte, and their end.

    A loop, because each frame's place hangs on all before it: it takes a tenth of a microsecond
    a frame, less than it takes numpy to look at every byte of one for sync words.
    """
    starts: list[int] = []
    at, last, size_at = 0, len(data) - kind.header_bytes, kind.size_at
    while at <= last and (size := size_at(data, at)):
        starts.append(at)
        at += size
    if at > len(data):
        at = starts.pop()
    places = np.array(starts, np.int64)
    accepted = kind.accepts(np.frombuffer(data, np.uint8), places)
    if accepted.all():
        return places, at
    stop = int(accepted.argmin())
    return places[:stop], starts[stop]


def _junk_bytes(rest: bytes, kind: _Kind, *, is_last: bool) -> int | None:
    """Bytes before the stream goes on, or to the end of the file; None if it does neither.

    Args:
        rest: what follows the last frame; all there is, or LOOKAHEAD_BYTES at least.
        kind: of the stream.
        is_last: `rest` reaches to the end of the file.
    """
    next_kind = _kind_of(rest[:4])
    is_odd = next_kind is kind  # several raw blocks, a free bit rate: of this kind, but no frame
    if kind.magic or is_odd or (next_kind is not None and next_kind.leads_on(rest, 0)):
        return None
    reach = min(MAX_JUNK_BYTES, len(rest) - kind.header_bytes)
    data = np.frombuffer(rest, np.uint8)
    syncs = np.flatnonzero(data[: max(0, reach)] == SYNC_BYTE)
    for at in syncs[kind.accepts(data, syncs)].tolist():
        is_end = is_last and at + kind.size_at(rest, at) == len(rest)
        if is_end or kind.leads_on(rest, at):
            return int(at)
    return len(rest) if is_last else None


# ------------------------------------------------------------------------------------ tags

ID3V1_BYTES = 128
ID3V2_HEAD_BYTES = 10
APE_HEAD_BYTES = 32
APE_IS_HEAD = 0x20  # in the last of its flags' bytes: the head, not the foot, which is alike


def _tag_bytes(data: bytes) -> int:
    """The length of the ID3v2, ID3v1 or APE tag that data begins with, 0 for none."""
    if _is_id3v1(data):
        return ID3V1_BYTES
    is_ape = data.startswith(b"APETAGEX") and len(data) >= APE_HEAD_BYTES
    if is_ape and data[23] & APE_IS_HEAD:
        return APE_HEAD_BYTES + int.from_bytes(data[12:16], "little")
    return _id3v2_bytes(data)


def _is_id3v1(data: bytes) -> bool:
    """Whether data begins with an ID3v1 tag: three letters, and something fit to follow it."""
    following = data[ID3V1_BYTES:]
    is_followed = bool(_kind_of(following[:4]) or _id3v2_bytes(following))
    return data.startswith(b"TAG") and (is_followed or len(data) == ID3V1_BYTES)


def _id3v2_bytes(data: bytes) -> int:
    """The length of the ID3v2 tag that data begins with, header and footer included; 0: none."""
    head = data[:ID3V2_HEAD_BYTES]
    is_tag = len(head) == ID3V2_HEAD_BYTES and head[:3] == b"ID3" and 0xFF not in head[3:5]
    if not is_tag or max(head[6:]) > 0x7F:
        return 0
    has_footer = head[5] >> 4 & 1
    size = functools.reduce(lambda size, byte: size << 7 | byte, head[6:], 0)
    return ID3V2_HEAD_BYTES * (1 + has_footer) + size
