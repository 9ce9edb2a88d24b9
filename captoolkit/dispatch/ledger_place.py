"""Where the ledger is: its default place, and places in which SQLite could lose answers.

Rules: the ledger uses SQLite's write-ahead log, whose processes share memory through a file next to
it. "WAL does not work over a network filesystem" (SQLite, "Write-Ahead Logging"), so captoolkit
refuses such a place. It knows the file system of each mount on Linux only.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

from captoolkit.errors import OutputError

ENVIRONMENT_VARIABLE = "CAPTOOLKIT_LEDGER"
MOUNTS = Path("/proc/self/mountinfo")

# As the kernel names them; a file system of a program is `fuse.NAME`.
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "nfs", "nfs4", "orangefs", "smb3"}
)
NETWORK_PROGRAMS = frozenset(
    {"gcsfuse", "glusterfs", "goofys", "juicefs", "mountpoint-s3", "rclone", "s3fs", "sshfs"}
)


def default_path() -> Path:
    """Return the file that `CAPTOOLKIT_LEDGER` names, otherwise one in the user's cache folder."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    return Path(platformdirs.user_cache_dir("captoolkit", appauthor=False)) / "ledger.sqlite3"


def refuse_network_file_system(path: Path, *, mounts: Path = MOUNTS) -> None:
    """Refuse a ledger on a network file system, before anything is created there.

    Args:
        path: the file; it need not exist.
        mounts: the list of mounts, in the format of `/proc/self/mountinfo`.

    Raises:
        OutputError: the file is on a network file system.
        OSError: the file system does not answer.
    """
    if not sys.platform.startswith("linux"):
        return
    existing = Path(os.path.realpath(path))
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    device = existing.stat().st_dev
    kind = file_system_of(f"{os.major(device)}:{os.minor(device)}", mounts)
    if kind in NETWORK_FILE_SYSTEMS or kind in {f"fuse.{name}" for name in NETWORK_PROGRAMS}:
        raise OutputError(
            f"the ledger {path} is on a network file system ({kind}), where SQLite cannot share it",
            fix=f"name a file on a disk of this machine (`ledger`), or set {ENVIRONMENT_VARIABLE}",
            path=path,
        )


def file_system_of(device: str, mounts: Path) -> str:
    """Return the type of the file system with a device number; empty where it is unknown.

    Args:
        device: `MAJOR:MINOR`.
        mounts: the list of mounts: the third field of a line is the device, the first one after
            ` - ` the type (proc_pid_mountinfo(5)).
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        mounted, _, source = line.partition(" - ")
        fields = mounted.split()
        if len(fields) > 2 and fields[2] == device and source:
            return source.split()[0]
    return ""
