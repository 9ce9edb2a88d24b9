"""MP3 by LAME in this process (the package `lameenc`, of the extra `fast`).

ffmpeg hands each frame of 576 samples from thread to thread, which takes as much CPU time as LAME
itself: ten minutes at 16 kHz and 24 kbit/s take 0.6 s here and 1.15 s in ffmpeg.

Rules: a file has the frames that ffmpeg's libmp3lame makes of the same 16-bit samples, but for a
few in which the two builds of LAME round differently. ffmpeg makes the encodings for which
`lameenc` lacks an option, and all where the package is missing or `CAPTOOLKIT_ENCODER=ffmpeg` is
set. Each file begins with a true information frame: the number of frames and bytes, the places to
seek to, LAME's delay and padding. The fidelity to the model's input is that of ffmpeg to 0.15 dB
(`scripts/fidelity.py`).

The low-pass: `lameenc` has no option for it, and LAME chooses one by the bit rate. Up to 24 kHz
captoolkit wants 8 kHz; LAME's own choice loses 0.8 dB of speech and 6 dB of a quiet room at 24
kbit/s and 16 kHz. At 16 kHz a low-pass of 8 kHz is none, so any bit rate will do that has none
either. LAME rounds a bit rate halfway between two up where it looks up the low-pass, and down where
it chooses the frames: 28 kbit/s makes frames of 24 with the low-pass of 32. `_makes_bit_rate`
checks that. At 22.05 and 24 kHz no bit rate has that low-pass, and sound that is filtered before
LAME loses 0.1 to 0.8 dB: ffmpeg makes these rungs.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from captoolkit.bitstream import frames, mpeg_audio
from captoolkit.bitstream.encodings import spec_of
from captoolkit.errors import ToolError
from captoolkit.media.encode_samples import Block, as_int16
from captoolkit.model import Encoding
from captoolkit.support import files

ENVIRONMENT_VARIABLE = "CAPTOOLKIT_ENCODER"
FFMPEG = "ffmpeg"
# LAME's own low-pass in Hz by bit rate; mono has half as much again. Above these it is higher.
LOW_PASS_HZ = {
    8_000: 2_000,
    16_000: 3_700,
    24_000: 3_900,
    32_000: 5_500,
    40_000: 7_000,
    48_000: 7_500,
    56_000: 10_000,
    64_000: 11_000,
}
MONO_LOW_PASS = 1.5


def can_encode(encoding: Encoding) -> bool:
    """Return whether `LameWriter` makes an encoding as well as ffmpeg does."""
    if encoding.codec != "mp3" or encoding.effort is None or not _is_usable():
        return False
    stated = _stated_bit_rate(encoding)
    return stated is not None and _makes_bit_rate(
        stated, encoding.bit_rate, encoding.sample_rate_hz, encoding.channels
    )


def encoder_name() -> str:
    """Return what encodes MP3 where `can_encode` allows it: `lameenc 1.9.0`, or `ffmpeg`."""
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
        stated = _stated_bit_rate(encoding)
        assert stated is not None
        self._lame = _new_encoder(stated, encoding.sample_rate_hz, encoding.channels)
        self._lame.set_quality(encoding.effort)
        self._header = b""  # that the first frame begins with
        self._writing = threading.Lock()  # one thread may write while another aborts
        with files.writing(path):
            self._stream = path.open("w+b")

    def write(self, block: Block) -> None:
        """Take samples.

        Raises:
            OutputError: the disk is full.
        """
        self._append(self._lame.encode(as_int16(block).tobytes()))
        self.samples += len(block)

    def finish(self) -> None:
        """Write the last frames, and the information frame before the first one.

        Raises:
            OutputError: the disk is full.
            ToolError: the file has anything but frames.
        """
        self._append(self._lame.encode(b"") + self._lame.flush())
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
            raise ToolError(
                "LAME made something else than whole frames",
                fix=f"set {ENVIRONMENT_VARIABLE}={FFMPEG}, and please report it",
            )
        lead = spec_of(self._encoding).delay_samples
        return mpeg_audio.write_information_frame(
            self._header,
            index.sizes,
            lead_samples=lead,
            tail_samples=index.duration_samples - lead - self.samples,
        )


def _stated_bit_rate(encoding: Encoding) -> int | None:
    """The bit rate to give LAME, which then has the encoding's low-pass; None without one."""
    if encoding.cutoff_hz is None:
        return encoding.bit_rate
    if 2 * encoding.cutoff_hz < encoding.sample_rate_hz:  # a real low-pass
        return None
    higher = [rate for rate in LOW_PASS_HZ if rate > encoding.bit_rate]
    if not higher:
        return encoding.bit_rate
    widening = MONO_LOW_PASS if encoding.channels == 1 else 1
    for stated, low_pass_hz in (
        (encoding.bit_rate, LOW_PASS_HZ.get(encoding.bit_rate, 0)),
        ((encoding.bit_rate + higher[0]) // 2, LOW_PASS_HZ[higher[0]]),
    ):
        if low_pass_hz * widening >= encoding.cutoff_hz:
            return stated
    return None


def _is_usable() -> bool:
    return os.environ.get(ENVIRONMENT_VARIABLE, "") != FFMPEG and _lameenc() is not None


@functools.cache
def _lameenc() -> Any:
    """The package; None where it is missing or cannot be loaded."""
    try:
        import lameenc
    except ImportError:
        return None
    return lameenc


def _new_encoder(bit_rate: int, rate_hz: int, channels: int) -> Any:
    encoder = _lameenc().Encoder()
    encoder.silence()
    encoder.set_channels(channels)
    encoder.set_in_sample_rate(rate_hz)
    encoder.set_out_sample_rate(rate_hz)
    encoder.set_bit_rate(bit_rate // 1000)
    return encoder


@functools.cache
def _makes_bit_rate(stated: int, bit_rate: int, rate_hz: int, channels: int) -> bool:
    """Whether frames have a bit rate where LAME is given another one; seen in its first frame."""
    if stated == bit_rate:
        return True
    encoder = _new_encoder(stated, rate_hz, channels)
    header = bytes(encoder.encode(b"") + encoder.flush())[: mpeg_audio.HEADER_BYTES]
    frame_samples = mpeg_audio.frame_samples_at(rate_hz)
    return mpeg_audio.frame_bytes(header) == frame_samples * bit_rate // 8 // rate_hz
