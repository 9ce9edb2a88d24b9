"""The place of the samples in a file of PCM: WAV, RF64, W64, AIFF, CAF and AU, by its own header.

captoolkit reads these headers itself, because readers disagree about some: about samples with fewer
valid bits than they have room for, about the byte order, and about sizes that a recorder never
wrote or that 32 bits cannot hold (`scripts/compare_headers.py` prints the table). Where ffmpeg
takes the samples for another codec, `media.probe_by_ffmpeg` lets it read them by their place.

Rules: bytes in, values out. A header without a row here has no layout, and is left to ffmpeg.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from captoolkit.bitstream import channel_layouts
from captoolkit.bitstream.riff import EXTENSIBLE, PLAIN_GUID_TAIL
from captoolkit.errors import NotMediaError, UsageError

PCM, FLOAT, ALAW, MULAW = 1, 3, 6, 7  # format tags of a WAV
W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
UNKNOWN_SIZES = frozenset({0, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1})
WRAP_BYTES = 1 << 32
MAX_TAIL_BYTES = 1 << 16  # of tags behind the samples
MAX_CHUNKS = 64
MAX_OFFSET_BYTES = (1 << 63) - 1  # that a file can be read at
PEEK_BYTES = 1 << 16
HEAD_BYTES = 4096
# AIFF-C's compression types: codec, or the byte order of whole numbers.
AIFF_TYPES = {
    b"NONE": "be", b"twos": "be", b"sowt": "le", b"in24": "be", b"in32": "be",
    b"42ni": "pcm_s24le", b"23ni": "pcm_s32le", b"raw ": "pcm_u8",
    b"fl32": "pcm_f32be", b"FL32": "pcm_f32be", b"fl64": "pcm_f64be", b"FL64": "pcm_f64be",
    b"ulaw": "pcm_mulaw", b"ULAW": "pcm_mulaw", b"alaw": "pcm_alaw", b"ALAW": "pcm_alaw",
}  # fmt: skip
AU_CODECS = {
    1: "pcm_mulaw", 2: "pcm_s8", 3: "pcm_s16be", 4: "pcm_s24be", 5: "pcm_s32be",
    6: "pcm_f32be", 7: "pcm_f64be", 27: "pcm_alaw",
}  # fmt: skip
CAF_FLOAT, CAF_LITTLE = 1, 2  # flags
# Bytes of a sample.
SAMPLE_BYTES = {
    "u8": 1, "s8": 1, "alaw": 1, "mulaw": 1, "s16": 2, "s24": 3, "s32": 4, "f32": 4, "f64": 8
}  # fmt: skip
# Formats of samples without a header, by ffmpeg's names.
RAW_FORMATS = tuple(
    f"{name}{order}"
    for name, size in SAMPLE_BYTES.items()
    for order in (("",) if size == 1 else ("le", "be"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PcmLayout:
    """Where the samples of a file are.

    Attributes:
        container: as `containers` names it.
        codec: ffmpeg's name of the codec.
        start_bytes: where the samples begin.
        size_bytes: how many bytes they have, whole frames only.
        stated_bytes: how many the header states.
        unread_bytes: bytes behind them that belong to no chunk.
        has_other_chunks: a reader that reads from the first `data` chunk to the end of the file
            takes other chunks for samples.
        has_true_sizes: the header states the sizes of the file.
    """

    container: str
    codec: str
    rate_hz: int
    channels: int
    start_bytes: int
    size_bytes: int
    stated_bytes: int
    unread_bytes: int = 0
    has_other_chunks: bool = False
    has_true_sizes: bool = True

    @classmethod
    def of_raw(cls, text: str, file_bytes: int) -> PcmLayout:
        """Return the layout of a file without a header, as `parse_raw` reads it."""
        codec, rate_hz, channels = parse_raw(text)
        frame_bytes = sample_bytes(codec) * channels
        size_bytes = file_bytes // frame_bytes * frame_bytes
        return cls(
            container="raw",
            codec=codec,
            rate_hz=rate_hz,
            channels=channels,
            start_bytes=0,
            size_bytes=size_bytes,
            stated_bytes=size_bytes,
        )

    @property
    def frame_bytes(self) -> int:
        """The size of one sample of all channels."""
        return sample_bytes(self.codec) * self.channels

    @property
    def frames(self) -> int:
        """How many samples each channel has."""
        return self.size_bytes // self.frame_bytes

    @property
    def is_wrapped(self) -> bool:
        """Whether the size in the header is what 32 bits hold of the true one."""
        return self.size_bytes - self.stated_bytes >= WRAP_BYTES

    def is_misread_as(self, codec: str) -> bool:
        """Return whether a reader gets other samples that takes them for `codec`.

        Args:
            codec: the codec that ffmpeg finds; empty where it reads nothing. Samples of 16 bits may
                also hold a codec that is none of PCM.
        """
        if codec and not codec.startswith("pcm_"):
            return False
        is_short = self.stated_bytes // self.frame_bytes < self.frames
        return codec != self.codec or is_short or self.has_other_chunks


def sample_bytes(codec: str) -> int:
    """Return the size of a sample of a PCM codec."""
    return SAMPLE_BYTES[codec.removeprefix("pcm_").removesuffix("le").removesuffix("be")]


def parse_raw(text: str) -> tuple[str, int, int]:
    """Return codec, sample rate and channels of samples without a header.

    Args:
        text: `FORMAT:RATE:CHANNELS`; a format is one of `RAW_FORMATS`.

    Raises:
        UsageError: it is not of that form.

    ```python
    >>> parse_raw("s16le:16000:1")
    ('pcm_s16le', 16000, 1)

    ```
    """
    parts = text.split(":")
    name, numbers = parts[0].lower(), parts[1:]
    if len(numbers) != 2 or not all(one.isascii() and one.isdecimal() for one in numbers):
        raise UsageError(
            f"raw={text} does not describe samples", fix="write FORMAT:RATE:CHANNELS: s16le:16000:1"
        )
    if name not in RAW_FORMATS:
        raise UsageError(
            f"raw={text}: there is no format {name}", fix=f"take one of {', '.join(RAW_FORMATS)}"
        )
    rate_hz, channels = map(int, numbers)
    fault = channel_layouts.excess(rate_hz=rate_hz, channels=channels)
    if fault or not rate_hz or not channels:
        raise UsageError(
            f"raw={text} {fault or 'has no samples'}", fix="check the rate and the channels"
        )
    return f"pcm_{name}", rate_hz, channels


def read_layout(stream: BinaryIO) -> PcmLayout | None:
    """Return the place of a file's samples; None for any other file.

    Args:
        stream: the file, opened for reading; its position changes.

    Raises:
        NotMediaError: the header contradicts itself.
    """
    file_bytes = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(64)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _read_wav(stream, file_bytes, head)
    if head[:16] == W64_RIFF:
        return _read_w64(stream, file_bytes)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _read_aiff(stream, file_bytes)
    if head[:4] == b"caff":
        return _read_caf(stream, file_bytes)
    return _read_au(file_bytes, head) if head[:4] == b".snd" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeaderChunk:
    """A chunk's name, and the place and stated size of its content."""

    name: bytes
    start: int
    size: int


# ------------------------------------------------------------------------------ WAV and W64


def _read_wav(stream: BinaryIO, file_bytes: int, head: bytes) -> PcmLayout | None:
    order = ">" if head[:4] == b"RIFX" else "<"
    layout, shape, stated = None, b"", 0
    riff_bytes = struct.unpack(f"{order}I", head[4:8])[0]
    is_64 = head[:4] in (b"RF64", b"BW64")
    for chunk in _chunks(stream, 12, f"{order}4sI"):
        if chunk.name == b"ds64" and is_64:
            sizes = _content(stream, chunk, 16).ljust(16, b"\0")
            riff_bytes, stated = struct.unpack("<QQ", sizes)
        elif chunk.name == b"fmt ":
            shape = _content(stream, chunk, 40)
        elif chunk.name == b"data":
            size = stated if is_64 and chunk.size == 0xFFFFFFFF else chunk.size
            codec = _wav_codec(shape, order, stream, chunk.start)
            if codec is None:
                return None
            channels, rate_hz = struct.unpack(f"{order}HI", shape[2:8])
            is_whole = 0 <= riff_bytes + 8 - file_bytes <= 1 or riff_bytes + 8 == file_bytes - 1
            is_first = layout is None
            layout = _measured(
                stream,
                file_bytes,
                PcmLayout(
                    container="wav",
                    codec=codec,
                    rate_hz=rate_hz,
                    channels=channels,
                    start_bytes=chunk.start,
                    size_bytes=0,
                    stated_bytes=size,
                    has_other_chunks=not is_first,
                    has_true_sizes=is_whole and is_first,
                ),
                form=f"{order}4sI",
            )
            if layout is None or layout.frames or chunk.size:
                return layout
    return layout


def _wav_codec(shape: bytes, order: str, stream: BinaryIO, start: int) -> str | None:
    """The codec by a `fmt ` chunk: the bytes that a sample has decide, not those that count."""
    if len(shape) < 16:
        return None
    tag, channels, rate_hz, _, block, bits = struct.unpack(f"{order}HHIIHH", shape[:16])
    if tag == EXTENSIBLE:
        if len(shape) < 40 or shape[26:40] != PLAIN_GUID_TAIL:
            return None
        tag = struct.unpack(f"{order}H", shape[24:26])[0]
    if not channels or not rate_hz or not bits:
        return None
    size = -(-bits // 8)
    blocks = [width * channels for width in SAMPLE_BYTES.values()]
    if block in blocks and block != size * channels and tag in (PCM, FLOAT):
        if (tag, bits, block) != (PCM, 24, 4 * channels):
            raise _contradiction(f"{bits} bits in blocks of {block} bytes, {channels} channels")
        if not _is_high(stream, start, low_byte=0 if order == "<" else 3):
            raise _unread("its samples are 24 bits in the low part of 4 bytes")
        size = 4
    if tag == FLOAT and size not in (4, 8):
        raise _unread(f"its samples are floats of {bits} bits")
    suffix = "" if size == 1 else "le" if order == "<" else "be"
    name = {
        (PCM, 1): "u8", (PCM, 2): "s16", (PCM, 3): "s24", (PCM, 4): "s32",
        (FLOAT, 4): "f32", (FLOAT, 8): "f64", (ALAW, 1): "alaw", (MULAW, 1): "mulaw",
    }.get((tag, size))  # fmt: skip
    return f"pcm_{name}{suffix}" if name else None


def _read_w64(stream: BinaryIO, file_bytes: int) -> PcmLayout | None:
    shape = b""
    stream.seek(16)
    riff_bytes = int.from_bytes(stream.read(8), "little")
    at = 40
    for _ in range(MAX_CHUNKS):
        if at > file_bytes:
            return None
        stream.seek(at)
        head = stream.read(24)
        if len(head) < 24:
            return None
        name, size = head[:4], int.from_bytes(head[16:], "little")
        if name == b"fmt ":
            shape = stream.read(min(40, max(0, size - 24)))
        if name == b"data":
            codec = _wav_codec(shape, "<", stream, at + 24)
            if codec is None:
                return None
            channels, rate_hz = struct.unpack("<HI", shape[2:8])
            return _measured(
                stream,
                file_bytes,
                PcmLayout(
                    container="w64",
                    codec=codec,
                    rate_hz=rate_hz,
                    channels=channels,
                    start_bytes=at + 24,
                    size_bytes=0,
                    stated_bytes=size - 24 if size >= 24 and size not in UNKNOWN_SIZES else 0,
                    has_true_sizes=riff_bytes in (file_bytes, file_bytes - 24),
                ),
                form="<4s12sQ",
            )
        if size < 24:
            return None
        at += -(-size // 8) * 8
    return None


# -------------------------------------------------------------------------- AIFF, CAF and AU


def _read_aiff(stream: BinaryIO, file_bytes: int) -> PcmLayout | None:
    common = b""
    for chunk in _chunks(stream, 12, ">4sI"):
        if chunk.name == b"COMM":
            common = _content(stream, chunk, 24)
        elif chunk.name == b"SSND" and len(common) >= 18:
            channels, frames, bits = struct.unpack(">HIH", common[:8])
            exponent, mantissa = struct.unpack(">HQ", common[8:18])
            rate_hz = mantissa >> max(0, 16_383 + 63 - exponent)
            kind = AIFF_TYPES.get(common[18:22] if len(common) >= 22 else b"NONE", "")
            size = -(-bits // 8)
            if len(kind) == 2:
                kind = f"pcm_s{8 * size}{kind if size > 1 else ''}" if 1 <= size <= 4 else ""
            if not kind or not channels or not rate_hz:
                return None
            offset = int.from_bytes(_content(stream, chunk, 4))
            stated = frames * channels * sample_bytes(kind)
            return _measured(
                stream,
                file_bytes,
                PcmLayout(
                    container="aiff",
                    codec=kind,
                    rate_hz=rate_hz,
                    channels=channels,
                    start_bytes=chunk.start + 8 + offset,
                    size_bytes=0,
                    stated_bytes=stated,
                ),
                form=">4sI",
            )
    return None


def _read_caf(stream: BinaryIO, file_bytes: int) -> PcmLayout | None:
    shape = b""
    for chunk in _chunks(stream, 8, ">4sq", pads=False):
        if chunk.name == b"desc":
            shape = _content(stream, chunk, 32)
        elif chunk.name == b"data" and len(shape) == 32:
            rate, kind, flags, block, packet_frames, channels, bits = struct.unpack(
                ">d4sIIIII", shape
            )
            start = chunk.start + 4
            if kind != b"lpcm" or packet_frames != 1 or not channels or not 1 <= rate < 2**31:
                return None
            size, is_little = block // channels, bool(flags & CAF_LITTLE)
            if 8 * size != bits and not (
                (size, bits, flags & CAF_FLOAT) == (4, 24, 0)
                and _is_high(stream, start, low_byte=0 if is_little else 3)
            ):
                raise _contradiction(f"{bits} bits in blocks of {block} bytes, {channels} channels")
            letter = "f" if flags & CAF_FLOAT else "s"
            if f"{letter}{8 * size}" not in SAMPLE_BYTES:
                return None
            order = "" if size == 1 else "le" if is_little else "be"
            return _measured(
                stream,
                file_bytes,
                PcmLayout(
                    container="caf",
                    codec=f"pcm_{letter}{8 * size}{order}",
                    rate_hz=round(rate),
                    channels=channels,
                    start_bytes=start,
                    size_bytes=0,
                    stated_bytes=max(0, chunk.size - 4),
                ),
                form=">4sq",
            )
    return None


def _read_au(file_bytes: int, head: bytes) -> PcmLayout | None:
    if len(head) < 24:
        return None
    start, stated, encoding, rate_hz, channels = struct.unpack(">IIIII", head[4:24])
    codec = AU_CODECS.get(encoding)
    if codec is None or not rate_hz or not 0 < channels < 256 or not 24 <= start < file_bytes:
        return None
    frame_bytes = sample_bytes(codec) * channels
    return PcmLayout(
        container="au",
        codec=codec,
        rate_hz=rate_hz,
        channels=channels,
        start_bytes=start,
        size_bytes=(file_bytes - start) // frame_bytes * frame_bytes,
        stated_bytes=stated,
    )


# ------------------------------------------------------------------------------------- sizes


def _measured(
    stream: BinaryIO, file_bytes: int, layout: PcmLayout, *, form: str
) -> PcmLayout | None:
    """The layout with its size; `form` is that of the head of a chunk.

    A recorder that could not write the size leaves 0 or the largest number; 32 bits wrap beyond
    4 GiB. Then the samples reach to the end of the file, except for tags behind them; a file whose
    rest is chunks and nothing else has no samples. Where other bytes follow the stated end, they
    count as samples only if they continue the sound.
    """
    start, stated = layout.start_bytes, layout.stated_bytes
    available = file_bytes - start
    if available <= 0:
        return None
    size, unread, is_true = stated, 0, layout.has_true_sizes
    is_unknown = stated in UNKNOWN_SIZES
    if is_unknown and _count_chunks(stream, start, file_bytes, form):
        size, is_true = 0, False
    elif is_unknown or stated > available:
        size, is_true = available, False
        size -= _tail_bytes(stream, start, file_bytes, form) if is_unknown else 0
    elif _count_chunks(stream, start + stated, file_bytes, form) is None:
        wrapped = range(stated + WRAP_BYTES, available, WRAP_BYTES)
        ends = (one for one in wrapped if _count_chunks(stream, start + one, file_bytes, form))
        end = next(ends, 0) or available - _tail_bytes(stream, start + stated, file_bytes, form)
        is_true, behind = False, end - stated
        if behind % WRAP_BYTES == 0 or _continues(stream, layout, end):
            size = end
        else:
            unread = behind
    whole = size // layout.frame_bytes * layout.frame_bytes
    return replace(
        layout,
        size_bytes=whole,
        unread_bytes=unread,
        has_other_chunks=layout.has_other_chunks
        or (is_unknown and available - size >= layout.frame_bytes),
        has_true_sizes=is_true,
    )


def _count_chunks(
    stream: BinaryIO, at: int, file_bytes: int, form: str, *, padding_bytes: int | None = None
) -> int | None:
    """Return how many whole chunks fill the file from an offset to its end.

    None where other bytes do. A name is printable. A few bytes of padding may follow the last
    chunk, by default as many as the head of a chunk has.
    """
    head_bytes = struct.calcsize(form)
    is_w64 = "Q" in form
    most_padding = head_bytes if padding_bytes is None else padding_bytes
    for count in range(MAX_CHUNKS):
        if file_bytes - at <= most_padding:
            return count
        stream.seek(at)
        head = stream.read(head_bytes)
        if not _is_printable(head[:4]):
            at = -(-at // 8) * 8 if is_w64 else at + 1  # where a writer pads the chunk before
            stream.seek(at)
            head = stream.read(head_bytes)
        if len(head) < head_bytes or not _is_printable(head[:4]):
            return None
        size = struct.unpack(form, head)[-1] - (head_bytes if is_w64 else 0)
        at += head_bytes + size
        if size < 0 or at > file_bytes + 1:
            return None
    return None


def _is_printable(name: bytes) -> bool:
    return name.isascii() and name.decode("ascii").isprintable()


TAGS = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"cue ", b"afsp", b"iXML", b"_PMX", b"PAD ", b"JUNK")
NAMES = re.compile(rb"(?=([ -~]{4}))")


def _tail_bytes(stream: BinaryIO, start: int, file_bytes: int, form: str) -> int:
    """The bytes of the chunks at the end of the file, not before `start`.

    Samples may look like the name of a chunk. So a chunk of an unusual name must not be empty, and
    the chunks must end where the file ends.
    """
    begin = max(start, file_bytes - MAX_TAIL_BYTES)
    stream.seek(begin)
    tail = stream.read(MAX_TAIL_BYTES)
    head_bytes = struct.calcsize(form)
    for match in NAMES.finditer(tail, 0, max(0, len(tail) - head_bytes)):
        at, is_usual = match.start(), match[1] in TAGS
        size = struct.unpack_from(form, tail, at)[-1]
        if not (0 if is_usual else 1) <= size <= len(tail) - at:
            continue
        padding = None if is_usual else 1
        if _count_chunks(stream, begin + at, file_bytes, form, padding_bytes=padding):
            return len(tail) - at
    return 0


def _continues(stream: BinaryIO, layout: PcmLayout, available: int) -> bool:
    """Whether the bytes behind the stated samples are plainly samples that go on.

    Sound is smooth: neighbouring samples differ less than distant ones. Compressed data and text
    read as samples are not. Both sides of the stated end must be smooth, and about as loud.
    """
    import numpy as np

    width = layout.frame_bytes
    if layout.codec not in ("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_s16be"):
        return False
    count = min(PEEK_BYTES, layout.stated_bytes, available - layout.stated_bytes) // width * width
    if count < 256 * width or layout.stated_bytes % width:
        return False
    order, octet = (">", -1) if layout.codec.endswith("be") else ("<", 0)
    figures = []
    for at in (layout.stated_bytes - count, layout.stated_bytes):
        stream.seek(layout.start_bytes + at)
        octets = np.frombuffer(stream.read(count), np.uint8).reshape(-1, width)
        octets = octets[:, : width // layout.channels]
        high = octets[:, -2:] if octet == 0 else octets[:, :2]
        samples = np.frombuffer(high.tobytes(), f"{order}i2").astype(np.float64)
        samples -= samples.mean()  # the bytes of a text have a large mean
        power = float(np.mean(np.square(samples)))
        figures.append((power, float(np.mean(np.square(np.diff(samples)))) / max(power, 1e-9)))
    (power, rough), (power_behind, rough_behind) = figures
    is_smooth = max(rough, rough_behind) < SMOOTH
    return is_smooth and 1 / LOUDER < (power_behind + 1) / (power + 1) < LOUDER


SMOOTH = 0.8  # mean square of differences over mean square; 2 for independent samples
LOUDER = 100.0  # in power: 20 dB


def _is_high(stream: BinaryIO, start: int, *, low_byte: int) -> bool:
    """Whether words of four bytes hold their number in the high three: the low one is always 0.

    Digital silence at the beginning is no evidence; the first sound after it is.
    """
    stream.seek(start)
    while data := stream.read(PEEK_BYTES):
        if data.count(0) < len(data):
            return not any(data[low_byte::4])
    return True


# ------------------------------------------------------------------------------------ chunks


def _chunks(stream: BinaryIO, at: int, form: str, *, pads: bool = True) -> Iterator[_HeaderChunk]:
    """The chunks from an offset on, at most `MAX_CHUNKS`."""
    head_bytes = struct.calcsize(form)
    for _ in range(MAX_CHUNKS):
        if at > MAX_OFFSET_BYTES:
            return
        stream.seek(at)
        head = stream.read(head_bytes)
        if len(head) < head_bytes:
            return
        name, size = struct.unpack(form, head)
        yield _HeaderChunk(name=name, start=at + head_bytes, size=size)
        if size < 0:
            return
        at += head_bytes + size + (size % 2 if pads else 0)


def _content(stream: BinaryIO, chunk: _HeaderChunk, most_bytes: int) -> bytes:
    stream.seek(chunk.start)
    return stream.read(max(0, min(chunk.size, most_bytes)))


def _unread(problem: str) -> NotMediaError:
    return NotMediaError(
        f"{problem}, which no reader supports", fix="convert it to whole numbers of 16 or 24 bits"
    )


def _contradiction(facts: str) -> NotMediaError:
    return NotMediaError(
        f"its header contradicts itself: {facts}",
        fix="state the samples with `raw`, or write the file again",
    )
