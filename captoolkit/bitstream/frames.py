"""The index of frames: the place of each frame in an MP3, ADTS or AMR file, to cut it by bytes.

Rules: a frame begins where the one before it ends, and counts when its header is of the same kind.
A loop follows the sizes in a window; then all its headers are checked at once. Memory grows with
the index only. Frames are the packets of ffmpeg's demuxers (the tests compare them), without the
junk that ffmpeg leaves in front of some. A stream that changes on the way, or holds much else, gets
no index: ffmpeg can still decode it, but its bytes should not be cut.

The headers are read by `mpeg_audio`, `adts` and `amr`; `media.frame_index` opens the files.
"""

from __future__ import annotations

import itertools
from array import array
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream import adts, amr, id3, mpeg_audio
from captoolkit.bitstream.frame_kind import SYNC_BITS, SYNC_BYTE, FrameKind
from captoolkit.bitstream.signatures import magics

WINDOW_BYTES = 1 << 18  # one read
MAX_JUNK_BYTES = 1 << 16  # in all; also how far ffmpeg looks for the first frame of an MP3
MAX_JUNK_SHARE = 1 / 8  # of the frames' bytes; with more, the frames belong to another format
MAX_HOLES = 2000  # tags or junk between frames
MAX_FRAMES = 1 << 24  # an index of 34 MB: 93 hours of AMR, 121 hours of MP3 at 44.1 kHz
MIN_FRAMES = 2  # one header alone may be an accident
LOOKAHEAD_BYTES = 1 << 17  # holds the most junk allowed, and two ADTS frames of 8191 bytes

# At byte 4 of the MP4 family, which may hold whole frames in a row as other containers do.
MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameIndex:
    """Where the frames of an elementary stream lie.

    Attributes:
        format: `mp3`, `aac` (ADTS) or `amr`.
        codec: ffmpeg's name: `mp3`, `aac`, `amr_nb`, `amr_wb`.
        rate_hz: the sample rate in the headers; an HE-AAC decoder may double it.
        channels: the channels in the headers; an HE-AAC v2 decoder makes two of one.
        frame_samples: samples that each frame holds, per channel, at `rate_hz`.
        sizes: the bytes of each frame, shape (frames,). Frames never overlap.
        run_frames: the first frame of each run of adjacent frames, ascending.
        run_bytes: the byte of the file at which each run starts.
        head: the first bytes of every file of this format, before any frame: AMR's magic.
        id3_bytes: the size of the ID3v2 tags at the very front of the file.
        info: the information frame of an MP3 (`mpeg_audio`). It follows the ID3v2 tags and is not
            among the frames.
        junk_bytes: bytes that are neither frame nor tag, before the last frame.
        tail_bytes: bytes behind the last frame: tags, padding, junk.
        torn_bytes: bytes of a last frame that the end of the file cuts off. It is not among the
            frames.
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
    tail_bytes: int = 0

    @property
    def duration_samples(self) -> int:
        """Samples of all frames, per channel, the encoder's delay and padding included."""
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


def read_index(stream: BinaryIO) -> FrameIndex | None:
    """Return where the frames of an MP3, ADTS or AMR file lie.

    None where the file is none of these, or where its bytes should not be cut: sample rate,
    channels or layer change on the way; the MP3's bit rate is free; an ADTS frame holds several
    raw blocks or does not state its channels; an AMR frame is of a reserved type, or anything
    else stands between AMR frames; fewer than two frames are whole, or much of the file is no
    frame.

    Args:
        stream: the file, opened for reading; read from its front to its end.
    """
    file_bytes = stream.seek(0, 2)
    id3_bytes = id3.front_bytes(stream)
    data = _read_window(stream, id3_bytes)
    info = mpeg_audio.information_frame(data)
    first = _find_first_frame(data[len(info) :])
    if first is None:
        return None
    kind, junk_bytes = first
    if kind.magic and id3_bytes:  # ffmpeg reads no AMR behind a tag
        return None
    tags_at = file_bytes - (0 if kind.magic else id3.back_bytes(stream))
    found = _Scan(kind=kind, file_bytes=file_bytes, tags_at=tags_at, junk_bytes=junk_bytes)
    found.follow(stream, id3_bytes + len(info) + junk_bytes + len(kind.magic))
    if not found.is_a_stream:
        return None
    return FrameIndex(
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
        tail_bytes=found.tail_bytes,
    )


def _read_window(stream: BinaryIO, at: int) -> bytes:
    """The window at an offset of the file; a window that is not full reaches the file's end."""
    stream.seek(at)
    return stream.read(WINDOW_BYTES)


def _find_first_frame(data: bytes) -> tuple[FrameKind, int] | None:
    """The kind of the stream that begins in data, and the bytes of junk before it."""
    for kind in amr.KINDS:
        if data.startswith(kind.magic):
            return kind, 0
    head = np.frombuffer(data[:MAX_JUNK_BYTES], np.uint8)
    syncs = (head[:-1] == SYNC_BYTE) & (head[1:] >= SYNC_BITS)
    for at in np.flatnonzero(syncs).tolist():
        found = _kind_at(data, at)
        if found is not None and found.begins(data, at):
            is_container = data[:4] in magics() or data[4:8] in MP4_BOXES
            return None if at and is_container else (found, at)
    return None


def _kind_at(data: bytes, at: int) -> FrameKind | None:
    """The kind of the MP3 or ADTS frame whose header is at an offset, None without one."""
    header = data[at : at + 4]
    return mpeg_audio.frame_kind(header) or adts.frame_kind(header)


@dataclass(slots=True, kw_only=True)
class _Scan:
    """A stream's frames, followed through the file. The sizes take most of the memory.

    Attributes:
        tags_at: the byte at which the tags behind the last frame begin, as their footers state.
        stray_tail_bytes: bytes of the tail that are neither tag nor padding.
    """

    kind: FrameKind
    file_bytes: int
    tags_at: int
    sizes: array[int] = field(default_factory=lambda: array("H"))
    run_frames: array[int] = field(default_factory=lambda: array("q"))
    run_bytes: array[int] = field(default_factory=lambda: array("q"))
    frame_bytes: int = 0
    junk_bytes: int = 0
    torn_bytes: int = 0
    tail_bytes: int = 0
    stray_tail_bytes: int = 0
    holes: int = 0
    is_trusted: bool = True

    @property
    def is_too_much(self) -> bool:
        """Whether the scan has passed a limit."""
        is_broken = self.holes > MAX_HOLES or self.junk_bytes > MAX_JUNK_BYTES
        return is_broken or len(self.sizes) > MAX_FRAMES

    @property
    def is_a_stream(self) -> bool:
        """Whether the file, all in all, is a stream of frames."""
        stray_bytes = self.junk_bytes + self.stray_tail_bytes
        is_clean = stray_bytes <= self.frame_bytes * MAX_JUNK_SHARE
        is_whole = self.is_trusted and len(self.sizes) >= MIN_FRAMES
        return is_whole and is_clean and not self.is_too_much

    def follow(self, stream: BinaryIO, at: int) -> None:
        """Follow the stream from its first frame, at byte `at`, to the end of the file."""
        while not self.is_too_much:
            data = _read_window(stream, at)
            starts, end = _walk(data, self.kind)
            self._add_run(at, np.diff(starts, append=end))
            at += end
            if at > self.tags_at:  # a footer with a wrong size: frames are in its tag's place
                self.tags_at = self.file_bytes
            rest = data[end:][: self.tags_at - at]
            is_last = len(data) < WINDOW_BYTES or at + len(rest) == self.tags_at
            if not is_last and len(rest) < LOOKAHEAD_BYTES:
                continue
            if not rest:
                self.tail_bytes = self.file_bytes - at
                return
            if self.kind.is_torn_in(rest):
                self.torn_bytes = len(rest)
                return
            hole_bytes: int | None = id3.tag_bytes(rest, is_frame=_begins_frame)
            if not hole_bytes or at + hole_bytes > self.file_bytes:
                hole_bytes = _junk_bytes(rest, self.kind, is_last=is_last)
                if hole_bytes is None:
                    self.is_trusted = self._is_padded(stream, at)
                    return
                if is_last and hole_bytes == len(rest):
                    self.tail_bytes = self.file_bytes - at
                    self.stray_tail_bytes = 0 if _is_padding(rest) else hole_bytes
                    return
                self.junk_bytes += hole_bytes
            self.holes += 1
            at += hole_bytes

    def _is_padded(self, stream: BinaryIO, at: int) -> bool:
        """Whether a file holds only padding from a byte on, however much; it is then the tail."""
        end = at
        while end < self.tags_at:
            window = _read_window(stream, end)[: self.tags_at - end]
            if not window or not _is_padding(window):
                return False
            end += len(window)
        self.tail_bytes = self.file_bytes - at
        return True

    def _add_run(self, start: int, sizes: NDArray[np.int64]) -> None:
        """Append a run of frames that starts at a byte of the file."""
        if not sizes.size:
            return
        self.run_frames.append(len(self.sizes))
        self.run_bytes.append(start)
        self.sizes.frombytes(sizes.astype(np.uint16).tobytes())
        self.frame_bytes += int(sizes.sum())


def _is_padding(data: bytes) -> bool:
    """Whether bytes are all 0: recorders allocate files in advance."""
    return data.count(0) == len(data)


def _begins_frame(data: bytes) -> bool:
    return _kind_at(data, 0) is not None


def _walk(data: bytes, kind: FrameKind) -> tuple[NDArray[np.int64], int]:
    """The starts of the adjacent whole frames from the first byte on, and their end.

    A loop, because each frame's place depends on all before it. It takes a tenth of a microsecond
    a frame; numpy would take longer to search all bytes for sync words.
    """
    starts: list[int] = []
    at, last, size_at = 0, len(data) - kind.header_bytes, kind.size_at
    while at <= last and (size := size_at(data, at)):
        starts.append(at)
        at += size
    if at > len(data):
        at = starts.pop()
    places = np.array(starts, np.int64)
    accepted = _are_headers(kind, np.frombuffer(data, np.uint8), places)
    if accepted.all():
        return places, at
    stop = int(accepted.argmin())
    return places[:stop], starts[stop]


def _are_headers(
    kind: FrameKind, data: NDArray[np.uint8], places: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """For each place, which must lie inside data: whether a header of this kind is there."""
    accepted = np.ones(places.size, bool)
    for offset, table in enumerate(kind.allowed):
        accepted &= np.frombuffer(table, np.bool_)[data[places + offset]]
    return accepted


def _junk_bytes(rest: bytes, kind: FrameKind, *, is_last: bool) -> int | None:
    """The bytes before the stream goes on, or to the end of the file; None if it does neither.

    Args:
        rest: the bytes behind the last frame, to the end of the file or at least LOOKAHEAD_BYTES.
        kind: the stream's.
        is_last: `rest` reaches the end of the file.
    """
    next_kind = _kind_at(rest, 0)
    is_odd = next_kind is kind  # several raw blocks, a free bit rate: of this kind, but no frame
    if kind.magic or is_odd or (next_kind is not None and next_kind.leads_on(rest, 0)):
        return None
    reach = min(MAX_JUNK_BYTES, len(rest) - kind.header_bytes)
    data = np.frombuffer(rest, np.uint8)
    syncs = np.flatnonzero(data[: max(0, reach)] == SYNC_BYTE)
    for at in syncs[_are_headers(kind, data, syncs)].tolist():
        is_end = is_last and at + kind.size_at(rest, at) == len(rest)
        if is_end or kind.leads_on(rest, at):
            return int(at)
    return len(rest) if is_last else None
