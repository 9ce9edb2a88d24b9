"""Child processes: programs that stand in for others, and proof that no child is left."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

# Processes that stay for later tests: those that the multiprocessing module keeps for the next
# worker, the S3 server, and the driver of the browser.
LASTING = (
    b"multiprocessing.resource_tracker",
    b"multiprocessing.forkserver",
    b"ThreadedMotoServer",
    b"playwright/driver",
)

posix = pytest.mark.skipif(os.name != "posix", reason="stand-in programs are shell scripts")


def children_of(parent: int) -> list[int]:
    """The processes that `parent` has started and not reaped, without those that stay."""
    found = []
    for pid in _all_children_of(parent):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if not any(helper in command for helper in LASTING):
            found.append(pid)
    return found


def _all_children_of(parent: int) -> list[int]:
    """Ask the kernel for the children of each thread; if it keeps no lists, look at all processes.

    The lists of the threads are read in a small part of the time.
    """
    found: list[int] = []
    if Path(f"/proc/self/task/{os.getpid()}/children").exists():
        for thread in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, thread.read_text().split())
        return found
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(entry.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.parent.name))
    return found


def members_of_session(session: int) -> list[int]:
    """The processes of a session, which a terminal's Ctrl-C reaches."""
    members = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session:
            members.append(int(entry.parent.name))
    return members


def own_children() -> set[int]:
    """Return the children of this process, running or not yet reaped."""
    try:  # costs nothing where there is no child at all
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return set(children_of(os.getpid()))


def has_children() -> bool:
    """Return whether this process has a child, running or not yet reaped."""
    return bool(own_children())


def has_ended(process: int) -> bool:
    """Return whether a process has ended and its parent has reaped it."""
    return not Path(f"/proc/{process}").exists()


def script(path: Path, *lines: str) -> Path:
    """Write a shell script that can be run."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def python(code: str, *arguments: str) -> Sequence[str]:
    """The argument list of a program made of a few lines of Python."""
    return (sys.executable, "-c", code, *arguments)
