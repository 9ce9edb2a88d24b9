"""Short files: one start of ffmpeg answers several questions, and the answers are kept for a while.

A file of a few seconds takes less time to decode than ffmpeg takes to start. So the run that prints
its header also lists its packets. Where the samples will be needed, and an MP4 or Ogg states that
it holds one short sound track, the same run decodes them and copies the frames of the track. In
other files the run that counts or measures the samples does that. Planning and making then start no
further ffmpeg. A short Ogg with Opus or Vorbis is decoded in this process (`decode_ogg`).

Rules: an answer counts while the file is the same (`support.recent_files`), and equals that of a
run for this question alone (the tests compare them). Where a combined run fails, each question gets
a run of its own. The answers kept have at most some ten megabytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captoolkit.bitstream import containers, ogg_sound
from captoolkit.bitstream.header_claims import claimed_sound
from captoolkit.bitstream.signatures import by_signature
from captoolkit.errors import ToolError, ToolTimeoutError
from captoolkit.media import ffmpeg, ffmpeg_process
from captoolkit.support import files
from captoolkit.support.recent_files import RecentFiles, state_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from captoolkit.bitstream.containers import Container
    from captoolkit.model import Track

MAX_LISTED_BYTES = 16 << 20  # the largest file with packets that are listed with its header
MAX_LISTING_BYTES = 1 << 20
MAX_COPY_BYTES = 2 << 20
HEAD_BYTES = 64  # that identify a container
# `decode.excerpts` reads a track of this length as a whole.
MAX_SHORT_S = 32.0
MAX_SAMPLES_BYTES = 16 << 20
MAX_UNSTATED_BYTES = 8 << 20
SPARE_S = 2.0  # by which a track may be longer than its header states
SAMPLES_FILE, FRAMES_FILE = "samples.f32", "frames"
ONLY_SOUND = -1  # in place of the number of a stream that was not known yet

_LEVEL = re.compile(r"^\[(?:info|warning)\] ", re.MULTILINE)
_MAPPING = "\nStream mapping:\n"
RECONFIGURED = "Reconfiguring filter graph"  # the rate or the channels change on the way


@dataclass(frozen=True, slots=True)
class Listing:
    """A `framecrc` listing of all sound tracks, and ffmpeg's log of that run."""

    lines: tuple[bytes, ...]
    log: str

    def of_track(self, number: int) -> list[bytes]:
        """Return the listing of a sound track, from 0, as one of this track alone."""
        begin, base = b"%d," % number, b"#tb %d:" % number
        named = (line.replace(base, b"#tb 0:") for line in self.lines if line.startswith(base))
        return [*named, *(line for line in self.lines if line.startswith(begin))]


_LISTINGS: RecentFiles[Listing] = RecentFiles(8)
_COPIES: RecentFiles[bytes] = RecentFiles(8)
_SAMPLES: RecentFiles[NDArray[np.float32]] = RecentFiles(8, weigh=lambda one: one.nbytes, most=3e7)
# By stream: the unit of its time stamps in seconds, and the first one.
FIRST_PACKETS: RecentFiles[tuple[Fraction, int]] = RecentFiles(64)


# ------------------------------------------------------------------------- header and packets


def header(path: Path, *, decodes: bool = False) -> str:
    """Return ffmpeg's description of a media file; of a short file its packets are listed too.

    Args:
        path: the file.
        decodes: also decode a short track, because its samples will be needed.
    """
    if not _is_listed(path):
        return ffmpeg.header(path)
    text = _header_and_samples(path) if decodes else ""
    if not text:
        text = _header_and_packets(path, _listed_packets(ffmpeg.source(path)))
    return text or ffmpeg.header(path)


def _listed_packets(source: Any) -> Any:
    """The output that lists the packets of all sound tracks."""
    return source["a?"].output(
        "pipe:1", f="framecrc", acodec="copy", flush_packets=0, loglevel="level+info", nostats=None
    )


def _decoded(stream: Any, folder: Path, **options: Any) -> Any:
    """The output of a stream's samples, at its own rate and channels."""
    return stream.output(
        ffmpeg.file_url(folder / SAMPLES_FILE),
        f="f32le",
        acodec="pcm_f32le",
        af="aformat=sample_fmts=flt|fltp",
        t=MAX_SHORT_S + SPARE_S,
        fs=MAX_SAMPLES_BYTES,
        **options,
    )


def _copied(stream: Any, folder: Path, container: Container) -> Any:
    """The output of a stream's frames."""
    return stream.output(
        ffmpeg.file_url(folder / FRAMES_FILE),
        f=container.muxer,
        acodec="copy",
        map_metadata=-1,
        **container.bare_options,
    )


def _header_and_packets(path: Path, node: Any, *, must_succeed: bool = False) -> str:
    """Run ffmpeg with a node's outputs; return the header, empty where another run must print it.

    Keeps the packets of all sound tracks. ffmpeg fails after the last packet of a file that is cut
    off, and before it where a further output cannot be written: then the run `must_succeed`.
    """
    state = state_of(path)
    argv = ffmpeg.compile_argv(node)
    with ffmpeg_process.Process(
        argv, total_s=ffmpeg.HEADER_S, tail_bytes=ffmpeg.MAX_HEADER_BYTES
    ) as process:
        try:
            data = process.read_all(MAX_LISTING_BYTES)
        except ToolTimeoutError:
            raise
        except ToolError:  # too many packets
            data = b""
            process.kill()
        has_failed = process.wait() != 0
        log = process.stderr_tail
    text, mapping, _ = _LEVEL.sub("", log).partition(_MAPPING)
    if not mapping or (must_succeed and has_failed):  # no media: the messages differ
        return ""
    if data:
        _LISTINGS.put(state, "", Listing(tuple(data.splitlines()), log))
    return text


def _header_and_samples(path: Path) -> str:
    """Return the header of a file with one short track, and keep its samples and frames.

    Returns an empty text for any other file, and where the run fails or meets a change of rate or
    channels: then the packets are listed without a decode.
    """
    import numpy as np

    with path.open("rb") as stream:
        claim = claimed_sound(stream)
    if claim is None or not 0 < claim.seconds <= MAX_SHORT_S:
        return ""
    state, container = state_of(path), containers.container_of_frames(claim.codec)
    source = ffmpeg.source(path, threads=1)
    with files.staging(None) as folder:
        outputs = [_listed_packets(source), _decoded(source["a:0"], folder)]
        if container is not None:
            outputs.append(_copied(source["a:0"], folder, container))
        text = _header_and_packets(path, ffmpeg.merged(outputs), must_succeed=True)
        listed = _LISTINGS.get(state, "")
        samples, frames = folder / SAMPLES_FILE, folder / FRAMES_FILE
        if not text or listed is None or RECONFIGURED in listed.log or not samples.is_file():
            return ""
        decoded = np.fromfile(samples, "<f4")
        if decoded.nbytes < MAX_SAMPLES_BYTES:
            _SAMPLES.put(state, ONLY_SOUND, decoded)
        if container is not None and frames.is_file():
            _keep_copy(path, ONLY_SOUND, container, frames)
    return text


def _is_listed(path: Path) -> bool:
    """Whether a listing of a file's packets is cheap, and of use for `durations`."""
    try:
        with path.open("rb") as stream:
            row = by_signature(stream.read(HEAD_BYTES))
            size_bytes = stream.seek(0, 2)
    except OSError:
        return False
    if row is None or row.is_frame_stream or row.holds_samples or row.counts_frames:
        return False
    return size_bytes <= MAX_LISTED_BYTES


def listing(path: Path, number: int) -> tuple[list[bytes], str] | None:
    """Return the packets of a sound track (from 0) and ffmpeg's log; None where not listed."""
    found = _LISTINGS.get(state_of(path), "")
    lines = found.of_track(number) if found else []
    return (lines, found.log) if found and len(lines) > 1 else None


# ------------------------------------------------------------------------- samples and frames


def is_short(*, stated_s: float, rate_hz: int, channels: int) -> bool:
    """Return whether the samples of a track are kept, by the length that its header states."""
    if not 0 < stated_s <= MAX_SHORT_S:
        return False
    return 4 * (stated_s + SPARE_S) * rate_hz * channels <= MAX_SAMPLES_BYTES


def may_be_short(path: Path) -> bool:
    """Return whether a file that states no length, such as a live recording, may be short.

    If it is longer, the samples are dropped that were decoded up to the limits.
    """
    return path.stat().st_size <= MAX_UNSTATED_BYTES


def cached_samples(path: Path, track: Track) -> NDArray[np.float32] | None:
    """Return all decoded samples of a track, shape (frames, channels); None where not kept.

    The gaps in its time stamps are not filled.
    """
    state = state_of(path)
    if not track.is_steady:
        return None
    found = _SAMPLES.get(state, track.stream_index)
    if found is not None or track.number != 1 or track.discontinuities:
        return found
    only = _SAMPLES.get(state, ONLY_SOUND)
    is_whole = only is not None and only.size == track.duration_samples * track.channels
    return only.reshape(-1, track.channels) if only is not None and is_whole else None


def samples_in_process(path: Path, track: Track) -> NDArray[np.float32] | None:
    """Return the samples as `cached_samples` does, or decode an Ogg; None where ffmpeg decodes."""
    found = cached_samples(path, track)
    if found is not None or track.codec not in ogg_sound.READERS or not _is_short(track):
        return found
    from captoolkit.media import decode_ogg

    state = state_of(path)
    decoded = decode_ogg.decode_whole(path, track)
    if decoded is not None:
        _SAMPLES.put(state, track.stream_index, decoded)
    return decoded


def _is_short(track: Track) -> bool:
    return is_short(
        stated_s=track.duration_s, rate_hz=track.sample_rate_hz, channels=track.channels
    )


def samples(path: Path, track: Track) -> NDArray[np.float32] | None:
    """Return the samples as `samples_in_process` does, or decode a short track by ffmpeg.

    None for any other track.
    """
    found = samples_in_process(path, track)
    if found is not None or not _is_short(track) or not track.is_steady or track.reading:
        return found
    extra = Extra(
        path,
        index=track.stream_index,
        codec=track.codec,
        rate_hz=track.sample_rate_hz,
        channels=track.channels,
    )
    with extra:
        try:
            with ffmpeg_process.Process(extra.argv(())) as process:
                process.finish()
        except ToolTimeoutError:
            raise
        except ToolError:  # the decoder of `decode` finds the sound that can be decoded
            return None
        extra.keep()
    return cached_samples(path, track)


def cached_copy(path: Path, track: Track, container: Container) -> bytes | None:
    """Return the frames of a track as a file of a container; None where not kept."""
    state, found = state_of(path), None
    if track.number == 1:
        found = _COPIES.get(state, (ONLY_SOUND, container.name))
    return found or _COPIES.get(state, (track.stream_index, container.name))


def keep_copy(path: Path, track: Track, container: Container, copy: Path) -> None:
    """Keep the frames of a track that were copied to a small file."""
    _keep_copy(path, track.stream_index, container, copy)


def _keep_copy(path: Path, index: int, container: Container, copy: Path) -> None:
    if copy.stat().st_size <= MAX_COPY_BYTES:
        _COPIES.put(state_of(path), (index, container.name), copy.read_bytes())


class Extra(AbstractContextManager["Extra"]):
    """Further outputs of an ffmpeg that decodes a short track: its samples and its frames.

    Args:
        path: the media file.
        index: the stream.
        codec: its codec.
        rate_hz: its sample rate.
        channels: its channels.
    """

    def __init__(self, path: Path, *, index: int, codec: str, rate_hz: int, channels: int) -> None:
        self._path = path
        self._index = index
        self._codec = codec
        self._channels = channels
        self._rate_hz = rate_hz
        self._container = containers.container_of_frames(codec)
        self._state = state_of(path)

    def __enter__(self) -> Extra:
        """Make the folder of the outputs."""
        self._folder = files.make_staging(None)
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the folder."""
        files.remove_folder(self._folder)

    def argv(self, outputs: Sequence[Any], **options: Any) -> list[str]:
        """Return the argument list of an ffmpeg with these outputs and the further ones.

        Args:
            outputs: functions of ffmpeg-python's node of the stream.
            **options: options of the input.
        """
        source = ffmpeg.source(self._path, codec=self._codec, threads=1, **options)
        stream = source[str(self._index)]
        nodes = [output(stream) for output in outputs]
        nodes.append(_decoded(stream, self._folder, ar=self._rate_hz))
        if self._container is not None:
            nodes.append(_copied(stream, self._folder, self._container))
        return ffmpeg.compile_argv(ffmpeg.merged(nodes))

    def keep(self, *, steady: bool = True) -> None:
        """Keep the outputs of a finished ffmpeg.

        Args:
            steady: rate and channels stay the same; the samples count only then.
        """
        import numpy as np

        copy = self._folder / FRAMES_FILE
        if self._container is not None and copy.is_file():
            _keep_copy(self._path, self._index, self._container, copy)
        decoded = np.fromfile(self._folder / SAMPLES_FILE, "<f4")
        is_whole = len(decoded) < (MAX_SHORT_S + SPARE_S) * self._rate_hz * self._channels
        is_whole = is_whole and decoded.nbytes < MAX_SAMPLES_BYTES
        if steady and is_whole and not len(decoded) % self._channels:
            _SAMPLES.put(self._state, self._index, decoded.reshape(-1, self._channels))


def in_blocks(sound: NDArray[np.float32], rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Yield samples in blocks of a second."""
    for start in range(0, len(sound), rate_hz):
        yield sound[start : start + rate_hz]
