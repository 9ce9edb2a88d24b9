"""The recordings to work on: named files, files in folders, names from a listing, standard input.

Rules: a named file is an input even if it is no media: the verb reports that. A name that cannot be
used, such as an empty folder, is an `Input` with an error, and the others are done. A search leaves
out files that are inputs already. Each file is examined once, for its size and time of change.
"""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from captoolkit.errors import CaptoolkitError, InputError, SourceNotFoundError, UsageError
from captoolkit.media.source import is_web_url, public_url, stem_of
from captoolkit.support.files import absolute

if TYPE_CHECKING:
    from captoolkit.jobs.listing.folder_search import FolderSearch

STANDARD_INPUT = "-"
STANDARD_INPUT_DEVICE = "/dev/stdin"  # in ffmpeg, this path would be ffmpeg's own standard input
STANDARD_INPUT_STEM = "stdin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One recording to work on.

    Attributes:
        id: distinct within a run and stable: the path below the folder that was searched, the path
            as given for a named file.
        url: the path as given, a URL with its scheme, or `-` for standard input. A URL may hold
            secrets: rows, names and messages take `public_url`.
        relative: the path below the folder that was searched, separated by `/`, with its ending;
            the name alone for a named file.
        size_bytes: the size, None if it is not known.
        version: `mtime_ns:...` or the store's etag; None if it is not known.
        duration_s: the length that a manifest states, for predictions only.
        error: the reason why this input cannot be used; None for every usable input.
    """

    id: str
    url: str
    relative: str
    size_bytes: int | None = None
    version: str | None = None
    duration_s: float | None = None
    error: CaptoolkitError | None = None

    @property
    def is_standard_input(self) -> bool:
        """Whether the recording is read from standard input."""
        return self.url == STANDARD_INPUT

    @property
    def public_url(self) -> str:
        """The path, or the URL without user, password, query and fragment."""
        return public_url(self.url)

    @property
    def stem(self) -> str:
        """The name without folder and ending."""
        return PurePosixPath(self.relative).stem

    def source(self) -> str | BinaryIO:
        """Return the source for the library: the path or URL, or the stream of standard input.

        Raises:
            CaptoolkitError: the input cannot be used.
        """
        if self.error is not None:
            raise self.error
        return sys.stdin.buffer if self.is_standard_input else self.url


def find_inputs(
    names: Iterable[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    files_from: str | None = None,
    is_null_separated: bool = False,
) -> list[Input]:
    """Return the inputs that names stand for, in the order of the names.

    Args:
        names: files, folders, http(s) URLs, and `-` or `/dev/stdin` for one recording on standard
            input.
        include: patterns; a search takes the files that match one of them, even files with an
            ending that is not known. A pattern without `/` is compared with the name, one with `/`
            with the path below the folder; `**` stands for any number of folders. Upper and lower
            case are alike.
        exclude: patterns of files and folders that a search leaves out.
        files_from: a file that lists further names, one a line; `-` is standard input.
        is_null_separated: the names in `files_from` end in NUL instead of a line break.

    Raises:
        UsageError: there is no name at all, or standard input is needed twice.
    """
    named = [STANDARD_INPUT if name == STANDARD_INPUT_DEVICE else name for name in names]
    if is_null_separated and files_from is None:
        raise UsageError(
            "-0 needs a listing", fix="pass --files-from FILE, or - for standard input"
        )
    if named.count(STANDARD_INPUT) + (files_from == STANDARD_INPUT) > 1:
        raise UsageError("standard input can be read once", fix="name - once")
    if not named and files_from is None:
        raise UsageError("no FILE is given", fix="name files or folders, or pass --files-from")
    inputs = _Inputs(include, exclude)
    for name in named:
        inputs.add_named(name)
    if files_from is not None:
        try:
            for name in read_listing(files_from, is_null_separated=is_null_separated):
                inputs.add_named(f"./{name}" if name == STANDARD_INPUT else name)
        except InputError as error:
            inputs.add_unusable(files_from, error)
    return inputs.all


def read_listing(name: str, *, is_null_separated: bool = False) -> list[str]:
    """Return the names in a listing; empty lines are skipped. `-` is standard input.

    Names are relative to the current folder.

    Raises:
        SourceNotFoundError: the listing cannot be read.
        InputError: it holds no name, or is no list of names.
    """
    path = None if name == STANDARD_INPUT else name
    try:
        data = sys.stdin.buffer.read() if path is None else Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceNotFoundError(
            f"the listing cannot be read ({reason})", fix="check the name", path=path
        ) from error
    if is_null_separated:
        names = data.split(b"\0")
    elif b"\0" in data:
        raise InputError(
            "the listing holds NUL characters",
            fix="pass -0 if they separate the names; otherwise save it as UTF-8 text",
            path=path,
        )
    else:
        names = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n")
    decoded = [os.fsdecode(each) for each in names if each]
    if not decoded:
        raise InputError("the listing holds no names", fix="write one name a line", path=path)
    return decoded


class _Inputs:
    """The inputs found so far, each with an id of its own."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._patterns = include, exclude
        self.all: list[Input] = []
        self._ids: set[str] = set()
        self._paths: set[str] = set()
        self._found: set[str] = set()  # those of `_paths` that a search has found

    @functools.cached_property
    def _search(self) -> FolderSearch:
        """The search of folders; it is loaded for the first folder."""
        from captoolkit.jobs.listing.folder_search import FolderSearch

        return FolderSearch(*self._patterns)

    def add_named(self, name: str) -> None:
        """Add the input, or the files of the folder, that a name stands for."""
        if name == STANDARD_INPUT:
            self._add(name, url=name, relative=STANDARD_INPUT_STEM)
        elif is_web_url(name):
            self._add_url(name)
        else:
            self._add_path(name)

    def add_unusable(self, name: str, error: CaptoolkitError) -> None:
        """Add an input that cannot be used."""
        self._add(name, url=name, relative=Path(name).name, error=error)

    def _add_url(self, url: str) -> None:
        try:
            shown, stem = public_url(url), stem_of(url)
        except UsageError as error:  # even an invalid URL may hold a password
            self._add("the URL", url=url, relative="source", error=error)
            return
        self._add(shown, url=url, relative=f"{stem}{Path(shown).suffix}")

    def _add_path(self, name: str) -> None:
        try:
            status = os.stat(name)  # noqa: PTH116 - Path("") is the current folder
        except (OSError, ValueError):  # the verb reports a missing file; it may be an address
            self._add(public_url(name), url=name, relative=Path(name).name)
            return
        if not stat.S_ISDIR(status.st_mode):
            if absolute(name) in self._found:
                return
            self._paths.add(absolute(name))
            self._add(name, url=name, relative=Path(name).name, status=status)
            return
        count = len(self.all)
        for found in self._search.files(name):
            if found.error is not None:
                self.add_unusable(found.path, found.error)
            elif (whole := absolute(found.path)) not in self._paths:
                self._paths.add(whole)
                self._found.add(whole)
                is_new = found.relative not in self._ids
                id = found.relative if is_new else found.path
                self._add(id, url=found.path, relative=found.relative, status=found.status)
        if len(self.all) == count and not self._search.has_taken:
            self.add_unusable(name, self._search.nothing_found())

    def _add(
        self,
        id: str,
        *,
        url: str,
        relative: str,
        status: os.stat_result | None = None,
        error: CaptoolkitError | None = None,
    ) -> None:
        """Add an input; an id that another input has gets a number."""
        number, own = 2, id
        while own in self._ids:
            own, number = f"{id}#{number}", number + 1
        self._ids.add(own)
        is_file = status is not None and stat.S_ISREG(status.st_mode)
        self.all.append(
            Input(
                id=own,
                url=url,
                relative=relative,
                size_bytes=status.st_size if status and is_file else None,
                version=f"mtime_ns:{status.st_mtime_ns}" if status and is_file else None,
                error=error,
            )
        )
