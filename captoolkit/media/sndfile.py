"""Open files for libsndfile, which reads WAV, FLAC and some other formats inside this process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from soundfile import SoundFile

# A descriptor belongs to a C library; on Windows libsndfile brings another one than Python's.
SHARES_DESCRIPTORS = os.name != "nt"


def open_file(path: Path) -> BinaryIO:
    """Open a file for `sound_in`; soundfile itself cannot encode every name."""
    return path.open("rb", buffering=0)


def sound_in(stream: BinaryIO) -> SoundFile:
    """Return the sound in an open file, the position of which is then libsndfile's.

    libsndfile reads through the descriptor where possible. A Python stream would be called back for
    every few bytes, and only one thread at a time can do that.

    Raises:
        soundfile.SoundFileError: libsndfile cannot read the file.
    """
    import soundfile

    return soundfile.SoundFile(stream.fileno() if SHARES_DESCRIPTORS else stream, closefd=False)
