"""A file on the web, downloaded to a file on the disk: bounded in size, time and redirects.

Rules: `path` exists only after a complete download. A server's `Content-Length` is used only to
refuse a large file early. A login goes to the host that the caller names, and is not passed on to
another one. No error repeats the part of a URL that may be secret.
"""

from __future__ import annotations

import contextlib
import dataclasses
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from captoolkit.errors import ConnectionFailure, InputError, SourceNotFoundError, UsageError
from captoolkit.net.connections import Connections, HttpLimits, RawResponse, Watchdog
from captoolkit.net.transport_errors import FailedExchange
from captoolkit.services.regions import Endpoint
from captoolkit.support import files
from captoolkit.support.cancel import calling_when_over
from captoolkit.units import format_size

DOWNLOAD_LIMITS = HttpLimits(
    connect_s=30,
    read_s=60,
    write_s=60,
    answer_s=6 * 3600,  # 10 GiB at 4 Mbit/s
    # A day and a night in FLAC, 16 hours of a CD in WAV, a long film: a larger file is hardly
    # intended, and would fill the temporary folder of many machines.
    answer_bytes=10 * 2**30,
)
MAX_REDIRECTS = 5
MAX_PORT = 65_535

GZIP_WBITS = zlib.MAX_WBITS | 16  # for zlib: with gzip's header
UNPACKED_BYTES = 1 << 20  # at once: a kilobyte of gzip can hold a megabyte

_BY_HAND = "download it yourself and give the file"
_NOT_CONNECTED = (
    ConnectionFailure.UNREACHABLE,
    ConnectionFailure.CERTIFICATE,
    ConnectionFailure.PROXY,
)


def download(url: str, path: Path, *, limits: HttpLimits = DOWNLOAD_LIMITS) -> None:
    """Write the file at an http or https URL to `path`; after a failure `path` does not exist.

    The environment's proxies and certificates are used, except for this machine.

    Args:
        url: may hold a user and a password, which are sent to its own host only.
        path: the file to write; an existing one is replaced.
        limits: the times, of the whole download with its redirects as `answer_s`, and the largest
            size of the file, before and after unpacking.

    Raises:
        UsageError: the URL is not valid, or the environment's proxy cannot be used.
        SourceNotFoundError: the host cannot be reached, has no such file, or refuses it.
        InputError: the file is too large, too slow or incomplete, or redirects lead nowhere.
        OutputError: the file cannot be written.
        StoppedError: the work of this thread is over (`support.cancel`).
    """
    max_bytes = limits.answer_bytes
    with (
        Watchdog(limits.answer_s) as watchdog,
        calling_when_over(watchdog.end),
        _final_response(parse_address(url), limits, watchdog) as incoming,
    ):
        _refuse_status(incoming)
        length = incoming.headers.get("content-length", "")
        if length.isdecimal() and int(length) > max_bytes:  # refused before a byte is written
            raise _too_large(incoming, max_bytes)
        _save(incoming, path, max_bytes)


# ------------------------------------------------------------------------------- addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAddress:
    """The address of a file, split by the host that receives each part; its repr has no secrets.

    Attributes:
        name: scheme, host and path, the only part for messages.
        endpoint: scheme, host and port.
        url: the URL to request, with its query, without user and password.
        login: user and password; None without them.
    """

    name: str
    endpoint: Endpoint
    url: str = field(repr=False)
    login: tuple[str, str] | None = field(repr=False)


def parse_address(text: str) -> WebAddress:
    """Return the address of a file on the web.

    Raises:
        UsageError: the text is no such address; it is not repeated, as any part may be a password.
    """
    try:
        url = httpx.URL(text).copy_with(fragment=None)
        url.raw_host.decode("ascii").encode("idna")  # raises here rather than in the resolver
        is_valid = url.scheme in {"http", "https"} and bool(url.host) and "%" not in url.host
        is_valid = is_valid and (url.port is None or 0 < url.port <= MAX_PORT)
    except (httpx.InvalidURL, ValueError):
        is_valid = False
    if not is_valid:
        raise UsageError("the URL is malformed", fix="write https://HOST/PATH")
    bare = url.copy_with(userinfo=b"")
    return WebAddress(
        name=str(bare.copy_with(query=None)),
        endpoint=Endpoint(
            base_url=f"{url.scheme}://{bare.netloc.decode('ascii')}",
            host=url.host.rstrip("."),
            encrypted=url.scheme == "https",
        ),
        url=str(bare),
        login=(url.username, url.password) if url.userinfo else None,
    )


# --------------------------------------------------------------------- requests, redirects


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingFile(RawResponse):
    """The response with a file, its body still to be read.

    Attributes:
        address: the file's address.
    """

    address: WebAddress


@contextlib.contextmanager
def _final_response(
    address: WebAddress, limits: HttpLimits, watchdog: Watchdog
) -> Iterator[IncomingFile]:
    """Follow redirects and yield the response at their end."""
    for _ in range(MAX_REDIRECTS + 1):
        with _response(address, limits, watchdog) as incoming:
            if incoming.location is None:
                yield incoming
                return
            address = _next_address(incoming, incoming.location)
    raise _redirect_error(incoming, f"redirects more than {MAX_REDIRECTS} times in a row")


@contextlib.contextmanager
def _response(
    address: WebAddress, limits: HttpLimits, watchdog: Watchdog
) -> Iterator[IncomingFile]:
    """Request a file and yield the response, with any status.

    Each request has a client of its own: no cookie or header of one host reaches another.

    Raises:
        SourceNotFoundError: the host cannot be reached.
        InputError: no answer arrived or, while `blocks` is read, only a part of one.
    """

    def make_error(failed: FailedExchange) -> InputError:
        if failed.kind in _NOT_CONNECTED:
            fix = "check the address and the network"
            return SourceNotFoundError(failed.problem, fix=fix, path=address.name)
        is_late = failed.kind is ConnectionFailure.TOO_LATE
        fix = _BY_HAND if is_late else f"try again, or {_BY_HAND}"
        return InputError(failed.problem, fix=fix, path=address.name)

    with (
        Connections(address.endpoint, headers={"Accept": "*/*"}, limits=limits) as host,
        host.send(
            "GET", address.url, watchdog=watchdog, make_error=make_error, login=address.login
        ) as response,
    ):
        yield IncomingFile(
            address=address,
            status_code=response.status_code,
            headers=response.headers,
            location=response.location,
            blocks=response.blocks,
        )


def _next_address(incoming: IncomingFile, location: str) -> WebAddress:
    """Return the address that a redirect names.

    Messages keep the name of the first address. The login is kept only where scheme, host and port
    stay the same.
    """
    here = incoming.address
    try:
        there = parse_address(location)
    except UsageError:
        raise _redirect_error(incoming, "redirects to an invalid address") from None
    if here.endpoint.encrypted and not there.endpoint.encrypted:
        raise _redirect_error(incoming, "redirects from https to http")
    login = here.login if there.endpoint == here.endpoint else None
    return dataclasses.replace(there, name=here.name, login=login)


def _redirect_error(incoming: IncomingFile, problem: str) -> InputError:
    return _error(incoming, problem, fix=f"check the address, or {_BY_HAND}")


# -------------------------------------------------------------------------------- statuses

# The problem and the fix for a status that means that the file is not available; any other status
# but 200 is an error of the server.
_GONE = ("{host} has no such file", "check the address")
REFUSALS = {
    401: ("{host} requires a login", f"write https://USER:PASSWORD@HOST/PATH, or {_BY_HAND}"),
    403: (
        "{host} requires a login, or the link has expired",
        f"check the link, or {_BY_HAND}",
    ),
    404: _GONE,
    410: _GONE,
}


def _refuse_status(incoming: IncomingFile) -> None:
    status_code = incoming.status_code
    if status_code in REFUSALS:
        problem, fix = REFUSALS[status_code]
        host = incoming.address.endpoint.host
        raise SourceNotFoundError(
            f"{problem.format(host=host)} (HTTP {status_code})", fix=fix, path=incoming.address.name
        )
    if status_code != 200:
        raise _error(incoming, f"answered HTTP {status_code}", fix=f"try again, or {_BY_HAND}")


def _too_large(incoming: IncomingFile, max_bytes: int) -> InputError:
    problem = f"sends more than the limit of {format_size(max_bytes)}"
    return _error(incoming, problem, fix=_BY_HAND)


def _error(incoming: IncomingFile, problem: str, *, fix: str) -> InputError:
    address = incoming.address
    return InputError(f"{address.endpoint.host} {problem}", fix=fix, path=address.name)


# -------------------------------------------------------------------------------- the body


def _save(incoming: IncomingFile, path: Path, max_bytes: int) -> None:
    """Write the body to a file, and remove the file after a failure."""
    blocks = _unpacked(incoming, max_bytes)
    # A failure of the connection is an InputError, not an OSError: it passes unchanged.
    with files.writing(path):
        try:
            with path.open("wb") as stream:
                stream.writelines(blocks)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _unpacked(incoming: IncomingFile, max_bytes: int) -> Iterator[bytes]:
    """Yield the body without the compression that some servers add unasked.

    The size limit holds for the packed and for the unpacked bytes: either can be endless while the
    other is short.
    """
    packing = incoming.headers.get("content-encoding", "").strip().lower()
    blocks = _bounded(incoming.blocks, incoming, max_bytes)
    if packing in ("", "identity"):
        return blocks
    if packing in ("gzip", "x-gzip"):
        return _bounded(_gunzip(blocks, incoming), incoming, max_bytes)
    raise _error(incoming, "sends an unknown compression", fix=_BY_HAND)


def _bounded(blocks: Iterator[bytes], incoming: IncomingFile, max_bytes: int) -> Iterator[bytes]:
    """Yield `blocks` as long as their sum stays within the size limit."""
    received_bytes = 0
    for block in blocks:
        received_bytes += len(block)
        if received_bytes > max_bytes:
            raise _too_large(incoming, max_bytes)
        yield block


def _gunzip(blocks: Iterator[bytes], incoming: IncomingFile) -> Iterator[bytes]:
    """Unpack gzip in steps of bounded size."""
    unpacker = zlib.decompressobj(GZIP_WBITS)
    try:
        for block in blocks:
            while block:
                if unpacker.eof:  # gzip may consist of several parts
                    unpacker = zlib.decompressobj(GZIP_WBITS)
                yield unpacker.decompress(block, UNPACKED_BYTES)
                block = unpacker.unused_data or unpacker.unconsumed_tail
    except zlib.error as error:
        raise _error(incoming, "sends damaged gzip", fix=_BY_HAND) from error
    if not unpacker.eof:
        raise _error(incoming, "sends gzip without its end", fix=_BY_HAND)
