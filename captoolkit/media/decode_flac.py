"""Decode a FLAC by miniaudio, which takes about half of libsndfile's time.

Rules: miniaudio's decoder (dr_flac) compares the checksum of each frame and silently leaves out a
frame that fails, so that each later sample is early. So captoolkit reads the file itself and gives
miniaudio some frames at a time, whose headers state how many samples they hold (`FlacPieces`). If
miniaudio returns another number, nothing of that piece is used, and ffmpeg decodes from there on.
miniaudio writes the samples into an array that is used again for each piece: its own function
returns a copy, which takes a fifth of the time. Only the C part is imported, `_miniaudio`: the
part in Python would import a web client.

Files of strangers: miniaudio is C code in this process. It gets at most some megabytes of memory,
never a name or a descriptor, and only from a file that libsndfile has opened and that has the rate,
the channels and the length that `probe` found. The space for its samples is what the headers
promise and one frame more. `decode_in_process` names the file if the process dies.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream.flac_pieces import EXTRA_SAMPLES, FlacPiece, FlacPieces
from captoolkit.support.cancel import Closing

if TYPE_CHECKING:
    from soundfile import SoundFile

FORMAT = "FLAC"  # libsndfile's name of FLAC in its own container

Block = NDArray[Any]


class MiniaudioDecoder(Closing):
    """The samples [start, end) of a FLAC; one thread at a time may use it.

    Args:
        stream: the file, opened for this decoder; `close` closes it.
        pieces: its frames, from the first sample on.
        channels: the number of channels.
        start: the first sample.
        end: one past the last sample.
        dtype: of the samples: `int16` for a FLAC of 16 bits, `float32` for any other.

    Attributes:
        has_fault: whether the decoding has ended at a fault of the file.
    """

    def __init__(
        self,
        stream: BinaryIO,
        pieces: FlacPieces,
        *,
        channels: int,
        start: int,
        end: int,
        dtype: str,
    ) -> None:
        self.has_fault = False
        self._stream = stream
        self._pieces = pieces
        self._channels = channels
        self._at, self._end = start, end
        self._space = np.empty((0, channels), dtype)

    def read(self) -> Block | None:
        """Return the next samples, shape (frames, channels); None at the end or at a fault.

        The next call overwrites them.
        """
        if self._at >= self._end or self.has_fault:
            return None
        piece = block = None
        with contextlib.suppress(OSError):
            piece = self._pieces.read()
            block = None if piece is None else self._decode(piece)
        if piece is None or block is None:
            self.has_fault = True
            return None
        block = block[max(0, self._at - piece.begin) : self._end - piece.begin]
        self._at = max(self._at, min(self._end, piece.end))
        return block

    def _decode(self, piece: FlacPiece) -> Block | None:
        """Decode a piece; None if it does not hold the samples that it should."""
        from _miniaudio import ffi, lib

        samples = piece.end - piece.begin
        if len(self._space) < samples + EXTRA_SAMPLES:
            self._space = np.empty((samples + EXTRA_SAMPLES, self._channels), self._space.dtype)
        read, item = lib.ma_dr_flac_read_pcm_frames_f32, "float[]"
        if self._space.dtype == np.int16:
            read, item = lib.ma_dr_flac_read_pcm_frames_s16, "short[]"
        decoder = lib.ma_dr_flac_open_memory(ffi.from_buffer(piece.data), len(piece.data), ffi.NULL)
        if not decoder:
            return None
        try:
            if decoder.channels != self._channels:  # it would write more than there is room for
                return None
            count = read(decoder, len(self._space), ffi.from_buffer(item, self._space))
        finally:
            lib.ma_dr_flac_close(decoder)
        return self._space[:count] if count == samples else None

    def close(self) -> None:
        """Close the file."""
        self._at = self._end
        self._stream.close()


def open_miniaudio(
    path: Path, stream: BinaryIO, sound: SoundFile, *, start: int, end: int, dtype: str
) -> MiniaudioDecoder | None:
    """Return a decoder of samples [start, end) of a FLAC that libsndfile has opened.

    None if miniaudio is not installed, the file has no usual order, or its name now means another
    file or none.

    Args:
        path: the file.
        stream: the descriptor that libsndfile reads.
        sound: the sound in it.
        start: the first sample.
        end: one past the last sample.
        dtype: as for `MiniaudioDecoder`.
    """
    if sound.format != FORMAT:
        return None
    try:
        import _miniaudio  # noqa: F401

        with contextlib.ExitStack() as stack:
            own = stack.enter_context(path.open("rb"))
            pieces = FlacPieces(own, start=start, total=sound.frames)
            if not pieces.is_usual or not os.path.sameopenfile(own.fileno(), stream.fileno()):
                return None
            stack.pop_all()
    except (ImportError, OSError):
        return None
    return MiniaudioDecoder(own, pieces, channels=sound.channels, start=start, end=end, dtype=dtype)
