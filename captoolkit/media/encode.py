"""One segment -> one file, and the proof that the file is what the plan promised.

Rules: samples go in as they are decoded, never all at once; a finished file is read back by an
independent reading (container, codec, rate, channels, exact length, size) and is not shipped if it
breaks a limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream import riff
from captoolkit.errors import InputError, LimitError
from captoolkit.media import ffmpeg, probe_file, sndfile
from captoolkit.media.disk_errors import explaining
from captoolkit.media.encode_lossless import LosslessWriter
from captoolkit.model import Encoding
from captoolkit.planning import ladder
from captoolkit.support import files
from captoolkit.units import format_seconds

Block = NDArray[np.float32 | np.int16]
Shape = tuple[str, str, int, int]  # container, codec, sample rate in Hz, channels

FULL_SCALE = 32768  # of 16-bit samples
# libsndfile's names of what is in a WAV, and ffmpeg's.
SUBTYPES = {"PCM_16": "pcm_s16le", "GSM610": "gsm_ms"}
# ffmpeg knows ADTS for what it is by three frames, of which the encoder's delay fills one.
SHORTEST_AAC_SAMPLES = ladder.AAC_FRAME_SAMPLES + 1

# How many samples a decoder may give beside those that went in, by codec. AMR, AAC and GSM have no
# tag for the encoder's delay and padding: whole frames come back, and AAC's delay before them. MP3
# has one, but ffmpeg never writes more padding into it than 1105 samples, although it may be 1151
# (measured at each of the rates used here): the rest comes back as up to 2 ms of silence.
DECODED_EXTRA = {
    "pcm_s16le": 0,
    "gsm_ms": ladder.GSM_PAIR_SAMPLES - 1,
    "mp3": 1151 - 1105,
    "amr_nb": 2 * ladder.AMR_FRAME_SAMPLES,
    "aac": ladder.AAC_DELAY_SAMPLES + 2 * ladder.AAC_FRAME_SAMPLES,
}


class SegmentWriter(Protocol):
    """Takes the samples of one segment and makes its file."""

    samples: int

    def write(self, block: Block) -> None:
        """Take samples, shape (frames, channels): float32, clipped at full scale, or int16."""
        ...

    def finish(self) -> None:
        """Complete the file."""
        ...

    def abort(self) -> None:
        """Stop at once; the file is of no use. May be called after `finish`."""
        ...


def open_writer(
    path: Path, encoding: Encoding, *, tags: Mapping[str, str] | None = None, layout: str = ""
) -> SegmentWriter:
    """Return a writer of `encoding` to `path`.

    Args:
        path: the file.
        encoding: what it is to be.
        tags: what it is to say of itself, where samples are kept; other files say nothing.
        layout: which channels come in, as ffmpeg names them, where samples are kept.
    """
    if encoding.sample_type:
        return LosslessWriter(path, encoding, tags=tags or {}, layout=layout)
    if encoding.codec == "pcm_s16le":
        return WavWriter(path, encoding)
    if encoding.codec == "gsm_ms":
        return GsmWriter(path, encoding)
    return FfmpegWriter(path, encoding)


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
        """Take samples; int16 ones are written as they are."""
        with files.writing(self._path):
            self._wave.writeframesraw(_as_int16(block).tobytes())
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


class GsmWriter:
    """GSM 6.10 in a WAV, by libsndfile, filled up with silence to whole pairs of blocks.

    It is made in memory, 6 MB an hour: libsndfile does not tell its caller that a disk is full.
    """

    def __init__(self, path: Path, encoding: Encoding) -> None:
        import soundfile

        self.samples = 0
        self._path = path
        self._encoding = encoding
        self._made = io.BytesIO()
        self._sound = soundfile.SoundFile(
            self._made,
            "w",
            samplerate=encoding.sample_rate_hz,
            channels=encoding.channels,
            format="WAV",
            subtype="GSM610",
        )

    def write(self, block: Block) -> None:
        """Take samples."""
        self._sound.write(_as_int16(block))
        self.samples += len(block)

    def finish(self) -> None:
        """Write the file.

        Raises:
            OutputError: the disk is full.
        """
        missing = ladder.framed_samples(self._encoding, self.samples) - self.samples
        self._sound.write(np.zeros((missing, self._encoding.channels), np.int16))
        self._sound.close()
        with files.writing(self._path):
            self._path.write_bytes(self._made.getbuffer())

    def abort(self) -> None:
        """Do nothing: before the end nothing runs and nothing is open."""


class FfmpegWriter:
    """MP3, AAC or AMR by an ffmpeg that is fed through a pipe."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.samples = 0
        self._path = path
        self._process = ffmpeg.Process(ffmpeg.compile_argv(_output(path, encoding)), feed=True)

    def write(self, block: Block) -> None:
        """Take samples.

        Raises:
            OutputError: the disk is full.
            ToolError: ffmpeg failed.
        """
        with explaining(self._path):
            self._process.write(_as_float32(block).tobytes())
        self.samples += len(block)

    def finish(self) -> None:
        """Wait until the file is complete."""
        try:
            with explaining(self._path):
                self._process.finish()
        finally:
            self._process.close()

    def abort(self) -> None:
        """End the encoder."""
        self._process.close()


def _output(path: Path, encoding: Encoding) -> Any:
    source = ffmpeg.raw_source(rate_hz=encoding.sample_rate_hz, channels=encoding.channels)
    return source.output(ffmpeg.file_url(path), **options(encoding))


def options(encoding: Encoding) -> dict[str, Any]:
    """Return ffmpeg's options; tags are left out, they cost bytes and tell nothing."""
    common = {"map_metadata": -1, "bitexact": None}
    if encoding.format == "mp3":
        mp3 = {"f": "mp3", "acodec": "libmp3lame", "b:a": encoding.bit_rate, "id3v2_version": 0}
        if encoding.cutoff_hz is not None:
            mp3["cutoff"] = encoding.cutoff_hz
        if encoding.effort is not None:
            mp3["compression_level"] = encoding.effort
        return {"map_metadata": -1, **mp3}
    if encoding.format == "aac":
        padding = f"apad=whole_len={SHORTEST_AAC_SAMPLES}"
        return common | {"f": "adts", "acodec": "aac", "b:a": encoding.bit_rate, "af": padding}
    return common | {"f": "amr", "acodec": "libopencore_amrnb", "b:a": encoding.bit_rate}


# -------------------------------------------------------------------------------- samples


def _as_int16(block: Block) -> NDArray[np.int16]:
    if block.dtype != np.int16:
        block = np.minimum(np.rint(_bounded(block) * FULL_SCALE), FULL_SCALE - 1)
    return block.astype("<i2", copy=False)


def _as_float32(block: Block) -> NDArray[np.float32]:
    if block.dtype == np.int16:
        return (block / np.float32(FULL_SCALE)).astype("<f4", copy=False)
    return _bounded(block).astype("<f4", copy=False)


def _bounded(block: Block) -> Block:
    """The block clipped at full scale and without NaN, as a copy only if it needs that.

    Every format gets it, because WAV and AMR hold no more, a service that decodes to 16 bits clips
    what MP3 holds, and of sound at twice full scale ffmpeg's AAC loses 2.3 to 3.4 dB of level and
    5 to 30 dB of fidelity (measured against the clipped sound).
    """
    if np.abs(block).max(initial=0) <= 1:  # not so where there is a NaN
        return block
    return np.clip(np.nan_to_num(block), -1, 1)


# --------------------------------------------------------------------------- reading back


def check(
    path: Path,
    encoding: Encoding,
    *,
    samples: int,
    tolerance: int = 0,
    max_samples: int | None,
    max_bytes: int | None = None,
) -> None:
    """Read a finished segment back and hold it against what it was to be.

    Args:
        path: the file.
        encoding: what it was to be.
        samples: how many went in, at the encoding's rate.
        tolerance: how many more or fewer it may have been, where resampling has rounded.
        max_samples: the longest it may be for a reader that ignores delay and padding, at the
            encoding's rate; None for no limit.
        max_bytes: the largest it may be; None where the caller asks `fits` and has an answer.

    Raises:
        LimitError: it is not that, or breaks a limit.
    """
    in_process = encoding.format == "wav" and not encoding.sample_type
    read_back = _read_wav if in_process else _read_by_ffmpeg
    found, length = read_back(path)
    wanted = (encoding.format, encoding.codec, encoding.sample_rate_hz, encoding.channels)
    if found != wanted:
        raise _broken(path, f"it came out as {found}, not {wanted}")
    extra = DECODED_EXTRA.get(encoding.codec, 0)
    if not -tolerance <= length - samples <= extra + tolerance:
        rate_hz = encoding.sample_rate_hz
        raise _broken(
            path,
            f"it lasts {format_seconds(length, rate_hz)} s, "
            f"not {format_seconds(samples, rate_hz)} s",
        )
    if max_samples is not None and ladder.framed_samples(encoding, samples) > max_samples:
        raise _broken(path, f"it has {samples} samples, more than {max_samples} with its padding")
    if max_bytes is not None:
        refuse_too_large(path, max_bytes)


def fits(path: Path, max_bytes: int) -> bool:
    """Return whether a finished segment is as small as it must be."""
    return path.stat().st_size <= max_bytes


def refuse_too_large(path: Path, max_bytes: int) -> None:
    """Raise for a finished segment that does not fit.

    Raises:
        LimitError: it is larger than `max_bytes`.
    """
    if not fits(path, max_bytes):
        raise LimitError(
            f"a segment came out at {path.stat().st_size} bytes, more than the {max_bytes} allowed",
            fix="ask for shorter segments, a lower bit rate, or another format",
            path=path,
        )


def _read_wav(path: Path) -> tuple[Shape, int]:
    """A WAV's shape and length by libsndfile, which starts no process."""
    import soundfile

    try:
        with sndfile.open_file(path) as stream, sndfile.sound_in(stream) as sound:
            codec = SUBTYPES.get(sound.subtype, sound.subtype)
            shape = (sound.format.lower(), codec, sound.samplerate, sound.channels)
            length = int(sound.frames)
    except (OSError, soundfile.SoundFileError) as error:
        raise _broken(path, "it came out as nothing that reads as a WAV") from error
    if shape[0] == "wav" and not riff.has_plain_header(path):
        raise _broken(path, "it came out without the plain header of a WAV")
    return shape, length


def _read_by_ffmpeg(path: Path) -> tuple[Shape, int]:
    """A file's shape and length as `probe` finds them."""
    try:
        info = probe_file.probe(path)
    except InputError as error:
        raise _broken(path, f"it cannot be read back ({error.problem})") from error
    track = info.default_track
    shape = (info.container, track.codec, track.sample_rate_hz, track.channels)
    return shape, track.duration_samples


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
