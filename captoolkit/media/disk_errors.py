"""Whose fault it is that ffmpeg could not write a file: its own, or the disk's."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from captoolkit.errors import ToolError
from captoolkit.support import files

# What ffmpeg says when the system refuses what it writes, and the system's own number for it.
WRITE_FAULTS = {
    "No space left on device": errno.ENOSPC,
    "File name too long": errno.ENAMETOOLONG,
    "Disk quota exceeded": errno.EDQUOT,
}


@contextlib.contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Tell apart what ffmpeg is at fault for and what the disk is, to which it writes `path`.

    Raises:
        OutputError: the system refused what ffmpeg wrote.
        ToolError: ffmpeg failed otherwise.
    """
    try:
        yield
    except ToolError as error:
        for message, number in WRITE_FAULTS.items():
            if message in error.stderr_tail:
                raise files.output_error(path, OSError(number, message)) from error
        raise
