"""Mix, gain and resampling in this process, with the same result as ffmpeg's filters, bit by bit.

Rules: the order is gain, mix, rate, as in `decode.mix_filters`; each step is done in float32. soxr
resamples at the quality that ffmpeg's `aresample=resampler=soxr` uses (HQ, 20 bits), so that a
track gets the same samples on both ways (the tests compare them). The result does not depend on
how the sound is divided into blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Block = NDArray[Any]
Mix = Sequence[Sequence[float]]

QUALITY = "HQ"
FULL_SCALE = np.float32(32768)  # of 16-bit samples
HALF = np.float32(0.5) / FULL_SCALE  # the weight of the channels of stereo in most mixes
MAX_CHANNELS = 2  # ffmpeg adds more of them in another order


def can_convert(*, channels: int, mix: Mix | None, dtype: str) -> bool:
    """Return whether `converted` has the same result as ffmpeg."""
    mixed = 0 if mix is None else len(mix)
    return channels <= MAX_CHANNELS and mixed <= MAX_CHANNELS and dtype in ("float32", "int16")


def converted(
    blocks: Iterable[Block],
    *,
    source_hz: int,
    rate_hz: int,
    mix: Mix | None = None,
    gain_db: float = 0.0,
    dtype: str = "float32",
) -> Iterator[Block]:
    """Yield a sound with a gain, mixed and resampled.

    Args:
        blocks: float32 with 1.0 as full scale, or int16; shape (frames, channels). Each may be
            overwritten when the next one is requested.
        source_hz: their rate.
        rate_hz: the rate of the result.
        mix: for each channel of the result, one weight per channel of the blocks; None keeps them.
        gain_db: multiply the samples.
        dtype: of the result: `float32`, or `int16` rounded and clipped.
    """
    if mix is None and rate_hz == source_hz and not gain_db:
        for block in blocks:
            same = _as_dtype(block, dtype)
            yield same.copy() if same is block else same
        return
    mixed = (_mixed(block, gain_db, mix) for block in blocks)
    resampled = mixed if rate_hz == source_hz else _resampled(mixed, source_hz, rate_hz)
    yield from (_as_dtype(block, dtype) for block in resampled if len(block))


def as_float(block: Block) -> NDArray[np.float32]:
    """Return samples as float32 with 1.0 as full scale."""
    if block.dtype == np.float32:
        return block
    scaled: NDArray[np.float32] = block.astype(np.float32)
    scaled *= 1 / FULL_SCALE  # a power of two: exact
    return scaled


def _mixed(block: Block, gain_db: float, mix: Mix | None) -> NDArray[np.float32]:
    """Apply a gain and a mix, in float32."""
    # Whole numbers are scaled by a power of two, which can be done in any step and rounds nothing.
    scale = np.float32(1) if block.dtype == np.float32 else 1 / FULL_SCALE
    if gain_db:
        block = block * (np.float32(10 ** (round(gain_db, 4) / 20)) * scale)
        scale = np.float32(1)
    if mix is None:
        return as_float(block)
    rows = [_sum(block, [np.float32(weight) * scale for weight in weights]) for weights in mix]
    return rows[0][:, np.newaxis] if len(rows) == 1 else np.stack(rows, axis=1)


def _sum(block: Block, weights: Sequence[np.float32]) -> NDArray[np.float32]:
    """The weighted sum of the channels, added in their order."""
    if block.dtype == np.int16 and [*weights] == [HALF, HALF]:  # a power of two rounds nothing
        both = block.astype(np.float32)
        halved: NDArray[np.float32] = both[:, 0] + both[:, 1]
        halved *= HALF
        return halved
    if len(set(weights)) == 1:  # one multiplication of all channels takes less time
        columns = list((block * weights[0]).T)
    else:
        columns = [block[:, channel] * weight for channel, weight in enumerate(weights)]
    total: NDArray[np.float32] = columns[0]
    for column in columns[1:]:
        total = total + column
    return total


def _resampled(
    blocks: Iterable[NDArray[np.float32]], source_hz: int, rate_hz: int
) -> Iterator[NDArray[np.float32]]:
    import soxr

    stream, rest = None, np.zeros((0, 1), np.float32)
    for block in blocks:
        if stream is None:
            channels = block.shape[1]
            stream = soxr.ResampleStream(source_hz, rate_hz, channels, "float32", QUALITY)
            rest = np.zeros((0, channels), np.float32)
        yield stream.resample_chunk(block)
    if stream is not None:
        yield stream.resample_chunk(rest, last=True)


def _as_dtype(block: Block, dtype: str) -> Block:
    if dtype == "float32":
        return as_float(block)
    if block.dtype == np.int16:
        return block
    scaled = block * FULL_SCALE
    np.rint(scaled, out=scaled)
    np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled)
    return scaled.astype(np.int16)
