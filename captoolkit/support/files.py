"""Files that appear whole or not at all, and folders that move as one.

Rules: whatever is written is written beside its place under a hidden name, flushed, and moved
there; on any failure what was written is removed; nothing that exists is replaced unless asked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from captoolkit.errors import OutputError, OutputExistsError

STAGING_PREFIX = ".captoolkit-"


def write_whole(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a text file that is there complete or not at all.

    Raises:
        OutputExistsError: it exists and `overwrite` is false.
        OutputError: it cannot be written.
    """
    if not overwrite:
        refuse_existing([path])
    with writing(path), staging(path.parent) as folder:
        if path.exists() and not path.is_file():
            raise IsADirectoryError(errno.EISDIR, "what has that name is not a file")
        staged = folder / path.name
        with staged.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(path)


@contextlib.contextmanager
def staging(parent: Path | None) -> Iterator[Path]:
    """Give a hidden folder inside `parent`, or the system's temporary one; gone afterwards."""
    folder = make_staging(parent)
    try:
        yield folder
    finally:
        remove_folder(folder)


def make_staging(parent: Path | None) -> Path:
    """Make a hidden folder inside `parent`, which is made too.

    Raises:
        OutputError: it cannot be made.
    """
    if parent is None:
        with writing(Path(tempfile.gettempdir())):
            return Path(tempfile.mkdtemp(prefix=STAGING_PREFIX[1:]))
    with writing(parent):
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=parent))


def remove_folder(folder: Path) -> None:
    """Remove a staging folder and what is in it; it may be gone already."""
    shutil.rmtree(folder, ignore_errors=True)


def copy(source: Path, path: Path) -> None:
    """Copy a file's bytes.

    Raises:
        OutputError: `path` cannot be written.
    """
    with writing(path):
        shutil.copyfile(source, path)


def move_all(source: Path, out: Path, names: Iterable[str]) -> None:
    """Move files of those names from one folder to another, replacing what has their names.

    All or nothing: what is replaced is first laid aside in a hidden folder of `out`, and if one
    file cannot be moved, everything is put back as it was. The hidden folder goes when it is empty
    again or no longer needed: if putting back fails as well, what it holds is still there.

    Raises:
        OutputError: one cannot be moved.
    """
    aside = make_staging(out)
    # (from, to), to be done in reverse; noted before the move, which an interrupt may follow.
    undo: list[tuple[Path, Path]] = []
    try:
        for name in names:
            with writing(out / name):
                if (out / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, "there is a folder of that name")
                if os.path.lexists(out / name):
                    undo.append((aside / name, out / name))
                    (out / name).replace(aside / name)
                if not (source / name).is_file():
                    raise FileNotFoundError(errno.ENOENT, "what was made for it is gone")
                undo.append((out / name, source / name))
                (source / name).replace(out / name)
    except BaseException:
        for moved, home in reversed(undo):
            if os.path.lexists(moved) and not os.path.lexists(home):
                moved.replace(home)
        with contextlib.suppress(OSError):  # not empty: what could not go back stays in it
            aside.rmdir()
        raise
    remove_folder(aside)


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise for the first of `paths` that exists.

    Raises:
        OutputExistsError: one exists.
    """
    for path in paths:
        if os.path.lexists(path):
            raise OutputExistsError(
                f"{path} exists",
                fix="choose another folder, or pass -y (overwrite=True) to replace it",
                path=path,
            )


def refuse_inputs(paths: Iterable[Path], inputs: Iterable[str | Path]) -> None:
    """Raise for the first of `paths` that is one of the inputs, by whatever name.

    Raises:
        OutputError: one would be replaced by what is made of it, or of another.
    """
    for path in among(paths, inputs):
        raise OutputError(
            f"{path} is an input and is not replaced", fix="choose another folder or name"
        )


def among(paths: Iterable[Path], others: Iterable[str | Path]) -> list[Path]:
    """Return those of `paths` that are the same files as some of `others`, by whatever names.

    Most often nothing has the names of what is to be made, and then no other is looked at.
    """
    found = {path: identity for path in paths if (identity := _identity(path))}
    if not found:
        return []
    known = set(map(_identity, others))
    return [path for path, identity in found.items() if identity in known]


def _identity(path: str | Path) -> tuple[int, int] | None:
    """What tells a file from all others, None if there is none of that name."""
    try:
        said = Path(path).stat()
    except (OSError, ValueError):  # it is not there, or cannot be
        return None
    return said.st_dev, said.st_ino


def refuse_unwritable(folder: Path) -> None:
    """Raise if `folder` could not be made and written, without making it.

    Raises:
        OutputError: something that is no folder is in the way, or it may not be written.
    """
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise output_error(folder, NotADirectoryError(errno.ENOTDIR, "not a folder"))
    with writing(folder), tempfile.TemporaryFile(dir=folder):  # who may write is not all there is
        pass


def refuse_unwritable_file(path: Path) -> None:
    """Raise if no file could be written at `path`, without making it or its folder.

    Raises:
        OutputError: there is a folder of that name, or its own folder could not be written.
    """
    refuse_unwritable(path.parent)
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "there is a folder of that name")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write into an `OutputError` about `path`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise output_error(path, error) from error


def output_error(path: Path, error: OSError) -> OutputError:
    """Return the error that says why `path` cannot be written, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return OutputError(f"{path} is not a folder", fix="choose another place with -o", path=path)
    return OutputError(
        f"{path} cannot be written ({error.strerror or error})",
        fix="choose another place with -o",
        path=path,
    )


def disk_full(path: Path) -> OutputError:
    """Return the error for a disk that has no room for `path`."""
    return OutputError(
        "there is no room left on the disk",
        fix="free some, or choose a folder on another disk",
        path=path,
    )


def distinct_stems(paths: Iterable[Path]) -> list[str]:
    """Return one name per path for what is made of it: its stem, numbered where two are alike.

    Names that differ only in case, or in how an accent is encoded, are alike: some file systems
    cannot tell them apart.

    ```python
    >>> distinct_stems([Path("a/talk.mkv"), Path("b/talk.wav"), Path("Talk")])
    ['talk', 'talk-2', 'Talk-3']

    ```
    """
    seen: set[str] = set()
    numbers: dict[str, int] = {}  # the last one given to what is alike
    stems = []
    for path in paths:
        stem, own = path.stem, _alike(path.stem)
        while _alike(stem) in seen:
            numbers[own] = numbers.get(own, 1) + 1
            stem = f"{path.stem}-{numbers[own]}"
        seen.add(_alike(stem))
        stems.append(stem)
    return stems


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
