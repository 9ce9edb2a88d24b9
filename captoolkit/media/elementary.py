"""Raw frame streams: a track's frames without their container, and pieces of them.

Rules: not a byte of a frame changes, whatever is written; what lies between frames (tags, junk) is
left out. A stream is only trusted to be cut when its index says where each frame lies, and that its
headers are of the track that was probed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from captoolkit.bitstream import containers, mpeg_audio
from captoolkit.bitstream.containers import Container
from captoolkit.bitstream.frames import FrameIndex
from captoolkit.errors import ToolError, ToolTimeoutError
from captoolkit.media import ffmpeg
from captoolkit.media.frame_index import read_frame_index
from captoolkit.media.tags import tagged as with_tags
from captoolkit.media.tags import write as write_tags
from captoolkit.model import MediaInfo, Target, Track
from captoolkit.planning.frame_plan import Framing
from captoolkit.support import files

Watched = Callable[[ffmpeg.Process], AbstractContextManager[ffmpeg.Process]]

CHUNK_BYTES = 1 << 20
FRAMES_TO_TAG = 8  # more than a reader needs to know a stream for what it is


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawStream:
    """A file of frames, and where in it they lie.

    Attributes:
        lead_samples: how many samples its decoder gives before the track's first one.
        total_samples: how long the track is.
    """

    path: Path
    frames: FrameIndex
    lead_samples: int
    total_samples: int

    @property
    def framing(self) -> Framing:
        """The frames as a plan needs them."""
        return Framing(
            format=self.frames.format,
            codec=self.frames.codec,
            rate_hz=self.frames.rate_hz,
            frame_samples=self.frames.frame_samples,
            sizes=self.frames.sizes,
            head_bytes=len(self.frames.head),
            lead_samples=self.lead_samples,
        )

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.frames.sizes)

    def sample_of(self, frame: int) -> int:
        """Return the sample of the track that a frame begins with; the ends are the track's."""
        if frame <= 0:
            return 0
        if frame >= self.count:
            return self.total_samples
        at = frame * self.frames.frame_samples - self.lead_samples
        return min(max(0, at), self.total_samples)

    def boundary_at(self, sample: int) -> int:
        """Return the frame that begins nearest to a sample; the track's ends keep all frames."""
        if sample <= 0:
            return 0
        if sample >= self.total_samples:
            return self.count
        return min(self.count, round((sample + self.lead_samples) / self.frames.frame_samples))

    def copy(self, first: int, last: int, path: Path, *, head: bytes = b"") -> str:
        """Write frames [first, last) to a file of their own.

        Args:
            first: the first frame.
            last: one past the last.
            path: the file.
            head: what stands before them, and before what every file begins with.

        Returns:
            The SHA-256 of what was written, in hexadecimal.

        Raises:
            OutputError: it cannot be written.
        """
        digest = hashlib.sha256()
        with files.writing(path), self.path.open("rb") as source, path.open("wb") as out:
            front = head + self.frames.head
            digest.update(front)
            out.write(front)
            for start, end in self._stretches(first, last):
                source.seek(start)
                while start < end:
                    chunk = source.read(min(CHUNK_BYTES, end - start))
                    if not chunk:
                        raise OSError("the source has become shorter")
                    digest.update(chunk)
                    out.write(chunk)
                    start += len(chunk)
        return digest.hexdigest()

    def tag(self, tags: Mapping[str, str], folder: Path) -> bytes:
        """Return the ID3v2 tag that ffmpeg writes before such a stream; none where it cannot.

        Args:
            tags: names and values.
            folder: where to write a file that is removed again.
        """
        container = containers.of(self.frames.format)
        if not tags or not container.tag_options:
            return b""
        some, tagged = folder / f"some.{self.frames.format}", folder / f"tag.{self.frames.format}"
        self.copy(0, FRAMES_TO_TAG, some)
        listed = write_tags(tags, folder)
        options = {"f": container.muxer, "acodec": "copy", **container.tag_options}
        node = with_tags(ffmpeg.source(some)["a:0"], listed, tagged, **options)
        with ffmpeg.Process(ffmpeg.compile_argv(node)) as process:
            process.finish()
        index = read_frame_index(tagged)
        with tagged.open("rb") as stream:
            tag = stream.read(index.id3_bytes if index else 0)
        for path in (some, listed, tagged):
            path.unlink()
        return tag

    def index_frame(self, first: int, last: int) -> bytes:
        """Return the frame that tells players how long frames [first, last) of an MP3 are.

        They need none where every second has the same bytes; then, and elsewhere, it is empty.
        """
        sizes = self.frames.sizes[first:last]
        has_index_frame = containers.of(self.frames.format).has_index_frame
        if not has_index_frame or np.ptp(sizes) <= 1:  # a byte of padding comes and goes
            return b""
        with self.path.open("rb") as stream:
            stream.seek(int(self.frames.starts_of(first, first + 1)[0]))
            return mpeg_audio.xing_frame(stream.read(4), sizes)

    def _stretches(self, first: int, last: int) -> list[tuple[int, int]]:
        """Bytes [start, end) of frames that lie one behind another."""
        starts, sizes = self.frames.starts_of(first, last), self.frames.sizes[first:last]
        gaps = np.flatnonzero(starts[:-1] + sizes[:-1] != starts[1:]) + 1
        begins = np.concatenate([[0], gaps])
        ends = np.concatenate([gaps, [len(starts)]])
        return [
            (int(starts[begin]), int(starts[end - 1] + sizes[end - 1]))
            for begin, end in zip(begins, ends, strict=True)
        ]


def may_be_sent(track: Track, target: Target) -> bool:
    """Return whether the target takes a raw stream of the track's codec."""
    container = containers.container_of_frames(track.codec)
    return container is not None and track.codec in target.accepts.get(container.name, ())


def is_raw(info: MediaInfo) -> bool:
    """Return whether the file itself is a raw stream, with nothing but one track of sound."""
    return containers.of(info.container).is_frame_stream


def _unwatched(process: ffmpeg.Process) -> AbstractContextManager[ffmpeg.Process]:
    return process


def stream_of(
    info: MediaInfo, track: Track, folder: Path, *, watched: Watched = _unwatched
) -> RawStream | str:
    """Return the track's frames as a raw stream, or why they cannot be had or trusted.

    Args:
        info: the file.
        track: the track of it.
        folder: where to write the stream if the file itself is none.
        watched: is given each process that runs, so that somebody else may end it.

    Returns:
        The stream; or a sentence.
    """
    codec = track.codec
    container = containers.container_of_frames(codec)
    if container is None:
        return f"Frames of {codec} have no stream of their own."
    path = Path(info.path)
    if not is_raw(info):
        path = folder / f"stream.{container.name}"
        if not _unwrapped(info, track, path, container, watched):
            return f"Its {codec} frames cannot be taken out of {info.container} as they are."
    index = read_frame_index(path)
    if index is None:
        return f"Its {codec} frames do not follow one another as they should."
    stray_bytes = index.torn_bytes + index.junk_bytes
    if stray_bytes:
        return f"Among its {codec} frames lie {stray_bytes:,} bytes that belong to none."
    if (index.codec, index.rate_hz) != (codec, track.sample_rate_hz):  # HE-AAC, which doubles it
        return f"Its frames say {index.rate_hz} Hz, and are decoded to {track.sample_rate_hz} Hz."
    lead_samples = _lead(info, track, watched)
    if lead_samples is None:
        return f"Where in its {codec} frames the sound begins cannot be told."
    return RawStream(
        path=path,
        frames=index,
        lead_samples=lead_samples,
        total_samples=track.duration_samples,
    )


def _unwrapped(
    info: MediaInfo, track: Track, path: Path, container: Container, watched: Watched
) -> bool:
    """Write the track's packets as they are; False where its container holds them otherwise."""
    copied = {"acodec": "copy", "map_metadata": -1, "flush_packets": 0}
    node = ffmpeg.source(info.path)[str(track.stream_index)].output(
        ffmpeg.file_url(path), f=container.muxer, **copied, **container.bare_options
    )
    try:
        with watched(ffmpeg.Process(ffmpeg.compile_argv(node), writes=path)) as process:
            process.finish()
    except ToolTimeoutError:
        raise
    except ToolError:  # what it complains of (a full disk too), a decoder may still get along with
        path.unlink(missing_ok=True)
        return False
    return path.is_file()


def _lead(info: MediaInfo, track: Track, watched: Watched) -> int | None:
    """How many samples the raw stream's decoder gives before the first that the track has.

    None where it cannot be told: Matroska says how long the encoder's delay is where nobody passes
    it on, and only a sound that begins at the file's beginning shows it in its time stamps.
    """
    if containers.of(info.container).has_index_frame:
        with Path(info.path).open("rb") as stream:
            delay = mpeg_audio.read_encoder_delay(stream)
        return 0 if delay is None else delay.lead_samples
    if is_raw(info):
        return 0
    node = ffmpeg.source(info.path)[str(track.stream_index)].output(
        "pipe:1", f="framecrc", acodec="copy", **{"frames:a": 1}
    )
    with watched(ffmpeg.Process(ffmpeg.compile_argv(node))) as process:
        lines = process.read_all(ffmpeg.MAX_HEADER_BYTES).decode().splitlines()
        process.wait()
    base = next((line[6:].strip() for line in lines if line.startswith("#tb 0:")), "1/1")
    first = next((line.split(",") for line in lines if line[:1].isdigit()), None)
    if first is None:
        return 0
    if int(first[2]) > 0 and containers.of(info.container).hides_delay:
        return None
    up, down = map(int, base.split("/"))
    return max(0, -int(first[2])) * up * track.sample_rate_hz // down
