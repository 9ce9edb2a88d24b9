"""Whatever the caller has, as a file: a path stays where it is, all else is written beside.

A source is a path, a URL, `bytes`, a binary file object, `(ndarray, rate_hz)` or a
`pydub.AudioSegment`. What is not a file yet becomes one in a temporary folder, which goes when the
`OpenSource` is closed. A path is used as it is and never written to.

Rules: the same sound gives the same result, whichever way it came. Nothing here speaks HTTP: who
opens a URL brings what fetches it. User, password, query and fragment of a URL may be secrets, and
no name and no message repeats them.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit

from captoolkit.bitstream.channel_layouts import MAX_CHANNELS, MAX_RATE_HZ
from captoolkit.errors import InputError, UsageError
from captoolkit.support import files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Source = str | os.PathLike[str] | bytes | BinaryIO | tuple[NDArray[Any], int] | Any


# Brings the file that a URL names to a path.
Fetch = Callable[[str, Path], None]

MAX_STEM_BYTES = 200  # file systems take 255, and what is made of a source adds an ending
NAMELESS = "source"
CHUNK_BYTES = 1 << 20

# A WAV header counts in 32 bits: libsndfile drops what is beyond, without a word.
MAX_WAV_BYTES = 2**32 - 2**16

# Kinds of samples, by letter and bytes, and what they are in a WAV.
SUBTYPES = {
    "u1": "PCM_U8",
    "i2": "PCM_16",
    "i4": "PCM_32",
    "f2": "FLOAT",
    "f4": "FLOAT",
    "f8": "DOUBLE",
}

_WEB = re.compile(r"https?://", re.IGNORECASE)
# What looks like an address elsewhere: `ftp://`, `data:`, and `https:/`, which is what becomes of a
# URL that was made into a Path. One letter before the colon would be a drive.
_ELSEWHERE = re.compile(r"([a-z][a-z0-9+.-]+)://|(https?):/|(data):", re.IGNORECASE)
# What some system does not take in a file's name.
_UNFIT = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


class OpenSource:
    """A source that can be read as a file, until it is closed.

    Attributes:
        path: the file.
        name: what the caller knows it by: its path; its URL, without what may be secret in it;
            `source` for what has neither.
        url: where on the web it lies, whole, for a service to fetch; it may be signed. None for
            what lies nowhere, or behind a login.
    """

    def __init__(
        self, path: Path, *, name: str, folder: Path | None = None, url: str | None = None
    ) -> None:
        self.path = path
        self.name = name
        self.url = url
        self._folder = folder

    @property
    def stem(self) -> str:
        """What the names of the files made of it begin with."""
        return stem_of(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process may read the file, and does not own it."""
        return functools.partial(OpenSource, name=self.name), (self.path,)

    def close(self) -> None:
        """Remove the temporary file, if there is one; may be called twice."""
        if self._folder is not None:
            files.remove_folder(self._folder)


def open_source(source: Source, *, fetch: Fetch | None = None) -> OpenSource:
    """Return `source` as a file.

    Args:
        source: whatever the caller has.
        fetch: brings the file of a URL; without it a URL is refused.

    Raises:
        UsageError: it is nothing that can be read as sound.
        InputError: a stream broke while it was read; and what `fetch` raises.
        OutputError: there is no room for what is not a file yet.
    """
    if not isinstance(source, str | os.PathLike):
        return _made(lambda path: _spool(source, path), _name_of(source))
    text = os.fsdecode(source)
    if fetch is not None and is_web_url(text):
        opened = _made(lambda path: fetch(text, path), public_url(text))
        opened.url = None if "@" in _split(text).netloc else text
        return opened
    refuse_url(text)
    path = Path(os.path.abspath(text))  # noqa: PTH100 - keeps links as they are
    return OpenSource(path, name=str(path))


def _made(make: Callable[[Path], None], name: str) -> OpenSource:
    """What `make` writes, in a folder of its own."""
    folder = files.make_staging(None)
    path = folder / NAMELESS
    try:
        make(path)
    except BaseException:
        files.remove_folder(folder)
        raise
    return OpenSource(path, name=name, folder=folder)


# ----------------------------------------------------------------------------------- names


def is_web_url(text: str) -> bool:
    """Return whether `text` is the address of a file on the web.

    ```python
    >>> is_web_url("HTTPS://example.com/talk.mp3"), is_web_url("https/talk.mp3")
    (True, False)

    ```
    """
    return _WEB.match(text) is not None


def public_url(url: str) -> str:
    """Return a web address without user, password, query and fragment.

    Raises:
        UsageError: it is no such address.

    ```python
    >>> public_url("https://me:secret@example.com/talk.mp3?signature=secret#t=10")
    'https://example.com/talk.mp3'

    ```
    """
    parts = _split(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def stem_of(name: str) -> str:
    """Return what the names of the files made of a source begin with.

    Args:
        name: its path or its URL.

    Raises:
        UsageError: it looks like a URL and is none.

    ```python
    >>> stem_of("album/talk.mkv"), stem_of("https://example.com/a/my%20talk.mp3?x=1")
    ('talk', 'my talk')
    >>> stem_of("https://example.com/"), stem_of("https://example.com/a%2Fb/..%2F..%2Fetc.mp3")
    ('example.com', '_.._etc')

    ```
    """
    if not is_web_url(name):
        return Path(name).stem or NAMELESS
    parts = _split(name)
    last = unquote(parts.path.rstrip("/").rpartition("/")[2])
    stem = PurePosixPath(_UNFIT.sub("_", last)).stem
    return _plain(stem) or _plain(_UNFIT.sub("_", parts.hostname or "")) or NAMELESS


def _plain(stem: str) -> str:
    """A stem that neither hides a file nor names a folder, and leaves room for an ending."""
    fitting = stem.encode("utf-8", "ignore")[:MAX_STEM_BYTES].decode("utf-8", "ignore")
    return fitting.strip(" .")


def _split(url: str) -> SplitResult:
    """The parts of a web address; the error repeats none of it, as any part may be a password."""
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        sound = False
    if not sound:
        raise UsageError("the URL is not one that can be used", fix="write https://HOST/PATH")
    return parts


def refuse_url(path: str | os.PathLike[str]) -> None:
    """Raise for what is the address of a file elsewhere, or no name a file can have.

    Raises:
        UsageError: it is.
    """
    text = os.fsdecode(path)
    if "\0" in text:
        raise UsageError("a file's name cannot hold a NUL character", fix="check the name")
    if is_web_url(text):
        raise UsageError(
            f"{public_url(text)} is a URL, and only files are read here",
            fix="download it and give the file",
        )
    elsewhere = _ELSEWHERE.match(text)
    if elsewhere is not None and not os.path.lexists(text):
        raise _not_a_file(next(filter(None, elsewhere.groups())).lower())


def _not_a_file(scheme: str) -> UsageError:
    """The error for what looks like a URL; of which it shows no more than the scheme."""
    if scheme in ("http", "https"):
        problem, fix = "it is a URL that lost a slash", f"give it as text: {scheme}://HOST/PATH"
    else:
        problem, fix = f"{scheme}: is no kind of URL that is read", "give a file, or an https: URL"
    return UsageError(f"there is no such file, and {problem}", fix=fix)


def _name_of(source: Any) -> str:
    """What to call a source that is no path: a file object's own name, else `source`.

    Python's own streams are called `<stdin>` and the like, which names no file.
    """
    named = getattr(source, "name", None)
    if not isinstance(named, str) or not named or named.startswith("<"):
        return NAMELESS
    return public_url(named) if is_web_url(named) else named


# ---------------------------------------------------------------------- what is no file yet


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
        for chunk in _chunks(source):
            stream.write(chunk)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    """Yield what a stream still holds; it may give less than it is asked for, and be a pipe."""
    try:
        while True:
            chunk = source.read(CHUNK_BYTES)
            if chunk is None:
                raise UsageError(
                    "a source cannot be a stream that does not wait for its data",
                    fix="make it blocking, or read it and give the bytes",
                )
            if isinstance(chunk, str):
                raise _text_stream()
            if not chunk:
                return
            yield chunk
    except UnicodeDecodeError as error:
        raise _text_stream() from error
    except OSError as error:
        raise InputError(
            f"the stream broke while it was read ({error.strerror or error})", fix="open it again"
        ) from error


def _text_stream() -> UsageError:
    return UsageError("a source cannot be a text stream", fix="open it in binary mode")


def _write_array(array: NDArray[Any], rate_hz: int, path: Path) -> None:
    """Write samples, shape (frames,) or (frames, channels), floats in [-1, 1] or integers.

    NaN and Inf go into the file too: they are treated as those of any other file.
    """
    import numpy as np
    import soundfile

    array = np.asarray(array)
    if array.ndim not in (1, 2) or not array.size:
        raise UsageError(
            f"array.shape={array.shape} must be (frames,) or (frames, channels)",
            fix="give at least one sample",
        )
    if array.ndim == 2 and array.shape[1] > MAX_CHANNELS:
        raise UsageError(
            f"array.shape={array.shape} has {array.shape[1]} channels",
            fix="frames come first: transpose it",
        )
    if not isinstance(rate_hz, int | np.integer) or not 1 <= rate_hz <= MAX_RATE_HZ:
        raise UsageError(f"rate_hz={rate_hz} must be a whole number from 1 to {MAX_RATE_HZ}")
    if array.dtype.str[1:] not in SUBTYPES:
        raise UsageError(
            f"array.dtype={array.dtype} is not one of samples",
            fix="give float16, float32 or float64 in [-1, 1], int16, int32, or uint8 around 128",
        )
    samples, subtype = _writable(array), SUBTYPES[array.dtype.str[1:]]
    kind = _wav_kind(samples.nbytes)
    soundfile.write(str(path), samples, int(rate_hz), format=kind, subtype=subtype)


def _writable(array: NDArray[Any]) -> NDArray[Any]:
    """The same samples in a type that soundfile takes, in this machine's order of bytes."""
    import numpy as np

    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype == np.uint8:
        return (array.astype(np.int16) - 128) << 8
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _wav_kind(size_bytes: int) -> str:
    """What holds that many bytes of samples: a WAV, or RF64, which counts in 64 bits.

    ```python
    >>> _wav_kind(4_000_000_000), _wav_kind(5_000_000_000)
    ('WAV', 'RF64')

    ```
    """
    return "WAV" if size_bytes <= MAX_WAV_BYTES else "RF64"
