"""ADTS, the elementary stream of AAC: sample rates, channels and the header of a frame.

Layout: ISO/IEC 14496-3, annex 1.A.
"""

from __future__ import annotations

import functools

from captoolkit.bitstream.frame_kind import ANY_BYTE, SYNC_BYTE, FrameKind, byte_table

# By the header's sampling frequency index.
RATES_HZ = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000),
    *(22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
# By the header's channel configuration; 0 leaves the number to the content of the frames.
CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8}
FRAME_SAMPLES = 1024
HEADER_BYTES = 7
# Two headers of one stream agree in all bits but protection, the private bit, home and copyright.
LIKENESS = 0xFFFEFDC0


def frame_kind(header: bytes) -> FrameKind | None:
    """Return the kind of the ADTS frame that begins with `header`.

    None for any other bytes, for reserved values, and for a header without a number of channels.
    """
    if len(header) < 4 or header[0] != SYNC_BYTE:
        return None
    return _kind(header[1] & 0xFE, header[2] & 0xFD, header[3] & 0xC0)


@functools.cache
def _kind(second: int, third: int, fourth: int) -> FrameKind | None:
    """The kind for these header bytes, without the bits that differ from frame to frame."""
    rate_index, channels_index = third >> 2 & 15, (third & 1) << 2 | fourth >> 6
    is_defined = rate_index < len(RATES_HZ) and channels_index in CHANNELS
    if not is_defined or second & 0xF6 != 0xF0:
        return None
    return FrameKind(
        format="aac",
        codec="aac",
        rate_hz=RATES_HZ[rate_index],
        channels=CHANNELS[channels_index],
        frame_samples=FRAME_SAMPLES,
        allowed=(
            byte_table(lambda byte: byte == SYNC_BYTE),
            byte_table(lambda byte: byte & 0xFE == second),
            byte_table(lambda byte: byte & 0xFD == third),
            byte_table(lambda byte: byte & 0xC0 == fourth),
            ANY_BYTE,
            ANY_BYTE,
            byte_table(lambda byte: byte & 3 == 0),  # one raw block
        ),
        size_at=_frame_bytes,
        likeness=LIKENESS,
    )


def _frame_bytes(data: bytes, at: int) -> int:
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    return size if size >= HEADER_BYTES else 0
