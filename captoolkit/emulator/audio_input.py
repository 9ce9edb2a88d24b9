"""The audio of a request: fetched into a file, checked against the model's limits, and measured.

A reference is Base64 text, an uploaded file, or a URL on this machine.

Rules: only loopback hosts are contacted, and redirects are not followed. Downloads are bounded in
size and time; the standard library's HTTP client does them, so that the emulator shares no code
with the client that it tests. Durations are counted and never read from a header
(`media.probe_file`). Audio that a model cuts off is not measured. The same bytes always give the
same answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import re
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from captoolkit.captioners.acoustic import Measurer, describe
from captoolkit.emulator import refusals
from captoolkit.emulator.refusals import RefusedError
from captoolkit.emulator.storage import SCHEME, UploadStorage
from captoolkit.errors import InputError, NoAudioError, ToolError
from captoolkit.media import decode, probe_file
from captoolkit.model import Target, Track, Via
from captoolkit.services.limits import longest_s, max_bytes
from captoolkit.services.regions import is_loopback
from captoolkit.support.cancel import StoppedError

CHUNK_BYTES = 1 << 20
READ_TIMEOUT_S = 10.0  # for the next byte of a download
DOWNLOAD_TIMEOUT_S = 120.0  # for the whole download; the service allows about as much

_DATA_URI = re.compile(r"data:[^,]*;base64,")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedAudio:
    """An audio file on this machine's disk, and the hash of its bytes."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedAudio:
    """A file that a model takes, and how much of it the model hears."""

    path: Path
    track: Track
    heard_samples: int

    @property
    def duration_s(self) -> Fraction:
        """The duration of the part that the model hears."""
        return Fraction(self.heard_samples, self.track.sample_rate_hz)


# ------------------------------------------------------------------------ reference -> file


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFetcher:
    """Fetches audio into a folder.

    Attributes:
        resolves: the request's header allows `oss://` URLs.
    """

    folder: Path
    target: Target
    model: str
    uploads: UploadStorage
    resolves: bool

    def fetch(self, reference: str, name: str) -> FetchedAudio:
        """Return the audio as a file; a file that is not in the storage yet gets that name.

        Raises:
            RefusedError: it cannot be fetched, or is larger than the model takes.
        """
        path = self.folder / name
        if reference.startswith("data:"):
            return self._decode(reference, path)
        if reference.startswith(SCHEME):
            return self._find(reference)
        return self._download(reference, path)

    def _decode(self, reference: str, path: Path) -> FetchedAudio:
        data = decode_data_uri(reference)
        if data is None:
            is_base64 = _DATA_URI.match(reference) is not None
            raise RefusedError(refusals.NO_BASE64 if is_base64 else refusals.NO_BASE64_URI)
        self._refuse_large(len(data), Via.BASE64)
        path.write_bytes(data)
        return FetchedAudio(path=path, sha256=hashlib.sha256(data).hexdigest())

    def _find(self, reference: str) -> FetchedAudio:
        if not self.resolves:
            raise RefusedError(refusals.NO_URL)
        stored = self.uploads.find(reference)
        if stored is None:
            raise RefusedError(refusals.NO_DOWNLOAD)
        if stored.model != self.model:
            raise RefusedError(refusals.NOT_ALLOWED)
        self._refuse_large(stored.size_bytes, Via.UPLOAD)
        return FetchedAudio(path=stored.path, sha256=stored.sha256)

    def _download(self, url: str, path: Path) -> FetchedAudio:
        connection, path_and_query = _connect(url)
        try:
            connection.request("GET", path_and_query, headers={"Accept": "*/*"})
            response = connection.getresponse()
            length = response.getheader("Content-Length", "")
            if response.status in (401, 403):
                raise RefusedError(refusals.NOT_ALLOWED.about(url=url, status=response.status))
            if response.status != 200:
                raise RefusedError(refusals.NO_DOWNLOAD.about(url=url, status=response.status))
            if not length.isdecimal():
                raise RefusedError(refusals.NO_LENGTH)
            self._refuse_large(int(length), Via.URL)
            return _save(response, path, int(length))
        except TimeoutError:
            raise RefusedError(refusals.SLOW_DOWNLOAD) from None
        except (OSError, http.client.HTTPException, ValueError):
            raise RefusedError(refusals.NO_DOWNLOAD.about(url=url)) from None
        finally:
            connection.close()

    def _refuse_large(self, size_bytes: int, via: Via) -> None:
        most = max_bytes(self.target, via)
        if most is not None and size_bytes > most:
            raise RefusedError(
                refusals.TOO_LARGE.about(size_bytes=size_bytes, most_bytes=int(most))
            )


def decode_data_uri(data_uri: str) -> bytes | None:
    """Return the content of a Base64 data URI; None if the text is no such URI.

    ```python
    >>> decode_data_uri("data:;base64,QUI="), decode_data_uri("data:audio/wav,AAE=")
    (b'AB', None)

    ```
    """
    prefix = _DATA_URI.match(data_uri)
    if prefix is None:
        return None
    try:
        return base64.b64decode(data_uri[prefix.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None


def _connect(url: str) -> tuple[http.client.HTTPConnection, str]:
    """Return a connection to the host of a loopback URL, and the URL's path and query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise RefusedError(refusals.NO_URL) from None
    if parts.scheme not in ("http", "https") or not host:
        raise RefusedError(refusals.NO_URL)
    if not is_loopback(host):
        raise RefusedError(refusals.NO_DOWNLOAD)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return kind(host, port, timeout=READ_TIMEOUT_S), path


def _save(response: http.client.HTTPResponse, path: Path, length: int) -> FetchedAudio:
    """Write the body; its length must be the announced one."""
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT_S
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("wb") as stream:
        while chunk := response.read1(CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += stream.write(chunk)
            if time.monotonic() > deadline:
                raise TimeoutError
    if size_bytes != length:
        raise RefusedError(refusals.NO_DOWNLOAD)
    return FetchedAudio(path=path, sha256=digest.hexdigest())


# ----------------------------------------------------------------------- file -> description


def accept(path: Path, target: Target) -> AcceptedAudio:
    """Return the audio in a file, if the model takes it.

    Raises:
        RefusedError: the file is empty, too long, no audio, or in a format that the model does not
            take.
    """
    if not path.stat().st_size:
        raise RefusedError(refusals.EMPTY)
    try:
        info = probe_file.probe(path)
    except NoAudioError:
        raise RefusedError(refusals.EMPTY) from None
    except (InputError, ToolError):
        raise RefusedError(refusals.NOT_AUDIO) from None
    track = info.default_track
    _refuse_large_decoded(track, target)
    if track.codec not in target.accepts.get(info.container, ()):
        raise RefusedError(refusals.WRONG_FORMAT)
    most_s, samples = longest_s(target), track.duration_samples
    if most_s is not None and samples > most_s * track.sample_rate_hz:
        if target.on_exceed != "truncate":
            raise RefusedError(
                refusals.too_long(track.duration_s, float(most_s), track.sample_rate_hz)
            )
        samples = int(most_s * track.sample_rate_hz)
    return AcceptedAudio(path=path, track=track, heard_samples=samples)


def _refuse_large_decoded(track: Track, target: Target) -> None:
    """Refuse an audio that is larger than the server decodes, as 32-bit samples."""
    most = target.limit("max_decoded_bytes")
    if most is not None and track.duration_samples * track.channels * 4 > most:
        raise RefusedError(
            refusals.LARGE_DECODED.about(
                samples=track.duration_samples, channels=track.channels, most_bytes=int(most)
            )
        )


def measure(audio: AcceptedAudio, stop: Event) -> str:
    """Return the local captioner's description of the part that the model hears.

    Raises:
        RefusedError: the file cannot be decoded.
        StoppedError: `stop` was set in the meantime.
    """
    track = audio.track
    is_cut = audio.heard_samples < track.duration_samples
    end = audio.heard_samples if is_cut else None
    try:
        with decode.TrackDecoder(audio.path, track=track, end_samples=end) as blocks:
            measurer = Measurer(rate_hz=blocks.rate_hz, channels=blocks.channels)
            for block in blocks:
                if stop.is_set():
                    raise StoppedError
                measurer.feed(block)
    except ToolError:
        raise RefusedError(refusals.NOT_AUDIO) from None
    return describe(measurer.finish())
