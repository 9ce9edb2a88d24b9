"""A recording on the worker: a file in place, or a copy of a file of a store.

Rules: the row of a recording states the size and the version of the bytes that were read. A
recording that changes while it is read is refused.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from captoolkit.errors import InputError, UsageError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.stores.base_store import Store, StoredFile, scheme_of, split_url
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.media.source import OpenSource, is_web_url
from captoolkit.support import files
from captoolkit.support.files import absolute

if TYPE_CHECKING:
    from captoolkit.media.source import Source

FETCHES = 2  # a recording that changed since it was listed is fetched once more


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedInput:
    """A recording that the verbs can read.

    Attributes:
        source: the source for the verbs.
        name: its name in manifests and timelines: the path, or the URL without secrets.
        path: the file; None for a web address, which the verbs download themselves.
        size_bytes: the size of the file.
        version: its version, as in `Input`.
    """

    source: Source
    name: str
    path: Path | None = None
    size_bytes: int | None = None
    version: str | None = None
    _file: tuple[Store, StoredFile] | None = None

    def refuse_changed(self) -> None:
        """Refuse the results of a file that has changed since it was opened.

        Raises:
            InputError: it has changed, or is gone.
        """
        if self._file is None:
            return
        store, before = self._file
        if store.stat(before.name) != before:
            raise _changed(store.url_of(before.name))

    def described(self, recording: Input) -> Input:
        """Return the input with the size and the version of the file that was read."""
        if self.path is None:
            return recording
        return dataclasses.replace(recording, size_bytes=self.size_bytes, version=self.version)

    def sha256(self) -> str:
        """Return the hash of the file; empty for a web address."""
        return files.sha256(self.path) if self.path is not None else ""


def open_input(recording: Input, folder: Path) -> OpenedInput:
    """Return a recording as a file; one of a remote store is copied into `folder`.

    Raises:
        InputError: it is missing, cannot be read, or changes all the time.
        OutputError: the disk is full.
    """
    if recording.error is not None:
        raise recording.error
    if recording.is_standard_input:
        raise UsageError("a batch reads no standard input", fix="give a file, a folder or a URL")
    if is_web_url(recording.url):
        return OpenedInput(source=recording.url, name=recording.public_url)
    if scheme_of(recording.url) is None:
        return _open_file(recording)
    return _fetch(recording, folder)


def _open_file(recording: Input) -> OpenedInput:
    path = Path(recording.url)
    store = open_store(str(path.parent))
    if path.is_dir():
        raise InputError("it is a folder", fix="name a recording", path=path)
    before = store.stat(path.name)
    return OpenedInput(
        source=str(path),
        name=absolute(path),
        path=path,
        size_bytes=before.size_bytes,
        version=before.version,
        _file=(store, before),
    )


def _fetch(recording: Input, folder: Path) -> OpenedInput:
    root, name = split_url(recording.url)
    store = open_store(root)
    shown = recording.public_url
    path = folder / "source"
    before = StoredFile(name=name, size_bytes=recording.size_bytes, version=recording.version)
    if before.size_bytes is None or before.version is None:
        before = store.stat(name)
    for _ in range(FETCHES):
        store.fetch(name, path)
        after = store.stat(name)
        if after == before and path.stat().st_size == (before.size_bytes or 0):
            opened = OpenSource(path, name=shown)
            return OpenedInput(
                source=cast("Source", opened),
                name=shown,
                path=path,
                size_bytes=before.size_bytes,
                version=before.version,
            )
        before = after
    raise _changed(shown)


def _changed(shown: str) -> InputError:
    return InputError(
        "it changed while it was read",
        fix="run the same command again when it is complete",
        path=shown,
    )
