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
GATHERED_SAMPLES = 3 << 16  # joined before resampling: two blocks of a decoder, some seconds
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
    mixer = _Mixer(gain_db, mix)
    made: Iterable[Block] = map(mixer.mixed, blocks)
    if rate_hz != source_hz:
        made = _resampled(_gathered(mixer, blocks), source_hz, rate_hz)
    yield from (_as_dtype(block, dtype, is_own=True) for block in made if len(block))


def as_float(block: Block) -> NDArray[np.float32]:
    """Return samples as float32 with 1.0 as full scale."""
    if block.dtype == np.float32:
        return block
    scaled: NDArray[np.float32] = block.astype(np.float32)
    scaled *= 1 / FULL_SCALE  # a power of two: exact
    return scaled


class _Mixer:
    """Applies a gain and a mix, in float32, to block after block.

    The channels are scaled in memory that serves all blocks: the system would have to provide new
    memory for each of them.
    """

    def __init__(self, gain_db: float, mix: Mix | None) -> None:
        self._gain = np.float32(10 ** (round(gain_db, 4) / 20)) if gain_db else None
        self._mix = mix
        self._space = np.empty((0, 0), np.float32)

    def channels_of(self, block: Block) -> int:
        """Return the number of channels that a block has after the mix."""
        return int(block.shape[1]) if self._mix is None else len(self._mix)

    def mixed(self, block: Block) -> NDArray[np.float32]:
        """Return a block with the gain and the mix."""
        made = np.empty((len(block), self.channels_of(block)), np.float32)
        self.write(block, made)
        return made

    def write(self, block: Block, out: NDArray[np.float32]) -> None:
        """Write a block with the gain and the mix to an array of shape (frames, channels)."""
        # Whole numbers are scaled by a power of two, which can be done in any step and rounds
        # nothing.
        scale = np.float32(1) if block.dtype == np.float32 else 1 / FULL_SCALE
        if self._gain is not None:
            block = block * (self._gain * scale)
            scale = np.float32(1)
        if self._mix is None:
            np.multiply(block, scale, out=out)
            return
        for channel, row in enumerate(self._mix):
            self._write_sum(block, [np.float32(w) * scale for w in row], out[:, channel])

    def _write_sum(
        self, block: Block, weights: Sequence[np.float32], out: NDArray[np.float32]
    ) -> None:
        """Write the weighted sum of the channels, added in their order."""
        half = HALF if block.dtype == np.int16 else np.float32(0.5)
        channels = block
        if [*weights] == [half, half]:  # multiplied at the end: a power of two rounds nothing
            if block.dtype != np.float32:
                channels = self._space_for(block)
                np.copyto(channels, block)
            np.add(channels[:, 0], channels[:, 1], out=out)
            out *= half
            return
        channels = self._space_for(block)
        if len(set(weights)) == 1:  # one multiplication of all channels takes less time
            np.multiply(block, weights[0], out=channels)
        else:
            for channel, weight in enumerate(weights):
                np.multiply(block[:, channel], weight, out=channels[:, channel])
        if channels.shape[1] == 1:
            np.copyto(out, channels[:, 0])
        else:
            np.add(channels[:, 0], channels[:, 1], out=out)  # of at most MAX_CHANNELS

    def _space_for(self, block: Block) -> NDArray[np.float32]:
        if len(self._space) < len(block) or self._space.shape[1] != block.shape[1]:
            self._space = np.empty(block.shape, np.float32)
        return self._space[: len(block)]


def _gathered(mixer: _Mixer, blocks: Iterable[Block]) -> Iterator[NDArray[np.float32]]:
    """Yield mixed blocks, joined to longer ones, each in the same memory.

    All steps behind this one take some time for each block.
    """
    made, count = np.empty((0, 0), np.float32), 0
    for block in filter(len, blocks):
        needed = count + len(block)
        if needed > len(made):
            longer = np.empty((needed, mixer.channels_of(block)), np.float32)
            if count:
                longer[:count] = made[:count]
            made = longer
        mixer.write(block, made[count:needed])
        count = needed
        if count >= GATHERED_SAMPLES:
            yield made[:count]
            count = 0
    if count:
        yield made[:count]


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


def _as_dtype(block: Block, dtype: str, *, is_own: bool = False) -> Block:
    """Return samples in another type; the block may be overwritten if it is this module's own."""
    if dtype == "float32":
        return as_float(block)
    if block.dtype == np.int16:
        return block
    scaled = np.multiply(block, FULL_SCALE, out=block if is_own else None)
    np.rint(scaled, out=scaled)
    scaled.clip(-FULL_SCALE, FULL_SCALE - 1, out=scaled)
    return scaled.astype(np.int16)
