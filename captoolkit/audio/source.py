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


MAX_RATE_HZ = 1_000_000


class OpenSource:
    """A source that can be read as a file, until it is closed.

    Attributes:
        path: the file.
        name: what the caller knows it by: its path, or `source` for what has none.
    """

    def __init__(self, path: Path, *, name: str, folder: Path | None = None) -> None:
        self.path = path
        self.name = name
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
    if isinstance(source, str | os.PathLike):
        refuse_url(source)
        path = Path(os.path.abspath(source))  # noqa: PTH100 - keeps links as they are
        return OpenSource(path, name=str(path))
    folder = files.make_staging(None)
    path = folder / "source"
    try:
        _spool(source, path)
    except BaseException:
        files.remove_folder(folder)
        raise
    return OpenSource(path, name=_name_of(source), folder=folder)


def refuse_url(path: str | os.PathLike[str]) -> None:
    """Raise for what is the address of a file elsewhere, or no name a file can have.

    Raises:
        UsageError: it is.
    """
    text = str(path)
    if text.lower().startswith(("http://", "https://")):
        raise UsageError(
            f"{text} is a URL, which cannot be read yet", fix="download it and give the file"
        )
    if "\0" in text:
        raise UsageError("a file's name cannot hold a NUL character", fix="check the name")


def _name_of(source: Any) -> str:
    """What to call a source that is no path: a file object's own name, else `source`."""
    named = getattr(source, "name", None)
    return named if isinstance(named, str) and named else "source"


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
        except (TypeError, UnicodeDecodeError) as error:
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
    if not isinstance(rate_hz, int | np.integer) or not 1 <= rate_hz <= MAX_RATE_HZ:
        raise UsageError(f"rate_hz={rate_hz} must be a whole number from 1 to {MAX_RATE_HZ}")
    if array.dtype not in (np.int16, np.int32, np.float32, np.float64):
        raise UsageError(
            f"array.dtype={array.dtype} is not one of samples",
            fix="give float32 or float64 in [-1, 1], int16 or int32",
        )
    if not np.isfinite(array).all():
        raise UsageError(
            "array holds samples that are not finite numbers", fix="replace NaN and Inf first"
        )
    subtype = {"i2": "PCM_16", "i4": "PCM_32", "f4": "FLOAT", "f8": "DOUBLE"}[array.dtype.str[1:]]
    soundfile.write(str(path), array, int(rate_hz), format="WAV", subtype=subtype)
