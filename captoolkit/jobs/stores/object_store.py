"""Buckets and other file systems that fsspec reaches, and `open_store`, which opens any store.

Rules: only this module imports fsspec, and a folder needs no fsspec. A store holds its URL and no
credentials: the libraries below fsspec find them in the environment. A file appears whole or not at
all, and `write_new` never replaces one: on S3 by `If-None-Match: *`, on GCS by
`ifGenerationMatch=0`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from captoolkit.errors import CaptoolkitError, SourceNotFoundError, UsageError
from captoolkit.jobs.stores.base_store import (
    Store,
    StoredFile,
    refuse_outside,
    scheme_of,
)
from captoolkit.jobs.stores.folder_store import FolderStore
from captoolkit.jobs.stores.store_errors import http_status, read_error, retry, s3_code, write_error
from captoolkit.media.source import public_url

Result = TypeVar("Result")

# The extra of captoolkit that brings the library for a scheme.
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


def open_store(url: str) -> Store:
    """Return the store at a path or a URL; nothing is read or written yet.

    Raises:
        UsageError: the URL is empty, its scheme is not known, or its library is not installed.
    """
    if not url:
        raise UsageError("the place of a batch is empty", fix="name a folder or a URL")
    scheme = scheme_of(url)
    if scheme is None:
        return FolderStore(url)
    if scheme in ("file", "local"):
        return FolderStore(url.partition("://")[2])
    if scheme in ("http", "https"):
        raise UsageError(
            f"{public_url(url)} can be read and not written or listed",
            fix="give a folder, or a bucket such as s3://BUCKET/PREFIX",
        )
    _find_library(scheme)
    return RemoteStore(url.rstrip("/") if not url.endswith("://") else url)


# ------------------------------------------------------------------------ buckets and others


class RemoteStore(Store):
    """A prefix of a file system that fsspec reaches: `s3://`, `gs://`, `memory://` and others."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._scheme = scheme_of(url) or ""
        self._is_s3 = self._scheme in ("s3", "s3a")
        self._base = url.partition("://")[2].strip("/")

    @property
    def _files(self) -> Any:
        return _file_system(self._scheme)

    def _path(self, name: str) -> str:
        """The path that fsspec expects: with the bucket, without the scheme."""
        return f"{self._base}/{name}" if self._base and name else self._base or f"/{name}"

    def url_of(self, name: str) -> str:
        """Return the URL of a file, with its scheme."""
        return (
            f"{public_url(self.url).rstrip('/')}/{name}"
            if not self.url.endswith("://")
            else (f"{self.url}{name}")
        )

    def write_new(self, name: str, data: bytes | Path) -> bool:
        """Create a file; return False if the name exists with other bytes."""

        def create() -> bool:
            try:
                self._put(name, data, mode="create")
            except FileExistsError:
                # An earlier attempt, also of the library, may have succeeded without an answer.
                return self.read(name) == _bytes_of(data)
            return True

        return self._writing(name, create)

    def write(self, name: str, data: bytes | Path) -> None:
        """Create or replace a file."""
        self._writing(name, lambda: self._put(name, data, mode="overwrite"))

    def _put(self, name: str, data: bytes | Path, *, mode: str) -> None:
        refuse_outside(name, self.url)
        path = self._path(name)
        try:
            if isinstance(data, bytes):
                self._files.pipe_file(path, data, mode=mode)
            else:
                self._files.put_file(str(data), path, mode=mode)
        except OSError as error:
            if mode == "create" and _is_precondition(error):
                raise FileExistsError(errno.EEXIST, "exists", path) from error
            raise

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        options = {"max_concurrency": 1} if self._is_s3 else {}  # one request
        call = functools.partial(self._files.cat_file, self._path(name), **options)
        return bytes(self._reading(name, call))

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path."""
        self._reading(name, lambda: self._files.get_file(self._path(name), str(path)))

    def stat(self, name: str) -> StoredFile:
        """Return a file's size and version now."""
        info = self._reading(name, lambda: self._info(name))
        if info.get("type") == "directory":
            raise SourceNotFoundError(
                f"{self.url_of(name)} is a folder", fix="check the name", path=self.url_of(name)
            )
        return StoredFile(name=name, size_bytes=info.get("size"), version=_version_of(info))

    def _info(self, name: str) -> dict[str, Any]:
        """Return the size and the version of a file; on S3 by one request."""
        if not self._is_s3:
            return dict(self._files.info(self._path(name)))
        bucket, _, key = self._path(name).partition("/")
        head = self._files.call_s3("head_object", Bucket=bucket, Key=key)
        return {"size": head["ContentLength"], "ETag": head["ETag"]}

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """Yield the files with names that begin with `prefix`; one page of names is in memory."""
        start = len(self._base) + 1 if self._base else 0
        pages = self._s3_pages if self._is_s3 else self._folder_pages
        for page in pages(prefix):
            for info in page:
                name = info["name"].lstrip("/")[start:]
                if name.startswith(prefix) and not name.endswith("/"):
                    size = info.get("size")
                    yield StoredFile(name=name, size_bytes=size, version=_version_of(info))

    def _s3_pages(self, prefix: str) -> Iterator[Iterable[Mapping[str, Any]]]:
        """Yield the listing of a bucket in pages of 1,000 names, sorted."""
        bucket, _, key = self._path(prefix).partition("/")
        more: dict[str, str] = {}
        if not prefix and key:
            key += "/"
        while True:
            call = functools.partial(
                self._files.call_s3, "list_objects_v2", Bucket=bucket, Prefix=key, **more
            )
            page = self._reading(prefix, call)
            yield [
                {"name": f"{bucket}/{each['Key']}", "size": each["Size"], "ETag": each["ETag"]}
                for each in page.get("Contents", ())
            ]
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _folder_pages(self, prefix: str) -> Iterator[Iterable[Mapping[str, Any]]]:
        """Yield the listing folder by folder; fsspec has no other way that all stores share."""
        folders = [self._path(prefix.rpartition("/")[0])]
        while folders:
            folder = folders.pop()
            try:
                found = self._reading(
                    prefix, functools.partial(self._files.ls, folder, detail=True)
                )
            except SourceNotFoundError:
                continue
            found = sorted(found, key=lambda info: str(info["name"]))
            yield [info for info in found if info["type"] != "directory"]
            inner = [str(info["name"]) for info in found if info["type"] == "directory"]
            folders += reversed(inner)

    def remove(self, name: str) -> None:
        """Remove a file, which may be missing."""
        refuse_outside(name, self.url)

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._files.rm_file(self._path(name))

        self._writing(name, remove)

    def _reading(self, name: str, call: Callable[[], Result]) -> Result:
        try:
            return retry(call)
        except CaptoolkitError:
            raise
        except Exception as error:  # the libraries of the stores have no common base class
            raise read_error(self.url_of(name), error) from error

    def _writing(self, name: str, call: Callable[[], Result]) -> Result:
        try:
            return retry(call)
        except CaptoolkitError:
            raise
        except Exception as error:  # as in `_reading`
            raise write_error(self.url_of(name), error) from error


def _find_library(scheme: str) -> Any:
    """Return fsspec's class for a scheme; it is not opened, which may search for credentials.

    Raises:
        UsageError: the scheme is not known, or its library is not installed.
    """
    try:
        import fsspec

        # captoolkit needs objects only. With this setting gcsfs asks for the type of the bucket,
        # and writes a warning for each operation where the key has no permission for that.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        return fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        extra = EXTRAS.get(scheme, "cluster" if error.name == "fsspec" else "")
        raise UsageError(
            f"{scheme}: URLs need a library that is not installed ({error.name or error})",
            fix=f"pip install 'captoolkit[{extra}]'" if extra else "install it",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{scheme}: URLs are not known", fix="give a folder, or s3://, gs:// or memory:// URLs"
        ) from error


@functools.cache
def _file_system(scheme: str) -> Any:
    """Return fsspec's file system for a scheme; one for each process."""
    opened = _find_library(scheme)(use_listings_cache=False)
    if hasattr(opened, "retries"):
        opened.retries = 1  # s3fs: botocore retries below it, and `store_errors.retry` above it
    return opened


def forget_file_systems() -> None:
    """Open the file systems again when they are next used: the credentials have changed."""
    for scheme in ("s3", "gs"):
        with contextlib.suppress(UsageError):
            _find_library(scheme).clear_instance_cache()
    _file_system.cache_clear()


def _version_of(info: Mapping[str, Any]) -> str | None:
    for name in ("ETag", "etag"):
        if info.get(name):
            return f"etag:{str(info[name]).strip(chr(34))}"
    for name in ("mtime", "modified", "LastModified", "updated", "created"):
        value = info.get(name)
        if value:
            return f"mtime:{value.timestamp() if isinstance(value, datetime) else value}"
    return None


def _bytes_of(data: bytes | Path) -> bytes:
    return data if isinstance(data, bytes) else data.read_bytes()


def _is_precondition(error: OSError) -> bool:
    """Whether a create-only write was refused because the name exists."""
    return s3_code(error) in ("PreconditionFailed", "412", "ConditionalRequestConflict") or (
        http_status(error) == 412
    )
