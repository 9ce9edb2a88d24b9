"""Who of those that share a ledger is alive: each holds a lock on a file of its own beside it.

Rules: the system lets go of a lock when a process ends, however it ends; so whoever's file can be
locked is dead, and what it had begun is free for others.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import filelock


class Owners:
    """The lock files in one folder, and one's own among them.

    Attributes:
        me: what the caller is known by among them.
    """

    def __init__(self, folder: Path) -> None:
        self.me = uuid.uuid4().hex
        self._folder = folder
        self._mine: filelock.BaseFileLock | None = None

    def opening(self, *, timeout_s: float) -> filelock.BaseFileLock:
        """Return what keeps others from opening the same ledger at the same time; make the folder.

        Raises:
            OSError: the folder cannot be made.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return filelock.FileLock(self._folder / "opening", timeout=timeout_s)

    def join(self) -> None:
        """Begin to be alive, and remove the files of the dead."""
        for file in self._folder.glob("*.lock"):
            if not self.is_alive(file.stem):
                file.unlink(missing_ok=True)
        self._mine = self._lock(self.me)
        self._mine.acquire()

    def leave(self) -> None:
        """Be alive no more; may be called twice."""
        if self._mine is not None:
            self._mine.release()
            self._file(self.me).unlink(missing_ok=True)
            self._mine = None

    def is_alive(self, owner: str) -> bool:
        """Return whether whoever that is may still end what it has begun."""
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
