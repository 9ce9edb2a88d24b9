"""MPEG audio layer III (MP3): frame headers, the Xing/Info/LAME frame, encoder delay and padding.

Everything captoolkit knows about the bytes of an MP3: the tables of bit rates and sample rates, the
samples of a frame, the size of the side information, and the information frame. That frame stands
before the sound and holds a Xing, Info or VBRI header: the number of frames, and a table of places
to seek to. LAME and ffmpeg add the encoder's delay and padding; a decoder that reads them returns
the recording exactly to the sample.

Rules: bytes in, values out. `frames` follows the frames through a file.

Layouts: ISO/IEC 11172-3 and 13818-3; gabriel.mp3-tech.org/mp3infotag.html (Xing, LAME).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from captoolkit.bitstream import id3
from captoolkit.bitstream.frame_kind import SYNC_BITS, SYNC_BYTE, FrameKind, byte_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER_BYTES = 4
LAYER_3 = 1  # the header's layer bits
MPEG1, MPEG2, MPEG25 = 3, 2, 0  # the header's version bits

# By the header's sample rate index. MPEG-2 halves the rates of MPEG-1, MPEG-2.5 halves them again.
MPEG1_RATES_HZ = (44_100, 48_000, 32_000)
RATE_DIVISORS = {MPEG1: 1, MPEG2: 2, MPEG25: 4}
MPEG2_RATES_HZ = tuple(rate_hz // RATE_DIVISORS[MPEG2] for rate_hz in MPEG1_RATES_HZ)
# Bits per second by the header's bit rate index, from 1; 0 is the free format, without a length.
MPEG1_BIT_RATES = tuple(
    1000 * kbit for kbit in (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
)
MPEG2_BIT_RATES = tuple(
    1000 * kbit for kbit in (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
)
# ffmpeg begins an MP3 where two headers agree in these bits: all but protection, bit rate, padding
# and the extension of the stereo mode.
LIKENESS = 0xFFFE0CCF

# The information frame.
XING_MAGICS = (b"Xing", b"Info")
VBRI_MAGIC, VBRI_OFFSET = b"VBRI\0\1", HEADER_BYTES + 32  # at the same offset in every frame
HAS_FRAMES, HAS_BYTES, HAS_PLACES, HAS_QUALITY = 1, 2, 4, 8  # Xing's flags
PLACES = 100  # in the table: one place for each per cent of the duration
XING_BYTES = 4 + 4 + 4 + 4 + PLACES  # as written here: magic, flags, frames, bytes, places
LAME_BYTES = 36  # behind it: LAME's tag
TAG_DELAY_AT = 21  # in LAME's tag: encoder delay and padding, 12 bits each
MAX_TAG_SAMPLES = (1 << 12) - 1

# Encoder delay.
DECODER_DELAY_SAMPLES = 529  # every layer III decoder delays the sound by as much
SEARCH_BYTES = 1 << 16  # how far behind the ID3 tags the first frame may begin
TAGGERS = (b"LAME", b"Lavf", b"Lavc")
WRITER = b"Lavf"  # readers believe the tag of these three alone


# ------------------------------------------------------------------------------- headers


def bit_rates_at(rate_hz: int) -> tuple[int, ...]:
    """Return the bit rates, ascending, that MPEG audio has at a sample rate.

    ```python
    >>> bit_rates_at(44_100)[-1], bit_rates_at(16_000)[0]
    (320000, 8000)

    ```
    """
    return MPEG1_BIT_RATES if rate_hz in MPEG1_RATES_HZ else MPEG2_BIT_RATES


def frame_samples_at(rate_hz: int) -> int:
    """Return how many samples, per channel, a frame holds at a sample rate.

    ```python
    >>> frame_samples_at(48_000), frame_samples_at(24_000)
    (1152, 576)

    ```
    """
    return 1152 if rate_hz in MPEG1_RATES_HZ else 576


def side_information_bytes(header: bytes) -> int:
    """Return the size of the side information, which follows the header of a frame.

    ```python
    >>> side_information_bytes(bytes.fromhex("fffb9000"))  # MPEG-1, stereo
    32

    ```
    """
    is_mpeg1, is_mono = header[1] >> 3 & 3 == MPEG1, header[3] >> 6 == 3
    return (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)


def frame_bytes(header: bytes) -> int:
    """Return the size of the frame that begins with `header`; 0 for any other bytes."""
    kind = frame_kind(header)
    return 0 if kind is None else kind.size_at(header, 0)


def frame_kind(header: bytes) -> FrameKind | None:
    """Return the kind of the layer III frame that begins with `header`.

    None for any other bytes and for a reserved version or sample rate. The bit rate may still be
    reserved: then the kind's `size_at` returns 0.
    """
    if len(header) < HEADER_BYTES or header[0] != SYNC_BYTE or header[1] & SYNC_BITS != SYNC_BITS:
        return None
    if header[1] >> 1 & 3 != LAYER_3:
        return None
    return _kind(header[1] >> 3 & 3, header[2] >> 2 & 3, header[3] >> 6 == 3)


@functools.cache
def _kind(version: int, rate_index: int, is_mono: bool) -> FrameKind | None:
    """The kind of layer III frames with these header fields, None where they are reserved."""
    if version not in RATE_DIVISORS or rate_index >= len(MPEG1_RATES_HZ):
        return None
    rate_hz = MPEG1_RATES_HZ[rate_index] // RATE_DIVISORS[version]
    frame_samples, bit_rates = frame_samples_at(rate_hz), bit_rates_at(rate_hz)

    def size(third: int) -> int:
        """Bytes of a frame with this third byte: bit rate, sample rate, padding."""
        bit_rate_index = third >> 4
        if third >> 2 & 3 != rate_index or not 0 < bit_rate_index <= len(bit_rates):
            return 0
        return frame_samples * bit_rates[bit_rate_index - 1] // 8 // rate_hz + (third >> 1 & 1)

    sizes = [size(third) for third in range(256)]
    second = SYNC_BITS | version << 3 | LAYER_3 << 1  # the last bit announces a checksum
    return FrameKind(
        format="mp3",
        codec="mp3",
        rate_hz=rate_hz,
        channels=1 if is_mono else 2,
        frame_samples=frame_samples,
        allowed=(
            byte_table(lambda byte: byte == SYNC_BYTE),
            byte_table(lambda byte: byte & 0xFE == second),
            byte_table(lambda byte: sizes[byte] > 0),
            byte_table(lambda byte: (byte >> 6 == 3) == is_mono),
        ),
        size_at=lambda data, at: sizes[data[at + 2]],
        likeness=LIKENESS,
    )


# ------------------------------------------------------------------- the information frame


@dataclass(frozen=True, slots=True, kw_only=True)
class _XingHeader:
    """A Xing or Info header.

    Attributes:
        frames: the number of frames behind it; 0 if unknown.
        size_bytes: their size; 0 if unknown.
        extension: the bytes behind the header, where LAME writes its own tag.
    """

    frames: int
    size_bytes: int
    extension: bytes


def _read_xing(frame: bytes) -> _XingHeader | None:
    """The Xing or Info header of a frame, None without one."""
    data = frame[HEADER_BYTES + side_information_bytes(frame) :]
    if data[:4] not in XING_MAGICS or len(data) < 16:
        return None
    flags, at, numbers = data[7], 8, [0, 0]
    for place, flag in enumerate((HAS_FRAMES, HAS_BYTES)):
        if flags & flag:
            numbers[place] = int.from_bytes(data[at : at + 4])
            at += 4
    at += (PLACES if flags & HAS_PLACES else 0) + (4 if flags & HAS_QUALITY else 0)
    return _XingHeader(frames=numbers[0], size_bytes=numbers[1], extension=data[at:])


def information_frame(data: bytes) -> bytes:
    """Return the information frame that `data` begins with; empty where the first frame is sound.

    A header that states neither frames nor bytes counts as sound, as it does in ffmpeg.
    """
    size = frame_bytes(data[:HEADER_BYTES])
    frame = data[:size]
    if not frame:
        return b""
    xing, vbri = _read_xing(frame), frame[VBRI_OFFSET:]
    if xing is not None:
        return frame if xing.frames or xing.size_bytes else b""
    return frame if vbri.startswith(VBRI_MAGIC) and any(vbri[10:18]) else b""


def written_information_bytes(header: bytes) -> int:
    """Return the size of the information frame that `write_information_frame` returns.

    Args:
        header: the four bytes that the first frame begins with.
    """
    return frame_bytes(_information_header(header))


def write_information_frame(
    header: bytes, sizes: NDArray[np.uint16], *, lead_samples: int = 0, tail_samples: int = 0
) -> bytes:
    """Return an information frame for a stream of MP3 frames, to be written before them.

    Readers take the number of frames from it: without one they estimate it from the first frames,
    and libsndfile returns no more than that estimate. The frame is named `Info` at a constant bit
    rate and `Xing` at any other. A segment that begins within a recording has no encoder delay, and
    LAME's tag cannot state that, so such a segment gets no tag.

    Args:
        header: the four bytes that the first frame begins with.
        sizes: bytes of each frame, shape (frames,).
        lead_samples: the samples that a decoder returns before the recording begins.
        tail_samples: the samples that a decoder returns after the recording's end.

    Returns:
        A frame of silence of the same kind.
    """
    head = _information_header(header)
    size = frame_bytes(head)
    content = _xing_header(size, sizes)
    front = head + bytes(side_information_bytes(head)) + content
    tag = _lame_tag(lead_samples, tail_samples)
    if tag:
        front += tag + _crc16(front + tag).to_bytes(2)
    return front.ljust(size, b"\0")


def _information_header(header: bytes) -> bytes:
    """The header of a frame of the same kind, at the lowest bit rate that makes it large enough."""
    for rate_index in range(1, len(MPEG1_BIT_RATES) + 1):
        # No checksum, no padding; sample rate and mode stay.
        head = bytes([header[0], header[1] | 1, rate_index << 4 | header[2] & 0x0C, header[3]])
        if frame_bytes(head) >= (
            HEADER_BYTES + side_information_bytes(head) + XING_BYTES + LAME_BYTES
        ):
            break
    return head


def _xing_header(own_bytes: int, sizes: NDArray[np.uint16]) -> bytes:
    """The header for frames of these sizes, behind an information frame of `own_bytes`."""
    import numpy as np

    is_constant = np.ptp(sizes) <= 1  # a byte of padding comes and goes
    ends = own_bytes + np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    places = ends[np.arange(PLACES) * len(sizes) // PLACES] * 256 // ends[-1]
    numbers = (HAS_FRAMES | HAS_BYTES | HAS_PLACES, len(sizes), int(ends[-1]))
    magic = b"Info" if is_constant else b"Xing"
    return magic + b"".join(number.to_bytes(4) for number in numbers) + bytes(places.tolist())


def _lame_tag(lead_samples: int, tail_samples: int) -> bytes:
    """LAME's tag without its checksum; empty where it cannot state these numbers."""
    delay, padding = lead_samples - DECODER_DELAY_SAMPLES, tail_samples + DECODER_DELAY_SAMPLES
    if not (0 <= delay <= MAX_TAG_SAMPLES and 0 <= padding <= MAX_TAG_SAMPLES):
        return b""
    front = WRITER.ljust(TAG_DELAY_AT, b"\0") + (delay << 12 | padding).to_bytes(3)
    return front.ljust(LAME_BYTES - 2, b"\0")


def _crc16(data: bytes) -> int:
    """The checksum of LAME's tag: CRC-16 with the reversed polynomial 0xA001."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


# ----------------------------------------------------------- encoder delay and padding


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderDelay:
    """The encoder's delay and padding, as the LAME tag of an MP3's first frame states them.

    Attributes:
        frames: the number of frames of sound; 0 if unknown.
        delay_samples: samples that the encoder put before the recording.
        padding_samples: samples that it put behind the recording.
        frame_samples: samples of each frame.
    """

    frames: int
    delay_samples: int
    padding_samples: int
    frame_samples: int

    @property
    def lead_samples(self) -> int:
        """How many samples before the recording a decoder drops that reads the tag."""
        return self.delay_samples + DECODER_DELAY_SAMPLES

    def audible_samples(self, framed_samples: int) -> int | None:
        """Return how many of `framed_samples` a decoder returns that reads the tag.

        None where there are more than the tag knows of: several files in one.

        Args:
            framed_samples: samples of all frames, without the information frame.
        """
        if not self.frames:
            return max(0, framed_samples - self.lead_samples)
        tagged_samples = self.frames * self.frame_samples
        if framed_samples > tagged_samples:
            return None
        end = tagged_samples - self.padding_samples + DECODER_DELAY_SAMPLES
        return max(0, min(framed_samples, end) - self.lead_samples)


def _first_frame(stream: BinaryIO) -> tuple[int, bytes]:
    """The place of an MP3's first frame, and the bytes from there on; none without a frame."""
    begin = id3.front_bytes(stream)
    stream.seek(begin)
    data = stream.read(SEARCH_BYTES)
    headers = (data[at : at + HEADER_BYTES] for at in range(len(data)))
    start = next((at for at, header in enumerate(headers) if frame_bytes(header)), len(data))
    return begin + start, data[start:]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedLength:
    """The length that an information frame states.

    Attributes:
        samples: the number that a reader returns if it obeys the frame.
        is_sized: it also states the size of the file, to one per cent.
    """

    samples: int
    is_sized: bool


def read_stated_length(stream: BinaryIO) -> StatedLength | None:
    """Return the length that an MP3's Xing or Info frame states; None without such a number.

    Args:
        stream: the file, opened for reading; its position changes.
    """
    file_bytes = stream.seek(0, 2)
    start, data = _first_frame(stream)
    xing, kind = (_read_xing(data), frame_kind(data)) if data else (None, None)
    if xing is None or kind is None or not xing.frames:
        return None
    framed = xing.frames * kind.frame_samples
    delay = read_encoder_delay(stream)
    audible = framed if delay is None else delay.audible_samples(framed)
    held_bytes = file_bytes - start
    return StatedLength(
        samples=framed if audible is None else audible,
        is_sized=abs(xing.size_bytes - held_bytes) <= held_bytes / 100,
    )


def read_encoder_delay(stream: BinaryIO) -> EncoderDelay | None:
    """Return the encoder's delay and padding of an MP3 file, None without a LAME tag.

    Args:
        stream: the file, opened for reading; its position changes.
    """
    _, data = _first_frame(stream)
    xing = _read_xing(data) if data else None
    if xing is None or xing.extension[:4] not in TAGGERS:
        return None
    packed = int.from_bytes(xing.extension[TAG_DELAY_AT : TAG_DELAY_AT + 3])
    kind = frame_kind(data)
    assert kind is not None
    return EncoderDelay(
        frames=xing.frames,
        delay_samples=packed >> 12,
        padding_samples=packed & 0xFFF,
        frame_samples=kind.frame_samples,
    )
