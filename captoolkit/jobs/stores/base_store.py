"""The interface of every store: files by name, read, listed, and written whole or not at all.

Names are separated by `/` and hold no scheme; `Store.url_of` returns the whole path or URL. A store
holds its URL and no credentials, and can be pickled. `jobs.store.open_store` opens one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captoolkit.errors import InputError, SourceNotFoundError

READ_AHEAD = 16  # files read at the same time by `read_many`

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of a store.

    Attributes:
        name: the name inside the store.
        size_bytes: the size; None if the store states none.
        version: `etag:...` or `mtime_ns:...`; None if the store states none.
    """

    name: str
    size_bytes: int | None
    version: str | None


class Store(ABC):
    """A folder or a prefix with files; can be pickled.

    Attributes:
        url: the folder's path, or the URL with its scheme.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.url,)

    @abstractmethod
    def url_of(self, name: str) -> str:
        """Return the path or URL of a file, without secrets."""

    @abstractmethod
    def write_new(self, name: str, data: bytes | Path) -> bool:
        """Create a file with these bytes; return False if the name exists, which is not replaced.

        A store behind a network may return True if the file holds these bytes already: it cannot
        tell them from those of an attempt that succeeded without an answer.

        Args:
            name: the name.
            data: the bytes, or a local file that holds them, which may be moved.

        Raises:
            OutputError: it cannot be written.
        """

    @abstractmethod
    def write(self, name: str, data: bytes | Path) -> None:
        """Create or replace a file.

        Raises:
            OutputError: it cannot be written.
        """

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            SourceNotFoundError: there is no such file.
            InputError: it cannot be read.
        """

    @abstractmethod
    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path.

        Raises:
            SourceNotFoundError: there is no such file.
            InputError: it cannot be read.
            OutputError: the local disk is full.
        """

    @abstractmethod
    def stat(self, name: str) -> StoredFile:
        """Return a file's size and version now.

        Raises:
            SourceNotFoundError: there is no such file.
            InputError: the store does not answer.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """Yield the files with names that begin with `prefix`, sorted within each folder.

        Raises:
            InputError: the store cannot be listed.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, which may be missing.

        Raises:
            OutputError: it cannot be removed.
        """

    def local_path(self, name: str) -> Path | None:
        """Return the path of a file of a folder; None for any other store."""
        return None

    @property
    def staging_parent(self) -> Path | None:
        """Where to make files before they are written; None is the temporary folder."""
        return None

    def exists(self, name: str) -> bool:
        """Return whether there is a file of that name.

        Raises:
            InputError: the store does not answer.
        """
        try:
            self.stat(name)
        except SourceNotFoundError:
            return False
        return True

    def read_many(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of each file in order; some are read ahead."""
        with ThreadPoolExecutor(READ_AHEAD) as pool:
            ahead: deque[tuple[str, Any]] = deque()
            try:
                for name in names:
                    ahead.append((name, pool.submit(self.read, name)))
                    if len(ahead) >= 2 * READ_AHEAD:
                        ready, future = ahead.popleft()
                        yield ready, future.result()
                for ready, future in ahead:
                    yield ready, future.result()
            finally:
                for _, future in ahead:
                    future.cancel()


def refuse_outside(name: str, url: str) -> None:
    """Refuse to write or remove a file by a name that leaves the store.

    Raises:
        InputError: the name is absolute or holds `..`.
    """
    if name.startswith("/") or ".." in name.replace("\\", "/").split("/"):
        raise InputError(f"the name {name!r} leaves {url}", fix="give a name below it")


def scheme_of(url: str) -> str | None:
    r"""Return the scheme of a URL in lower case; None for a path.

    ```python
    >>> scheme_of("S3://bucket/a.wav"), scheme_of("talks/a.wav"), scheme_of("C:\\a.wav")
    ('s3', None, None)

    ```
    """
    match = _SCHEME.match(url)
    return match[1].lower() if match else None


def split_url(url: str) -> tuple[str, str]:
    """Return the store that holds the file at a URL, and the file's name in it.

    ```python
    >>> split_url("s3://bucket/talks/a.wav"), split_url("memory://talks/a.wav")
    (('s3://bucket', 'talks/a.wav'), ('memory://', 'talks/a.wav'))

    ```
    """
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "memory":
        return f"{scheme}://", rest.lstrip("/")
    host, _, name = rest.partition("/")
    return f"{scheme}://{host}", name
