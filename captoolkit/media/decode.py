"""Decode a track block by block: arrays of shape (frames, channels), float32, nominally in [-1, 1].

Rules: the whole file is never in memory, at any length. Arrays always have two dimensions. The mix
to fewer channels is always stated as weights, because ffmpeg's own mix adds channels up and clips.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream import containers
from captoolkit.bitstream.lossless import is_in_libsndfile, is_lossless
from captoolkit.errors import NotMediaError, ToolError, ToolTimeoutError
from captoolkit.media import (
    convert,
    decode_in_process,
    ffmpeg,
    ffmpeg_process,
    flac_holes,
    short_files,
    sndfile,
)
from captoolkit.media.player_clock import follow_clock, silent_blocks, trimmed
from captoolkit.model import MediaInfo, Track
from captoolkit.support import files
from captoolkit.support.cancel import Closing, check_thread
from captoolkit.units import format_seconds, rescale

BLOCK_S = 1.0
# The types of samples in blocks, and ffmpeg's names for them.
SAMPLE_FORMATS = {"float32": "f32le", "float64": "f64le", "int16": "s16le", "int32": "s32le"}
# Joins frames to longer ones, because ffmpeg hands each from thread to thread: FLAC's have 4096
# samples, AIFF's 1024.
GATHER = "asetnsamples=nb_out_samples=16384:pad=0"
FLOATS = ("pcm_f", "wavpack")
EXCERPTS = 16
EXCERPT_S = 1.0

Block = NDArray[Any]  # of the decoder's dtype
Mix = Sequence[Sequence[float]]


class TrackDecoder(Closing):
    """One track, decoded while it is read: in this process where that is cheaper, else by ffmpeg.

    The samples of PCM and FLAC are the same on both ways. A context manager that iterates over
    blocks. `rate_hz` and `channels` are those of the blocks.

    Args:
        path: the media file.
        track: the track to decode, as `probe` found it.
        rate_hz: resample to this rate; None keeps the track's own.
        mix: for each channel of the blocks, one weight per channel of the track; None keeps the
            track's channels.
        gain_db: multiply the samples.
        start_samples: begin at this sample of the track.
        end_samples: end before this sample of the track; None decodes to the end.
        seek: jump to the start, which is as exact as the format allows (see `seeks_exactly`). False
            decodes and drops the samples before the start, which is always exact. A track with
            discontinuities, or one that is not steady, is always decoded from its beginning.
        roughly: jump near the start only, in any track. In formats without an index an exact jump
            reads everything before it.
        steady: rate and layout never change, so that frames can be joined to longer ones. Where
            they do change, the samples of the joined frame are lost.
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
        gain_db: float = 0.0,
        start_samples: int = 0,
        end_samples: int | None = None,
        seek: bool = True,
        roughly: bool = False,
        steady: bool = False,
        dtype: str = "float32",
    ) -> None:
        self.rate_hz = rate_hz or track.sample_rate_hz
        self.channels = track.channels if mix is None else len(mix)
        self._path = Path(path)
        self._track = track
        self._mix = mix
        self._gain_db = gain_db
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._asked = (start_samples, end_samples)
        # A jump would lose the gaps and overlaps before it. At a change of rate or channels ffmpeg
        # builds its filters again, so that none can count samples.
        is_uneven = bool(track.discontinuities) or not track.is_steady
        self._seeks = seek and (roughly or not is_uneven)
        self._roughly = roughly
        self._steady = steady
        whole = self._asked == (0, None)
        self._follows_clock = is_uneven and (not self._seeks or whole)
        self._span = self._asked if self._follows_clock else (0, None)
        self._own: decode_in_process.SndfileDecoder | None = None
        self._kept: NDArray[Any] | None = None  # all samples of a short track
        self._process: ffmpeg_process.Process | None = None
        self._closed = False
        self._guard = threading.Lock()
        can_convert = convert.can_convert(channels=track.channels, mix=mix, dtype=dtype)
        if can_convert and not roughly:
            self._own = self._open_in_process(dtype)
        is_shaped = mix is not None or self.rate_hz != track.sample_rate_hz or gain_db != 0
        is_usable = can_convert or (dtype == "float32" and not is_shaped)
        is_exact = self._is_kept(dtype) and is_lossless(track.codec)
        if is_usable and self._own is None and not is_exact:
            self._kept = short_files.samples_in_process(self._path, track)
        self._has_holes = (
            self._own is None and not roughly and flac_holes.is_damaged(self._path, track)
        )
        self._can_convert = can_convert
        self._of_copy: TrackDecoder | None = None  # of a mended one, if ffmpeg converts its sound
        if self._own is None and self._kept is None and not self._has_holes:
            self._process = self._start_ffmpeg(dtype)

    def _open_in_process(self, dtype: str) -> decode_in_process.SndfileDecoder | None:
        """Return the decoder in this process; None where ffmpeg decodes."""
        start, end = self._asked
        return decode_in_process.open_sndfile(
            self._path,
            self._track,
            start=start,
            end=end,
            dtype=dtype if self._is_kept(dtype) else "float32",
            rest=self._rest_by_ffmpeg,
        )

    def _is_kept(self, dtype: str) -> bool:
        """Whether samples keep their type: a filter in floating point would change them."""
        is_shaped = self._mix is not None or self.rate_hz != self._track.sample_rate_hz
        return dtype != "float32" and not is_shaped and not self._gain_db

    def _start_ffmpeg(self, dtype: str) -> ffmpeg_process.Process:
        track, (start_samples, end_samples) = self._track, self._asked
        sample_format = SAMPLE_FORMATS[dtype]
        filters = [GATHER] if self._steady else []
        if self._is_kept(dtype):
            layout = "" if track.is_steady else _layout_option(track)
            filters += [f"aformat={layout}"] if layout else []
        else:
            filters += mix_filters(self.rate_hz, track, self._mix, self._gain_db)
        if not self._seeks and self._asked != self._span:
            until = "" if end_samples is None else f":end_sample={end_samples}"
            filters.insert(0, f"atrim=start_sample={start_samples}{until},asetpts=N/SR/TB")
        span = self._asked if self._seeks else (0, None)
        source = track_source(self._path, track, *span, roughly=self._roughly)
        node = source.output(
            "pipe:1",
            f=sample_format,
            acodec=f"pcm_{sample_format}",
            ar=self.rate_hz,
            flush_packets=0,
            **({"af": ",".join(filters)} if filters else {}),
        )
        return ffmpeg_process.Process(ffmpeg.compile_argv(node))

    def _rest_by_ffmpeg(self, start: int) -> Iterator[Block]:
        """Yield the samples from one on, at the track's own rate and channels, by ffmpeg.

        Silence takes the place of frames that are missing from a FLAC.
        """
        end, channels = self._asked[1], self._track.channels
        until = self._track.duration_samples if end is None else end
        if not flac_holes.is_damaged(self._path, self._track):
            yield from self._span_by_ffmpeg(self._path, start, end)
            return
        with files.staging(None) as folder:
            copy, at = folder / "mended.flac", start
            first = flac_holes.write_mended(self._path, self._track, start, until, copy)
            blocks = self._span_by_ffmpeg(copy, 0, None)
            for block in trimmed(blocks, start - first, until - first):
                at += len(block)
                yield block
        yield from silent_blocks(until - at, channels)

    def _mended_by_ffmpeg(self) -> Iterator[Block]:
        """Yield the samples of a FLAC, silence in place of missing frames, converted by ffmpeg."""
        track, (start, end) = self._track, self._asked
        until = track.duration_samples if end is None else end
        left = rescale(until - start, track.sample_rate_hz, self.rate_hz)
        with files.staging(None) as folder:
            copy = folder / "mended.flac"
            first = flac_holes.write_mended(self._path, track, start, until, copy)
            with self._guard:
                if self._closed:
                    return
                self._of_copy = TrackDecoder(
                    copy,
                    track=replace(track, duration_samples=until - first, counted=True),
                    rate_hz=self.rate_hz,
                    mix=self._mix,
                    gain_db=self._gain_db,
                    start_samples=start - first,
                    end_samples=until - first,
                    seek=False,
                    dtype=self._dtype.name,
                )
            with self._of_copy as blocks:
                for block in blocks:
                    left -= len(block)
                    yield block
        yield from silent_blocks(left, self.channels, self._dtype)

    def _span_by_ffmpeg(self, path: Path, start: int, end: int | None) -> Iterator[Block]:
        """Yield the samples of a span, at the track's own rate and channels, by ffmpeg."""
        track = self._track
        for begin in (start, 0) if start else (0,):
            with self._guard:
                if self._closed:
                    return
                node = track_source(path, track, begin, end).output(
                    "pipe:1",
                    f="f32le",
                    acodec="pcm_f32le",
                    ar=track.sample_rate_hz,
                    flush_packets=0,
                )
                self._process = ffmpeg_process.Process(ffmpeg.compile_argv(node))
            blocks = _piped(self._process, np.dtype("<f4"), track.sample_rate_hz, track.channels)
            is_empty = True
            for block in trimmed(blocks, start - begin, None):
                is_empty = False
                yield block
            if not is_empty:
                return

    def __iter__(self) -> Iterator[Block]:
        """Yield blocks of at most some seconds, with silence in the gaps of the time stamps.

        Raises:
            ToolError: ffmpeg could not decode the rest of the track.
        """
        if not self._follows_clock:
            yield from self._decoded()
            return
        own_hz, (start, end) = self._track.sample_rate_hz, self._span
        blocks = follow_clock(
            self._decoded(), self._track.discontinuities, source_hz=own_hz, rate_hz=self.rate_hz
        )
        until = None if end is None else rescale(end, own_hz, self.rate_hz)
        yield from trimmed(blocks, rescale(start, own_hz, self.rate_hz), until)

    def _decoded(self) -> Iterator[Block]:
        source: Iterable[Block] | None = self._own
        if self._kept is not None:
            start, end = (0, None) if self._follows_clock else self._asked
            source = short_files.in_blocks(self._kept[start:end], self._track.sample_rate_hz)
        if self._has_holes and not self._can_convert:
            return self._mended_by_ffmpeg()
        if self._has_holes:
            source = self._rest_by_ffmpeg(self._asked[0])
        if source is not None:
            return convert.converted(
                source,
                source_hz=self._track.sample_rate_hz,
                rate_hz=self.rate_hz,
                mix=self._mix,
                gain_db=self._gain_db,
                dtype=self._dtype.name,
            )
        return self._by_ffmpeg()

    def _by_ffmpeg(self) -> Iterator[Block]:
        """Yield the samples of ffmpeg.

        It finds no place to jump to in a FLAC of very long frames, and shortly before the end of a
        short one: then a decode from the beginning follows.
        """
        assert self._process is not None
        is_empty = True
        for block in _piped(self._process, self._dtype, self.rate_hz, self.channels):
            is_empty = False
            yield block
        start, end = self._asked
        until = self._track.duration_samples if end is None else end
        has_jumped = self._seeks and not self._roughly and 0 < start < until
        if not is_empty or not has_jumped or self._track.codec != "flac":
            return
        with self._guard:
            if self._closed:
                return
            self._seeks = False
            self._process = self._start_ffmpeg(self._dtype.name)
        yield from _piped(self._process, self._dtype, self.rate_hz, self.channels)

    def close(self) -> None:
        """End the decoding; may be called twice."""
        with self._guard:
            self._closed = True
        for decoder in (self._own, self._of_copy, self._process):
            if decoder is not None:
                decoder.close()


def _piped(
    process: ffmpeg_process.Process, dtype: np.dtype[Any], rate_hz: int, channels: int
) -> Iterator[Block]:
    """Yield the samples that an ffmpeg writes, in blocks of about a second, and close it."""
    frame_bytes = dtype.itemsize * channels
    block_bytes = int(rate_hz * BLOCK_S) * frame_bytes
    while data := process.read(block_bytes):
        whole = len(data) - len(data) % frame_bytes
        yield np.frombuffer(data[:whole], dtype).reshape(-1, channels)
    process.finish()
    process.close()


def read_blocks(blocks: Iterable[Block], path: object) -> Iterator[Block]:
    """Yield the blocks of a decoder.

    Raises:
        NotMediaError: ffmpeg cannot decode `path`: the fault is the file's.
        StoppedError: the work of this thread is over (`support.cancel`).
    """
    try:
        for block in blocks:
            check_thread()
            yield block
    except ToolTimeoutError:
        raise
    except ToolError as error:
        raise NotMediaError(
            f"its sound cannot be decoded ({ffmpeg_process.last_line(error.stderr_tail)})",
            fix="check that the file is complete",
            path=path,
        ) from error


def read_all(decoder: TrackDecoder, path: object) -> Block:
    """Return everything that a decoder yields as one block, shape (frames, channels), float32.

    Raises:
        NotMediaError: as `read_blocks`.
    """
    empty = np.zeros((0, decoder.channels), np.float32)
    return np.concatenate([empty, *read_blocks(decoder, path)])


def seeks_exactly(info: MediaInfo, track: Track) -> bool:
    """Return whether a decoder that jumps into the track starts at exactly the requested sample.

    True where each sample's place in the file is known and no sample depends on earlier ones. A
    FLAC without a length in its header may be several in one file.
    """
    may_change = (track.codec == "flac" and track.counted) or not track.is_steady
    return (
        containers.of(info.container).counts_frames
        and is_in_libsndfile(track.codec)
        and not may_change
        and not track.discontinuities
    )


def may_hold_nan(track: Track) -> bool:
    """Return whether a track's samples are floats in a lossless codec, which may be NaN or Inf.

    captoolkit replaces and clips them itself before they become whole numbers.
    """
    return track.codec.startswith(FLOATS)


def track_source(
    path: str | Path, track: Track, start: int, end: int | None, *, roughly: bool = False
) -> Any:
    """Return ffmpeg-python's node for samples [start, end) of a track; None is the track's end.

    One thread decodes it: captoolkit decodes several spans in parallel, and the threads of one
    decoder would hand each other every frame. For `roughly` see `TrackDecoder`.
    """
    rate_hz = track.sample_rate_hz  # times to the microsecond identify a sample
    options: dict[str, Any] = {"threads": 1, **dict(track.reading)}
    if track.reading and end is None:  # other bytes may follow the samples
        end = track.duration_samples
    options |= {"ss": format_seconds(start, rate_hz)} if start else {}
    options |= {"fflags": "+fastseek"} if roughly else {}
    if end is not None:
        options["t"] = format_seconds(max(0, end - start), rate_hz)
    return ffmpeg.source(path, codec=track.codec, **options)[str(track.stream_index)]


def mix_filters(rate_hz: int, track: Track, mix: Mix | None, gain_db: float = 0.0) -> list[str]:
    """Return ffmpeg's filters that mix a track, apply a gain and resample, in floating point."""
    # Where the layout changes on the way, ffmpeg converts it to the one that the weights are for.
    is_stated = mix is not None or not track.is_steady
    layout = _layout_option(track) if is_stated else ""
    filters = ["aformat=" + ":".join(filter(None, ["sample_fmts=flt|fltp", layout]))]
    if gain_db:
        filters.append(f"volume={gain_db:.4f}dB:precision=float")
    if mix is not None:
        mixed = {1: "mono", 2: "stereo"}.get(len(mix), f"{len(mix)}c")
        terms = (
            "+".join(f"{weight:.9f}*c{channel}" for channel, weight in enumerate(row))
            for row in mix
        )
        rows = (f"c{out}={sum_}" for out, sum_ in enumerate(terms))
        filters.append(f"pan={mixed}|{'|'.join(rows)}")
    if rate_hz != track.sample_rate_hz:
        # soxr's band is flat up to 7.6 kHz at 16 kHz; the ladder was measured with it. Where rate
        # or channels change, ffmpeg drops the samples within a resampler: 30 ms in soxr, 1 in swr.
        resampler = "soxr" if track.is_steady and ffmpeg.find().has_soxr else "swr"
        filters.append(f"aresample={rate_hz}:resampler={resampler}")
    return filters


def _layout_option(track: Track) -> str:
    """The option of ffmpeg's `aformat` for a track's layout; empty for one without a name."""
    is_named = re.fullmatch(r"[\w.()-]+", track.layout)
    return f"channel_layouts={track.layout}" if is_named else ""


def excerpts(path: str | Path, *, track: Track) -> Iterator[Block]:
    """Yield some seconds of the track, spread evenly over it; a short track is yielded whole.

    Shape (frames, channels), at the track's own rate and channels. PCM and FLAC are read in this
    process by libsndfile: starting an ffmpeg for each second would take most of the time.
    """
    every = track.duration_samples // EXCERPTS
    length = int(EXCERPT_S * track.sample_rate_hz)
    starts: Sequence[int] = [index * every + every // 2 for index in range(EXCERPTS)]
    if every <= 2 * length:
        starts, length = [0], track.duration_samples
    read = _by_libsndfile if is_in_libsndfile(track.codec) else _by_ffmpeg
    yield from read(Path(path), track, starts, length)


def whole(path: str | Path, *, track: Track) -> Iterator[Block]:
    """Yield a whole track, in blocks as `excerpts` does."""
    read = _by_libsndfile if is_in_libsndfile(track.codec) else _by_ffmpeg
    yield from read(Path(path), track, [0], track.duration_samples)


def _by_ffmpeg(path: Path, track: Track, starts: Sequence[int], length: int) -> Iterator[Block]:
    if length == track.duration_samples:  # then planning and making read the same samples
        short_files.samples(path, track)
    for start in starts:
        end = start + length
        excerpt = TrackDecoder(
            path, track=track, start_samples=start, end_samples=end, roughly=start > 0
        )
        with excerpt as decoder:
            yield from decoder


def _by_libsndfile(path: Path, track: Track, starts: Sequence[int], length: int) -> Iterator[Block]:
    """Read spans in this process; by ffmpeg where libsndfile finds another track or none."""
    import soundfile

    block = int(track.sample_rate_hz * BLOCK_S)
    try:
        with sndfile.open_file(path) as stream, sndfile.sound_in(stream) as sound:
            found = (sound.samplerate, sound.channels)
            is_whole = sound.frames in (track.duration_samples, sndfile.UNKNOWN_FRAMES)
            if is_whole and found == (track.sample_rate_hz, track.channels):
                for start in starts:
                    sound.seek(start)
                    yield from sound.blocks(block, frames=length, dtype="float32", always_2d=True)
                return
    except (OSError, soundfile.SoundFileError):  # another container, or a damaged file
        pass
    yield from _by_ffmpeg(path, track, starts, length)
