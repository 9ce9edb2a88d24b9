"""The contents of a media file for a comparison: packets, tags, chapters and one text track.

Rules: nothing is decoded. One ffmpeg reads the file once, from end to end, and lists everything.
Times are those that the container states.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captoolkit.bitstream.containers import MOV_TEXT
from captoolkit.media import ffmpeg, ffmpeg_process, tags
from captoolkit.model import Chapter
from captoolkit.support import files

# ffmpeg's messages about a file that ends too early, at the end of a run that succeeds.
GAP_BYTES = 2  # of an empty subtitle in an MP4
NO_TIME = -(1 << 62)  # ffmpeg's value for an unknown time stamp is below
CUT_OFF_MESSAGES = ("ended prematurely", "partial file", "Truncat", "truncat")


@dataclass(slots=True, kw_only=True, eq=False)
class StreamPackets:
    """The packets of one stream, in the order of the file.

    The empty packets between the subtitles of an MP4 are not part of `count` and `digest`.

    Attributes:
        base: seconds of one tick.
        starts: the time stamp of each packet, in ticks.
        lengths: the length of each packet, in ticks.
        sizes: the size of each packet, in bytes.
        has_gaps: packets of `GAP_BYTES` are gaps between subtitles.
    """

    base: Fraction = Fraction(1)
    starts: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    has_gaps: bool = False
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, fields: Sequence[bytes]) -> None:
        """Add the packet of a line of a `framecrc` listing."""
        self.starts.append(int(fields[2]))
        self.lengths.append(int(fields[3]))
        self.sizes.append(int(fields[4]))
        if not (self.has_gaps and self.sizes[-1] == GAP_BYTES):
            self._digest.update(fields[4] + fields[5].strip())

    @property
    def digest(self) -> bytes:
        """A hash of the size and checksum of every packet."""
        return self._digest.digest()

    @property
    def count(self) -> int:
        """The number of packets, without gaps."""
        return len(self.sizes) - (self.sizes.count(GAP_BYTES) if self.has_gaps else 0)

    @property
    def start_s(self) -> Fraction:
        """The time stamp of the first packet."""
        return self.starts[0] * self.base if self.starts else Fraction(0)

    @property
    def has_times(self) -> bool:
        """Whether every packet has a time stamp."""
        return min(self.starts, default=NO_TIME) > NO_TIME

    @property
    def end_s(self) -> Fraction:
        """The end of the packet that ends last."""
        if not self.has_times:
            return Fraction(0)
        return int(np.max(np.asarray(self.starts) + np.asarray(self.lengths))) * self.base

    def starts_s(self) -> NDArray[np.float64]:
        """Return the time stamp of each packet in seconds."""
        return np.asarray(self.starts, np.float64) * float(self.base)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackText:
    """One packet of a text track: its time in seconds, and its payload."""

    start_s: Fraction
    end_s: Fraction
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileContents:
    """The contents of a file.

    Attributes:
        streams: the packets of the listed streams, by the number of the stream.
        tags: the tags of the file, by names in small letters.
        chapters: its chapters.
        texts: the packets of the chosen text track.
        fault: ffmpeg's message if the file ends too early.
    """

    streams: Mapping[int, StreamPackets]
    tags: Mapping[str, str]
    chapters: tuple[Chapter, ...]
    texts: tuple[TrackText, ...]
    fault: str


def read_contents(
    path: Path, streams: Sequence[int], folder: Path, *, text_stream: int | None = None
) -> FileContents:
    """Return the contents of a media file.

    Args:
        path: the file.
        streams: the numbers of the streams to list.
        folder: a folder for two files that captoolkit reads at once.
        text_stream: the stream that `texts` is read from.

    Raises:
        ToolError: ffmpeg cannot read it.
    """
    listing, payloads = folder / "contents.ffmetadata", folder / "contents.texts"
    listed = [*streams, *([] if text_stream is None else [text_stream])]
    argv = ffmpeg.compile_argv(ffmpeg.source(path, copyts=None).output("-"))[:-2]
    for number in listed:
        argv += ["-map", f"0:{number}"]
    argv += ["-c", "copy", "-f", "framecrc", "-flush_packets", "1", "pipe:1"]
    if text_stream is not None:
        argv += ["-map", f"0:{text_stream}", "-c", "copy", "-f", "data", ffmpeg.file_url(payloads)]
    argv += ["-map_metadata", "0", "-f", "ffmetadata", ffmpeg.file_url(listing), "-y"]
    packets = [StreamPackets() for _ in listed]
    with ffmpeg_process.output_errors(listing), ffmpeg_process.Process(argv) as process:
        for line in process.lines():
            if line.startswith(b"#tb "):
                place, _, base = line[4:].decode().partition(": ")
                packets[int(place)].base = Fraction(base.strip())
            elif line.startswith(b"#codec_id "):
                place, _, codec = line[10:].decode().partition(": ")
                packets[int(place)].has_gaps = codec.strip() == MOV_TEXT
            elif not line.startswith(b"#"):
                fields = line.split(b",", 6)
                packets[int(fields[0])].add(fields)
        process.finish()
        tail = process.stderr_tail
    with files.writing(listing):
        file_tags, chapters = tags.parse_listing(listing.read_text(errors="replace"))
        texts = payloads.read_bytes() if text_stream is not None else b""
    messages = [line for line in tail.splitlines() if any(map(line.count, CUT_OFF_MESSAGES))]
    return FileContents(
        streams=dict(zip(streams, packets, strict=False)),
        tags=file_tags,
        chapters=chapters,
        texts=_texts(packets[-1], texts) if text_stream is not None else (),
        fault=next(map(ffmpeg_process.last_line, messages), ""),
    )


def _texts(packets: StreamPackets, payloads: bytes) -> tuple[TrackText, ...]:
    """The packets of a text track, with their parts of the payloads in one file."""
    texts, place = [], 0
    for start, length, size in zip(packets.starts, packets.lengths, packets.sizes, strict=True):
        payload = payloads[place : place + size]
        place += size
        texts.append(
            TrackText(
                start_s=start * packets.base,
                end_s=(start + length) * packets.base,
                payload=payload,
            )
        )
    return tuple(texts)
