"""AMR narrow-band and wide-band: bit rates, frame sizes and the header of a frame.

Layout: RFC 4867, section 5. A frame has one header byte, its type; every frame lasts 20 ms.
"""

from __future__ import annotations

from collections.abc import Mapping

from captoolkit.bitstream.frame_kind import FrameKind, byte_table

FRAMES_PER_S = 50
NB_MAGIC, NB_RATE_HZ = b"#!AMR\n", 8_000
WB_MAGIC, WB_RATE_HZ = b"#!AMR-WB\n", 16_000
NB_FRAME_SAMPLES = NB_RATE_HZ // FRAMES_PER_S

# Bytes of a frame, header included, by its type: the codec's modes, then comfort noise; AMR-WB's 14
# is lost speech, 15 no data. Types that are missing here are reserved.
NB_FRAME_BYTES = dict(enumerate((13, 14, 16, 18, 20, 21, 27, 32, 6))) | {15: 1}
WB_FRAME_BYTES = dict(enumerate((18, 24, 33, 37, 41, 47, 51, 59, 61, 6))) | {14: 1, 15: 1}

# The bit rate of each AMR-NB mode, and the bytes of its frames.
NB_BIT_RATES = (4_750, 5_150, 5_900, 6_700, 7_400, 7_950, 10_200, 12_200)
NB_BYTES_BY_BIT_RATE = {rate: NB_FRAME_BYTES[mode] for mode, rate in enumerate(NB_BIT_RATES)}


def _kind(magic: bytes, codec: str, rate_hz: int, bytes_by_type: Mapping[int, int]) -> FrameKind:
    by_header = [
        bytes_by_type.get(header >> 3, 0) if header & 0x83 == 0 else 0 for header in range(256)
    ]
    return FrameKind(
        format="amr",
        codec=codec,
        rate_hz=rate_hz,
        channels=1,
        frame_samples=rate_hz // FRAMES_PER_S,
        allowed=(byte_table(lambda header: by_header[header] > 0),),
        size_at=lambda data, at: by_header[data[at]],
        magic=magic,
    )


KINDS = (
    _kind(NB_MAGIC, "amr_nb", NB_RATE_HZ, NB_FRAME_BYTES),
    _kind(WB_MAGIC, "amr_wb", WB_RATE_HZ, WB_FRAME_BYTES),
)
