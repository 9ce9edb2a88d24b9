"""The header of a WAV: whether every reader understands it, and the samples that it describes.

A plain header is `RIFF`/`WAVE`, and its `fmt ` chunk names the codec in the first two bytes.
`WAVE_FORMAT_EXTENSIBLE` hides the codec in a GUID, `RF64` and `BW64` move the sizes elsewhere.
These are valid, but services that document "WAV (PCM)" may not read them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

EXTENSIBLE = 0xFFFE
UNKNOWN_BYTES = 0xFFFFFFFF
PADDING_BYTES = 1  # a chunk of odd length is padded; some writers count the byte and leave it out
CHUNK_HEAD_BYTES = 8
MAX_CHUNKS = 64

# The last 14 bytes of the GUID that names a codec as a plain header would, in the first two.
PLAIN_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
# By format tag and bits of a sample.
PCM_CODECS = {
    (1, 8): "pcm_u8",
    (1, 16): "pcm_s16le",
    (1, 24): "pcm_s24le",
    (1, 32): "pcm_s32le",
    (3, 32): "pcm_f32le",
    (3, 64): "pcm_f64le",
}
# By channels: the speakers of mono and of stereo, or none named.
PLAIN_MASKS = {1: (0, 0x4), 2: (0, 0x3)}
# Chunks without sound and without any fact that `probe` reports, with the fewest bytes that ffmpeg
# accepts. Not among them: `cue `, which makes chapters, and `id3 `, which may hold a picture.
SILENT_CHUNKS = {
    b"fact": 4, b"LIST": 4, b"bext": 602, b"PEAK": 0, b"JUNK": 0, b"PAD ": 0, b"FLLR": 0
}  # fmt: skip
# 16-bit samples may hold another codec (a disc's DTS or AC-3, S/PDIF, MPEG). It begins with these
# bytes after silence; a decoder looks further.
DISGUISED = (
    b"\xff\x1f\x00\xe8", b"\x1f\xff\xe8\x00", b"\xfe\x7f\x01\x80", b"\x7f\xfe\x80\x01",
    b"\x0b\x77", b"\x77\x0b", b"\x72\xf8", b"\xf8\x72", b"\x56\xe0", b"\x56\xe1",
    *(bytes([0xFF, byte]) for byte in (0xE2, 0xE3, *range(0xF0, 0xFE))),
)  # fmt: skip
DISGUISE_BYTES = 1 << 17


class Pcm(NamedTuple):
    """The samples of a WAV, as its header describes them.

    Attributes:
        bits: of one sample.
        frames: the number of samples in each channel.
        plain_header: the codec is not hidden in a GUID.
    """

    codec: str
    rate_hz: int
    channels: int
    bits: int
    plain_header: bool
    frames: int = 0


class _Chunk(NamedTuple):
    """A chunk's name, and the place of its content."""

    name: bytes
    start: int
    size: int


def missing_bytes(file: Path) -> int:
    """Return how many of the bytes that its RIFF header states the file lacks; 0 if it is whole.

    A writer that could not seek back to the header leaves 0 or the largest number there.
    """
    with file.open("rb") as stream:
        head = stream.read(8)
        size = stream.seek(0, 2)
    promised = int.from_bytes(head[4:8], "little")
    if head[:4] != b"RIFF" or promised in (0, UNKNOWN_BYTES):
        return 0
    return max(0, promised + len(head) - size - PADDING_BYTES)


def plain_header(codec: str, *, rate_hz: int, channels: int, size_bytes: int) -> bytes:
    """Return the header of a plain WAV, to be written before samples.

    Args:
        codec: ffmpeg's name of a PCM codec in `PCM_CODECS`.
        rate_hz: the sample rate.
        channels: the number of channels.
        size_bytes: the size of all samples.
    """
    tag, bits = next(shape for shape, name in PCM_CODECS.items() if name == codec)
    frame_bytes = channels * bits // 8
    shape = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(shape)) + shape + b"data"
    padding = size_bytes % 2
    riff_bytes = len(body) + 4 + size_bytes + padding
    return b"RIFF" + struct.pack("<I", riff_bytes) + body + struct.pack("<I", size_bytes)


PLAIN_HEADER_BYTES = len(plain_header("pcm_s16le", rate_hz=8000, channels=1, size_bytes=0))


def states_its_size(file: Path) -> bool:
    """Return whether a RIFF header states the size of the file, give or take a byte of padding."""
    with file.open("rb") as stream:
        head = stream.read(8)
        size = stream.seek(0, 2)
    promised = int.from_bytes(head[4:8], "little") + len(head)
    return abs(promised - size) <= PADDING_BYTES


def has_plain_header(file: Path) -> bool:
    """Return whether the file is a RIFF WAV with a plain header."""
    with file.open("rb") as stream:
        for chunk in _chunks(stream):
            if chunk.name == b"fmt ":
                tag = _content(stream, chunk, 2)
                return len(tag) == 2 and int.from_bytes(tag, "little") != EXTENSIBLE
    return False


def plain_pcm(file: Path) -> Pcm | None:
    """Return the samples of a WAV with one or two channels of PCM; None for any other file.

    Its chunks fill it to the last byte, each occurs once, and none but the sound holds a fact that
    `probe` reports.
    """
    if not states_its_size(file):
        return None
    with file.open("rb") as stream:
        chunks = list(_chunks(stream))
        size = stream.seek(0, 2)
        by_name = {chunk.name: chunk for chunk in chunks}
        sound, shape = by_name.pop(b"data", None), by_name.pop(b"fmt ", None)
        if sound is None or shape is None or shape.start > sound.start:
            return None
        last = chunks[-1]
        is_whole = 0 <= last.start + last.size + last.size % 2 - size <= PADDING_BYTES
        is_plain = all(_is_silent(chunk) for chunk in by_name.values())
        if not is_whole or not is_plain or len(by_name) + 2 != len(chunks):
            return None
        pcm = _pcm(_content(stream, shape, 40))
        if pcm is None or sound.size % (pcm.channels * pcm.bits // 8):
            return None
        if pcm.bits == 16 and _is_disguised(stream, sound):
            return None
        return pcm._replace(frames=sound.size // (pcm.channels * pcm.bits // 8))


def _chunks(stream: BinaryIO) -> Iterator[_Chunk]:
    """The chunks of a RIFF WAV, at most `MAX_CHUNKS`; none for another file."""
    stream.seek(0)
    head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    at = len(head)
    for _ in range(MAX_CHUNKS):
        stream.seek(at)
        head = stream.read(CHUNK_HEAD_BYTES)
        if len(head) < CHUNK_HEAD_BYTES:
            return
        name, size = struct.unpack("<4sI", head)
        yield _Chunk(name=name, start=at + CHUNK_HEAD_BYTES, size=size)
        at += CHUNK_HEAD_BYTES + size + size % 2


def _content(stream: BinaryIO, chunk: _Chunk, most_bytes: int) -> bytes:
    stream.seek(chunk.start)
    return stream.read(min(chunk.size, most_bytes))


def _is_silent(chunk: _Chunk) -> bool:
    return chunk.name in SILENT_CHUNKS and chunk.size >= SILENT_CHUNKS[chunk.name]


def _pcm(shape: bytes) -> Pcm | None:
    """The samples by a `fmt ` chunk; None unless it is mono or stereo PCM with usual speakers."""
    if len(shape) < 16:
        return None
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack("<HHIIHH", shape[:16])
    plain_header = tag != EXTENSIBLE
    if not plain_header:
        if len(shape) < 40 or shape[26:] != PLAIN_GUID_TAIL:
            return None
        sample_bits, mask, tag = struct.unpack("<HIH", shape[18:26])
        if sample_bits != bits or mask not in PLAIN_MASKS.get(channels, ()):
            return None
    codec = PCM_CODECS.get((tag, bits))
    if codec is None or channels not in PLAIN_MASKS or frame_bytes != channels * bits // 8:
        return None
    return Pcm(
        codec=codec, rate_hz=rate_hz, channels=channels, bits=bits, plain_header=plain_header
    )


def _is_disguised(stream: BinaryIO, sound: _Chunk) -> bool:
    return _content(stream, sound, DISGUISE_BYTES).lstrip(b"\0").startswith(DISGUISED)
