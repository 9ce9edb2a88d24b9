"""Whatever the caller has, as a file: a path stays where it is, all else is written beside.

A source is a path, `bytes`, a binary file object, `(ndarray, rate_hz)` or a
`pydub.AudioSegment`. What is not a file yet becomes one in a temporary folder, which goes when the
`OpenSource` is closed. A path is used as it is and never written to.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from captoolkit import files
from captoolkit.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Source = str | os.PathLike[str] | bytes | BinaryIO | tuple[NDArray[Any], int] | Any


class OpenSource:
    """A source that can be read as a file, until it is closed."""

    def __init__(self, path: Path, *, folder: Path | None = None) -> None:
        self.path = path
        self._folder = folder

    def close(self) -> None:
        """Remove the temporary file, if there is one; may be called twice."""
        if self._folder is not None:
            files.remove_folder(self._folder)


def open_source(source: Source) -> OpenSource:
    """Return `source` as a file.

    Raises:
        UsageError: it is nothing that can be read as sound.
    """
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        raise UsageError(
            f"{source} is a URL, which cannot be read yet", fix="download it and give the file"
        )
    if isinstance(source, str | os.PathLike):
        return OpenSource(Path(os.path.abspath(source)))  # noqa: PTH100 - keeps links as they are
    folder = files.make_staging(None)
    path = folder / "source"
    try:
        _spool(source, path)
    except BaseException:
        files.remove_folder(folder)
        raise
    return OpenSource(path, folder=folder)


def _spool(source: Any, path: Path) -> None:
    """Write what is in memory or in a stream to a file."""
    with files.writing(path):
        if isinstance(source, bytes | bytearray | memoryview):
            path.write_bytes(source)
        elif isinstance(source, tuple) and len(source) == 2:
            _write_array(source[0], source[1], path)
        elif hasattr(source, "raw_data") and hasattr(source, "frame_rate"):
            source.export(path, format="wav").close()
        elif hasattr(source, "read"):
            _copy_stream(source, path)
        else:
            raise UsageError(
                f"a source cannot be a {type(source).__name__}",
                fix="give a path, bytes, a binary file object, (array, rate_hz) or an AudioSegment",
            )


def _copy_stream(source: BinaryIO, path: Path) -> None:
    with path.open("wb") as stream:
        try:
            shutil.copyfileobj(source, stream)
        except TypeError as error:
            raise UsageError(
                "a source cannot be a text stream", fix="open it in binary mode"
            ) from error


def _write_array(array: NDArray[Any], rate_hz: int, path: Path) -> None:
    """Write samples, shape (frames,) or (frames, channels), floats in [-1, 1] or integers."""
    import numpy as np
    import soundfile

    array = np.asarray(array)
    if array.ndim not in (1, 2) or not array.size:
        raise UsageError(
            f"array.shape={array.shape} must be (frames,) or (frames, channels)",
            fix="give at least one sample",
        )
    if array.ndim == 2 and array.shape[1] > 64:
        raise UsageError(
            f"array.shape={array.shape} has {array.shape[1]} channels",
            fix="frames come first: transpose it",
        )
    if not isinstance(rate_hz, int | np.integer) or rate_hz < 1:
        raise UsageError(f"rate_hz={rate_hz} must be a whole number above zero")
    if array.dtype not in (np.int16, np.int32, np.float32, np.float64):
        raise UsageError(
            f"array.dtype={array.dtype} is not one of samples",
            fix="give float32 or float64 in [-1, 1], int16 or int32",
        )
    subtype = {"i2": "PCM_16", "i4": "PCM_32", "f4": "FLOAT", "f8": "DOUBLE"}[array.dtype.str[1:]]
    soundfile.write(str(path), array, int(rate_hz), format="WAV", subtype=subtype)
