"""Decode a FLAC by miniaudio, which takes about half of libsndfile's time.

Rules: miniaudio's decoder (dr_flac) compares the checksum of each frame and silently leaves out a
frame that fails. Each later sample is then early, and a part of a file ends behind its real end. So
miniaudio reads a piece of some seconds, and captoolkit yields it only if no frame is missing:
libsndfile, which finds a place by the sample numbers in the frames, has to return the same samples
for the end of the piece, from a stretch on that does not resemble itself at any shift. A piece
without such a stretch, as digital silence, is compared as a whole. This way ends before the first
piece that differs.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.support.cancel import Closing

if TYPE_CHECKING:
    from soundfile import SoundFile

FORMAT = "FLAC"  # libsndfile's name of FLAC in its own container
PIECE_S = 20.0
SHORTEST_S = 5.0  # in a shorter span it takes as long as miniaudio saves
BLOCK_S = 1.0
# Encoders put 4096 samples into a frame, seldom more than 4608. A stretch is longer than three of
# them, and its last samples occur once in it: no shift by that many samples leaves it the same.
STRETCH_SAMPLES = 1 << 14
LAST_SAMPLES = 64

Block = NDArray[Any]


class CheckedFlac(Closing):
    """The samples [start, end) of a FLAC by miniaudio, as far as libsndfile agrees.

    One thread at a time may use it. `has_fault` is set where the two differ.

    Args:
        path: the file.
        sound: the same file, opened by libsndfile; reading changes its position.
        start: the first sample.
        end: one past the last sample.
        dtype: of the samples: `int16` for a FLAC of 16 bits, `float32` for any other.
    """

    def __init__(self, path: Path, sound: SoundFile, *, start: int, end: int, dtype: str) -> None:
        self._path = path
        self._sound = sound
        self._at, self._end = start, end
        self._dtype = dtype
        rate_hz = sound.samplerate
        self._block_samples = max(STRETCH_SAMPLES, int(rate_hz * BLOCK_S))
        self._piece_blocks = max(1, int(rate_hz * PIECE_S) // self._block_samples)
        self._is_open = end - start >= SHORTEST_S * rate_hz
        self._arrays: Generator[Any, Any, None] | None = None
        self.has_fault = False

    def read_piece(self) -> list[Block]:
        """Return the next piece in blocks of shape (frames, channels).

        The list is empty at the end, where the file has a fault, and where miniaudio is not
        installed or cannot read files of that name. The position of `sound` is then anywhere.
        """
        import soundfile

        if not self._is_open or self._at >= self._end:
            return []
        try:
            import miniaudio
        except ImportError:
            return []
        piece: list[Block] = []
        try:
            piece = self._decode(miniaudio)
            self.has_fault = not piece or not self._is_whole(piece)
        except UnicodeError:  # miniaudio opens no name that is not valid Unicode
            self.close()
        except (OSError, ValueError, soundfile.SoundFileError, miniaudio.MiniaudioError):
            self.has_fault = True
        if self.has_fault:
            self.close()
            return []
        self._at += sum(map(len, piece))
        return piece

    def close(self) -> None:
        """Close miniaudio's file; `read_piece` then returns nothing."""
        self._is_open = False
        if self._arrays is not None:
            self._arrays.close()

    def _decode(self, miniaudio: Any) -> list[Block]:
        """The next piece as miniaudio decodes it; empty if the file ends in it."""
        if self._arrays is None:
            self._arrays = self._open(miniaudio)
        piece: list[Block] = []
        missing = min(self._piece_blocks * self._block_samples, self._end - self._at)
        while missing:
            samples = np.frombuffer(next(self._arrays, b""), self._dtype)
            block = samples.reshape(-1, self._sound.channels)[:missing]
            if len(block) < min(self._block_samples, missing):
                return []
            piece.append(block)
            missing -= len(block)
        return piece

    def _open(self, miniaudio: Any) -> Generator[Any, Any, None]:
        """Begin to decode at the first sample; miniaudio seeks there."""
        # An absolute name: miniaudio replaces a "~" at the start by a user's folder.
        name, sound = str(self._path.absolute()), self._sound
        arrays: Generator[Any, Any, None]
        if self._dtype == "int16":
            arrays = miniaudio.flac_stream_file(name, self._block_samples, self._at)
            return arrays
        arrays = miniaudio.stream_file(
            name,
            miniaudio.SampleFormat.FLOAT32,
            sound.channels,
            sound.samplerate,
            self._block_samples,
            seek_frame=self._at,
        )
        return arrays

    def _is_whole(self, piece: list[Block]) -> bool:
        """Return whether libsndfile returns the same samples for the end of a piece."""
        first, skipped = _last_distinct_stretch(piece)
        before = sum(map(len, piece[:first])) + skipped
        self._sound.seek(self._at + before)
        for block in piece[first:]:
            own = block[skipped:]
            skipped = 0
            if not np.array_equal(own, self._sound.read(len(own), self._dtype, always_2d=True)):
                return False
        return True


def _last_distinct_stretch(piece: list[Block]) -> tuple[int, int]:
    """Return where the last stretch of a piece begins that differs from itself at any shift.

    Returns:
        The index of its block and the samples before it in the block; (0, 0) if there is none.
    """
    for index in reversed(range(len(piece))):
        block = piece[index]
        stretch = block[-STRETCH_SAMPLES:].tobytes()
        last = block[-LAST_SAMPLES:].tobytes()
        if len(block) >= STRETCH_SAMPLES and stretch.find(last) == len(stretch) - len(last):
            return index, len(block) - STRETCH_SAMPLES
    return 0, 0
