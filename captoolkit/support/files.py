"""Write files whole or not at all.

Rules: a file is written under a hidden name in the folder of its destination, flushed, and moved to
its name. After a failure no part of the file remains. Nothing is replaced without `overwrite`. A
name that is a symbolic link stays a link, and the file that it points to is replaced (`replace`);
groups of files and the results of a batch replace the link itself. A replaced file passes on its
permissions. This module is loaded by commands that write nothing: its functions import the modules
for writing.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from captoolkit.errors import DiskFullError, OutputError, OutputExistsError, UsageError

# Of a link on a file system without links, between two mounts, or (EINVAL) on FAT under Windows.
NO_LINKS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV, errno.EINVAL}
)


def write_whole(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a text file completely or not at all.

    Raises:
        OutputExistsError: the file exists and `overwrite` is false.
        OutputError: the file cannot be written.
    """
    if not overwrite:
        refuse_existing([path])
    with writing(path), staging(target_of(path).parent) as folder:
        staged = folder / path.name
        write_flushed(staged, text)
        place(staged, path, overwrite=overwrite)


def place(staged: Path, path: Path, *, overwrite: bool) -> None:
    """Move a finished file to its name; without `overwrite` only if there is no such file now.

    Raises:
        OutputExistsError: another process has created the file meanwhile.
        OSError: the file cannot be moved.
    """
    if overwrite:
        replace(staged, path)
        return
    try:
        os.link(staged, path)
    except FileExistsError:
        refuse_existing([path])
        raise  # it is gone again
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        refuse_existing([path])
        staged.replace(path)


def replace(staged: Path, path: Path) -> None:
    """Move a finished file to its name, as the only step that others see.

    If `path` is a symbolic link, the link stays, and the file that it points to is replaced or
    created, also on another file system. A replaced file passes on its permissions.

    Raises:
        OSError: the file cannot be moved; the earlier file is then unchanged.
    """
    with _near_target(staged, path) as (near, target):
        near.replace(target)


def target_of(path: Path) -> Path:
    """Return the path that a write to `path` reaches, through symbolic links.

    Raises:
        OSError: the links form a circle, or lead to something that is not a file.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if path.exists() and not path.is_file():  # `target` does not exist for /dev/stdout as a pipe
        raise IsADirectoryError(errno.EISDIR, "the name is taken by something that is not a file")
    return target


@contextlib.contextmanager
def _near_target(staged: Path, path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a finished file that can move to the target of `path`, and that target.

    It has the permissions of the file that it replaces. If a symbolic link leads to another folder,
    it is a copy in that folder: two mounts may have one device number, and no move between them.

    Raises:
        OSError: as `target_of`, or the other folder is missing.
        OutputError: the copy cannot be written.
    """
    target = target_of(path)
    if not path.is_symlink() or target.parent in staged.parents:
        pass_on_permissions(target, staged)
        yield staged, target
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    with staging(target.parent) as folder:
        near = folder / target.name
        copy(staged, near)
        with near.open("r+b") as stream:  # Windows flushes no file opened read-only
            os.fsync(stream.fileno())
        pass_on_permissions(staged, near)
        pass_on_permissions(target, near)
        yield near, target


def pass_on_permissions(path: Path, new: Path) -> None:
    """Give the file `new` the permissions of `path`, which may be missing."""
    with contextlib.suppress(OSError):  # a file system without permissions
        new.chmod(path.stat().st_mode & 0o777)


def write_flushed(path: Path, text: str) -> None:
    """Write a text file in a staging folder, and flush it to the disk.

    Raises:
        OutputError: the file cannot be written.
    """
    with writing(path), path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def staging(parent: Path | None) -> Iterator[Path]:
    """Create a hidden folder inside `parent` or the temporary folder; remove it on exit."""
    folder = make_staging(parent)
    try:
        yield folder
    finally:
        remove_folder(folder)


def make_staging(parent: Path | None) -> Path:
    """Create a hidden folder inside `parent`, which is created too, or the temporary folder.

    Raises:
        OutputError: the folder cannot be created.
    """
    import tempfile

    from captoolkit.support import staging_folders

    place = Path(tempfile.gettempdir()) if parent is None else parent
    with writing(place):
        return staging_folders.make(place, is_hidden=parent is not None)


def remove_folder(folder: Path) -> None:
    """Remove a staging folder and its contents; it may be missing."""
    from captoolkit.support import staging_folders

    staging_folders.remove(folder)


def sweep_ended_runs(folder: Path) -> None:
    """Complete or take back the moves of dead processes to `folder`; remove their staging folders.

    Each process does it once for each folder.
    """
    from captoolkit.support import staging_folders

    staging_folders.sweep_once(folder)


def copy(source: Path, path: Path) -> None:
    """Copy a file's bytes.

    Raises:
        OutputError: `path` cannot be written.
    """
    import shutil

    with writing(path):
        shutil.copyfile(source, path)


def absolute(path: str | Path) -> str:
    """Return the absolute path without `.` and `..`; links stay as they are."""
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links


def refuse_existing(paths: Iterable[Path]) -> None:
    """Refuse to replace existing files.

    Raises:
        OutputExistsError: one of `paths` exists.
    """
    for path in paths:
        if os.path.lexists(path):
            raise OutputExistsError(
                f"{path} exists",
                fix="choose another name or folder, or pass overwrite=True to replace it",
                path=path,
            )


def refuse_foreign(
    path: Path, mark: bytes, kind: str, *, within: int = 0, fix: str = "choose another name"
) -> None:
    """Refuse to replace, or to extend, a file that is neither empty nor of a kind.

    Args:
        path: the file, which may be missing; a pipe or a device is of any kind.
        mark: bytes that files of the kind begin with.
        kind: its name for the message.
        within: the mark may also stand behind other bytes, in the first so many.
        fix: the remedy.

    Raises:
        OutputExistsError: the file has no such mark.
        OutputError: it cannot be read.
    """
    with writing(path):
        if not path.is_file():
            return
        with path.open("rb") as stream:
            head = stream.read(max(within, len(mark)))
    if head and mark not in head:
        raise OutputExistsError(f"{path} exists and is no {kind}", fix=fix, path=path)


def refuse_shared(outputs: Iterable[tuple[str, str | Path | None]]) -> None:
    """Refuse two outputs of one command at one place, before any work.

    Args:
        outputs: option and path of each output; None is no output. Devices, pipes and existing
            folders are ignored.

    Raises:
        UsageError: two outputs are one file, perhaps under two names.
    """
    options: dict[str | tuple[int, int], str] = {}
    parents: dict[str, str] = {}
    for option, path in outputs:
        # Unlike `Path`, `os.path` does not raise for a name that the writer refuses with advice.
        is_other = path is not None and os.path.exists(path) and not os.path.isfile(path)  # noqa: PTH110, PTH113
        if path is None or is_other:
            continue
        parent, name = os.path.split(absolute(path))
        if parent not in parents:
            parents[parent] = os.path.realpath(parent)
        place = Path(parents[parent], name)
        is_link = os.path.islink(place)  # noqa: PTH114
        reached = os.path.realpath(place) if is_link else str(place)
        key = _identity(path) or os.path.normcase(reached)  # Windows ignores the case
        if key in options:
            other = options[key]
            subject = f"{other} and {option} are" if other != option else "two results are"
            raise UsageError(f"{subject} one file: {path}", fix="give each a name of its own")
        options[key] = option


class FileSet:
    """Files that must not be replaced. They are identified once, when it first matters.

    Args:
        paths: the files; names that are no files are ignored.
        others: further files.
    """

    def __init__(self, paths: Iterable[str | Path], *, others: FileSet | None = None) -> None:
        self._paths = list(paths)
        self._others = others
        self._identities: set[tuple[int, int]] | None = None

    def among(self, paths: Iterable[Path]) -> list[Path]:
        """Return those of `paths` that are files of this set, even under other names.

        If none of `paths` exists, which is usual, it does not look at the files of the set.
        """
        existing = {path: identity for path in paths if (identity := _identity(path))}
        return [path for path, identity in existing.items() if self._has(identity)]

    def refuse(self, paths: Iterable[Path]) -> None:
        """Refuse to replace files of this set.

        Raises:
            OutputError: one of `paths` is such a file, even under another name.
        """
        for path in self.among(paths):
            raise OutputError(
                f"{path} is an input and is not replaced", fix="choose another folder or name"
            )

    def _has(self, identity: tuple[int, int]) -> bool:
        if self._identities is None:
            self._identities = set(filter(None, map(_identity, self._paths)))
        if identity in self._identities:
            return True
        return self._others is not None and self._others._has(identity)


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Return device and inode of a file, None if there is no such file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):  # missing, or not a possible name
        return None
    return status.st_dev, status.st_ino


def refuse_unwritable(folder: Path) -> None:
    """Refuse a folder that cannot be created or written, without creating it.

    Raises:
        OutputError: a file has its name or the name of a parent, or writing is not permitted.
    """
    import tempfile

    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise output_error(folder, NotADirectoryError(errno.ENOTDIR, "not a folder"))
    with writing(folder), tempfile.TemporaryFile(dir=folder):  # permissions alone do not prove it
        pass


def refuse_unwritable_file(path: Path) -> None:
    """Refuse a path at which no file can be written, without creating it or its folder.

    Raises:
        OutputError: a folder has that name, or its own folder cannot be written.
    """
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "there is a folder of that name")
        target = target_of(path)
    refuse_unwritable(target.parent)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an `OSError` into an `OutputError` about `path`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise output_error(path, error) from error


def output_error(path: Path, error: OSError) -> OutputError:
    """Return the `OutputError` for a path that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        taken = next((each for each in (path, *path.parents) if os.path.lexists(each)), path)
        return OutputError(f"{taken} is not a folder", fix="choose another place", path=taken)
    if error.errno == errno.EFBIG:
        return OutputError(
            f"{path.name} would be larger than the disk or a limit (ulimit -f) allows",
            fix="ask for shorter segments, or choose a folder on another disk",
            path=path,
        )
    is_too_long = error.errno == errno.ENAMETOOLONG
    return OutputError(
        f"{path} cannot be written ({error.strerror or error})",
        fix="choose a shorter name" if is_too_long else "choose another place",
        path=path,
    )


def disk_full(path: Path) -> DiskFullError:
    """Return the error for a full disk."""
    return DiskFullError(
        "there is no room left on the disk",
        fix="free some, or choose a folder on another disk",
        path=path,
    )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
