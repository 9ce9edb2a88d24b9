"""Decode a WAV, a FLAC or a short track in this process, which takes less time than an ffmpeg.

Rules: libsndfile reads PCM and FLAC if it finds the length that `probe` found; ffmpeg reads every
other file. If libsndfile meets a fault, ffmpeg reads the rest from that block on. Where miniaudio
is installed, it decodes FLAC (`decode_flac`). Memory holds some seconds of sound. Both are C code
that reads a stranger's file: while they do, a watcher holds the line to print if that ends the
process. `CAPTOOLKIT_DECODER=ffmpeg` turns this way off.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from captoolkit.bitstream.lossless import is_in_libsndfile
from captoolkit.media import child_processes, sndfile
from captoolkit.media.decode_flac import MiniaudioDecoder, open_miniaudio
from captoolkit.model import Track
from captoolkit.support.cancel import Closing

if TYPE_CHECKING:
    from soundfile import SoundFile

ENVIRONMENT_VARIABLE = "CAPTOOLKIT_DECODER"
FFMPEG = "ffmpeg"
BLOCK_S = 4.0  # soundfile seeks after each block, which decodes a frame of a FLAC again
FLOATS = ("pcm_f", "wavpack")  # samples may be NaN or infinite
SUBTYPES = frozenset({"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32"})

Block = NDArray[Any]
# Decodes the samples from one on by ffmpeg, at the track's own rate and channels.
Rest = Callable[[int], Iterator[Block]]


def is_allowed() -> bool:
    """Return whether the user lets captoolkit decode in this process."""
    return os.environ.get(ENVIRONMENT_VARIABLE, "") != FFMPEG


class SndfileDecoder(Closing):
    """Samples [start, end) of a track, read by libsndfile; iterate once.

    Args:
        stream: the open file; closed by `close`.
        sound: the sound in it.
        path: the file, whose name is in the line that is printed if this process dies.
        start: the first sample.
        end: one past the last sample.
        dtype: of the blocks: `float32` with 1.0 as full scale, or `int16`.
        flac_dtype: of the blocks that miniaudio decodes, for which both types take the same time.
        rest: yields the samples from one on by another decoder, where libsndfile meets a fault;
            float32.
    """

    def __init__(
        self,
        stream: Any,
        sound: SoundFile,
        *,
        path: Path,
        start: int,
        end: int,
        dtype: str,
        flac_dtype: str,
        rest: Rest,
    ) -> None:
        self._stream = stream
        self._sound = sound
        self._path = path
        self._at, self._end = start, end
        self._is_behind = start > 0
        self._dtype = dtype
        self._rest = rest
        self._flac: MiniaudioDecoder | None = open_miniaudio(
            path, stream, sound, start=start, end=end, dtype=flac_dtype
        )
        self._closed = False
        self._reading = threading.Lock()

    def __iter__(self) -> Iterator[Block]:
        """Yield blocks of some seconds; each may be overwritten when the next one is requested."""
        import soundfile

        with child_processes.last_words(last_words_of(self._path)):
            try:
                for block in itertools.chain(self._by_miniaudio(), self._by_libsndfile()):
                    if self._closed:
                        return
                    self._at += len(block)
                    yield block
            except (OSError, soundfile.SoundFileError):  # ffmpeg decodes the rest
                pass
        if self._at < self._end and not self._closed:
            yield from self._rest(self._at)

    def close(self) -> None:
        """Stop reading; may be called twice, and by another thread."""
        self._closed = True
        with self._reading:
            if self._flac is not None:
                self._flac.close()
                self._flac = None  # this object may live on in a cycle, but not some megabytes
            self._sound.close()
            self._stream.close()

    def _by_miniaudio(self) -> Iterator[Block]:
        """Yield blocks up to the first fault; nothing where miniaudio decodes no such file."""
        while self._flac is not None:
            with self._reading:
                block = None if self._closed else self._flac.read()
            if block is None:
                return
            yield block

    def _by_libsndfile(self) -> Iterator[Block]:
        """Yield blocks from the next sample on, up to the first fault."""
        step = max(1, int(self._sound.samplerate * BLOCK_S))
        is_faulty = self._flac is not None and self._flac.has_fault
        while self._at < self._end and not is_faulty:
            frames = min(step, self._end - self._at)
            with self._reading:
                if self._closed:
                    return
                if self._is_behind:
                    self._sound.seek(self._at)
                    self._is_behind = False
                block: Block = self._sound.read(frames, dtype=self._dtype, always_2d=True)
            if len(block) < frames:
                return
            yield block


def open_sndfile(
    path: Path,
    track: Track,
    *,
    start: int,
    end: int | None,
    rest: Rest,
    dtype: str = "float32",
) -> SndfileDecoder | None:
    """Return a decoder of samples [start, end) of a track; None where only ffmpeg may decode it.

    Samples of 16 bits come as int16 or float32, others as float32. With the dtype `int16` only the
    first are decoded, and come as int16: ffmpeg rounds longer ones in its own way.
    """
    import soundfile

    is_plain = is_in_libsndfile(track.codec) and not track.codec.startswith(FLOATS)
    if not is_plain or track.counted or track.reading or not is_allowed():
        return None
    if track.discontinuities or not track.is_steady:
        return None
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(sndfile.open_file(path))
            sound = stack.enter_context(sndfile.sound_in(stream))
        except (OSError, soundfile.SoundFileError):  # another container, or a damaged file
            return None
        found = (sound.samplerate, sound.channels, sound.frames)
        if found != (track.sample_rate_hz, track.channels, track.duration_samples):
            return None
        own = "int16" if sound.subtype == "PCM_16" else "float32"
        if sound.subtype not in SUBTYPES or (dtype == "int16" and own != dtype):
            return None
        stack.pop_all()
    until = track.duration_samples if end is None else min(end, track.duration_samples)
    return SndfileDecoder(
        stream,
        sound,
        path=path,
        start=start,
        end=until,
        dtype=own,
        flac_dtype=dtype,
        rest=rest,
    )


def last_words_of(path: Path) -> str:
    """Return the line to print if the process ends while it decodes a file."""
    shown = "".join(char if char.isprintable() else "?" for char in str(path))
    return (
        f"error: {shown}: captoolkit ended abruptly while it decoded it in this process; if that "
        f"happens again, set {ENVIRONMENT_VARIABLE}={FFMPEG}"
    )
