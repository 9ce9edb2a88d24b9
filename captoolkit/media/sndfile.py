"""libsndfile, which reads WAV, FLAC, MP3, Ogg and some other formats inside this process.

captoolkit decodes with ffmpeg. Many services decode with libsndfile, so it is also the second
reader of what captoolkit sends.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from captoolkit.bitstream import containers, id3, mpeg_audio
from captoolkit.bitstream.frame_kind import SYNC_BITS, SYNC_BYTE
from captoolkit.model import Track
from captoolkit.support.forked import call_in_fork

if TYPE_CHECKING:
    from soundfile import SoundFile

# A descriptor belongs to a C library; on Windows libsndfile brings another one than Python's.
SHARES_DESCRIPTORS = os.name != "nt"
UNKNOWN_FRAMES = (1 << 63) - 1  # its length of a FLAC that states none
# By how much its length of a file may differ from ffmpeg's. It returns no sound past that length,
# and estimates the length of an MP3 without an information frame, where a tag adds to the estimate.
UNREAD_S = 0.05
OVERREAD_S, OVERREAD_SHARE = 0.2, 0.002
# The rate of an AIFF may have a fraction, which one reader rounds and the other cuts off.
RATE_SHARE = 0.001
FIRST_FRAMES_BYTES = 1 << 13  # more than two frames of an MP3
MAX_TAGS = 64  # at the front of a file
TAG_FLAGS_AT, EXTENDED = 5, 0x40  # of an ID3v2 tag: a further header, or compression before v2.3
RATELESS = ("opus",)  # decodes to any of five rates; libsndfile takes that of the original sound


@dataclass(frozen=True, slots=True, kw_only=True)
class SndfileShape:
    """A file as libsndfile's header reading describes it; of most MP3s `frames` is an estimate."""

    rate_hz: int
    channels: int
    frames: int


def read_shape(path: Path) -> SndfileShape | None:
    """Return how libsndfile reads a file's header, None if it cannot read the file."""
    import soundfile

    try:
        with open_file(path) as stream, sound_in(stream) as sound:
            return _shape_of(sound)
    except (OSError, soundfile.SoundFileError):
        return None


def _shape_of(sound: SoundFile) -> SndfileShape:
    return SndfileShape(rate_hz=sound.samplerate, channels=sound.channels, frames=int(sound.frames))


class _BlankTags:
    """A file for soundfile that reads ID3v2 tags as zeros: libsndfile prints lines about some."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._tags: list[tuple[int, int]] = []  # the place of each content and its end
        at = 0
        while len(self._tags) < MAX_TAGS:
            stream.seek(at)
            size = id3.id3v2_bytes(stream.read(id3.ID3V2_HEAD_BYTES))
            if not size:
                break
            self._tags.append((at + id3.ID3V2_HEAD_BYTES, at + size))
            at += size
        stream.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Return that many bytes, fewer only at the end."""
        at = self._stream.tell()
        data = bytearray(self._stream.read(size))
        for begin, end in self._tags:
            first, last = max(0, begin - at), min(len(data), end - at)
            if first < last:
                data[first:last] = bytes(last - first)
            flags_at = begin - id3.ID3V2_HEAD_BYTES + TAG_FLAGS_AT - at
            if 0 <= flags_at < len(data):
                data[flags_at] &= ~EXTENDED
        return bytes(data)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._stream.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the file."""
        return self._stream.seek(offset, whence)


def misreadings(file: Path, container: str, tracks: Sequence[Track]) -> list[str]:
    """Return how libsndfile misreads a file with one track, as a sentence; none if it does not.

    Args:
        file: the file.
        container: its container, as `probe` names it.
        tracks: its tracks, with the duration of the sound that ffmpeg decodes.
    """
    if not containers.of(container).read_by_libsndfile or len(tracks) != 1:
        return []
    track = tracks[0]
    if containers.of(container).has_index_frame:
        # libsndfile's reader of MP3 prints lines of its own on standard error about a damaged tag,
        # a damaged first frame and a wrong size, and can be silenced only for the whole process.
        with open_file(file) as stream:
            if id3.has_broken_tag(stream.read(id3.ID3V2_HEAD_BYTES)):
                return ["Some readers (libsndfile) do not find the end of its damaged ID3 tag."]
            stated = mpeg_audio.read_stated_length(stream)
            if stated is not None and not stated.is_sized:
                return _other_length(stated.samples / track.sample_rate_hz, track)
            if track.codec == "mp3" and _begins_with_damage(stream):
                return ["Some readers (libsndfile) may not find its first frame."]
            shape = _shape_of_mp3(stream)
    else:
        shape = read_shape(file)
    if shape is None:
        return ["Some readers (libsndfile) cannot read it."]
    if shape.channels != track.channels:
        return [f"Some readers (libsndfile) find {shape.channels} channels in it."]
    difference_hz = abs(shape.rate_hz - track.sample_rate_hz)
    if difference_hz > RATE_SHARE * track.sample_rate_hz and track.codec not in RATELESS:
        return [
            f"Some readers (libsndfile) find a rate of {shape.rate_hz} Hz in it, not "
            f"{track.sample_rate_hz} Hz."
        ]
    return _other_length(shape.frames / shape.rate_hz, track)


def _begins_with_damage(stream: BinaryIO) -> bool:
    """Whether an MP3 has a sync word behind its tags, but no two frames in a row there."""
    stream.seek(id3.front_bytes(stream))
    data = stream.read(FIRST_FRAMES_BYTES)
    kind = mpeg_audio.frame_kind(data[:4])
    is_sync = len(data) > 1 and data[0] == SYNC_BYTE and data[1] & SYNC_BITS == SYNC_BITS
    return is_sync and (kind is None or not kind.leads_on(data, 0))


def _shape_of_mp3(stream: BinaryIO) -> SndfileShape | None:
    """How libsndfile reads the header of an MP3, without the content of its tags."""
    import soundfile

    try:
        with soundfile.SoundFile(_BlankTags(stream)) as sound:
            return _shape_of(sound)
    except soundfile.SoundFileError:
        return None


def _other_length(read_s: float, track: Track) -> list[str]:
    """The sentence about another length than that of a track; none where the two are alike."""
    held_s = track.duration_s
    if held_s - read_s <= UNREAD_S and read_s - held_s <= OVERREAD_S + OVERREAD_SHARE * held_s:
        return []
    return [f"Some readers (libsndfile) find {read_s:.3f} s of sound in it, not {held_s:.3f} s."]


def open_file(path: Path) -> BinaryIO:
    """Open a file for `sound_in`; soundfile itself cannot encode every name."""
    return path.open("rb", buffering=0)


def sound_in(stream: BinaryIO) -> SoundFile:
    """Return the sound in an open file, the position of which is then libsndfile's.

    libsndfile reads through the descriptor where possible. A Python stream would be called back for
    every few bytes, and only one thread at a time can do that.

    Raises:
        soundfile.SoundFileError: libsndfile cannot read the file.
    """
    import soundfile

    return soundfile.SoundFile(stream.fileno() if SHARES_DESCRIPTORS else stream, closefd=False)


def _renew_lock() -> None:
    """Replace the lock of soundfile, which a thread of the parent may hold."""
    soundfile = sys.modules.get("soundfile")
    if soundfile is not None and hasattr(soundfile.SoundFile, "_sf_error_lock"):  # since 0.14
        soundfile.SoundFile._sf_error_lock = threading.Lock()


call_in_fork(_renew_lock)
