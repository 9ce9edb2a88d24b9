"""The comparison of a new media file with its source and with the timeline inside.

Rules: every copied stream has the packets of its source, at the same times. The subtitles have the
count, the times and the texts of the timeline, and the chapters its count, times and titles. A
container may move all its streams together by a moment, so times are compared relative to the
captioned sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from captoolkit.bitstream.containers import MOV_TEXT
from captoolkit.media.caption_mux import CaptionJob
from captoolkit.media.file_contents import FileContents, StreamPackets, TrackText
from captoolkit.media.probe_by_ffmpeg import MediaStream, MediaStreams
from captoolkit.model import Chapter

NEAR_S = 0.05  # containers round times, and shift them by the priming of a codec
MOVED_S = 0.1  # the times of packets in another form may differ by this, once both begin alike
# Of the file and not of the recording.
FILE_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCue:
    """A subtitle or a chapter that the new file must have, on the clock of the media file."""

    start_s: Fraction
    end_s: Fraction
    text: str


def copied_streams(
    job: CaptionJob, written: MediaStreams
) -> Iterator[tuple[MediaStream, MediaStream | None]]:
    """Yield each copied stream with its copy, which is the next one of its kind.

    Data streams and converted subtitles are left out, because their packets change.
    """
    of_kind: dict[tuple[str, bool], Iterator[MediaStream]] = {}
    for stream in job.streams:
        kind = (stream.kind, stream.is_cover)
        if kind not in of_kind:
            of_kind[kind] = (one for one in written.streams if (one.kind, one.is_cover) == kind)
        copy = next(of_kind[kind], None)
        if stream.kind not in ("Data", "Attachment") and not job.is_converted(stream):
            yield stream, copy


def find_changed_stream(source: StreamPackets, copy: StreamPackets, codec: str) -> str:
    """Return how the copy of a stream departs from its source; an empty text if it does not.

    Some containers wrap packets in their own form (Annex B or not, with ADTS headers or without):
    there the number and the times of packets are compared.
    """
    if source.digest == copy.digest:
        return ""
    if codec.startswith("pcm_"):  # a reader makes its own packets of samples
        has_all = sum(source.sizes) == sum(copy.sizes)
        return "" if has_all else f"has {sum(copy.sizes):,} bytes, not {sum(source.sizes):,}"
    if source.count != copy.count:
        return f"has {copy.count:,} packets, not {source.count:,}"
    if find_departure_s(source, copy) > MOVED_S:
        return "has other packets"
    return ""


def find_departure_s(source: StreamPackets, copy: StreamPackets) -> float:
    """Return by how many seconds the times of two streams differ at most, once both begin alike."""
    if source.count != copy.count or not (source.has_times and copy.has_times):
        return 0.0
    moved = copy.starts_s() - source.starts_s()
    return float(np.max(np.abs(moved - moved[0]))) if len(moved) else 0.0


def find_moved_packets(source: StreamPackets, copy: StreamPackets, shift_s: Fraction) -> str:
    """Return which packet of a copied stream has another time; an empty text if none has.

    All streams of the copy may be later by `shift_s`. Of streams that a reader divides in its own
    way, such as PCM, the first and the last packet are compared.
    """
    if not (source.starts and copy.starts and source.has_times and copy.has_times):
        return ""
    own_s, copied_s = source.starts_s(), copy.starts_s() - float(shift_s)
    if len(own_s) != len(copied_s):
        own_s = np.array([own_s[0], float(source.end_s)])
        copied_s = np.array([copied_s[0], float(copy.end_s - shift_s)])
    apart_s = np.abs(copied_s - own_s)
    at = int(np.argmax(apart_s))
    if apart_s[at] <= MOVED_S:
        return ""
    return f"has a packet at {copied_s[at]:.3f} s that is at {own_s[at]:.3f} s in the source"


def find_cue_fault(
    texts: Sequence[TrackText], expected: Sequence[ExpectedCue], shift_s: Fraction, codec: str
) -> str:
    """Return how a subtitle track departs from the timeline; an empty text if it does not."""
    found = [(one, text) for one in texts if (text := _text_of(one, codec)) is not None]
    if len(found) != len(expected):
        return f"the subtitle track has {len(found):,} captions, not {len(expected):,}"
    for number, ((one, text), cue) in enumerate(zip(found, expected, strict=True), 1):
        if "".join(text.split()) != "".join(cue.text.split()):
            return f"caption {number} has another text"
        times = (one.start_s - cue.start_s - shift_s, one.end_s - cue.end_s - shift_s)
        if max(map(abs, times)) > NEAR_S:
            return (
                f"caption {number} is at {float(one.start_s - shift_s):.3f} s to "
                f"{float(one.end_s - shift_s):.3f} s, not at {float(cue.start_s):.3f} s to "
                f"{float(cue.end_s):.3f} s"
            )
    return ""


def find_chapter_fault(
    chapters: Sequence[Chapter], expected: Sequence[ExpectedCue], *shifts_s: Fraction
) -> str:
    """Return how chapters depart from the timeline; an empty text if they do not.

    A chapter may be later than expected by any of `shifts_s`.
    """
    if len(chapters) != len(expected):
        return f"there are {len(chapters):,} chapters, not {len(expected):,}"
    for number, (chapter, cue) in enumerate(zip(chapters, expected, strict=True), 1):
        if chapter.title.split() != cue.text.split():
            return f"chapter {number} has another title"
        late_s = chapter.start_s - cue.start_s
        if min(abs(late_s - shift_s) for shift_s in shifts_s) > NEAR_S:
            return (
                f"chapter {number} begins at {float(chapter.start_s):.3f} s, not at "
                f"{float(cue.start_s + shifts_s[0]):.3f} s"
            )
    return ""


def find_lost_tags(source: FileContents, written: FileContents) -> list[str]:
    """Return the names of the tags that the new file lacks or has with another value."""
    return sorted(
        name
        for name, value in source.tags.items()
        if name not in FILE_TAGS and written.tags.get(name, "").split() != value.split()
    )


def _text_of(text: TrackText, codec: str) -> str | None:
    """The text of a packet; None for the gap between two subtitles of an MP4."""
    payload = text.payload
    if codec == MOV_TEXT:
        length = int.from_bytes(payload[:2], "big")
        payload = payload[2 : 2 + length]
        if not length:
            return None
    return payload.decode(errors="replace")
