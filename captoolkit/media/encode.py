"""Writers of segments, and the check of each finished file against its plan.

Rules: a writer takes samples block by block, never all at once. Each finished file is read back by
another reader (container, codec, rate, channels, exact length, size) and is refused if it breaks a
limit. The row of an encoding (`bitstream.encodings`) states which writer makes it and how.
"""

from __future__ import annotations

import contextlib
import io
import threading
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from captoolkit.bitstream import containers, riff
from captoolkit.bitstream.encodings import ENCODINGS, Writer, decoded_samples, spec_of
from captoolkit.errors import InputError, LimitError
from captoolkit.media import durations, encode_mp3, ffmpeg, ffmpeg_process, probe_file, sndfile
from captoolkit.media.encode_lossless import LosslessWriter
from captoolkit.media.encode_samples import Block, as_float32, as_int16
from captoolkit.media.frame_index import read_frame_index
from captoolkit.model import Encoding
from captoolkit.support import files
from captoolkit.units import format_seconds

Shape = tuple[str, str, int, int]  # container, codec, sample rate in Hz, channels

LEAST_FRAMES = 8  # more than any reader needs to recognize a stream of frames


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
        encoding: the encoding of the file.
        tags: the tags of the file, where samples are kept; other files get none.
        layout: the channels of the samples, as ffmpeg names them, where samples are kept.
    """
    if encoding.sample_type:
        return LosslessWriter(path, encoding, tags=tags or {}, layout=layout)
    if encode_mp3.can_encode(encoding):
        return encode_mp3.LameWriter(path, encoding)
    writers: dict[Writer, Callable[[Path, Encoding], SegmentWriter]] = {
        Writer.WAVE: WavWriter,
        Writer.SNDFILE: SndfileWriter,
        Writer.FFMPEG: FfmpegWriter,
    }
    return writers[spec_of(encoding).writer](path, encoding)


def keeps_samples(encoding: Encoding) -> bool:
    """Return whether a file of `encoding` holds the samples, rounded to 16 bits."""
    return not encoding.sample_type and spec_of(encoding).writer is Writer.WAVE


class WavWriter:
    """Writes 16-bit PCM with a plain header in this process, without an encoder."""

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
        """Take samples; int16 ones are written unchanged."""
        if not len(block):  # a resampler may return none; `wave` refuses an empty array
            return
        with files.writing(self._path):
            self._wave.writeframesraw(np.ascontiguousarray(as_int16(block)).data)
        self.samples += len(block)

    def finish(self) -> None:
        """Complete the header and close the file."""
        with self._closing, files.writing(self._path):
            self._wave.close()
            self._stream.close()

    def abort(self) -> None:
        """Close the file, however incomplete."""
        with self._closing:
            with contextlib.suppress(OSError):  # a full disk; the file is thrown away
                self._wave.close()
            with contextlib.suppress(OSError):
                self._stream.close()


class SndfileWriter:
    """Writes by libsndfile, padded with silence to whole frames.

    The file is made in memory, GSM's takes 6 MB an hour: libsndfile reports no full disk.
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
            format=encoding.format.upper(),
            subtype=spec_of(encoding).sndfile_subtype,
        )

    def write(self, block: Block) -> None:
        """Take samples."""
        self._sound.write(as_int16(block))
        self.samples += len(block)

    def finish(self) -> None:
        """Write the file.

        Raises:
            OutputError: the disk is full.
        """
        missing = decoded_samples(self._encoding, self.samples) - self.samples
        self._sound.write(np.zeros((missing, self._encoding.channels), np.int16))
        self._sound.close()
        with files.writing(self._path):
            self._path.write_bytes(self._made.getbuffer())

    def abort(self) -> None:
        """Do nothing: before `finish` no process runs and no file is open."""


class FfmpegWriter:
    """Feeds samples through a pipe to an ffmpeg that encodes them."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.samples = 0
        self._path = path
        self._process = ffmpeg_process.Process(
            ffmpeg.compile_argv(_output(path, encoding)), feed=True
        )

    def write(self, block: Block) -> None:
        """Take samples.

        Raises:
            OutputError: the disk is full.
            ToolError: ffmpeg failed.
        """
        with ffmpeg_process.output_errors(self._path):
            self._process.write(as_float32(block).tobytes())
        self.samples += len(block)

    def finish(self) -> None:
        """Wait until the file is complete."""
        try:
            with ffmpeg_process.output_errors(self._path):
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
    """Return ffmpeg's output options for an encoding.

    Tags are left out: they cost bytes, and services ignore them.
    """
    spec = spec_of(encoding)
    made: dict[str, Any] = {
        "f": containers.of(encoding.format).muxer_of(encoding.codec),
        "acodec": ffmpeg.require_encoder(spec.encoder),
        "b:a": encoding.bit_rate,
        "map_metadata": -1,
        **spec.encoder_options,
    }
    if encoding.cutoff_hz is not None:
        made["cutoff"] = encoding.cutoff_hz
    if encoding.effort is not None:
        made["compression_level"] = encoding.effort
    return made


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
    """Read a finished segment back and compare it with its plan.

    Args:
        path: the file.
        encoding: the planned encoding.
        samples: how many were written, at the encoding's rate.
        tolerance: by how many the length may differ, where resampling has rounded.
        max_samples: the largest length for a reader (`decoded_samples`), at the encoding's rate;
            None for no limit.
        max_bytes: the largest size; None where the caller checks it with `fits`.

    Raises:
        LimitError: the file differs from its plan, or breaks a limit.
    """
    spec = None if encoding.sample_type else spec_of(encoding)
    is_by_libsndfile = spec is not None and bool(spec.sndfile_subtype)
    if is_by_libsndfile:
        found, length = _read_by_libsndfile(path)
    else:
        found, length = _read_frames(path) or _read_by_ffmpeg(path)
    wanted = (encoding.format, encoding.codec, encoding.sample_rate_hz, encoding.channels)
    if found != wanted:
        raise _broken(path, f"it is {found}, not {wanted}")
    extra = spec.decoded_extra_samples if spec else 0
    if not -tolerance <= length - samples <= extra + tolerance:
        rate_hz = encoding.sample_rate_hz
        raise _broken(
            path,
            f"it lasts {format_seconds(length, rate_hz)} s, "
            f"not {format_seconds(samples, rate_hz)} s",
        )
    padded = decoded_samples(encoding, samples)
    if max_samples is not None and padded > max_samples:
        raise _broken(
            path, f"it has {padded:,} samples with its padding, more than {max_samples:,}"
        )
    if not is_by_libsndfile:
        _check_second_reader(path, encoding, length)
    refuse_too_large(path, max_bytes)


def fits(path: Path, max_bytes: int | None) -> bool:
    """Return whether a finished segment is small enough for its request.

    This is where the Base64 limit is checked on the finished file.

    Args:
        path: the segment.
        max_bytes: `Plan.max_segment_bytes`, in raw bytes: the limit of the text divided by 4/3, if
            the sound travels as Base64 (`services.limits.max_bytes`); None is no limit.
    """
    return max_bytes is None or path.stat().st_size <= max_bytes


def refuse_too_large(path: Path, max_bytes: int | None) -> None:
    """Raise for a finished segment that does not fit; takes the same as `fits`.

    Raises:
        LimitError: it is larger than `max_bytes`.
    """
    if not fits(path, max_bytes):
        raise LimitError(
            f"a segment has {path.stat().st_size:,} bytes, more than the {max_bytes:,} allowed",
            fix="ask for shorter segments, a lower bit rate, or another format",
            path=path,
        )


def _read_by_libsndfile(path: Path) -> tuple[Shape, int]:
    """A file's shape and length by libsndfile, which starts no process."""
    import soundfile

    codecs = {row.sndfile_subtype: row.codec for row in ENCODINGS.values()}
    try:
        with sndfile.open_file(path) as stream, sndfile.sound_in(stream) as sound:
            codec = codecs.get(sound.subtype, sound.subtype)
            shape = (sound.format.lower(), codec, sound.samplerate, sound.channels)
            length = int(sound.frames)
    except (OSError, soundfile.SoundFileError) as error:
        raise _broken(path, "libsndfile cannot read it") from error
    if shape[0] == "wav" and not riff.has_plain_header(path):
        raise _broken(path, "it lacks the plain header of a WAV")
    return shape, length


def _read_frames(path: Path) -> tuple[Shape, int] | None:
    """The shape and length of an MP3, ADTS or AMR file by its frames, which starts no process.

    None for other files, for few frames, and where anything but frames is in the file.
    """
    try:
        index = read_frame_index(path)
    except OSError as error:
        raise _broken(path, f"it cannot be read back ({error.strerror})") from error
    if index is None or len(index.sizes) < LEAST_FRAMES or index.junk_bytes or index.torn_bytes:
        return None
    length = durations.frame_samples(path, index)
    if length is None:
        return None
    return (index.format, index.codec, index.rate_hz, index.channels), length


def _read_by_ffmpeg(path: Path) -> tuple[Shape, int]:
    """A file's shape and length by `probe`."""
    try:
        info = probe_file.probe(path)
    except InputError as error:
        raise _broken(path, f"it cannot be read back ({error.problem})") from error
    track = info.default_track
    shape = (info.container, track.codec, track.sample_rate_hz, track.channels)
    return shape, track.duration_samples


def _check_second_reader(path: Path, encoding: Encoding, length: int) -> None:
    """Raise if libsndfile knows the format and finds another length than the first reader."""
    if not containers.of(encoding.format).read_by_libsndfile:
        return
    shape = sndfile.read_shape(path)
    if shape is None and encoding.sample_type:  # a codec that it does not know there: Ogg FLAC
        return
    if shape is None:
        raise _broken(path, "libsndfile cannot read it")
    if abs(shape.frames - length) > sndfile.UNREAD_S * shape.rate_hz:
        raise _broken(path, f"libsndfile finds {shape.frames:,} samples in it, not {length:,}")


def _broken(path: Path, problem: str) -> LimitError:
    return LimitError(
        f"a finished segment was refused: {problem}",
        fix="this is a fault in captoolkit, please report it",
        path=path,
    )
