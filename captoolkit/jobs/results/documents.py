"""The manifests and timelines in OUT: found, read, and written after the files that they describe.

Rules: a document is written last and never replaces another one. One that exists belongs to an
earlier attempt or to another driver, and is used if it describes the same bytes. If a recording of
an earlier run has the name already, the next one gets a name with a hash.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captoolkit.errors import CaptoolkitError, InputError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.opened_input import OpenedInput
from captoolkit.jobs.results import result_names
from captoolkit.jobs.stores.base_store import Store
from captoolkit.model import Status

Document = dict[str, Any]


class Documents:
    """The manifests and timelines in OUT.

    Args:
        store: OUT.
        verb: the verb; with `caption`, a recording may have a timeline and no manifest.
        is_redo: whether no earlier document is used.
    """

    def __init__(self, store: Store, *, verb: str, is_redo: bool) -> None:
        self._store = store
        self._verb = verb
        self._is_redo = is_redo

    def find_names(
        self, recording: Input, opened: OpenedInput
    ) -> tuple[Input, dict[str, Document]]:
        """Return a recording under a name that no other recording has, and its earlier results.

        The name without a hash is taken if it is free and the listing gives it, or if OUT holds
        results of this recording under it.

        Returns:
            The recording; and its manifest and its timeline by name, if OUT holds them.

        Raises:
            InputError: both names belong to other recordings, or a document is damaged.
        """
        names = [result_names.manifest_name]
        if self._verb == "caption":  # the segments are removed, the timeline stays
            names.append(result_names.timeline_name)
        plain = result_names.plain_named(recording)
        for each in (plain, result_names.hash_named(plain)):
            documents = {name_of(each): self._read_document(name_of(each)) for name_of in names}
            there = {name: document for name, document in documents.items() if document}
            owners = {document["source"]["path"] for document in there.values()}
            is_free = not owners and (each != plain or recording == plain)
            if is_free or owners == {opened.name}:
                return each, there
        other = min(owners - {opened.name})
        raise InputError(
            f"{self._store.url_of(next(iter(there)))} describes another recording, {other}",
            fix="give the recordings distinct names, or choose another place (`out`)",
            path=recording.public_url,
        )

    def _read_document(self, name: str) -> Document | None:
        with using_out():
            data = self._store.read(name) if self._store.exists(name) else None
        return None if data is None else parse(data, self._store.url_of(name))

    def find_usable(
        self, documents: dict[str, Document], name: str, opened: OpenedInput
    ) -> tuple[Document | None, bool]:
        """Return a document of an earlier attempt if it can be used, and whether there is one."""
        document = documents.get(name)
        if document is None:
            return None, False
        is_same = document["source"]["sha256"] == opened.sha256() and not self._is_redo
        return (document if is_same and self._is_complete(document, name) else None), True

    def _is_complete(self, document: Document, name: str) -> bool:
        """Return whether OUT holds the segments of a manifest, or all captions of a timeline."""
        if any(entry["status"] == Status.FAILED for entry in document.get("entries", ())):
            return False
        folder = name.rpartition("/")[0]
        with using_out():
            return all(
                result_names.is_segment(segment["file"], name)
                and self._store.exists(f"{folder}/{segment['file']}")
                for segment in document.get("segments", ())
            )

    def commit(self, document: Path, name: str, *, opened: OpenedInput, replaces: bool) -> Document:
        """Write the files that a document describes, then the document, and return it.

        If another driver has written it meanwhile, that one is returned.
        """
        data = document.read_bytes()
        parsed = parse(data, str(document))
        folder = name.rpartition("/")[0]
        names = [segment["file"] for segment in parsed.get("segments", ())]
        with using_out():
            stale = self._remove_document(name, keep=names) if replaces else []
            for each in names:
                self._store.write(f"{folder}/{each}", document.parent / each)
            if not self._store.write_new(name, document):
                there = parse(self._store.read(name), self._store.url_of(name))
                if there["source"] != parsed["source"]:
                    raise InputError(
                        f"{self._store.url_of(name)} was written by another run meanwhile",
                        fix="run the same command again",
                        path=opened.name,
                    )
                return there
            for each in stale:
                self._store.remove(f"{folder}/{each}")
        return parsed

    def _remove_document(self, name: str, *, keep: list[str]) -> list[str]:
        """Remove a document before its files change; return the files that then belong to none."""
        there = parse(self._store.read(name), self._store.url_of(name))
        self._store.remove(name)
        return [
            segment["file"]
            for segment in there.get("segments", ())
            if segment["file"] not in keep and result_names.is_segment(segment["file"], name)
        ]


class OutFaultError(Exception):
    """An error of OUT, which ends the chunk; an error of a recording becomes its row.

    Attributes:
        error: the error.
    """

    def __init__(self, error: CaptoolkitError) -> None:
        super().__init__(error)
        self.error = error


@contextlib.contextmanager
def using_out() -> Iterator[None]:
    """Raise `OutFaultError` for an error in the block, which uses OUT and not the recording."""
    try:
        yield
    except CaptoolkitError as error:
        raise OutFaultError(error) from error


def parse(data: bytes, shown: str) -> Document:
    """Return a manifest or a timeline of OUT.

    Raises:
        InputError: the data are neither.
    """
    try:
        document = json.loads(data)
        source = document["source"]
        is_document = isinstance(source["path"], str) and isinstance(source["sha256"], str)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_document = False
    if not is_document:
        raise InputError(
            f"{shown} is damaged", fix="remove it, or choose another place (`out`)", path=shown
        )
    return dict(document)
