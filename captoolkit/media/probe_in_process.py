"""Probe a plain WAV, FLAC or Ogg by its own bytes: a thousand small files start no ffmpeg.

Rules: the result equals ffmpeg's, field by field (the tests compare both). Every unusual file is
left to ffmpeg: more than two channels, chapters, pictures of unknown kinds, disguised codecs,
implausible rates, truncated files, an Ogg of more than some megabytes.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import BinaryIO

from captoolkit.bitstream import channel_layouts, riff
from captoolkit.errors import InputError, NotMediaError, SourceNotFoundError
from captoolkit.model import MediaInfo, Picture, Track

FLAC_MAGIC, OGG_MAGIC = b"fLaC", b"OggS"
LAYOUTS = {1: "mono", 2: "stereo"}


def readable_size(file: Path) -> int:
    """Return the size of a file, which must be regular, readable and not empty.

    Raises:
        SourceNotFoundError: the file does not exist or cannot be read.
        NotMediaError: it is empty.
    """
    try:
        status = file.stat()
        is_pipe_or_device = not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode)
        if not is_pipe_or_device:  # opening a pipe would wait for its writer
            with file.open("rb") as stream:
                stream.read(1)
    except (FileNotFoundError, ValueError):  # no name of a file can hold U+0000 or a surrogate
        raise SourceNotFoundError("no such file", fix="check the name", path=file) from None
    except IsADirectoryError:
        raise InputError("it is a folder", fix="give the files in it", path=file) from None
    except OSError as error:
        raise SourceNotFoundError(
            f"it cannot be read ({error.strerror})", fix="check its permissions", path=file
        ) from error
    if is_pipe_or_device:
        raise InputError("it is not a regular file", fix="copy it to a file first", path=file)
    if not status.st_size:
        raise NotMediaError("the file is empty", fix="check how it was made", path=file)
    return status.st_size


def probe_in_process(file: Path, *, size_bytes: int) -> MediaInfo | None:
    """Return the contents of a plain WAV, FLAC or Ogg, None for any other file."""
    with file.open("rb") as stream:
        magic = stream.read(4)
        if magic == FLAC_MAGIC:
            return _probe_flac(file, stream, size_bytes)
        if magic == OGG_MAGIC:
            return _probe_ogg(file, stream, size_bytes)
    return _probe_wav(file, size_bytes) if magic == b"RIFF" else None


def _probe_wav(file: Path, size_bytes: int) -> MediaInfo | None:
    pcm = riff.plain_pcm(file)
    if pcm is None or channel_layouts.excess(rate_hz=pcm.rate_hz, channels=pcm.channels):
        return None
    if not pcm.frames:
        return None
    bits_per_s = pcm.rate_hz * pcm.channels * pcm.bits
    return MediaInfo(
        path=str(file),
        size_bytes=size_bytes,
        container="wav",
        tracks=(
            _only_track(
                codec=pcm.codec,
                rate_hz=pcm.rate_hz,
                channels=pcm.channels,
                frames=pcm.frames,
                bit_rate=bits_per_s // 1000 * 1000,  # ffmpeg prints whole kbit/s
            ),
        ),
        plain_header=pcm.plain_header,
    )


def _probe_flac(file: Path, stream: BinaryIO, size_bytes: int) -> MediaInfo | None:
    from captoolkit.bitstream import flac
    from captoolkit.media import durations

    blocks = flac.read_blocks(stream)
    shape, pictures = flac.rate_and_channels(blocks), flac.picture_codecs(blocks)
    if shape is None or pictures is None or flac.needs_ffmpeg(blocks):
        return None
    rate_hz, channels = shape
    if channels not in LAYOUTS:
        return None
    frames = durations.count_frames_in_process(file, container="flac", rate_hz=rate_hz)
    if frames is None:  # libsndfile may not find the end of a file that lacks some frames
        frames = durations.count_flac_samples(file)
    if frames is None:
        return None
    return MediaInfo(
        path=str(file),
        size_bytes=size_bytes,
        container="flac",
        tracks=(
            _only_track(
                codec="flac",
                rate_hz=rate_hz,
                channels=channels,
                frames=frames,
                bit_rate=None,
                counted=not flac.stated_samples(blocks),
            ),
        ),
        pictures=tuple(
            Picture(stream_index=index, codec=codec, is_cover=True)
            for index, codec in enumerate(pictures, start=1)
        ),
    )


def _probe_ogg(file: Path, stream: BinaryIO, size_bytes: int) -> MediaInfo | None:
    from captoolkit.bitstream import ogg_sound

    stream.seek(0)
    sound = ogg_sound.read_sound(stream.read(ogg_sound.MAX_FILE_BYTES + 1))
    if sound is None or channel_layouts.excess(rate_hz=sound.rate_hz, channels=sound.channels):
        return None
    track = _only_track(
        codec=sound.codec,
        rate_hz=sound.rate_hz,
        channels=sound.channels,
        frames=sound.samples,
        bit_rate=sound.bit_rate // 1000 * 1000 if sound.bit_rate else None,
        counted=True,
        is_edited=sound.is_edited,
    )
    return MediaInfo(path=str(file), size_bytes=size_bytes, container="ogg", tracks=(track,))


def _only_track(
    *,
    codec: str,
    rate_hz: int,
    channels: int,
    frames: int,
    bit_rate: int | None,
    counted: bool = False,
    is_edited: bool = False,
) -> Track:
    return Track(
        number=1,
        stream_index=0,
        codec=codec,
        sample_rate_hz=rate_hz,
        channels=channels,
        layout=LAYOUTS[channels],
        duration_samples=frames,
        counted=counted,
        is_edited=is_edited,
        bit_rate=bit_rate,
    )
