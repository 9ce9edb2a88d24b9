"""Files opened for libsndfile, which reads some formats inside this process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from soundfile import SoundFile

# A descriptor belongs to a C library, and on Windows libsndfile brings another than Python's.
SHARES_DESCRIPTORS = os.name != "nt"


def open_file(path: Path) -> BinaryIO:
    """Open a file for `sound_in`, whatever its name is: soundfile cannot encode every one."""
    return path.open("rb", buffering=0)


def sound_in(stream: BinaryIO) -> SoundFile:
    """Return the sound in an open file, whose position is then libsndfile's.

    It reads by the descriptor where that can be: a stream of Python's would be called back for
    each few bytes, which only one thread at a time can do.

    Raises:
        soundfile.SoundFileError: libsndfile cannot read it.
    """
    import soundfile

    return soundfile.SoundFile(stream.fileno() if SHARES_DESCRIPTORS else stream, closefd=False)
