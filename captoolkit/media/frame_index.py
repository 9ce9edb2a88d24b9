"""The index of frames of a file on disk, read once for the probe, the plan and the cuts."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captoolkit.bitstream.frames import FrameIndex

CACHED_INDICES = 4  # of the files read last
SETTLED_NS = 2_000_000_000  # file systems round times by as much


def read_frame_index(path: str | os.PathLike[str]) -> FrameIndex | None:
    """Return where the frames of an MP3, ADTS or AMR file lie; None as in `frames.read_index`.

    The index of a file that has not changed for two seconds is cached.

    Raises:
        OSError: the file cannot be read.
    """
    status = Path(path).stat()
    if time.time_ns() - status.st_mtime_ns < SETTLED_NS:  # its next change may not show in its time
        return _read(path)
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return _cached(os.fspath(path), identity)


@functools.lru_cache(maxsize=CACHED_INDICES)
def _cached(path: str, _identity: tuple[int, int, int, int]) -> FrameIndex | None:
    """The index of a file as long as it has this identity."""
    return _read(path)


def _read(path: str | os.PathLike[str]) -> FrameIndex | None:
    from captoolkit.bitstream import frames

    with Path(path).open("rb") as stream:
        return frames.read_index(stream)
