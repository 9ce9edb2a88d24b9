"""Which processes that share a ledger are alive: each holds a lock on a file of its own.

Rules: the operating system releases a lock when its process ends, even if it is
killed. If an owner's file can be locked, the owner is dead, and its unfinished requests are free
for others.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import filelock


class Owners:
    """The lock files of all owners in one folder.

    Attributes:
        me: the identifier of this owner.
    """

    def __init__(self, folder: Path) -> None:
        self.me = uuid.uuid4().hex
        self._folder = folder
        self._mine: filelock.BaseFileLock | None = None

    def opening(self, *, timeout_s: float) -> filelock.BaseFileLock:
        """Create the folder; return the lock that keeps others from opening the ledger meanwhile.

        Raises:
            OSError: the folder cannot be created.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return filelock.FileLock(self._folder / "opening", timeout=timeout_s)

    def join(self) -> None:
        """Lock this owner's file; remove the files of dead owners."""
        for file in self._folder.glob("*.lock"):
            if not self.is_alive(file.stem):
                file.unlink(missing_ok=True)
        self._mine = self._lock(self.me)
        self._mine.acquire()

    def leave(self) -> None:
        """Unlock and remove this owner's file; may be called twice."""
        if self._mine is not None:
            self._mine.release()
            self._file(self.me).unlink(missing_ok=True)
            self._mine = None

    def is_alive(self, owner: str) -> bool:
        """Return whether an owner may still finish its requests."""
        if owner == self.me:
            return True
        if not self._file(owner).exists():
            return False
        lock = self._lock(owner)
        try:
            lock.acquire()
        except filelock.Timeout:
            return True
        lock.release()
        return False

    def _lock(self, owner: str) -> filelock.BaseFileLock:
        return filelock.FileLock(self._file(owner), blocking=False, thread_local=False)

    def _file(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"
