"""The abilities of ffmpeg programs, kept on disk: a query starts the program twice.

Rules: a row counts only while its program has the same path, size and time of change, and for at
most `MAX_AGE_S`, because a program may load libraries that change without it. A script is never
kept: it may start another program tomorrow. The file is in the user's own cache folder; a file
that another user owns or may write is not read. Every failure to read or to write it is harmless:
the program is queried again.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = "captoolkit.ffmpeg/1"
FILE_NAME = "ffmpeg.json"
MAX_AGE_S = 7 * 24 * 3600
MAX_PROGRAMS = 8
MAX_BYTES = 1 << 18
SCRIPT = b"#!"


def read(program: str, *, file: Path | None = None) -> dict[str, Any] | None:
    """Return the facts that `write` has kept about a program; None where they do not count.

    Args:
        program: the path of the program.
        file: the file of the cache; the one in the user's cache folder if None.
    """
    key = _key(program)
    row = _rows(file or _default_file()).get(program) if key else None
    if row is None or row.get("key") != key or not isinstance(row.get("facts"), dict):
        return None
    facts: dict[str, Any] = row["facts"]
    return facts


def write(program: str, facts: Mapping[str, Any], *, file: Path | None = None) -> None:
    """Keep facts about a program, of types that JSON has."""
    key, path = _key(program), file or _default_file()
    if key is None or not path.is_absolute():  # a user without a home has the folder "~/.cache"
        return
    row = {"key": key, "kept_at_s": int(time.time()), "facts": dict(facts)}
    rows = {program: row, **{k: v for k, v in _rows(path).items() if k != program}}
    document = {"format": FORMAT, "programs": dict(list(rows.items())[:MAX_PROGRAMS])}
    with contextlib.suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, part = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE_NAME}-")
        try:
            with open(number, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
                json.dump(document, stream)
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


def _default_file() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("captoolkit", appauthor=False)) / FILE_NAME


def _key(program: str) -> list[int] | None:
    """The size and time of change of a program; None for a script and for no file."""
    try:
        found = Path(program).stat()
        with Path(program).open("rb") as stream:
            is_script = stream.read(len(SCRIPT)) == SCRIPT
    except OSError:
        return None
    return None if is_script else [found.st_size, found.st_mtime_ns]


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of a cache that are recent; none of a file that cannot be trusted or read."""
    try:
        with path.open("rb") as stream:
            if not _is_own(os.fstat(stream.fileno())):
                return {}
            document = json.loads(stream.read(MAX_BYTES))
        programs = document["programs"] if document["format"] == FORMAT else {}
        now_s = time.time()
        return {
            str(program): row
            for program, row in programs.items()
            if 0 <= now_s - row["kept_at_s"] <= MAX_AGE_S
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _is_own(status: os.stat_result) -> bool:
    """Whether a file is a regular one that only this user may write."""
    if not stat.S_ISREG(status.st_mode):
        return False
    if not hasattr(os, "getuid"):  # Windows: the user's folder has its own access list
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
