"""Decoded sound, block by block: arrays of shape (frames, channels), float32, nominally in [-1, 1].

Rules: never the whole file in memory, whatever its length; always two dimensions; the mix to one
channel is always spelled out as weights, because ffmpeg's own adds channels up and clips.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream import containers
from captoolkit.errors import NotMediaError, ToolError, ToolTimeoutError
from captoolkit.media import ffmpeg, sndfile
from captoolkit.model import MediaInfo, Track
from captoolkit.support.cancel import Closing
from captoolkit.units import format_seconds

BLOCK_S = 1.0
# What ffmpeg calls the types of samples that blocks hold.
SAMPLE_FORMATS = {"float32": "f32le", "float64": "f64le", "int16": "s16le", "int32": "s32le"}
# Gathers frames to longer ones, because ffmpeg hands each from thread to thread: FLAC's have 4096
# samples, AIFF's 1024.
GATHER = "asetnsamples=nb_out_samples=16384:pad=0"
FLOATS = ("pcm_f", "wavpack")
EXCERPTS = 16
EXCERPT_S = 1.0

Block = NDArray[Any]  # of the decoder's dtype
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
        start_samples: begin at this sample of the track.
        end_samples: end before this sample of the track; None goes on to the end.
        seek: jump to the start, which is as exact as the format allows (see `starts_anywhere`);
            without it what comes before the start is decoded and dropped, which is always exact.
        roughly: jump to somewhere near the start; exactly there would be, in formats without an
            index, to read all that comes before it.
        steady: rate and layout stay the same to the end, so that frames may be gathered to longer
            ones; those under way when something changes would be lost.
        dtype: of the blocks: `float32` or `float64`, nominally in [-1, 1], `int16` or `int32` at
            full scale.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        track: Track,
        rate_hz: int | None = None,
        mix: Mix | None = None,
        start_samples: int = 0,
        end_samples: int | None = None,
        seek: bool = True,
        roughly: bool = False,
        steady: bool = False,
        dtype: str = "float32",
    ) -> None:
        self.rate_hz = rate_hz or track.sample_rate_hz
        self.channels = track.channels if mix is None else len(mix)
        self._dtype = np.dtype(dtype).newbyteorder("<")
        sample_format = SAMPLE_FORMATS[dtype]
        filters = [GATHER] if steady else []
        filters += [] if self._keeps(track, mix, dtype) else mixed_to(self.rate_hz, track, mix)
        span = (start_samples, end_samples)
        if not seek and span != (0, None):
            filters.insert(0, _trim(*span))
        source = stretch(path, track, *(span if seek else (0, None)), roughly=roughly)
        node = source.output(
            "pipe:1",
            f=sample_format,
            acodec=f"pcm_{sample_format}",
            ar=self.rate_hz,
            flush_packets=0,
            **({"af": ",".join(filters)} if filters else {}),
        )
        self._process = ffmpeg.Process(ffmpeg.compile_argv(node))

    def __iter__(self) -> Iterator[Block]:
        """Yield blocks of about a second.

        Raises:
            ToolError: ffmpeg could not decode; what came before it failed has been yielded.
        """
        frame_bytes = self._dtype.itemsize * self.channels
        block_bytes = int(self.rate_hz * BLOCK_S) * frame_bytes
        while data := self._process.read(block_bytes):
            whole = len(data) - len(data) % frame_bytes
            yield np.frombuffer(data[:whole], self._dtype).reshape(-1, self.channels)
        self._process.finish()

    def close(self) -> None:
        """End the decoding ffmpeg; may be called twice."""
        self._process.close()

    def _keeps(self, track: Track, mix: Mix | None, dtype: str) -> bool:
        """Whether the samples stay what they are, which no filter in floating point would do."""
        return dtype != "float32" and mix is None and self.rate_hz == track.sample_rate_hz


def starts_anywhere(info: MediaInfo, track: Track) -> bool:
    """Return whether a decoder that jumps into the track lands on exactly the sample asked for.

    So it does where each sample's place in the file is known and none depends on those before it.
    A FLAC whose header does not tell its length may be several, one behind another.
    """
    may_change = track.codec == "flac" and track.counted
    return containers.of(info.container).counts_frames and _is_plain(track) and not may_change


def may_be_no_number(track: Track) -> bool:
    """Return whether a track's samples are floats as they were written, NaN and Inf among them.

    Such have no whole number, and what becomes of them is our own decision and not ffmpeg's.
    """
    return track.codec.startswith(FLOATS)


def stretch(
    path: str | Path, track: Track, start: int, end: int | None, *, roughly: bool = False
) -> Any:
    """Return ffmpeg-python's node for a stretch of a track, in samples; None: to its end.

    It is decoded by one thread: several stretches are worked on at once, and a decoder's threads
    would hand each other every frame. For `roughly` see `Decoder`.
    """
    rate_hz = track.sample_rate_hz  # times to the microsecond, which name one sample
    options: dict[str, Any] = {"threads": 1}
    options |= {"ss": format_seconds(start, rate_hz)} if start else {}
    options |= {"fflags": "+fastseek"} if roughly else {}
    if end is not None:
        options["t"] = format_seconds(max(0, end - start), rate_hz)
    return ffmpeg.source(path, **options)[str(track.stream_index)]


def mixed_to(rate_hz: int, track: Track, mix: Mix | None) -> list[str]:
    """Return ffmpeg's filters that mix a track and resample it, in floating point."""
    # A layout that changes on the way is brought to the track's own, which the weights are for.
    is_named = mix is not None and re.fullmatch(r"[\w.()-]+", track.layout)
    layouts = f":channel_layouts={track.layout}" if is_named else ""
    filters = [f"aformat=sample_fmts=flt|fltp{layouts}"]
    if mix is not None:
        layout = {1: "mono", 2: "stereo"}.get(len(mix), f"{len(mix)}c")
        rows = (f"c{out}={_terms(row)}" for out, row in enumerate(mix))
        filters.append(f"pan={layout}|{'|'.join(rows)}")
    if rate_hz != track.sample_rate_hz:
        # soxr keeps the band flat up to 7.6 kHz at 16 kHz; the ladder was measured with it.
        resampler = "soxr" if ffmpeg.find().has_soxr else "swr"
        filters.append(f"aresample={rate_hz}:resampler={resampler}")
    return filters


def _trim(start: int, end: int | None) -> str:
    until = "" if end is None else f":end_sample={end}"
    return f"atrim=start_sample={start}{until},asetpts=N/SR/TB"


def _terms(row: Sequence[float]) -> str:
    return "+".join(f"{weight:.9f}*c{channel}" for channel, weight in enumerate(row))


def excerpts(path: str | Path, *, track: Track) -> Iterator[Block]:
    """Yield some seconds of the track, spread evenly over it: all of it when it is short.

    Shape (frames, channels), at the track's own rate and channels. What libsndfile reads is read
    in this process: to start an ffmpeg for each second takes longer than all the rest.
    """
    every = track.duration_samples // EXCERPTS
    length = int(EXCERPT_S * track.sample_rate_hz)
    starts: Sequence[int] = [index * every + every // 2 for index in range(EXCERPTS)]
    if every <= 2 * length:
        starts, length = [0], track.duration_samples
    read = _by_libsndfile if _is_plain(track) else _by_ffmpeg
    yield from read(Path(path), track, starts, length)


def _is_plain(track: Track) -> bool:
    return track.codec.startswith("pcm_") or track.codec == "flac"


def _by_ffmpeg(path: Path, track: Track, starts: Sequence[int], length: int) -> Iterator[Block]:
    for start in starts:
        end = start + length
        excerpt = Decoder(path, track=track, start_samples=start, end_samples=end, roughly=True)
        with excerpt as decoder:
            yield from decoder


def _by_libsndfile(path: Path, track: Track, starts: Sequence[int], length: int) -> Iterator[Block]:
    """Read stretches in this process; by ffmpeg where libsndfile finds something else there."""
    import soundfile

    block = int(track.sample_rate_hz * BLOCK_S)
    try:
        with sndfile.open_file(path) as stream, sndfile.sound_in(stream) as sound:
            found = (sound.samplerate, sound.channels, sound.frames)
            if found == (track.sample_rate_hz, track.channels, track.duration_samples):
                for start in starts:
                    sound.seek(start)
                    yield from sound.blocks(block, frames=length, dtype="float32", always_2d=True)
                return
    except (OSError, soundfile.SoundFileError):  # another container, or a damaged file
        pass
    yield from _by_ffmpeg(path, track, starts, length)


def decoded(blocks: Iterable[Block], path: object) -> Iterator[Block]:
    """Yield what a decoder does.

    Raises:
        NotMediaError: it cannot decode; that is the file's fault, and says so.
    """
    try:
        yield from blocks
    except ToolTimeoutError:
        raise
    except ToolError as error:
        raise NotMediaError(
            f"its sound cannot be decoded ({ffmpeg.last_line(error.stderr_tail)})",
            fix="check that the file is complete",
            path=path,
        ) from error


def all_decoded(decoder: Decoder, path: object) -> Block:
    """Return all that a decoder yields as one block, shape (frames, channels), float32.

    Raises:
        NotMediaError: as `decoded` does.
    """
    empty = np.zeros((0, decoder.channels), np.float32)
    return np.concatenate([empty, *decoded(decoder, path)])
