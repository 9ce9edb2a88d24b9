"""Staging folders, in which files are made before they move to their names, and their owners.

Rules: a process owns the staging folders that it makes, and removes them. It proves that it lives
by an owner file next to them: it holds a lock on it (`flock`) that the system releases when the
process ends for any reason. The first staging folder that a process makes inside a folder removes
those of dead owners there and in the temporary folder, for example of a run that SIGKILL ended. It
completes the moves of dead owners, or takes them back (`move_journal`). It never removes a folder
of a living owner, a folder of another user, a folder with another name, or a folder that keeps
replaced files (`make_aside`) that could not be restored.

A lock counts only on the machine that took it, because file systems on a network may not pass it
on: the folders of an owner on another machine, and those without an owner file, are removed after
`FOREIGN_AGE_S` without a change.

A folder and its owner file, in the folder of the destination and in the temporary folder:

    .captoolkit-0123456789ab-k3x_9f2a    captoolkit-0123456789ab-k3x_9f2a
    .captoolkit-0123456789ab.owner       captoolkit-0123456789ab.owner
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from captoolkit.support import move_journal
from captoolkit.support.forked import call_in_fork

try:
    import fcntl
except ImportError:  # Windows: no lock decides, and the age does
    fcntl = None  # type: ignore[assignment]

PREFIX = "captoolkit-"
HIDDEN_PREFIX = f".{PREFIX}"
OWNER_SUFFIX = ".owner"
ASIDE = "aside-"
FOREIGN_AGE_S = 7 * 86_400.0
MAX_OWNER_BYTES = 4096
MAX_SWEPT = 10_000  # folders that a process remembers having swept
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Names that `make` and `make_aside` give: the run, and the rest of the name.
_NAME = re.compile(
    rf"(?P<run>\.?{PREFIX}[0-9a-f]{{12}})"
    rf"(?:(?P<owner>{re.escape(OWNER_SUFFIX)})|-(?P<aside>{ASIDE})?[a-z0-9_]{{8}})"
)


def make(parent: Path, *, is_hidden: bool) -> Path:
    """Create a staging folder inside a folder, which is created too.

    Raises:
        OSError: the folder cannot be created.
    """
    return _make(parent, is_hidden=is_hidden, kind="")


def make_aside(parent: Path) -> Path:
    """Create a hidden folder for files that are being replaced, and the journal of the moves."""
    return _make(parent, is_hidden=True, kind=ASIDE)


def remove(folder: Path) -> None:
    """Remove a staging folder and its contents; it may be missing."""
    shutil.rmtree(folder, ignore_errors=True)
    _disown(folder)


def settle_aside(folder: Path, *, staged: Path | None = None) -> None:
    """Complete the moves of a folder of `make_aside`, or take them back, and own it no longer.

    The folder is removed unless it keeps files that could not be restored.

    Args:
        folder: the folder.
        staged: the folder to which moved files go back; they are removed if None.

    Raises:
        OSError: a file cannot be moved back; a sweep after the end of this process tries again.
    """
    move_journal.settle(folder, staged=staged)
    with contextlib.suppress(OSError):  # not empty
        folder.rmdir()
    _disown(folder)


def remove_all() -> None:
    """Remove the staging folders of this process, before it ends without a chance to."""
    with _STATE.guard:
        folders = [folder for owner in _STATE.owners.values() for folder in owner.folders]
    for folder in folders:
        if ASIDE in folder.name:
            with contextlib.suppress(OSError):
                settle_aside(folder)
    for folder in folders:
        if ASIDE not in folder.name:
            remove(folder)


def sweep_once(parent: Path) -> None:
    """Call `sweep` for a folder unless this process has done so."""
    with _STATE.guard:
        if parent in _STATE.swept:
            return
        if len(_STATE.swept) >= MAX_SWEPT:
            _STATE.swept.clear()
        _STATE.swept.add(parent)
        sweep(parent)


def sweep(parent: Path) -> None:
    """Complete or take back the moves of dead owners inside `parent`; remove their folders."""
    runs: defaultdict[str, list[Path]] = defaultdict(list)
    with contextlib.suppress(OSError), os.scandir(parent) as entries:  # no folder: nothing to sweep
        for entry in entries:
            match = _NAME.fullmatch(entry.name) if PREFIX in entry.name else None
            if match is not None:
                runs[match["run"]] += [] if match["owner"] else [parent / entry.name]
    for run, folders in runs.items():
        path = parent / f"{run}{OWNER_SUFFIX}"
        if path not in [owner.path for owner in tuple(_STATE.owners.values())]:
            with contextlib.suppress(OSError):  # another process sweeps as well
                _sweep_run(path, folders)


# ---------------------------------------------------------------------------- the own folders


class _Owner:
    """The owner file of this process inside one folder, locked until `close`."""

    def __init__(self, parent: Path, *, is_hidden: bool) -> None:
        self.run = f"{'.' if is_hidden else ''}{PREFIX}{secrets.token_hex(6)}"
        self.path = parent / f"{self.run}{OWNER_SUFFIX}"
        self.folders: set[Path] = set()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if fcntl is not None:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(self._file, fcntl.LOCK_EX)  # a sweep may hold it for a moment
            about = {"host": host(), "pid": os.getpid(), "started": round(time.time())}
            os.write(self._file, json.dumps(about).encode())
        except BaseException:
            self.close()
            raise

    def is_in_place(self) -> bool:
        """Return whether the file has its name: another process may have swept it unlocked."""
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(self._file))
        except OSError:
            return False

    def close(self) -> None:
        """Remove the file and release the lock."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self._file)
        if os.name == "nt":  # an open file cannot be removed there
            with contextlib.suppress(OSError):
                self.path.unlink()

    def leave(self) -> None:
        """Leave the file: it is gone, or belongs to the process that has forked."""
        os.close(self._file)


class _State:
    """The owner files of this process by folder, and the folders that it has swept."""

    def __init__(self) -> None:
        # Reentrant: the garbage collector may remove a folder while this thread makes another one.
        self.guard = threading.RLock()
        self.owners: dict[Path, _Owner] = {}
        self.swept: set[Path] = set()

    def forget(self) -> None:
        """In a fork of the process: own nothing."""
        self.guard = threading.RLock()
        for owner in self.owners.values():
            owner.leave()
        self.owners.clear()


_STATE = _State()
call_in_fork(_STATE.forget)


def _make(parent: Path, *, is_hidden: bool, kind: str) -> Path:
    parent = parent.absolute()
    if not parent.is_dir():
        parent.mkdir(parents=True, exist_ok=True)
    with _STATE.guard:
        if _is_owned(parent):
            return Path(tempfile.mkdtemp(dir=parent))  # owned with the folder that it is in
        for place in {parent, Path(tempfile.gettempdir()).absolute()}:
            sweep_once(place)
        while True:
            owner = _STATE.owners.get(parent) or _Owner(parent, is_hidden=is_hidden)
            _STATE.owners[parent] = owner
            folder = Path(tempfile.mkdtemp(prefix=f"{owner.run}-{kind}", dir=parent))
            owner.folders.add(folder)
            if _STATE.owners.get(parent) is owner and owner.is_in_place():
                return folder
            if _STATE.owners.pop(parent, None) is owner:
                owner.leave()
            remove(folder)


def _is_owned(folder: Path) -> bool:
    """Return whether a folder is one of this process's staging folders, or is inside one."""
    name = str(folder) + os.sep
    return any(
        name.startswith(f"{each}{os.sep}")
        for owner in _STATE.owners.values()
        for each in owner.folders
    )


def _disown(folder: Path) -> None:
    """Forget a staging folder; the owner file is removed with the last one inside a folder."""
    with _STATE.guard:
        owner = _STATE.owners.get(folder.parent)
        if owner is not None:
            owner.folders.discard(folder)
            if not owner.folders:
                del _STATE.owners[folder.parent]
                owner.close()


def host() -> str:
    """Return the name of the running system: containers on one kernel share it and its locks."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return platform.node()


# ----------------------------------------------------------------------- the folders of others


def _sweep_run(path: Path, folders: list[Path]) -> None:
    """Remove the folders of a run, and its owner file, unless the owner lives."""
    try:
        file = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        if _age_s(folders) > FOREIGN_AGE_S:
            _remove_own(folders)
        return
    try:
        if not _is_of_this_user(os.fstat(file), stat.S_ISREG):
            return
        is_free = _lock(file)
        if is_free is False or not os.path.samestat(path.lstat(), os.fstat(file)):
            return
        is_decided = is_free and _host_of(file) == host()
        if is_decided or _age_s([path, *folders]) > FOREIGN_AGE_S:
            _remove_own(folders)
            path.unlink()
    finally:
        os.close(file)


def _lock(file: int) -> bool | None:
    """Lock an owner file; False if its owner holds the lock, None if the system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _host_of(file: int) -> str:
    """Return the host that an owner file names; empty if it is incomplete."""
    try:
        return str(json.loads(os.read(file, MAX_OWNER_BYTES))["host"])
    except (ValueError, KeyError, TypeError):
        return ""


def _age_s(paths: list[Path]) -> float:
    """Return the time since the last change of the paths, and of the files directly in them."""
    newest = 0.0
    for path in paths:
        with contextlib.suppress(OSError):
            inside = path.iterdir() if path.is_dir() else iter(())
            newest = max(newest, *(one.lstat().st_mtime for one in (path, *inside)))
    return time.time() - newest


def _remove_own(folders: list[Path]) -> None:
    """Settle the moves of this user's runs, and remove their staging folders."""
    for folder in folders:
        with contextlib.suppress(OSError):  # it is gone, or not empty and keeps files
            if not _is_of_this_user(folder.lstat(), stat.S_ISDIR):
                continue
            if f"-{ASIDE}" in folder.name:
                move_journal.settle(folder)
                folder.rmdir()
            else:
                shutil.rmtree(folder, ignore_errors=True)


def _is_of_this_user(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    """Return whether a file is of a kind (a link is of none) and belongs to this user."""
    is_own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return is_own and is_kind(status.st_mode)
