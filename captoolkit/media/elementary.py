"""Elementary streams: a track's frames without their container, and pieces of them.

An elementary stream is an MP3, ADTS or AMR file. Rules: no byte of a frame changes. Bytes between
frames (tags, junk) are left out. A stream is cut only if its index shows where each frame begins,
and the headers match the probed track.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from captoolkit.bitstream import containers, mpeg_audio
from captoolkit.bitstream.containers import Container
from captoolkit.bitstream.frames import FrameIndex
from captoolkit.bitstream.mpeg_audio import DECODER_DELAY_SAMPLES
from captoolkit.errors import ToolError, ToolTimeoutError
from captoolkit.media import ffmpeg, ffmpeg_process, short_files, tags
from captoolkit.media.frame_index import read_frame_index
from captoolkit.media.player_clock import TOLERANCE_S
from captoolkit.model import MediaInfo, Target, Track
from captoolkit.planning.frame_plan import Framing, edits_reason
from captoolkit.support import files
from captoolkit.support.recent_files import state_of

Watch = Callable[[ffmpeg_process.Process], AbstractContextManager[ffmpeg_process.Process]]

CHUNK_BYTES = 1 << 20
FRAMES_TO_TAG = 8  # more than a reader needs to recognise the stream
MAX_TAIL_SAMPLES = mpeg_audio.MAX_TAG_SAMPLES - DECODER_DELAY_SAMPLES


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ElementaryStream:
    """A file of frames, and their places in it.

    Attributes:
        lead_samples: samples that a decoder returns before the track's first one; negative where
            the track begins before the frames.
        tail_samples: samples that it returns after the track's last one; 0 where that is unknown.
        total_samples: the duration of the track.
        first_header: the first bytes of the first frame.
    """

    path: Path
    frames: FrameIndex
    lead_samples: int
    tail_samples: int
    total_samples: int
    first_header: bytes

    @property
    def framing(self) -> Framing:
        """The part of the index that a plan needs."""
        return Framing(
            format=self.frames.format,
            codec=self.frames.codec,
            rate_hz=self.frames.rate_hz,
            frame_samples=self.frames.frame_samples,
            sizes=self.frames.sizes,
            head_bytes=len(self.frames.head) + self._information_bytes,
            lead_samples=self.lead_samples,
        )

    @property
    def count(self) -> int:
        """The number of frames."""
        return len(self.frames.sizes)

    def sample_of(self, frame: int) -> int:
        """Return the track's sample at which a frame begins; the ends are the track's own."""
        if frame <= 0:
            return 0
        if frame >= self.count:
            return self.total_samples
        at = frame * self.frames.frame_samples - self.lead_samples
        return min(max(0, at), self.total_samples)

    def end_of(self, frame: int) -> int:
        """Return the track's sample at which the frame before another one ends."""
        return self.sample_of(frame)

    def boundary_at(self, sample: int) -> int:
        """Return the frame that begins nearest to a sample of the track."""
        if sample <= 0:
            return 0
        if sample >= self.total_samples:
            return self.count
        nearest = round((sample + self.lead_samples) / self.frames.frame_samples)
        return min(max(0, nearest), self.count)

    def copy(self, first: int, last: int, path: Path, *, head: bytes = b"") -> str:
        """Write frames [first, last) to a file.

        Args:
            first: the first frame.
            last: one past the last frame.
            path: the file.
            head: bytes to write first, before the format's own magic.

        Returns:
            The SHA-256 of the file, in hexadecimal.

        Raises:
            OutputError: the file cannot be written.
        """
        digest = hashlib.sha256()
        with files.writing(path), self.path.open("rb") as source, path.open("wb") as out:
            front = head + self.frames.head
            digest.update(front)
            out.write(front)
            for start, end in self._byte_ranges(first, last):
                source.seek(start)
                while start < end:
                    chunk = source.read(min(CHUNK_BYTES, end - start))
                    if not chunk:
                        raise OSError("the source has become shorter")
                    digest.update(chunk)
                    out.write(chunk)
                    start += len(chunk)
        return digest.hexdigest()

    def id3_tag(self, values: Mapping[str, str], folder: Path) -> bytes:
        """Return the ID3v2 tag that ffmpeg writes before such a stream; empty where it writes none.

        Args:
            values: the values by name.
            folder: where to write temporary files, which are removed again.
        """
        container = containers.of(self.frames.format)
        if not values or not container.tag_options:
            return b""
        suffix = self.frames.format
        untagged, tagged = folder / f"untagged.{suffix}", folder / f"tagged.{suffix}"
        self.copy(0, FRAMES_TO_TAG, untagged)
        listed = tags.write(values, folder)
        options = {"f": container.muxer, "acodec": "copy", **container.tag_options}
        node = tags.tagged(ffmpeg.source(untagged)["a:0"], listed, tagged, **options)
        with ffmpeg_process.Process(ffmpeg.compile_argv(node)) as process:
            process.finish()
        index = read_frame_index(tagged)
        with tagged.open("rb") as file:
            tag = file.read(index.id3_bytes if index else 0)
        for path in (untagged, listed, tagged):
            path.unlink()
        return tag

    def audible_samples(self, first: int, last: int) -> int:
        """Return how many samples a decoder returns for a file of frames [first, last).

        Such a file begins with the information frame of `information_frame`.
        """
        framed = (last - first) * self.frames.frame_samples
        lead, tail = self._unheard_samples(first, last)
        return framed - lead - tail

    def information_frame(self, first: int, last: int) -> bytes:
        """Return the information frame (`mpeg_audio`) for frames [first, last) of an MP3.

        Empty for other formats.
        """
        if not self._information_bytes:
            return b""
        lead, tail = self._unheard_samples(first, last)
        return mpeg_audio.write_information_frame(
            self.first_header, self.frames.sizes[first:last], lead_samples=lead, tail_samples=tail
        )

    @property
    def _information_bytes(self) -> int:
        has_index_frame = containers.of(self.frames.format).has_index_frame
        return mpeg_audio.written_information_bytes(self.first_header) if has_index_frame else 0

    def _unheard_samples(self, first: int, last: int) -> tuple[int, int]:
        """The samples before and after the sound that a file of frames [first, last) states."""
        if not self._information_bytes or first or self.lead_samples < DECODER_DELAY_SAMPLES:
            return 0, 0
        return self.lead_samples, self.tail_samples if last == self.count else 0

    def _byte_ranges(self, first: int, last: int) -> list[tuple[int, int]]:
        """The byte ranges [start, end) of all runs of adjacent frames."""
        starts, sizes = self.frames.starts_of(first, last), self.frames.sizes[first:last]
        gaps = np.flatnonzero(starts[:-1] + sizes[:-1] != starts[1:]) + 1
        begins = np.concatenate([[0], gaps])
        ends = np.concatenate([gaps, [len(starts)]])
        return [
            (int(starts[begin]), int(starts[end - 1] + sizes[end - 1]))
            for begin, end in zip(begins, ends, strict=True)
        ]


def is_accepted(track: Track, target: Target) -> bool:
    """Return whether the target accepts an elementary stream of the track's codec."""
    container = containers.container_of_frames(track.codec)
    return container is not None and track.codec in target.accepts.get(container.name, ())


def is_elementary(info: MediaInfo) -> bool:
    """Return whether the file itself is an elementary stream, with one track and nothing else."""
    return containers.of(info.container).is_frame_stream


def _unwatched(process: ffmpeg_process.Process) -> AbstractContextManager[ffmpeg_process.Process]:
    return process


def has_pauses(track: Track) -> bool:
    """Return whether a track has pauses in which its frames hold no data."""
    return track.codec in ffmpeg.PAUSING_CODECS and bool(track.discontinuities)


def pauses_reason(track: Track) -> str:
    """Return why frames of a track with such pauses are not copied, as a sentence."""
    return f"In pauses its {track.codec} frames hold no data, and no decoder reads these alone."


def extract_stream(
    info: MediaInfo, track: Track, folder: Path, *, watch: Watch = _unwatched
) -> ElementaryStream | str:
    """Return the track's frames as an elementary stream, or the reason why they cannot be cut.

    Args:
        info: the file.
        track: one of its tracks.
        folder: where to write the stream if the file itself is none.
        watch: receives each process that runs, so that another thread can end it.

    Returns:
        The stream, or a sentence.
    """
    codec = track.codec
    container = containers.container_of_frames(codec)
    if container is None:
        return f"Frames of {codec} have no elementary stream."
    if track.is_edited:
        return edits_reason(track)
    if has_pauses(track):
        return pauses_reason(track)
    path = Path(info.path)
    if not is_elementary(info):
        path = folder / f"stream.{container.name}"
        if not _copy_packets(info, track, path, container, watch):
            return f"Its {codec} frames cannot be copied out of {info.container}."
    index = read_frame_index(path)
    if index is None:
        return f"Its {codec} frames do not form one continuous stream."
    stray_bytes = index.torn_bytes + index.junk_bytes
    if stray_bytes:
        return f"Between its {codec} frames are {stray_bytes:,} bytes that belong to no frame."
    if (index.codec, index.rate_hz) != (codec, track.sample_rate_hz):  # HE-AAC, which doubles it
        return f"Its frames state {index.rate_hz} Hz and decode to {track.sample_rate_hz} Hz."
    lead_samples = _lead_samples(info, track, watch)
    if lead_samples is None:
        return f"It does not state where in its {codec} frames the sound begins."
    if index.info and not is_elementary(info):
        # There it is a packet, which a decoder returns as a frame of silence.
        lead_samples -= index.frame_samples
    # Frames that a decoder rejects leave gaps in its sound; the frames themselves have none.
    held_samples = len(index.sizes) * index.frame_samples - lead_samples
    if track.discontinuities and abs(held_samples - track.duration_samples) > (
        TOLERANCE_S * track.sample_rate_hz
    ):
        return f"Its {codec} frames without their time stamps would lose its gaps and overlaps."
    with path.open("rb") as stream:
        stream.seek(int(index.starts_of(0, 1)[0]))
        first_header = stream.read(mpeg_audio.HEADER_BYTES)
    return ElementaryStream(
        path=path,
        frames=index,
        lead_samples=lead_samples,
        tail_samples=_tail_samples(info, track, index, lead_samples),
        total_samples=track.duration_samples,
        first_header=first_header,
    )


def _copy_packets(
    info: MediaInfo, track: Track, path: Path, container: Container, watch: Watch
) -> bool:
    """Copy the track's packets to a file; False where ffmpeg cannot write them as frames."""
    recent = short_files.cached_copy(Path(info.path), track, container)
    if recent is not None:
        with files.writing(path):
            path.write_bytes(recent)
        return True
    copied = {"acodec": "copy", "map_metadata": -1, "flush_packets": 0}
    node = ffmpeg.source(info.path)[str(track.stream_index)].output(
        ffmpeg.file_url(path), f=container.muxer, **copied, **container.bare_options
    )
    try:
        with watch(ffmpeg_process.Process(ffmpeg.compile_argv(node), writes=path)) as process:
            process.finish()
    except ToolTimeoutError:
        raise
    except ToolError:  # for any cause (even a full disk): decoding may still succeed
        path.unlink(missing_ok=True)
        return False
    if not path.is_file():
        return False
    short_files.keep_copy(Path(info.path), track, container, path)
    return True


def _lead_samples(info: MediaInfo, track: Track, watch: Watch) -> int | None:
    """The samples that a decoder of the stream returns before the track's first one.

    None where that is unknown: ffmpeg does not pass on the encoder's delay that Matroska states,
    and only a track that begins at the file's beginning shows it in its time stamps.
    """
    if containers.of(info.container).has_index_frame:
        with Path(info.path).open("rb") as stream:
            delay = mpeg_audio.read_encoder_delay(stream)
        return 0 if delay is None else delay.lead_samples
    if is_elementary(info):
        return 0
    first = _first_packet(Path(info.path), track, watch)
    if first is None:
        return 0
    base, pts = first
    if pts > 0 and containers.of(info.container).hides_delay:
        return None
    return int(max(0, -pts) * base * track.sample_rate_hz)


def _first_packet(path: Path, track: Track, watch: Watch) -> tuple[Fraction, int] | None:
    """The unit of the track's time stamps in seconds and the first one; None without a packet."""
    state = state_of(path)
    recent = short_files.FIRST_PACKETS.get(state, track.stream_index)
    if recent is not None:
        return recent
    listed = short_files.listing(path, track.number - 1)
    if listed is not None:
        lines = [line.decode() for line in listed[0]]
    else:
        node = ffmpeg.source(path)[str(track.stream_index)].output(
            "pipe:1", f="framecrc", acodec="copy", **{"frames:a": 1}
        )
        with watch(ffmpeg_process.Process(ffmpeg.compile_argv(node))) as process:
            lines = process.read_all(ffmpeg.MAX_HEADER_BYTES).decode().splitlines()
            process.wait()
    base = next((line[6:].strip() for line in lines if line.startswith("#tb 0:")), "1/1")
    packet = next((line.split(",") for line in lines if line[:1].isdigit()), None)
    if packet is None:
        return None
    first = (Fraction(base), int(packet[2]))
    short_files.FIRST_PACKETS.put(state, track.stream_index, first)
    return first


def _tail_samples(info: MediaInfo, track: Track, index: FrameIndex, lead_samples: int) -> int:
    """The samples that a decoder of the stream returns after the track's last one.

    0 where that is unknown: LAME's tag of a joined MP3 states the padding of its first part.
    """
    if containers.of(info.container).has_index_frame:
        with Path(info.path).open("rb") as stream:
            delay = mpeg_audio.read_encoder_delay(stream)
        if delay is None or delay.frames != len(index.sizes):
            return 0
    tail_samples = index.duration_samples - lead_samples - track.duration_samples
    return tail_samples if 0 <= tail_samples <= MAX_TAIL_SAMPLES else 0
