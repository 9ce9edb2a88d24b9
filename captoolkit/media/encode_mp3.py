"""MP3 by LAME in this process: the library in the package `lameenc` (the extra `fast`).

ffmpeg hands each frame of 576 samples from thread to thread, which takes as much CPU time as LAME
itself: five minutes of mono at 16 to 24 kHz take 0.3 to 0.5 s here, and 0.5 to 0.9 s in ffmpeg.

Rules: LAME gets the same samples and options as from ffmpeg, so a file has the same frames, but for
a few in which two builds of LAME round differently. ffmpeg encodes where the package is missing,
where its file does not export LAME's functions (on Windows), and where `CAPTOOLKIT_ENCODER=ffmpeg`
is set. Each file begins with a true information frame: the number of frames and bytes, the places
to seek to, LAME's delay and padding.

The package's own class has no option for the low-pass and takes 16-bit samples only. At 24 kbit/s
and 16 kHz, LAME's choice of a low-pass loses 0.8 dB of speech and 6 dB of a quiet room, and sound
that is filtered before LAME loses 0.1 to 0.8 dB at 24 kHz. So captoolkit calls LAME's C functions
(lame.h, unchanged in LAME 3.100 and 4.0), which the package exports.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from captoolkit.bitstream import frames, mpeg_audio
from captoolkit.bitstream.encodings import spec_of
from captoolkit.errors import ToolError
from captoolkit.media.encode_samples import FULL_SCALE, Block, as_float32
from captoolkit.model import Encoding
from captoolkit.support import files

ENVIRONMENT_VARIABLE = "CAPTOOLKIT_ENCODER"
FFMPEG = "ffmpeg"

# The functions of lame.h in use: the types of result and arguments. A handle is a pointer.
_INT, _POINTER = ctypes.c_int, ctypes.c_void_p
_SETTERS = ("num_channels", "in_samplerate", "out_samplerate", "brate", "quality", "bWriteVbrTag")
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "lame_init": (_POINTER, []),
    "lame_init_params": (_INT, [_POINTER]),
    **{f"lame_set_{name}": (_INT, [_POINTER, _INT]) for name in (*_SETTERS, "lowpassfreq")},
    **{f"lame_set_{name}": (_INT, [_POINTER, _POINTER]) for name in ("errorf", "debugf", "msgf")},
    "lame_encode_buffer_float": (_INT, [_POINTER, _POINTER, _POINTER, _INT, _POINTER, _INT]),
    "lame_encode_flush": (_INT, [_POINTER, _POINTER, _INT]),
    "lame_close": (_INT, [_POINTER]),
}
MOST_BYTES = 7200  # that LAME returns beyond five quarters of a byte for each sample


def can_encode(encoding: Encoding) -> bool:
    """Return whether `LameWriter` makes an encoding."""
    return encoding.codec == "mp3" and encoding.effort is not None and _is_usable()


def encoder_name() -> str:
    """Return the name of the MP3 encoder: `lameenc 1.9.0` or another version, or `ffmpeg`."""
    if not _is_usable():
        return FFMPEG
    from importlib import metadata

    return f"lameenc {metadata.version('lameenc')}"


class LameWriter:
    """Encodes MP3 in this process and writes the frames as LAME returns them.

    Args:
        path: the file.
        encoding: the encoding; one for which `can_encode` is true.
    """

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.samples = 0
        self._path = path
        self._encoding = encoding
        self._lame = _Lame(encoding)
        self._header = b""  # that the first frame begins with
        self._writing = threading.Lock()  # one thread may write while another aborts
        with files.writing(path):
            self._stream = path.open("w+b")

    def write(self, block: Block) -> None:
        """Take samples.

        Raises:
            OutputError: the disk is full.
            ToolError: LAME failed.
        """
        self._append(self._lame.encode(block))
        self.samples += len(block)

    def finish(self) -> None:
        """Write the last frames, and the information frame before the first one.

        Raises:
            OutputError: the disk is full.
            ToolError: LAME failed, or the file has anything but frames.
        """
        self._append(self._lame.flush())
        with self._writing, files.writing(self._path):
            if self._stream.closed:
                return
            self._stream.flush()
            front = self._information_frame()
            self._stream.seek(0)
            self._stream.write(front)
            self._stream.close()

    def abort(self) -> None:
        """Close the file, however incomplete."""
        with self._writing, contextlib.suppress(OSError):  # a full disk; the file is thrown away
            self._stream.close()

    def _append(self, data: bytes) -> None:
        with self._writing, files.writing(self._path):
            if self._stream.closed:
                return
            if data and not self._header:
                self._header = bytes(data[: mpeg_audio.HEADER_BYTES])
                first = np.array([mpeg_audio.frame_bytes(self._header)], np.uint16)
                # `finish` replaces it by one of the same size.
                self._stream.write(mpeg_audio.write_information_frame(self._header, first))
            self._stream.write(data)

    def _information_frame(self) -> bytes:
        """The information frame for the frames that the file has."""
        index = frames.read_index(self._stream)
        if index is None or index.junk_bytes or index.torn_bytes or index.tail_bytes:
            raise _failed("it returned something else than whole frames")
        lead = spec_of(self._encoding).delay_samples
        return mpeg_audio.write_information_frame(
            self._header,
            index.sizes,
            lead_samples=lead,
            tail_samples=index.duration_samples - lead - self.samples,
        )


class _Lame:
    """One encoder of LAME; its memory is freed with this object."""

    def __init__(self, encoding: Encoding) -> None:
        library = _library()
        assert library is not None
        self._library = library
        self._handle = library.lame_init()
        if not self._handle:
            raise _failed("there is no memory for it")
        weakref.finalize(self, library.lame_close, self._handle).atexit = False
        for silenced in ("errorf", "debugf", "msgf"):
            getattr(library, f"lame_set_{silenced}")(self._handle, None)
        rate_hz = encoding.sample_rate_hz
        values = (
            encoding.channels,
            rate_hz,
            rate_hz,
            encoding.bit_rate // 1000,
            encoding.effort,
            0,
        )
        for name, value in zip(_SETTERS, values, strict=True):
            self._checked(getattr(library, f"lame_set_{name}")(self._handle, value))
        if encoding.cutoff_hz is not None:
            self._checked(library.lame_set_lowpassfreq(self._handle, encoding.cutoff_hz))
        self._checked(library.lame_init_params(self._handle))

    def encode(self, block: Block) -> bytes:
        """Encode samples and return the frames that are complete."""
        # LAME takes each channel by itself, at the scale of 16-bit samples.
        planar = np.multiply(as_float32(block).T, np.float32(FULL_SCALE), order="C")
        encoded = ctypes.create_string_buffer(len(block) * 5 // 4 + MOST_BYTES)
        length = self._library.lame_encode_buffer_float(
            self._handle,
            planar[0].ctypes.data,
            planar[-1].ctypes.data,
            len(block),
            encoded,
            len(encoded),
        )
        return ctypes.string_at(encoded, self._checked(length))

    def flush(self) -> bytes:
        """Return the rest of the last frames."""
        encoded = ctypes.create_string_buffer(MOST_BYTES)
        length = self._library.lame_encode_flush(self._handle, encoded, len(encoded))
        return ctypes.string_at(encoded, self._checked(length))

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            raise _failed(f"error {result}")
        return result


def _failed(problem: str) -> ToolError:
    return ToolError(
        f"LAME could not encode ({problem})",
        fix=f"set {ENVIRONMENT_VARIABLE}={FFMPEG}, and please report it",
    )


def _is_usable() -> bool:
    return os.environ.get(ENVIRONMENT_VARIABLE, "") != FFMPEG and _library() is not None


@functools.cache
def _library() -> ctypes.CDLL | None:
    """LAME, as the package exports it; None where the package or a function is missing."""
    try:
        import lameenc

        library = ctypes.CDLL(lameenc.__file__)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (ImportError, OSError, AttributeError):
        return None
    return library
