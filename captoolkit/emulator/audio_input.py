"""Audio by reference, as a file: Base64 text, an uploaded file, or a URL on this machine.

Rules: only loopback hosts are asked, whatever a URL says, and redirects are not followed; what
arrives is bounded in size and time. Written on the standard library's HTTP client, so that nothing
is shared with the client that is rehearsed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import re
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from captoolkit.emulator import refusals
from captoolkit.emulator.refusals import RefusedError
from captoolkit.emulator.storage import SCHEME, Uploads
from captoolkit.model import Target, Via
from captoolkit.services.regions import Endpoint
from captoolkit.services.rows import max_bytes

CHUNK_BYTES = 1 << 20
WAIT_S = 10.0  # for the next byte of a download
TOTAL_S = 120.0  # for all of it, about what the service allows

_DATA_URI = re.compile(r"data:[^,]*;base64,")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An audio file on this disk, and what its bytes are."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Brings audio to a folder.

    Attributes:
        resolves: `oss://` may be used, as the request's header says.
    """

    folder: Path
    target: Target
    model: str
    uploads: Uploads
    resolves: bool

    def fetch(self, reference: str, name: str) -> Fetched:
        """Return the audio as a file; one that is not stored yet gets that name.

        Raises:
            RefusedError: it cannot be had, or is larger than the model takes.
        """
        path = self.folder / name
        if reference.startswith("data:"):
            return self._decode(reference, path)
        if reference.startswith(SCHEME):
            return self._find(reference)
        return self._download(reference, path)

    def _decode(self, reference: str, path: Path) -> Fetched:
        data = decode(reference)
        if data is None:
            raise RefusedError(refusals.NO_URL)
        self._refuse_large(len(data), Via.BASE64)
        path.write_bytes(data)
        return Fetched(path=path, sha256=hashlib.sha256(data).hexdigest())

    def _find(self, reference: str) -> Fetched:
        if not self.resolves:
            raise RefusedError(refusals.NO_URL)
        stored = self.uploads.find(reference)
        if stored is None:
            raise RefusedError(refusals.NO_DOWNLOAD)
        if stored.model != self.model:
            raise RefusedError(refusals.NOT_ALLOWED)
        self._refuse_large(stored.size_bytes, Via.UPLOAD)
        return Fetched(path=stored.path, sha256=stored.sha256)

    def _download(self, url: str, path: Path) -> Fetched:
        connection, place = _connection(url)
        try:
            connection.request("GET", place, headers={"Accept": "*/*"})
            response = connection.getresponse()
            length = response.getheader("Content-Length", "")
            if response.status in (401, 403):
                raise RefusedError(refusals.NOT_ALLOWED)
            if response.status != 200:
                raise RefusedError(refusals.NO_DOWNLOAD)
            if not length.isdecimal():
                raise RefusedError(refusals.NO_LENGTH)
            self._refuse_large(int(length), Via.URL)
            return _save(response, path, int(length))
        except TimeoutError:
            raise RefusedError(refusals.SLOW_DOWNLOAD) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise RefusedError(refusals.NO_DOWNLOAD) from None
        finally:
            connection.close()

    def _refuse_large(self, size_bytes: int, via: Via) -> None:
        most = max_bytes(self.target, via)
        if most is not None and size_bytes > most:
            raise RefusedError(refusals.TOO_LARGE)


def decode(data_uri: str) -> bytes | None:
    """Return what a data URI holds, None if it is not one in Base64.

    ```python
    >>> decode("data:;base64,QUI="), decode("data:audio/wav,AAE="), decode("data:;base64,A!")
    (b'AB', None, None)

    ```
    """
    prefix = _DATA_URI.match(data_uri)
    if prefix is None:
        return None
    try:
        return base64.b64decode(data_uri[prefix.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    """The connection to where a URL leads, if that is this machine, and what to ask for there."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise RefusedError(refusals.NO_URL) from None
    if parts.scheme not in ("http", "https") or not host:
        raise RefusedError(refusals.NO_URL)
    if not Endpoint(base_url=url, host=host, encrypted=parts.scheme == "https").is_loopback:
        raise RefusedError(refusals.NO_DOWNLOAD)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=WAIT_S), _place(parts)


def _place(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _save(response: http.client.HTTPResponse, path: Path, length: int) -> Fetched:
    """Write the body, which must be as long as was said."""
    deadline = time.monotonic() + TOTAL_S
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("wb") as stream:
        while chunk := response.read1(CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += stream.write(chunk)
            if time.monotonic() > deadline:
                raise TimeoutError
    if size_bytes != length:
        raise RefusedError(refusals.NO_DOWNLOAD)
    return Fetched(path=path, sha256=digest.hexdigest())
