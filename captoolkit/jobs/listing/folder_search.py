"""The search of a folder for recordings, with the patterns of `--include` and `--exclude`.

Rules: the search takes the files that could be media: an ending that media have, or first bytes
that media begin with. It leaves out hidden files and folders, the segments that a manifest next to
them describes, pipes and devices. It follows links to files, and not links to folders. Files appear
sorted by their paths.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from captoolkit.bitstream.containers import is_media_suffix
from captoolkit.bitstream.signatures import by_signature
from captoolkit.errors import CaptoolkitError, InputError, SourceNotFoundError

HEAD_BYTES = 512

# Endings of media that ffmpeg reads and that the table of containers does not list.
RARE_MEDIA = re.compile(
    "3gpp|aa|aax|ac4|aiffc|divx|dff|dsf|dss|dv|f4a|f4v|gsm|latm|loas|m1a|m2a|m2t|m4r|mj2|mp1|mpc|"
    "mpp|mxf|nut|oma|qcp|qt|ra|rm|rmvb|shn|sph|voc|vqf|wtv|wve|xwma"
)
# Endings of media that are also endings of texts: the content decides.
AMBIGUOUS = re.compile("ts|mts|dts|snd|au")
# Endings of files that often are next to recordings; they are not opened.
NOT_MEDIA = re.compile(
    "ass|bmp|cha|csv|ctm|cue|doc|docx|eaf|gif|gz|heic|htm|html|ini|jpeg|jpg|js|json|jsonl|lab|log|"
    "lrc|m3u|m3u8|md|npy|npz|nfo|odt|otio|parquet|pdf|pickle|pkl|png|pt|py|rttm|srt|stm|sub|svg|"
    "tar|textgrid|tif|tiff|tsv|txt|url|vtt|webp|xls|xlsx|xml|yaml|yml|zip"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file that a search found, or a folder that it could not read."""

    path: str
    relative: str
    status: os.stat_result | None = None
    error: CaptoolkitError | None = None


class FolderSearch:
    """The rules of the search in folders."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = [Pattern(text) for text in include]
        self._exclude = [Pattern(text) for text in exclude]
        self.has_taken = False
        self._has_left_out_segments = False

    def files(self, folder: str) -> Iterator[FoundFile]:
        """Yield the files below a folder, sorted by path; links to folders are not followed."""
        self.has_taken = self._has_left_out_segments = False
        waiting = [FoundFile(path=folder, relative="")]
        while waiting:
            here = waiting.pop()
            if here.status is not None:
                self.has_taken = True
                yield here
                continue
            try:
                entries = sorted(os.scandir(here.path), key=lambda entry: entry.name)
            except OSError as error:
                problem = f"the folder cannot be read ({error.strerror})"
                failure = SourceNotFoundError(problem, fix="check its permissions", path=here.path)
                yield FoundFile(path=here.path, relative=here.relative, error=failure)
                continue
            made = _made_by_captoolkit(entries)
            self._has_left_out_segments |= any(entry.name in made for entry in entries)
            for entry in reversed(entries):
                relative = f"{here.relative}/{entry.name}" if here.relative else entry.name
                if entry.name.startswith(".") or entry.name in made:
                    continue
                if any(pattern.matches(relative) for pattern in self._exclude):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(FoundFile(path=entry.path, relative=relative))
                elif not _leads_to_folder(entry) and self._takes(entry, relative):
                    status = _status(entry)
                    if status is not None:
                        waiting.append(FoundFile(path=entry.path, relative=relative, status=status))

    def takes_name(self, relative: str) -> bool:
        """Return whether the search takes a file of a bucket: by its path, it is not opened."""
        if any(part.startswith(".") for part in relative.split("/")) or self.excludes(relative):
            return False
        if self._include:
            matching = [pattern for pattern in self._include if pattern.matches(relative)]
            if not matching or any(pattern.states_ending for pattern in matching):
                return bool(matching)
        return has_media_ending(relative)

    def excludes(self, relative: str) -> bool:
        """Return whether a path or one of its folders is left out."""
        parts = relative.split("/") if self._exclude else ()
        paths = itertools.accumulate(parts, lambda folder, name: f"{folder}/{name}")
        return any(pattern.matches(path) for path in paths for pattern in self._exclude)

    def nothing_found(self) -> InputError:
        """Return the error for a folder in which the search found nothing."""
        if self._include or self._exclude:
            problem = "no recording in the folder matches --include and --exclude"
            return InputError(problem, fix="check the patterns")
        if self._has_left_out_segments:
            return InputError(
                "the folder holds only segments that a manifest of captoolkit describes",
                fix="name the segments themselves, or the recording that they come from",
            )
        return InputError("the folder holds no recordings", fix="name another one, or the files")

    def _takes(self, entry: os.DirEntry[str], relative: str) -> bool:
        if self._include:
            matching = [pattern for pattern in self._include if pattern.matches(relative)]
            if not matching or any(pattern.states_ending for pattern in matching):
                return bool(matching)
        ending = entry.name.rpartition(".")[2].lower() if "." in entry.name else ""
        if AMBIGUOUS.fullmatch(ending):
            head = _head(entry)
            return by_signature(head) is not None or not _is_text(head)
        if is_media_suffix(ending) or RARE_MEDIA.fullmatch(ending):
            return True
        return not NOT_MEDIA.fullmatch(ending) and by_signature(_head(entry)) is not None


def has_media_ending(path: str) -> bool:
    """Return whether a path has an ending that media have."""
    ending = path.rpartition("/")[2].rpartition(".")[2].lower()
    return is_media_suffix(ending) or RARE_MEDIA.fullmatch(ending) is not None


class Pattern:
    """A pattern of `--include` or `--exclude`: `*`, `?`, `[...]`, `{a,b}`, and `**` for folders."""

    def __init__(self, text: str) -> None:
        text = unicodedata.normalize("NFC", text).removeprefix("./").rstrip("/")
        self._is_path = "/" in text
        self.states_ending = re.search(r"\.(\w+|\{[\w,]+\})$", text) is not None
        *folders, name = text.removeprefix("/").split("/")
        regex = "".join("(?:[^/]+/)*" if part == "**" else f"{_regex(part)}/" for part in folders)
        regex += ".*" if name == "**" else _regex(name)
        self._regex = re.compile(regex, re.IGNORECASE | re.DOTALL)

    def matches(self, relative: str) -> bool:
        """Return whether a path below the folder, or its name, matches."""
        text = relative if self._is_path else relative.rpartition("/")[2]
        return self._regex.fullmatch(unicodedata.normalize("NFC", text)) is not None


def _regex(pattern: str) -> str:
    """Return the regular expression of a pattern without `/`."""
    parts = re.findall(r"\[[!^]?\]?[^]]*\]|\{[^{}]*\}|.", pattern, re.DOTALL)
    return "".join(map(_regex_of_part, parts))


def _regex_of_part(part: str) -> str:
    if part in ("*", "?"):
        return "[^/]*" if part == "*" else "[^/]"
    if part.startswith("[") and len(part) > 1:
        is_negated = part[1] in "!^"
        characters = part[1 + is_negated : -1].replace("\\", "\\\\").replace("[", "\\[")
        characters = characters.replace("]", "\\]").replace("^", "\\^")
        return f"[{'^' * is_negated}{characters}]"
    if part.startswith("{") and len(part) > 1:
        return f"(?:{'|'.join(map(_regex, part[1:-1].split(',')))})"
    return re.escape(part)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: the verb reports it
        return False


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return the status of a file or of a broken link; None for a pipe or a device."""
    try:
        status = entry.stat()
    except OSError:  # the verb reports that the file is missing
        return entry.stat(follow_symlinks=False)
    return status if stat.S_ISREG(status.st_mode) else None


def _made_by_captoolkit(entries: Iterable[os.DirEntry[str]]) -> set[str]:
    """Return the names of the segments that the manifests of a folder describe."""
    from captoolkit.pipeline import manifest
    from captoolkit.pipeline.segment_names import MANIFEST_ENDING

    made: set[str] = set()
    for entry in entries:
        if entry.name.endswith(MANIFEST_ENDING):
            try:
                made |= manifest.hashes(Path(entry.path).read_text(encoding="utf-8")).keys()
            except (OSError, UnicodeDecodeError):
                continue
    return made


def _head(entry: os.DirEntry[str]) -> bytes:
    """Return the first bytes of a file; none of a pipe, which could wait for ever."""
    try:
        with Path(entry.path).open("rb") if entry.is_file() else io.BytesIO() as stream:
            return stream.read(HEAD_BYTES)
    except OSError:
        return b""


def _is_text(head: bytes) -> bool:
    """Return whether the first bytes of a file are text."""
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
