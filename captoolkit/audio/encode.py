"""One segment -> one file, and the proof that the file is what the plan promised.

Rules: samples go in as they are decoded, never all at once; a finished file is read back by an
independent reading (container, codec, rate, channels, exact length, size) and is not shipped if it
breaks a limit.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import threading
import wave
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from captoolkit import files
from captoolkit.audio import ffmpeg, probe
from captoolkit.errors import InputError, LimitError, ToolError
from captoolkit.model import Encoding
from captoolkit.planning import ladder
from captoolkit.units import format_seconds

Block = NDArray[np.float32]

# What ffmpeg says when the system refuses what it writes, and the system's own number for it.
WRITE_FAULTS = {
    "No space left on device": errno.ENOSPC,
    "File name too long": errno.ENAMETOOLONG,
    "Disk quota exceeded": errno.EDQUOT,
}
FULL_SCALE = 32768  # of 16-bit samples
LOUDEST = 16.0  # 24 dB over full scale; at far more than that LAME and the AAC encoder fail

# How many samples a decoder may give beside those that went in, by format. AMR and AAC have no tag
# for the encoder's delay and padding: whole frames come back, and AAC's delay before them. MP3 has
# one, but ffmpeg never writes more padding into it than 1105 samples, although it may be 1151
# (measured at each of the rates used here): the rest comes back as up to 2 ms of silence.
DECODED_EXTRA = {
    "wav": 0,
    "mp3": 1151 - 1105,
    "amr": 2 * ladder.AMR_FRAME_SAMPLES,
    "aac": ladder.AAC_DELAY_SAMPLES + 2 * ladder.AAC_FRAME_SAMPLES,
}


class SegmentWriter(Protocol):
    """Takes the samples of one segment and makes its file."""

    samples: int

    def write(self, block: Block) -> None:
        """Take samples, shape (frames, channels), float32."""
        ...

    def finish(self) -> None:
        """Complete the file."""
        ...

    def abort(self) -> None:
        """Stop at once; the file is of no use. May be called after `finish`."""
        ...


def open_writer(path: Path, encoding: Encoding) -> SegmentWriter:
    """Return a writer of `encoding` to `path`."""
    return WavWriter(path, encoding) if encoding.format == "wav" else FfmpegWriter(path, encoding)


class WavWriter:
    """16-bit PCM with a plain header, in this process: it costs no encoder."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.samples = 0
        self._path = path
        self._closing = threading.Lock()  # one thread may finish while another aborts
        with files.writing(path):
            self._stream = path.open("wb")
            self._wave = wave.open(self._stream, "wb")  # noqa: SIM115 - open between calls
        self._wave.setnchannels(encoding.channels)
        self._wave.setsampwidth(2)
        self._wave.setframerate(encoding.sample_rate_hz)

    def write(self, block: Block) -> None:
        """Take samples, shape (frames, channels); what is over full scale is clipped."""
        scaled = np.rint(np.clip(np.nan_to_num(block), -1.0, 1.0) * FULL_SCALE)
        scaled = np.minimum(scaled, FULL_SCALE - 1)
        with files.writing(self._path):
            self._wave.writeframesraw(scaled.astype("<i2").tobytes())
        self.samples += len(block)

    def finish(self) -> None:
        """Complete the header and close the file."""
        with self._closing, files.writing(self._path):
            self._wave.close()
            self._stream.close()

    def abort(self) -> None:
        """Close the file as it is."""
        with self._closing:
            with contextlib.suppress(OSError):  # a full disk; the file is thrown away
                self._wave.close()
            with contextlib.suppress(OSError):
                self._stream.close()


class FfmpegWriter:
    """MP3, AAC or AMR by an ffmpeg that is fed through a pipe."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.samples = 0
        self._path = path
        self._process = ffmpeg.Process(ffmpeg.compile_argv(_output(path, encoding)), feed=True)

    def write(self, block: Block) -> None:
        """Take samples, shape (frames, channels).

        Raises:
            OutputError: the disk is full.
            ToolError: ffmpeg failed.
        """
        bounded = np.clip(np.nan_to_num(block), -LOUDEST, LOUDEST)
        try:
            self._process.write(bounded.astype("<f4", copy=False).tobytes())
        except ToolError as error:
            raise self._explained(error) from error
        self.samples += len(block)

    def finish(self) -> None:
        """Wait until the file is complete."""
        try:
            self._process.finish()
        except ToolError as error:
            raise self._explained(error) from error
        finally:
            self._process.close()

    def abort(self) -> None:
        """End the encoder."""
        self._process.close()

    def _explained(self, error: ToolError) -> Exception:
        for message, number in WRITE_FAULTS.items():
            if message in error.stderr_tail:
                return files.output_error(self._path, OSError(number, message))
        return error


def _output(path: Path, encoding: Encoding) -> Any:
    source = ffmpeg.raw_source(rate_hz=encoding.sample_rate_hz, channels=encoding.channels)
    return source.output(ffmpeg.file_url(path), **_options(encoding))


def _options(encoding: Encoding) -> dict[str, Any]:
    """The options for an encoding; tags are left out, they cost bytes and tell nothing."""
    common = {"map_metadata": -1, "bitexact": None}
    if encoding.format == "mp3":
        options = {"f": "mp3", "acodec": "libmp3lame", "b:a": encoding.bit_rate, "id3v2_version": 0}
        if encoding.cutoff_hz is not None:
            options["cutoff"] = encoding.cutoff_hz
        if encoding.effort is not None:
            options["compression_level"] = encoding.effort
        return {"map_metadata": -1, **options}
    if encoding.format == "aac":
        return common | {"f": "adts", "acodec": "aac", "b:a": encoding.bit_rate}
    return common | {"f": "amr", "acodec": "libopencore_amrnb", "b:a": encoding.bit_rate}


# --------------------------------------------------------------------------- reading back


def check(
    path: Path, encoding: Encoding, *, samples: int, max_bytes: int, max_samples: int | None
) -> None:
    """Read a finished segment back and hold it against what it was to be.

    Args:
        path: the file.
        encoding: what it was to be.
        samples: how many went in, at the encoding's rate.
        max_bytes: the largest it may be.
        max_samples: the longest it may be for a reader that ignores delay and padding, at the
            encoding's rate; None for no limit.

    Raises:
        LimitError: it is not that, or breaks a limit.
    """
    try:
        info = probe.probe(path)
    except InputError as error:
        raise _broken(path, f"it cannot be read back ({error.problem})") from error
    track = info.default_track
    found = (info.container, track.codec, track.sample_rate_hz, track.channels)
    wanted = (encoding.format, encoding.codec, encoding.sample_rate_hz, encoding.channels)
    extra = track.duration_samples - samples
    if found != wanted:
        raise _broken(path, f"it came out as {found}, not {wanted}")
    if not 0 <= extra <= DECODED_EXTRA[encoding.format]:
        rate_hz = encoding.sample_rate_hz
        raise _broken(
            path,
            f"it lasts {format_seconds(track.duration_samples, rate_hz)} s, "
            f"not {format_seconds(samples, rate_hz)} s",
        )
    if info.size_bytes > max_bytes:
        raise LimitError(
            f"a segment came out at {info.size_bytes} bytes, more than the {max_bytes} allowed",
            fix="ask for shorter segments, a lower bit rate, or another format",
            path=path,
        )
    if max_samples is not None and ladder.framed_samples(encoding, samples) > max_samples:
        raise _broken(path, f"it has {samples} samples, more than {max_samples} with its padding")


def _broken(path: Path, problem: str) -> LimitError:
    return LimitError(
        f"a finished segment was refused: {problem}",
        fix="this is a fault in captoolkit, please report it",
        path=path,
    )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
