"""Decoded sound, block by block: arrays of shape (frames, channels), float32, nominally in [-1, 1].

Rules: never the whole file in memory, whatever its length; always two dimensions; the mix to one
channel is always spelled out as weights, because ffmpeg's own adds channels up and clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.audio import ffmpeg
from captoolkit.closing import Closing
from captoolkit.model import Track

BLOCK_S = 1.0
BYTES_PER_SAMPLE = 4  # float32
EXCERPTS = 16
EXCERPT_S = 1.0

Block = NDArray[np.float32]
Mix = Sequence[Sequence[float]]


class Decoder(Closing):
    """The sound of one track, decoded by ffmpeg while it is read.

    A context manager that iterates over blocks. `rate_hz` and `channels` are those of the blocks.

    Args:
        path: the media file.
        track: the track to decode, as `probe` found it.
        rate_hz: resample to this rate; None keeps the track's own.
        mix: for each channel that comes out, one weight per channel of the track; None keeps the
            channels as they are.
        start_s: begin this far into the track (sought, so only as exact as the format allows).
        duration_s: stop after this long; None goes on to the end.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        track: Track,
        rate_hz: int | None = None,
        mix: Mix | None = None,
        start_s: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        self.rate_hz = rate_hz or track.sample_rate_hz
        self.channels = track.channels if mix is None else len(mix)
        seek = {"ss": start_s} if start_s else {}
        span = {"t": duration_s} if duration_s else {}
        node = ffmpeg.source(path, **seek, **span)[str(track.stream_index)].output(
            "pipe:1",
            f="f32le",
            acodec="pcm_f32le",
            ar=self.rate_hz,
            af=",".join(_filters(track, self.rate_hz, mix)),
        )
        self._process = ffmpeg.Process(ffmpeg.compile_argv(node))

    def __iter__(self) -> Iterator[Block]:
        """Yield blocks of about a second.

        Raises:
            ToolError: ffmpeg could not decode; what came before it failed has been yielded.
        """
        frame_bytes = BYTES_PER_SAMPLE * self.channels
        block_bytes = int(self.rate_hz * BLOCK_S) * frame_bytes
        while data := self._process.read(block_bytes):
            whole = len(data) - len(data) % frame_bytes
            yield np.frombuffer(data[:whole], "<f4").reshape(-1, self.channels)
        self._process.finish()

    def close(self) -> None:
        """End the decoding ffmpeg; may be called twice."""
        self._process.close()


def _filters(track: Track, rate_hz: int, mix: Mix | None) -> list[str]:
    """The filters that mix and resample, in floating point."""
    filters = ["aformat=sample_fmts=flt|fltp"]
    if mix is not None:
        layout = {1: "mono", 2: "stereo"}.get(len(mix), f"{len(mix)}c")
        rows = (f"c{out}={_terms(row)}" for out, row in enumerate(mix))
        filters.append(f"pan={layout}|{'|'.join(rows)}")
    if rate_hz != track.sample_rate_hz:
        # soxr keeps the band flat up to 7.6 kHz at 16 kHz; the ladder was measured with it.
        resampler = "soxr" if ffmpeg.find().has_soxr else "swr"
        filters.append(f"aresample={rate_hz}:resampler={resampler}")
    return filters


def _terms(row: Sequence[float]) -> str:
    return "+".join(f"{weight:.9f}*c{channel}" for channel, weight in enumerate(row))


def excerpts(path: str | Path, *, track: Track) -> Iterator[Block]:
    """Yield some seconds of the track, spread evenly over it: all of it when it is short.

    Shape (frames, channels), at the track's own rate and channels.
    """
    stretch_s = track.duration_s / EXCERPTS
    if stretch_s <= 2 * EXCERPT_S:
        with Decoder(path, track=track) as decoder:
            yield from decoder
        return
    for index in range(EXCERPTS):
        start_s = (index + 0.5) * stretch_s
        with Decoder(path, track=track, start_s=start_s, duration_s=EXCERPT_S) as decoder:
            yield from decoder


def count_samples(path: str | Path, *, stream_index: int) -> int:
    """Return how many samples a full decode of the stream gives, at its own rate.

    Raises:
        ToolError: ffmpeg could not decode it.
    """
    node: Any = ffmpeg.source(path)[str(stream_index)].output(
        "pipe:1", f="u8", acodec="pcm_u8", af="aformat=sample_fmts=u8:channel_layouts=mono"
    )
    samples = 0
    with ffmpeg.Process(ffmpeg.compile_argv(node)) as process:
        while data := process.read(1 << 20):
            samples += len(data)
        process.finish()
    return samples
