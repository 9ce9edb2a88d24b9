"""Samples on their way into an encoder: clipped at full scale, without NaN, in its own type.

Every format gets them clipped: WAV and AMR hold no more, a service that decodes to 16 bits clips
MP3, and of sound at twice full scale ffmpeg's AAC loses 2.3 to 3.4 dB of level and 5 to 30 dB of
fidelity (measured against the clipped sound).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 32768  # of 16-bit samples

Block = NDArray[Any]  # float32 or int16, shape (frames, channels)


def as_int16(block: Block) -> NDArray[np.int16]:
    """Return samples as int16, rounded; int16 ones unchanged."""
    if block.dtype != np.int16:
        block = np.minimum(np.rint(_bounded(block) * FULL_SCALE), FULL_SCALE - 1)
    return block.astype("<i2", copy=False)


def as_float32(block: Block) -> NDArray[np.float32]:
    """Return samples as float32 with 1.0 as full scale."""
    if block.dtype == np.int16:
        return (block / np.float32(FULL_SCALE)).astype("<f4", copy=False)
    return _bounded(block).astype("<f4", copy=False)


def _bounded(block: Block) -> Block:
    """The block clipped at full scale and without NaN; a copy only where that changes it."""
    if np.abs(block).max(initial=0) <= 1:  # not so where there is a NaN
        return block
    bounded: Block = np.clip(np.nan_to_num(block), -1, 1)
    return bounded
