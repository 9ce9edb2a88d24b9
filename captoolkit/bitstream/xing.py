"""The frame before an MP3's sound that tells players how long it is and where each part lies.

Where every second has the same bytes nobody needs it. Layout: Xing's, as ffmpeg and every player
read it (gabriel.mp3-tech.org/mp3infotag.html); LAME's own part is left out, because it speaks of
an encoder's delay, and a piece from the middle has none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream import frames

HOLDS = 7  # in its flags: the number of frames, the number of bytes, the table of places
PLACES = 100
TOLD_BYTES = 4 + 4 + 4 + 4 + PLACES


def index_frame(header: bytes, sizes: NDArray[np.uint16]) -> bytes:
    """Return the frame for a stream of MP3 frames.

    Args:
        header: the four bytes that the first frame begins with.
        sizes: bytes of each frame, shape (frames,).

    Returns:
        A frame of silence of the same kind; empty where no bit rate makes one large enough.
    """
    is_mpeg1, is_mono = header[1] >> 3 & 3 == 3, header[3] >> 6 == 3
    side_bytes = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    for rate in range(1, 15):
        # No checksum, no padding; the rest as it is.
        head = bytes([header[0], header[1] | 1, rate << 4 | header[2] & 0x0C, header[3]])
        own_bytes = frames.frame_bytes(head)
        if own_bytes >= len(head) + side_bytes + TOLD_BYTES:
            told = _told(own_bytes, sizes)
            return (head + bytes(side_bytes) + told).ljust(own_bytes, b"\0")
    return b""


def _told(own_bytes: int, sizes: NDArray[np.uint16]) -> bytes:
    ends = own_bytes + np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    places = ends[np.arange(PLACES) * len(sizes) // PLACES] * 256 // ends[-1]
    numbers = (HOLDS, len(sizes), int(ends[-1]))
    return b"Xing" + b"".join(n.to_bytes(4) for n in numbers) + bytes(places.tolist())
