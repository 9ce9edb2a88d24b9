"""Chapters in the ID3v2 tag of an MP3: CHAP and CTOC frames, as mutagen writes them.

Rules: only chapter frames change. Every other frame of the tag keeps its bytes, also one that no
reader knows, and so does everything behind the tag: sound, ID3v1, APE and Lyrics3. A tag in a form
that cannot be extended so (ID3v2.2, unsynchronisation, an extended header) is rewritten by mutagen
with all its frames. Layout: id3.org/id3v2.4.0-structure, id3.org/id3v2-chapters-1.0.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captoolkit.bitstream.id3 import ID3V2_HEAD_BYTES, id3v2_bytes
from captoolkit.errors import InputError, ToolError
from captoolkit.support import files

CHAPTER_FRAMES = (b"CHAP", b"CTOC")
FRAME_HEAD_BYTES = 10
DEFAULT_VERSION = 3  # ID3v2.3, which every player reads
EXTENDABLE_VERSIONS = (3, 4)
NO_OFFSET = 0xFFFFFFFF  # a chapter is found by its time
UTF16, UTF8 = 1, 3  # text encodings of ID3v2; version 3 has no UTF-8
# Frames that ffmpeg carries to other containers as tags, covers or chapters.
CARRIED_FRAMES = re.compile(r"T...|COMM|USLT|APIC|PRIV|CHAP|CTOC")
_FRAME_NAME = re.compile(rb"[A-Z0-9]{4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Id3Chapter:
    """One chapter, in milliseconds."""

    start_ms: int
    end_ms: int
    title: str


def write_chapters(source: Path, out: Path, chapters: Sequence[Id3Chapter]) -> list[str]:
    """Write a copy of an MP3 with these chapters and no others; return notes on its tag.

    Raises:
        InputError: the tag of the source cannot be read.
        OutputError: the copy cannot be written.
        ToolError: the copy has other chapters.
    """
    with source.open("rb") as stream:
        head = stream.read(ID3V2_HEAD_BYTES)
        tag_bytes = id3v2_bytes(head)
        stream.seek(0)
        tag = stream.read(tag_bytes)
        extended = _extended(tag, chapters)
        with files.writing(out), out.open("wb") as copy:
            copy.write(tag if extended is None else extended)
            shutil.copyfileobj(stream, copy, 1 << 20)
    notes = [] if extended is not None else [_rewrite(source, out, chapters)]
    if read_chapters(out) != sorted(chapters, key=lambda one: one.start_ms):
        raise ToolError("the ID3 tag of the new file does not hold the chapters of the timeline")
    return notes


def read_chapters(path: Path) -> list[Id3Chapter]:
    """Return the chapters in the ID3 tag of a file, in time order."""
    from mutagen.id3 import ID3

    read: Any = ID3
    frames = read(path).getall("CHAP")
    found = (
        Id3Chapter(
            start_ms=frame.start_time,
            end_ms=frame.end_time,
            title=str(frame.sub_frames["TIT2"].text[0]) if "TIT2" in frame.sub_frames else "",
        )
        for frame in frames
    )
    return sorted(found, key=lambda one: one.start_ms)


def frames_not_carried(path: Path) -> list[str]:
    """Return the names of the ID3 frames of a file that ffmpeg does not carry elsewhere."""
    from mutagen.id3 import ID3, ID3NoHeaderError, TextFrame, error

    read: Any = ID3
    try:
        tag = read(path)
    except ID3NoHeaderError:
        return []
    except error as fault:
        return [f"all ({fault})"]
    lost = {frame.FrameID for frame in tag.values() if not CARRIED_FRAMES.match(frame.FrameID)}
    texts: dict[str, Any] = {
        frame.FrameID: frame for frame in tag.values() if isinstance(frame, TextFrame)
    }
    lost |= {f"further values of {name}" for name, one in texts.items() if len(one.text) > 1}
    return sorted(lost, key=lambda name: (" " in name, name))


def _extended(tag: bytes, chapters: Sequence[Id3Chapter]) -> bytes | None:
    """The tag with new chapter frames in place of its own; None if its form does not allow it."""
    version = tag[3] if tag else DEFAULT_VERSION
    if tag and (version not in EXTENDABLE_VERSIONS or tag[5]):
        return None
    frames = _split_frames(tag[ID3V2_HEAD_BYTES:], version)
    if frames is None:
        return None
    kept = [frame for frame in frames if not frame.startswith(CHAPTER_FRAMES)]
    body = b"".join([*kept, *_chapter_frames(chapters, version)])
    size = len(body)
    sizes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, tag[4] if tag else 0, 0]) + sizes + body


def _split_frames(body: bytes, version: int) -> list[bytes] | None:
    """The frames of a tag without its padding; None if their sizes lead nowhere."""
    for bits in (7, 8) if version == 4 else (8,):  # old programs wrote plain sizes in version 4
        frames, place = [], 0
        while place < len(body) and body[place]:
            size = 0
            for byte in body[place + 4 : place + 8]:
                size = size << bits | byte
            end = place + FRAME_HEAD_BYTES + size
            if not _FRAME_NAME.match(body, place) or end > len(body):
                break
            frames.append(body[place:end])
            place = end
        if place >= len(body) or not body[place]:
            return frames
    return None


def _chapter_frames(chapters: Sequence[Id3Chapter], version: int) -> Iterator[bytes]:
    """The bytes of the chapter frames in time order, each taken out of a tag of its own."""
    from mutagen.id3 import ID3

    make: Any = ID3
    for frame in _new_frames(chapters, version):
        tag, written = make(), io.BytesIO()
        tag.add(frame)
        tag.save(written, v2_version=version, padding=lambda info: 0)
        yield written.getvalue()[ID3V2_HEAD_BYTES:]


def _new_frames(chapters: Sequence[Id3Chapter], version: int) -> Iterator[Any]:
    """The chapter frames; mutagen would sort them by their sizes in one tag."""
    from mutagen.id3 import CHAP, CTOC, TIT2, CTOCFlags

    frame: Any = CHAP
    contents: Any = CTOC
    title: Any = TIT2
    encoding = UTF16 if version == DEFAULT_VERSION else UTF8
    names = [f"ch{number}" for number in range(len(chapters))]
    flags = CTOCFlags.TOP_LEVEL | CTOCFlags.ORDERED
    yield contents(element_id="toc", flags=flags, child_element_ids=names, sub_frames=[])
    for name, chapter in zip(names, chapters, strict=True):
        yield frame(
            element_id=name,
            start_time=chapter.start_ms,
            end_time=chapter.end_ms,
            start_offset=NO_OFFSET,
            end_offset=NO_OFFSET,
            sub_frames=[title(encoding=encoding, text=[chapter.title])],
        )


def _rewrite(source: Path, out: Path, chapters: Sequence[Id3Chapter]) -> str:
    """Let mutagen rewrite the whole tag of the copy; return a note on its version."""
    from mutagen.id3 import ID3, error

    read: Any = ID3
    try:
        tag = read(out, translate=False)
        version = tag.version[1] if tag.version[1] in EXTENDABLE_VERSIONS else DEFAULT_VERSION
        if version != tag.version[1]:
            tag = read(out, v2_version=version)
        for name in ("CHAP", "CTOC"):
            tag.delall(name)
        for frame in _new_frames(chapters, version):
            tag.add(frame)
        tag.save(out, v2_version=version, v23_sep=None)
    except error as fault:
        raise InputError(
            f"its ID3 tag cannot be read ({fault})",
            fix="repair the tag, or let the name of the new file end in .mka",
            path=source,
        ) from fault
    return f"Its ID3 tag was rewritten as ID3v2.{version}, with all its frames."
