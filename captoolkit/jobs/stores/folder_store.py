"""A folder of this machine as a store; it needs no library.

Rules: a file is written to a hidden staging folder of the store, flushed, and linked or moved to
its name, so that it appears whole or not at all, also for another process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from captoolkit.jobs.stores.base_store import Store, StoredFile, refuse_outside
from captoolkit.jobs.stores.store_errors import read_error
from captoolkit.support import files, staging_folders

COPY_BYTES = 1 << 20


class FolderStore(Store):
    """A folder of this machine; it is created by the first file."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.folder = Path(os.path.abspath(url))  # noqa: PTH100 - keeps links

    def url_of(self, name: str) -> str:
        """Return the path of a file."""
        return str(Path(self.url) / name)

    def local_path(self, name: str) -> Path:
        """Return the absolute path of a file."""
        return self.folder / name

    @property
    def staging_parent(self) -> Path:
        """The folder itself: files move from there to their names without a copy."""
        return self.folder

    def write_new(self, name: str, data: bytes | Path) -> bool:
        """Create a file; return False if the name exists."""
        refuse_outside(name, self.url)
        path = self.folder / name
        if os.path.lexists(path):
            return False
        with self._staged(path, data) as staged:
            try:
                os.link(staged, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in files.NO_LINKS:
                    raise
                return _create_exclusively(staged, path)
            staged.unlink()
        return True

    def write(self, name: str, data: bytes | Path) -> None:
        """Create or replace a file; a symbolic link is replaced itself.

        The file that a link leads to may be a recording.
        """
        refuse_outside(name, self.url)
        path = self.folder / name
        with self._staged(path, data) as staged:
            staged.replace(path)

    @contextlib.contextmanager
    def _staged(self, path: Path, data: bytes | Path) -> Iterator[Path]:
        """Yield a flushed file of these bytes on the file system of `path`."""
        with files.writing(path):
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(data, Path) and data.stat().st_dev == path.parent.stat().st_dev:
                yield data
                return
            # One place for all files: the first staging folder in a place costs an owner file.
            is_one_disk = self.folder.stat().st_dev == path.parent.stat().st_dev
            with files.staging(self.folder if is_one_disk else path.parent) as folder:
                staged = folder / path.name
                with staged.open("wb") as stream:
                    if isinstance(data, bytes):
                        stream.write(data)
                    else:
                        with data.open("rb") as source:
                            shutil.copyfileobj(source, stream, COPY_BYTES)
                    stream.flush()
                    os.fsync(stream.fileno())
                yield staged

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        with self._reading(name):
            return (self.folder / name).read_bytes()

    def read_many(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of each file in order."""
        for name in names:
            yield name, self.read(name)

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a local path."""
        with self._reading(name):
            source = (self.folder / name).open("rb")
        with source, files.writing(path), path.open("wb") as stream:
            shutil.copyfileobj(source, stream, COPY_BYTES)

    def stat(self, name: str) -> StoredFile:
        """Return a file's size and version now."""
        with self._reading(name):
            return _stored(name, (self.folder / name).stat())

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """Yield the files whose names begin with `prefix`; staging files are left out."""
        parent, _, start = prefix.rpartition("/")
        yield from self._list(f"{parent}/" if parent else "", start)

    def _list(self, parent: str, start: str) -> Iterator[StoredFile]:
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder / parent))
        except FileNotFoundError:
            return
        except OSError as error:
            raise read_error(self.url_of(parent), error) from error
        for name in names:
            if not name.startswith(start) or name.startswith(staging_folders.HIDDEN_PREFIX):
                continue
            try:
                status = (self.folder / parent / name).stat()
            except OSError:  # it was removed meanwhile, or is a link to nothing
                continue
            if _is_folder(status):
                yield from self._list(f"{parent}{name}/", "")
            else:
                yield _stored(parent + name, status)

    def remove(self, name: str) -> None:
        """Remove a file, which may be missing."""
        refuse_outside(name, self.url)
        path = self.folder / name
        with files.writing(path):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise read_error(self.url_of(name), error) from error


def _create_exclusively(staged: Path, path: Path) -> bool:
    """Create `path` on a file system without hard links; return False if it exists."""
    try:
        stream = path.open("xb")
    except FileExistsError:
        return False
    with stream, staged.open("rb") as source:
        shutil.copyfileobj(source, stream, COPY_BYTES)
        stream.flush()
        os.fsync(stream.fileno())
    return True


def _stored(name: str, status: os.stat_result) -> StoredFile:
    version = f"mtime_ns:{status.st_mtime_ns}"
    return StoredFile(name=name, size_bytes=status.st_size, version=version)


def _is_folder(status: os.stat_result) -> bool:
    return (status.st_mode & 0o170000) == 0o040000
