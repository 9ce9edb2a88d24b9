"""A caller's source as a file on disk: paths stay in place, everything else is written to a file.

A source is a path, a URL, `bytes`, a binary file object, `(ndarray, rate_hz)` or a
`pydub.AudioSegment`. Anything but a path becomes a file in a temporary folder, which
`OpenSource.close` removes. A path is never written to.

Rules: the same sound gives the same result in every form. This module speaks no HTTP: the caller
that opens a URL passes the function that fetches it. User, password, query and fragment of a URL
may be secrets; no name and no message repeats them.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from captoolkit.bitstream.channel_layouts import MAX_CHANNELS, MAX_RATE_HZ
from captoolkit.errors import CaptoolkitError, InputError, SourceNotFoundError, UsageError
from captoolkit.support import files
from captoolkit.support.cancel import check_thread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BinaryStream(Protocol):
    """A binary file object: an open file, a pipe, a socket's file, `io.BytesIO`."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most `size` bytes, none at the end."""


class PydubSegment(Protocol):
    """The members of `pydub.AudioSegment` that captoolkit uses."""

    @property
    def raw_data(self) -> object:
        """The samples."""

    @property
    def frame_rate(self) -> object:
        """The sample rate in Hz."""

    def export(self, out_f: Any, format: str) -> Any:
        """Write a file and return it, open."""


#: A recording in any form that captoolkit reads: a path, an http or https URL, `bytes`, a binary
#: file object, `(array, rate_hz)` or a `pydub.AudioSegment`. Importing the type loads neither numpy
#: nor pydub.
Source: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryStream
    | tuple["NDArray[np.generic]", int]
    | PydubSegment
)

# Downloads the file at a URL to a path.
Fetch = Callable[[str, Path], None]

SUPPORTED = (
    "give a path, an http(s) URL, bytes, a binary file object, (array, rate_hz) or an AudioSegment"
)
MAX_STEM_BYTES = 200  # file systems take 255, and output files append an index and a suffix
NAMELESS = "source"
CHUNK_BYTES = 1 << 20

# A WAV header counts in 32 bits: libsndfile silently drops the rest.
MAX_WAV_BYTES = 2**32 - 2**16

# The WAV subtype of each sample type, by numpy's letter and bytes.
SUBTYPES = {
    "u1": "PCM_U8",
    "i2": "PCM_16",
    "i4": "PCM_32",
    "f2": "FLOAT",
    "f4": "FLOAT",
    "f8": "DOUBLE",
}

_WEB = ("http://", "https://")
# Other addresses: `ftp://`, `data:`, and `https:/`, which a URL becomes in a Path. A single letter
# before the colon is a drive.
_ELSEWHERE = r"([a-z][a-z0-9+.-]+)://|(https?):/|(data):"
# Characters that some file system refuses in a name.
_UNFIT = r'[<>:"/\\|?*\x00-\x1f\x7f]'


class OpenSource:
    """A source that can be read as a file until it is closed.

    Attributes:
        path: the file.
        name: the caller's name for it: its path; its URL without secrets; `source` for a source
            that has neither.
        url: the whole URL, for a service to fetch; it may be signed. None for a source that is not
            on the web or needs a login.
    """

    def __init__(
        self, path: Path, *, name: str, folder: Path | None = None, url: str | None = None
    ) -> None:
        self.path = path
        self.name = name
        self.url = url
        self._folder = folder
        self._state = _size_and_time(path)

    def refuse_changed(self) -> None:
        """Refuse a file that was written to since it was opened; a removed file is accepted.

        Raises:
            InputError: its size or its time of change has changed.
        """
        state = _size_and_time(self.path)
        if self._folder is None and state is not None and state != self._state:
            raise InputError(
                "it changed while it was being prepared",
                fix="wait until it is complete",
                path=self.name,
            )

    @property
    def modified_ns(self) -> int | None:
        """When the file was last changed; None for a temporary file, which is no one's source."""
        try:
            return self.path.stat().st_mtime_ns if str(self.path) == self.name else None
        except OSError:
            return None

    @property
    def stem(self) -> str:
        """The beginning of the names of all files made from the source."""
        return stem_of(self.name)

    @property
    def is_temporary(self) -> bool:
        """Whether the file is a temporary one; the caller does not know its path."""
        return self._folder is not None

    def add_ending(self, ending: str) -> None:
        """Give a temporary file an ending (without the dot), as recordings have it."""
        if self._folder is not None:
            self.path = self.path.rename(self._folder / f"{NAMELESS}.{ending}")

    def name_in(self, error: CaptoolkitError) -> None:
        """Replace the path of a temporary file in an error by the caller's name of the source."""
        if self._folder is None:
            return
        for path in (str(self.path), str(self._folder / NAMELESS)):
            error.problem = error.problem.replace(path, self.name)
            error.fix = error.fix.replace(path, self.name)
        error.args = (error.problem,)
        if error.path is not None and error.path.startswith(str(self._folder)):
            error.path = self.name

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy in another process may read the file, and does not own it."""
        return functools.partial(OpenSource, name=self.name), (self.path,)

    def close(self) -> None:
        """Remove the temporary file, if any; may be called twice."""
        if self._folder is not None:
            files.remove_folder(self._folder)


def open_source(source: Source | OpenSource, *, fetch: Fetch | None = None) -> OpenSource:
    """Return `source` as a file.

    Args:
        source: the caller's source.
        fetch: downloads the file at a URL; without it a URL is refused.

    Raises:
        UsageError: the source is of no supported type, or no valid URL.
        SourceNotFoundError: the name is empty.
        InputError: a stream broke while it was read. `fetch` raises its own errors.
        OutputError: the disk has no room for the temporary file.
    """
    if isinstance(source, OpenSource):  # a batch has copied it from a store
        return source
    if not isinstance(source, str | os.PathLike):
        return _write_temporary(lambda path: _spool(source, path), _name_of(source))
    text = os.fsdecode(source)
    if fetch is not None and is_web_url(text):
        url = fetchable_url(text)
        opened = _write_temporary(lambda path: fetch(text, path), public_url(text))
        opened.url = url
        return opened
    refuse_url(text)
    if not text:  # often an unset variable of a script
        raise SourceNotFoundError("the name is empty", fix="name a file")
    path = Path(os.path.abspath(text))  # noqa: PTH100 - keeps links as they are
    return OpenSource(path, name=str(path))


def _write_temporary(write: Callable[[Path], None], name: str) -> OpenSource:
    """Run `write` on a path in a new temporary folder, and return the file."""
    folder = files.make_staging(None)
    path = folder / NAMELESS
    try:
        write(path)
    except BaseException:
        files.remove_folder(folder)
        raise
    return OpenSource(path, name=name, folder=folder)


def local_file(source: Source) -> Path | None:
    """Return the absolute path of a source that is an existing file; None for any other source."""
    if not isinstance(source, str | os.PathLike) or is_web_url(os.fsdecode(source)):
        return None
    path = Path(files.absolute(os.fsdecode(source)))
    return path if path.is_file() else None


# ------------------------------------------------------------------------- URLs and names


def is_web_url(text: str) -> bool:
    """Return whether `text` is an http or https URL.

    ```python
    >>> is_web_url("HTTPS://example.com/talk.mp3"), is_web_url("https/talk.mp3")
    (True, False)

    ```
    """
    return text[: len(_WEB[1])].lower().startswith(_WEB)


def public_url(url: str) -> str:
    """Return a URL without the parts that may be secrets; a path is returned unchanged.

    These parts are user and password, and of a web address query and fragment as well: elsewhere
    `?` and `#` belong to the name. Of a malformed web address, also one that lost a slash, only the
    scheme remains.

    ```python
    >>> public_url("https://me:secret@example.com/talk.mp3?signature=secret#t=10")
    'https://example.com/talk.mp3'
    >>> public_url("ftp://me:secret@host/a.wav"), public_url("s3://bucket/a@b#1.wav")
    ('ftp://host/a.wav', 's3://bucket/a@b#1.wav')
    >>> public_url("https://me:sec/ret@example.com/"), public_url("talks/a.wav")
    ('https://(malformed)', 'talks/a.wav')
    >>> public_url("https:/example.com/talk.mp3?signature=secret")
    'https://(malformed)'

    ```
    """
    if is_web_url(url):
        try:
            parts = _split(url)
        except UsageError:
            return f"{url.partition('://')[0].lower()}://(malformed)"
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    elsewhere = _elsewhere(url)
    if elsewhere is not None and elsewhere[2] and not os.path.lexists(url):
        return f"{elsewhere[2].lower()}://(malformed)"
    if elsewhere is None or elsewhere[1] is None or elsewhere[1].lower() == "memory":
        return url
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _elsewhere(text: str) -> re.Match[str] | None:
    """Match the scheme of an address; `re` compiles the pattern for the first name with a colon."""
    return re.match(_ELSEWHERE, text, re.IGNORECASE) if ":" in text else None


def fetchable_url(url: str) -> str | None:
    """Return a web address that a service could fetch; None for one with a user or a password.

    Raises:
        UsageError: the URL is malformed.
    """
    return None if "@" in _split(url).netloc else url


def _size_and_time(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def stem_of(name: str) -> str:
    """Return the beginning of the names of all files made from a source.

    Args:
        name: the source's path or URL.

    Raises:
        UsageError: the URL is malformed.

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
    stem = PurePosixPath(re.sub(_UNFIT, "_", last)).stem
    return _shorten(stem) or _shorten(re.sub(_UNFIT, "_", parts.hostname or "")) or NAMELESS


def _shorten(stem: str) -> str:
    """A stem that neither hides a file nor names a folder, and leaves room for a suffix."""
    fitting = stem.encode("utf-8", "ignore")[:MAX_STEM_BYTES].decode("utf-8", "ignore")
    return fitting.strip(" .")


def _split(url: str) -> SplitResult:
    """The parts of a web address. The error repeats no part, as any may be a password."""
    try:
        parts = urlsplit(url)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        is_valid = False
    if not is_valid:
        raise UsageError("the URL is malformed", fix="write https://HOST/PATH")
    return parts


def refuse_url(path: str | os.PathLike[str]) -> None:
    """Raise for a URL and for a text that cannot be a file's name.

    Raises:
        UsageError: `path` names no local file.
    """
    text = os.fsdecode(path)
    if "\0" in text:
        raise UsageError("a file's name cannot hold a NUL character", fix="check the name")
    if is_web_url(text):
        raise UsageError(
            f"{public_url(text)} is a URL, and only files are read here",
            fix="download it and give the file",
        )
    elsewhere = _elsewhere(text)
    if elsewhere is None or os.path.lexists(text):
        return
    scheme = next(filter(None, elsewhere.groups())).lower()  # the rest may be secret
    if scheme in ("http", "https"):
        problem, fix = "the URL lost a slash", f"give it as text: {scheme}://HOST/PATH"
    else:
        problem, fix = f"{scheme}: URLs are not supported", "give a file, or an https: URL"
    raise UsageError(f"no such file, and {problem}", fix=fix)


def _name_of(source: object) -> str:
    """The name of a source that is no path: a file object's own name, else `source`.

    Python's own streams are named `<stdin>` and the like, which is no file.
    """
    name = getattr(source, "name", None)
    if not isinstance(name, str) or not name or name.startswith("<"):
        return NAMELESS
    return public_url(name)


# ------------------------------------------------------------------ memory and streams


def _spool(source: Any, path: Path) -> None:
    """Write a source in memory or a stream to a file."""
    with files.writing(path):
        if isinstance(source, bytes | bytearray | memoryview):
            path.write_bytes(source)
        elif isinstance(source, tuple) and len(source) == 2:
            _write_array(source[0], source[1], path)
        elif hasattr(source, "raw_data") and hasattr(source, "frame_rate"):
            source.export(path, format="wav").close()
        elif hasattr(source, "read"):
            with path.open("wb") as stream:
                for chunk in _read_chunks(source):
                    stream.write(chunk)
                if not stream.tell():
                    _refuse_read_stream(source)
        else:
            raise UsageError(
                f"a source cannot have the type {type(source).__name__}", fix=SUPPORTED
            )


def _read_chunks(source: BinaryStream) -> Iterator[bytes]:
    """Yield the rest of a stream, which may be a pipe and return fewer bytes than requested."""
    try:
        while True:
            check_thread()
            chunk = source.read(CHUNK_BYTES)
            if chunk is None:
                raise UsageError(
                    "a source cannot be a non-blocking stream",
                    fix="make it blocking, or read it and give the bytes",
                )
            if isinstance(chunk, str):
                raise _text_stream_error()
            if not isinstance(chunk, bytes | bytearray | memoryview):  # an array, a coroutine
                if hasattr(chunk, "close"):
                    chunk.close()
                raise UsageError(
                    f"read() of the source ({type(source).__name__}) returns no bytes but a "
                    f"value of the type {type(chunk).__name__}",
                    fix=SUPPORTED,
                )
            if not chunk:
                return
            yield chunk
    except UnicodeDecodeError as error:
        raise _text_stream_error() from error
    except OSError as error:
        raise InputError(
            f"the stream broke while it was read ({error.strerror or error})", fix="open it again"
        ) from error


def _refuse_read_stream(source: Any) -> None:
    """Raise for a file object that is at its end; an empty one is accepted.

    Raises:
        UsageError: it has been read or written to its end.
    """
    try:
        is_at_end = source.tell() > 0
    except (AttributeError, OSError):  # a pipe
        return
    if is_at_end:
        raise UsageError("the file object is at its end", fix="rewind it with seek(0)")


def _text_stream_error() -> UsageError:
    return UsageError("a source cannot be a text stream", fix="open it in binary mode")


def _write_array(array: NDArray[Any], rate_hz: int, path: Path) -> None:
    """Write samples, shape (frames,) or (frames, channels), floats in [-1, 1] or integers.

    NaN and Inf are written too, and treated like those of any other file.
    """
    import numpy as np
    import soundfile

    if not isinstance(rate_hz, int | np.integer) and np.ndim(rate_hz):
        raise UsageError("(rate_hz, array) is the wrong way round", fix="give (array, rate_hz)")
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
            f"array.dtype={array.dtype} is no type of samples",
            fix="give float16, float32 or float64 in [-1, 1], int16, int32, or uint8 around 128",
        )
    subtype = SUBTYPES[array.dtype.str[1:]]
    samples: NDArray[Any]
    if array.dtype == np.float16:
        samples = array.astype(np.float32)
    elif array.dtype == np.uint8:
        samples = (array.astype(np.int16) - 128) << 8
    else:
        samples = array.astype(array.dtype.newbyteorder("="), copy=False)
    # RF64 counts in 64 bits.
    format = "WAV" if samples.nbytes <= MAX_WAV_BYTES else "RF64"
    soundfile.write(str(path), samples, int(rate_hz), format=format, subtype=subtype)
