"""Move a group of files to their names as one.

Rules: the files are made on the disk of their folder. Either all of them appear or none does, also
if the process dies: `move_journal` records the moves. One process at a time moves files into a
folder. As `files`, this module is loaded by commands that write nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from captoolkit.errors import OutputError
from captoolkit.support import files

MOVING_S = 60  # finished files move within milliseconds
MOVING_POLL_S = 0.01


def move_all(source: Path, out: Path, names: Sequence[str], *, stale: Iterable[str] = ()) -> None:
    """Move files from one folder to another and replace files of the same names.

    All or nothing: files to be replaced first move to a hidden folder of `out`; if one file cannot
    be moved, all files move back. The hidden folder is then removed, unless moving back failed as
    well: it keeps the files that could not be restored. If the process dies, the next run that
    writes to `out` completes the moves or takes them back (`staging_folders.sweep`).

    A symbolic link at one of the names is replaced itself: the file that it leads to may be a
    recording.

    Args:
        source: the folder that holds the files.
        out: the folder that receives them.
        names: the names of the files, in the order in which they move.
        stale: the names of files in `out` that are removed after the last move.

    Raises:
        OutputError: a file cannot be moved.
    """
    from captoolkit.support import move_journal, staging_folders

    with files.writing(out / names[-1]):
        aside = staging_folders.make_aside(out)
    try:
        with files.writing(out / names[-1]):
            move_journal.write(aside, source, names, stale)
        for name in names:
            target = out / name
            with files.writing(target):
                if target.is_dir():
                    raise IsADirectoryError(errno.EISDIR, "there is a folder of that name")
                if os.path.lexists(target):
                    files.pass_on_permissions(target, source / name)
                    target.replace(aside / name)
                (source / name).replace(target)
    except BaseException:
        with files.writing(out):
            staging_folders.settle_aside(aside, staged=source)
        raise
    staging_folders.settle_aside(aside)


@contextlib.contextmanager
def moving_alone(out: Path) -> Iterator[None]:
    """Wait until no other thread or process is inside this context for the folder `out`.

    The system releases the lock (`flock`) when a process ends for any reason. On a system or a file
    system without such locks there is no wait.

    Raises:
        OutputError: the lock is not free within MOVING_S: its process may be stopped.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:  # a folder that this user may only write to has no lock
            yield
            return
        stack.callback(os.close, folder)
        waits_until_s = time.monotonic() + MOVING_S
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < waits_until_s:
                    time.sleep(MOVING_POLL_S)
                    continue
                raise OutputError(
                    f"another process has been saving to {out} for {MOVING_S} s",
                    fix="end that process, or choose another folder",
                    path=out,
                ) from None
            except OSError:  # a file system without locks
                pass
            else:  # a fork of this process has the lock as well, and closing would leave it there
                stack.callback(fcntl.flock, folder, fcntl.LOCK_UN)
            break
        yield
