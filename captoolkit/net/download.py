"""A file on the web, as a file on the disk: bounded in size, time and detours.

Rules: nothing stays behind of a file that did not arrive whole; what the server says of its length
is believed only where it helps to refuse; a login goes to the host that it was given for, and to no
other; no error repeats what of a URL may be secret.
"""

from __future__ import annotations

import contextlib
import dataclasses
import zlib
from collections.abc import Iterator
from pathlib import Path

from captoolkit.errors import InputError, SourceNotFoundError, UsageError
from captoolkit.net.connections import Bounds, Failure
from captoolkit.net.fetch import Address, Getter, Incoming, parse_address
from captoolkit.support import files
from captoolkit.units import format_size

# A day and a night in FLAC, 16 hours of a CD in WAV, a long film: what is larger is hardly meant,
# and would fill many a disk's temporary folder.
MAX_DOWNLOAD_BYTES = 10 * 2**30
MAX_REDIRECTS = 5

CONNECT_S = 30.0
SILENCE_S = 60.0
TOTAL_S = 6 * 3600.0  # 10 GiB at 4 Mbit/s

GZIP_WBITS = zlib.MAX_WBITS | 16  # zlib's way to say: with gzip's header
UNPACKED_BYTES = 1 << 20  # at once: a kilobyte of gzip can hold a megabyte

_BY_HAND = "download it yourself and give the file"


def download(
    url: str,
    path: Path,
    *,
    max_bytes: int = MAX_DOWNLOAD_BYTES,
    connect_s: float = CONNECT_S,
    silence_s: float = SILENCE_S,
    total_s: float = TOTAL_S,
) -> None:
    """Write what lies at an http or https URL to `path`; nothing is there if that fails.

    Proxies and certificates of the environment are heeded, except on the way to this machine.

    Args:
        url: may hold a user and a password, which are sent to its own host only.
        path: where to write; what is there is replaced.
        max_bytes: the most that is written.
        connect_s: how long to wait for a connection.
        silence_s: how long to wait for the next byte.
        total_s: how long to take for all of it.

    Raises:
        UsageError: it is no such URL, or the environment's proxy cannot be used.
        SourceNotFoundError: the host cannot be reached, has no such file, or does not give it.
        InputError: it is too large, too slow, incomplete, or led astray.
        OutputError: it cannot be written.
    """
    bounds = Bounds(
        connect_s=connect_s,
        read_s=silence_s,
        write_s=silence_s,
        answer_s=total_s,
        answer_bytes=max_bytes,
    )
    with Getter(bounds) as getter, _arriving(getter, parse_address(url)) as incoming:
        _refuse_status(incoming)
        _refuse_length(incoming, max_bytes)
        _save(incoming, path, max_bytes)


# --------------------------------------------------------------------------------- the way


@contextlib.contextmanager
def _arriving(getter: Getter, address: Address) -> Iterator[Incoming]:
    """Yield the answer at the end of all redirects."""
    for _ in range(MAX_REDIRECTS + 1):
        with getter.get(address) as incoming:
            if incoming.location is None:
                yield incoming
                return
            address = _next_address(incoming, incoming.location)
    raise _astray(incoming, f"sends us elsewhere, more than {MAX_REDIRECTS} times in a row")


def _next_address(incoming: Incoming, location: str) -> Address:
    """Where a redirect leads.

    It stays known as what was asked for. The login goes along only if scheme, host and port stay.
    """
    here = incoming.address
    try:
        there = parse_address(location)
    except UsageError:
        raise _astray(incoming, "sends us to what is no address on the web") from None
    if here.endpoint.encrypted and not there.endpoint.encrypted:
        raise _astray(incoming, "sends us from https to http")
    login = here.login if there.endpoint == here.endpoint else None
    return dataclasses.replace(there, name=here.name, login=login)


def _astray(incoming: Incoming, problem: str) -> InputError:
    return _error(incoming, problem, fix=f"check the address, or {_BY_HAND}")


# ------------------------------------------------------------------------------ the answer


_GONE = Failure(problem="{host} has no such file", fix="check the address")

# The statuses that say that the file is not to be had; any other but 200 is a fault.
REFUSALS = {
    401: Failure(
        problem="{host} wants a login",
        fix=f"write https://USER:PASSWORD@HOST/PATH, or {_BY_HAND}",
    ),
    403: Failure(
        problem="{host} wants a login, or the link has expired",
        fix=f"check the link, or {_BY_HAND}",
    ),
    404: _GONE,
    410: _GONE,
}


def _refuse_status(incoming: Incoming) -> None:
    status_code = incoming.status_code
    refusal = REFUSALS.get(status_code)
    if refusal is not None:
        problem = refusal.problem.format(host=incoming.address.endpoint.host)
        raise SourceNotFoundError(
            f"{problem} (HTTP {status_code})", fix=refusal.fix, path=incoming.address.name
        )
    if status_code != 200:
        raise _error(incoming, f"answered HTTP {status_code}", fix=f"try again, or {_BY_HAND}")


def _refuse_length(incoming: Incoming, max_bytes: int) -> None:
    """Refuse what says itself that it is too large, before a byte is written."""
    promised = incoming.headers.get("content-length", "")
    if promised.isdecimal() and int(promised) > max_bytes:
        raise _too_large(incoming, max_bytes)


def _too_large(incoming: Incoming, max_bytes: int) -> InputError:
    problem = f"sends more than the {format_size(max_bytes)} that are taken"
    return _error(incoming, problem, fix=_BY_HAND)


def _error(incoming: Incoming, problem: str, *, fix: str) -> InputError:
    address = incoming.address
    return InputError(f"{address.endpoint.host} {problem}", fix=fix, path=address.name)


# -------------------------------------------------------------------------------- the body


def _save(incoming: Incoming, path: Path, max_bytes: int) -> None:
    """Write the body to a file, which is removed if that fails."""
    blocks = _unpacked(incoming, max_bytes)
    # What fails on the wire is an InputError, which is no OSError and so is left as it is.
    with files.writing(path):
        try:
            with path.open("wb") as stream:
                stream.writelines(blocks)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _unpacked(incoming: Incoming, max_bytes: int) -> Iterator[bytes]:
    """Yield the body without its packing, which some servers add unasked.

    It is held to the limit packed and unpacked: either can be endless while the other is short.
    """
    packing = incoming.headers.get("content-encoding", "").strip().lower()
    blocks = _bounded(incoming.blocks, incoming, max_bytes)
    if packing in ("", "identity"):
        return blocks
    if packing in ("gzip", "x-gzip"):
        return _bounded(_gunzip(blocks, incoming), incoming, max_bytes)
    raise _error(incoming, "sends it packed in an unknown way", fix=_BY_HAND)


def _bounded(blocks: Iterator[bytes], incoming: Incoming, max_bytes: int) -> Iterator[bytes]:
    """Yield `blocks` as long as they stay within the limit together."""
    taken_bytes = 0
    for block in blocks:
        taken_bytes += len(block)
        if taken_bytes > max_bytes:
            raise _too_large(incoming, max_bytes)
        yield block


def _gunzip(blocks: Iterator[bytes], incoming: Incoming) -> Iterator[bytes]:
    """Unpack gzip, in small steps however much a block unpacks to."""
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
