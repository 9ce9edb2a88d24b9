"""The recordings of a batch: files, folders, URLs, patterns of URLs, and manifests of data sets.

Rules: URLs keep their scheme. A recording that is named twice is one input. Each recording has an
id and a folder for its results of its own. A name or a line of a manifest that cannot be used is an
`Input` with an error, and the others are done. A listing is a stream: it may hold a million
recordings.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from stat import S_ISREG

from captoolkit.errors import CaptoolkitError, InputError, SourceNotFoundError, UsageError
from captoolkit.jobs.listing.dataset_manifests import is_manifest, read_manifest
from captoolkit.jobs.listing.folder_search import FolderSearch, Pattern, has_media_ending
from captoolkit.jobs.listing.inputs import STANDARD_INPUT, Input, find_inputs, read_listing
from captoolkit.jobs.listing.shards import is_in_shard
from captoolkit.jobs.results.recording_rows import DigestTable
from captoolkit.jobs.results.result_names import hash_named, result_folder, short_hash
from captoolkit.jobs.stores.base_store import Store, StoredFile, scheme_of, split_url
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.media.source import is_web_url, public_url, refuse_url
from captoolkit.support import files

_GLOB = re.compile(r"[*?\[{]")


def list_inputs(
    names: Iterable[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    files_from: str | None = None,
    is_null_separated: bool = False,
    column: str | None = None,
    limit: int | None = None,
    shard: tuple[int, int] | None = None,
    out: str | None = None,
) -> Iterator[Input]:
    """Yield the recordings that names stand for, in the order of the names.

    Args:
        names: files, folders, URLs, patterns of URLs, and manifests.
        include: as for `find_inputs`.
        exclude: as for `find_inputs`.
        files_from: as for `find_inputs`.
        is_null_separated: as for `find_inputs`.
        column: the column of manifests that holds the path or URL; None finds it by its name.
        limit: the number of recordings after which the listing ends.
        shard: I and N: only the recordings of shard I of N, from 0.
        out: the place of the results, which are no recordings.

    Raises:
        UsageError: an option is invalid, or a library is missing.
        InputError: a listing cannot be read.
    """
    every = list(names)
    if is_null_separated and files_from is None:
        raise UsageError(
            "-0 needs a listing", fix="pass --files-from FILE, or - for standard input"
        )
    if files_from is not None:
        every += read_listing(files_from, is_null_separated=is_null_separated)
    if not every:
        raise UsageError("no INPUT is given", fix="name files, folders or URLs")
    listing = _Listing(include, exclude, column=column, out=out)
    found = itertools.chain.from_iterable(map(listing.inputs_of, every))
    for each in itertools.islice(_distinct(found), limit):
        if is_in_shard(each.id, shard):
            yield _with_place(each)


def _with_place(recording: Input) -> Input:
    """Return the input with an absolute path: a worker, or a later run, has another folder."""
    if scheme_of(recording.url) is not None or is_web_url(recording.url):
        return recording
    return dataclasses.replace(recording, url=files.absolute(recording.url))


def refuse_missing(
    names: Iterable[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    out: str | None = None,
) -> None:
    """Refuse names that stand for no recording, before anything is made.

    Folders and patterns are searched up to their first recording, and so are URLs without an ending
    of media, which may be folders, and a URL that is the only name. Other URLs, which take one
    request each, and the names in a listing are not examined.

    Args:
        names: as for `list_inputs`.
        include: as for `list_inputs`.
        exclude: as for `list_inputs`.
        out: as for `list_inputs`.

    Raises:
        UsageError: a name stands for no file, or for a folder or a pattern without recordings.
        InputError: a folder cannot be listed.
    """
    listing = _Listing(include, exclude, column=None, out=out)
    every = list(names)
    for name in every:
        is_pattern = _GLOB.search(name) is not None
        if name == STANDARD_INPUT or is_web_url(name):
            continue
        if scheme_of(name) is None:
            refuse_url(name)  # one that lost a slash
            if not is_pattern and not os.path.lexists(name):
                problem = f"{name} does not exist" if name else "the name of an input is empty"
                raise UsageError(problem, fix="check the name")
            is_searched = is_pattern or Path(name).is_dir()
        else:
            is_searched = is_pattern or len(every) == 1 or not has_media_ending(name)
        if is_searched and not is_manifest(name):
            first, shown = next(listing.inputs_of(name), None), public_url(name)
            if first is not None and first.error is not None and first.url in (name, shown):
                problem = first.error.problem
                text = problem if problem.startswith(shown) else f"{shown}: {problem}"
                raise UsageError(text, fix=first.error.fix)


class _Listing:
    """The inputs of one name after another."""

    def __init__(
        self,
        include: Sequence[str],
        exclude: Sequence[str],
        *,
        column: str | None,
        out: str | None,
    ) -> None:
        self._search = FolderSearch(include, exclude)
        self._column = column
        self._out = None if out is None else _comparable(out)

    def inputs_of(self, name: str) -> Iterator[Input]:
        """Yield the inputs that a name stands for."""
        if name == STANDARD_INPUT:
            raise UsageError("a batch reads no standard input", fix="give a file, folder or URL")
        if is_web_url(name) and not is_manifest(name):
            if _GLOB.search(name.partition("?")[0]):
                raise UsageError(
                    f"{public_url(name)} is a pattern, and web servers list no files",
                    fix="write the addresses into a file, and pass --files-from",
                )
            return iter(find_inputs([name]))
        if is_manifest(name):
            return self._manifest(name)
        return self._folder(name) if scheme_of(name) is None else self._remote(name)

    # ------------------------------------------------------------------ this machine's folders

    def _folder(self, name: str) -> Iterator[Input]:
        if not Path(name).is_dir():
            if _GLOB.search(name) and not Path(name).exists():
                yield from self._pattern(name)
            else:
                yield from find_inputs([name])
            return
        count = 0
        for found in self._search.files(name):
            if found.error is not None:
                yield _unusable(found.path, found.error)
            elif not self._is_result(found.path, name):
                status = found.status
                is_file = status is not None and S_ISREG(status.st_mode)
                yield Input(
                    id=found.relative,
                    url=found.path,
                    relative=found.relative,
                    size_bytes=status.st_size if status and is_file else None,
                    version=f"mtime_ns:{status.st_mtime_ns}" if status and is_file else None,
                )
            count += 1
        if not count and not self._search.has_taken:
            yield _unusable(name, self._search.nothing_found())

    def _pattern(self, name: str) -> Iterator[Input]:
        """Yield the files of a pattern that the shell has not expanded."""
        root, pattern = _split_pattern(name.replace(os.sep, "/"))  # no shell of Windows expands one
        store = open_store(root or ("/" if name.startswith("/") else "."))
        yield from self._matching(store, "", pattern, name, root)

    # ------------------------------------------------------------------------ buckets and others

    def _remote(self, url: str) -> Iterator[Input]:
        root, name = split_url(url)
        store = open_store(root)
        if _GLOB.search(name):
            folder, pattern = _split_pattern(name)
            prefix = f"{folder}/" if folder else ""
            yield from self._matching(store, prefix, pattern, public_url(url), url)
            return
        if name and not name.endswith("/"):
            try:
                file = store.stat(name)
            except SourceNotFoundError:
                name += "/"
            else:
                yield _of_store(store, file, relative=name.rpartition("/")[2], id=public_url(url))
                return
        yield from self._below(store, name, url)

    def _below(self, store: Store, prefix: str, url: str) -> Iterator[Input]:
        """Yield the recordings below a prefix."""
        count = 0
        for file in store.list(prefix):
            relative = file.name.removeprefix(prefix)
            if not self._search.takes_name(relative):
                continue
            count += 1
            if not self._is_result(store.url_of(file.name), url):
                yield _of_store(store, file, relative=relative, id=relative)
        if not count:
            error = SourceNotFoundError(
                f"{public_url(url)} names no file, and no recordings are below it",
                fix="check the name, or pass --include",
                path=public_url(url),
            )
            yield _unusable(public_url(url), error)

    def _matching(
        self, store: Store, prefix: str, pattern: str, shown: str, root: str
    ) -> Iterator[Input]:
        """Yield the files below a prefix that match a pattern."""
        wanted, count = Pattern(f"/{pattern}"), 0
        literal = _GLOB.split(pattern, maxsplit=1)[0]
        for file in store.list(prefix + literal):
            relative = file.name.removeprefix(prefix)
            if not wanted.matches(relative) or self._search.excludes(relative):
                continue
            is_hidden = "/." in f"/{relative}" and "/." not in f"/{pattern}"  # as in a shell
            if is_hidden or not (wanted.states_ending or has_media_ending(relative)):
                continue
            count += 1
            if not self._is_result(store.url_of(file.name), root):
                yield _of_store(store, file, relative=relative, id=relative)
        if not count:
            error = InputError(f"{shown} matches no file", fix="check the pattern", path=shown)
            yield _unusable(shown, error)

    def _is_result(self, path: str, searched: str) -> bool:
        """Return whether a file is in the place of the results, and that in a searched place."""
        if self._out is None:
            return False
        root, whole = _comparable(searched), _comparable(path)
        if not f"{whole}".startswith(f"{self._out}/"):
            return False
        if self._out != root and not root.startswith(f"{self._out}/"):
            return True  # a folder of results inside the folder of the recordings
        parent, name = PurePosixPath(path).parent.name, PurePosixPath(path).name
        return re.fullmatch(rf"{re.escape(parent)}\.\d{{3,}}\.\w+", name) is not None

    # ----------------------------------------------------------------------------- manifests

    def _manifest(self, name: str) -> Iterator[Input]:
        if scheme_of(name) is None:
            yield from self._read_manifest(Path(name), name)
            return
        with files.staging(None) as folder:
            path = folder / "manifest"
            if is_web_url(name):
                from captoolkit.net.download import download

                download(name, path)
            else:
                root, inner = split_url(name)
                open_store(root).fetch(inner, path)
            yield from self._read_manifest(path, name)

    def _read_manifest(self, path: Path, url: str) -> Iterator[Input]:
        for each in read_manifest(path, url=url, column=self._column):
            if each.error is None and scheme_of(each.url) is None:
                yield _with_status(each)
            else:
                yield each


def _of_store(store: Store, file: StoredFile, *, relative: str, id: str) -> Input:
    return Input(
        id=id,
        url=store.url_of(file.name),
        relative=relative,
        size_bytes=file.size_bytes,
        version=file.version,
    )


def _unusable(name: str, error: CaptoolkitError) -> Input:
    return Input(id=name, url=name, relative=PurePosixPath(name).name, error=error)


def _with_status(recording: Input) -> Input:
    """Return a file of a manifest with its size and time of change, if it is there."""
    try:
        status = Path(recording.url).stat()
    except (OSError, ValueError):
        return recording
    version = f"mtime_ns:{status.st_mtime_ns}"
    return dataclasses.replace(recording, size_bytes=status.st_size, version=version)


def _split_pattern(name: str) -> tuple[str, str]:
    """Return the folder before the first part with a pattern, and the rest.

    ```python
    >>> _split_pattern("talks/2026/**/a*.wav")
    ('talks/2026', '**/a*.wav')

    ```
    """
    parts = name.split("/")
    first = next(number for number, part in enumerate(parts) if _GLOB.search(part))
    return "/".join(parts[:first]), "/".join(parts[first:])


def _comparable(place: str) -> str:
    """Return a path or URL in the form in which two are compared."""
    return place.rstrip("/") if scheme_of(place) else files.absolute(place).rstrip("/")


def _distinct(inputs: Iterable[Input]) -> Iterator[Input]:
    """Yield each recording once, with an id and a result folder that no other has."""
    urls, ids, folders = DigestTable(0), DigestTable(0), DigestTable(0)
    for each in inputs:
        if not urls.add(_comparable(each.url), b""):
            continue
        if not ids.add(each.id, b""):
            each = dataclasses.replace(each, id=public_url(each.url))
            if not ids.add(each.id, b""):
                each = dataclasses.replace(each, id=f"{each.id}#{short_hash(each.url)}")
        folder = result_folder(each).casefold()
        if not folders.add(folder, b""):
            each = hash_named(each)
            folders.add(result_folder(each).casefold(), b"")
        yield each
