"""Files on the web: their addresses, and what asks for them.

Rules: what fetches files holds no key; what of an address may be secret is in no message, name or
log; a redirect is told and not followed. Which files are taken is for `download.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from captoolkit.errors import InputError, SourceNotFoundError, UsageError
from captoolkit.net.connections import Answer, Bounds, Connections, Trouble, Watchdog
from captoolkit.services.regions import Endpoint
from captoolkit.support.cancel import Closing

MAX_PORT = 65_535

_AGAIN_FIX = "try again, or download it yourself and give the file"
_BY_HAND_FIX = "download it yourself and give the file"
_ADDRESS_FIX = "check the address and the network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a file lies on the web, taken apart by what will go there; shown without its secrets.

    Attributes:
        name: scheme, host and path, the only part to be shown.
        endpoint: scheme, host and port.
        url: what is asked for, query included, without user and password.
        login: user and password; None when there are none.
    """

    name: str
    endpoint: Endpoint
    url: str = field(repr=False)
    login: tuple[str, str] | None = field(repr=False)


def parse_address(text: str) -> Address:
    """Return the address of a file on the web.

    Raises:
        UsageError: it is none; it is not repeated, as any part of it may be a password.
    """
    try:
        url = httpx.URL(text).copy_with(fragment=None)
        url.raw_host.decode("ascii").encode("idna")  # as the system will, which then raises this
        sound = url.scheme in {"http", "https"} and bool(url.host) and "%" not in url.host
        sound = sound and (url.port is None or 0 < url.port <= MAX_PORT)
    except (httpx.InvalidURL, ValueError):
        sound = False
    if not sound:
        raise UsageError("the URL is malformed", fix="write https://HOST/PATH")
    bare = url.copy_with(userinfo=b"")
    return Address(
        name=str(bare.copy_with(query=None)),
        endpoint=Endpoint(
            base_url=f"{url.scheme}://{bare.netloc.decode('ascii')}",
            host=url.host.rstrip("."),
            encrypted=url.scheme == "https",
        ),
        url=str(bare),
        login=(url.username, url.password) if url.userinfo else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming(Answer):
    """A file on its way: the answer's head, and its body still to be read.

    Attributes:
        address: where it comes from.
    """

    address: Address


class Getter(Closing):
    """Asks for files, one after another, all of it within `answer_s`."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._clock = Watchdog(bounds.answer_s)

    def close(self) -> None:
        """Stop the clock; may be called twice."""
        self._clock.close()

    @contextlib.contextmanager
    def get(self, address: Address) -> Iterator[Incoming]:
        """Ask for a file and yield the answer, whatever its status; a redirect is not followed.

        Each time it is another client: nothing that one host has set, or was told, meets another.

        Raises:
            SourceNotFoundError: the host cannot be reached.
            InputError: no answer came or, while `blocks` is read, only a part of one.
        """

        def tell(trouble: Trouble) -> InputError:
            if trouble.is_unreachable:
                return SourceNotFoundError(trouble.problem, fix=_ADDRESS_FIX, path=address.name)
            fix = _BY_HAND_FIX if self._clock.is_late else _AGAIN_FIX
            return InputError(trouble.problem, fix=fix, path=address.name)

        with (
            Connections(address.endpoint, headers={"Accept": "*/*"}, bounds=self._bounds) as host,
            host.send(
                "GET", address.url, clock=self._clock, tell=tell, login=address.login
            ) as answer,
        ):
            yield Incoming(
                address=address,
                status_code=answer.status_code,
                headers=answer.headers,
                location=answer.location,
                blocks=answer.blocks,
            )
