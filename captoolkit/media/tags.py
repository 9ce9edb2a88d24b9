"""The tags and the chapters of a recording: read and written by ffmpeg.

Rules: chapters are on the clock of the track, which begins with its first sample, and not on the
container's, on which the track may begin late. Tags of the container and of the track are one set.
Tags that describe the file and not the recording (its brand, its encoder, its length) are left out.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from captoolkit.errors import ToolError
from captoolkit.media import ffmpeg, ffmpeg_process, probe_by_ffmpeg
from captoolkit.model import Chapter, MediaInfo, Track
from captoolkit.support import files

# Of the file or of this copy of the recording, not of the recording.
_OF_THE_FILE = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "handler_name", "vendor_id"}
    | {"duration", "bps", "number_of_frames", "number_of_bytes", "language", "creation_time"}
    | {"tlen", "encoded_by", "encoder_settings", "itunsmpb", "itunnorm", "media_type"}
    | {"source_id", "time_reference", "umid", "coding_history", "isvbr", "devicestring"}
    | {"wm/encodingtime", "wmfsdkversion", "wmfsdkneeded", "deviceconformancetemplate"}
)
MAX_TAG_CHARS = 4000  # a longer one is a document, which every piece would repeat
MAX_LISTING_BYTES = 1 << 22
_SPECIAL = re.compile(r"[=;#\\\n]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTags:
    """The tags and chapters of a track.

    Attributes:
        tags: names and values.
        chapters: in the file's order; one that begins before the track begins with it.
        notes: the tags that are left out, as sentences.
    """

    tags: Mapping[str, str]
    chapters: tuple[Chapter, ...]
    notes: tuple[str, ...] = ()


def read(info: MediaInfo, track: Track) -> RecordingTags:
    """Return the tags and chapters of a track; none where ffmpeg cannot read them."""
    node = ffmpeg.source(info.path)[str(track.stream_index)].output(
        "pipe:1", f="ffmetadata", acodec="copy", **{"frames:a": 1}
    )
    try:
        with ffmpeg_process.Process(ffmpeg.compile_argv(node)) as process:
            text = process.read_all(MAX_LISTING_BYTES).decode(errors="replace")
            process.finish()
    except ToolError as error:
        note = f"Its tags and chapters could not be read ({error.problem})."
        return RecordingTags(tags={}, chapters=(), notes=(note,))
    found: dict[str, str] = {}
    chapters = []
    for section, fields in _sections(text):
        if section == "[CHAPTER]":
            chapters += _chapter(fields)
        else:
            found |= {name: value for name, value in fields.items() if _is_kept(name, value)}
    tags = _merged(found)
    long = sorted(name for name, value in tags.items() if len(value) > MAX_TAG_CHARS)
    return RecordingTags(
        tags={name: value for name, value in tags.items() if name not in long},
        chapters=tuple(_on_clock_of(info, track, chapters)) if chapters else (),
        notes=tuple(
            f"Its tag {name} is longer than {MAX_TAG_CHARS:,} characters and is left out."
            for name in long
        ),
    )


def _on_clock_of(info: MediaInfo, track: Track, chapters: list[Chapter]) -> Iterator[Chapter]:
    """Yield chapters as ffmpeg writes them, on the clock of the track."""
    streams = probe_by_ffmpeg.probe_streams(info.path)
    late_s = streams.late_s(track.number)
    for chapter in chapters:
        start_s = chapter.start_s - late_s
        if info.container == probe_by_ffmpeg.ID3_CHAPTERS and chapter.start_s:
            start_s += Fraction(round(1000 * streams.zero_s), 1000)  # ffmpeg takes this off
        yield replace(chapter, start_s=max(Fraction(0), start_s))


def parse_listing(text: str) -> tuple[dict[str, str], tuple[Chapter, ...]]:
    """Return the tags of a file, by names in small letters, and its chapters.

    Args:
        text: the file in ffmpeg's format `ffmetadata`.
    """
    (_, fields), *others = _sections(text)
    chapters = [_chapter(own) for section, own in others if section == "[CHAPTER]"]
    return _merged(fields), tuple(chapter for found in chapters for chapter in found)


def write(tags: Mapping[str, str], folder: Path) -> Path:
    """Write tags into a new file in `folder`, for `tagged`; the caller removes it.

    Raises:
        OutputError: it cannot be written.
    """
    with files.writing(folder):
        number, name = tempfile.mkstemp(suffix=".tags", dir=folder)
        with os.fdopen(number, "w", encoding="utf-8", errors="replace", newline="\n") as stream:
            stream.write(";FFMETADATA1\n")
            # A line that ends in a backslash goes on for ffmpeg, escaped or not, unless in a zero.
            stream.writelines(f"{_escaped(one)}={_escaped(tags[one])}\0\n" for one in tags)
    return Path(name)


def tagged(stream: Any, tag_file: Path, place: str | Path, **options: Any) -> Any:
    """Return the output node for a stream that gets the tags in a file, and no others.

    A file holds tags that are longer than the system's limit for arguments.
    """
    # Tags are no stream; a selector that matches nothing makes the file an input.
    nodes = [stream, ffmpeg.own_source(tag_file, demuxer="ffmetadata")["t?"]]
    kept = {"map_metadata": 1, "map_metadata:s": -1, "map_chapters": -1}
    return ffmpeg.output(nodes, place, **kept, **options)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)


def _sections(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The sections of an ffmetadata listing; a backslash escapes the character after it."""
    section, fields = "", dict[str, str]()
    for line in re.findall(r"(?:\\.|[^\\\n])*\n", text, re.DOTALL):
        if line.startswith(";"):
            continue
        if line in ("[STREAM]\n", "[CHAPTER]\n"):
            yield section, fields
            section, fields = line[:-1], {}
            continue
        parts = re.fullmatch(r"((?:\\.|[^\\=])+)=(.*)\n", line, re.DOTALL)
        if parts:
            name, value = (
                re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts.groups()
            )
            fields[name] = value
    yield section, fields


def _chapter(fields: Mapping[str, str]) -> list[Chapter]:
    try:
        start_s = int(fields["START"]) * Fraction(fields["TIMEBASE"])
    except (KeyError, ValueError, ZeroDivisionError):
        return []
    return [Chapter(start_s=start_s, title=" ".join(fields.get("title", "").split()))]


def _is_kept(name: str, value: str) -> bool:
    is_fit = bool(value.strip("\0")) and "\0" not in name + value and "=" not in name
    return is_fit and name.lower() not in _OF_THE_FILE


def _merged(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags by names without capitals, as ffmpeg's muxers know them: `ARTIST` is `artist`."""
    return {name.lower(): value for name, value in tags.items()}
