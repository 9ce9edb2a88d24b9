"""The one module that speaks HTTP: send a request, bring the reply, within stated bounds.

Rules: no other module imports httpx, and none of its types or errors leave this one. Everything
is bounded: every wait, the time of an answer and its size. No redirect is followed, so that a key
cannot be led away. The key is checked against where it goes before a connection exists, is kept
in the headers alone, and is struck out of whatever a server echoes. What fetches files holds no
key; what of an address may be secret is in no message, name or log.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from captoolkit import __version__
from captoolkit.captioners.exchange import EXCERPT_CHARS, Reply, Request, clean
from captoolkit.captioners.regions import Endpoint, check_key, check_secrecy
from captoolkit.closing import Closing
from captoolkit.errors import (
    InputError,
    ServiceConnectionError,
    ServiceError,
    SourceNotFoundError,
    UsageError,
)

# A key shorter than this (`EMPTY`, `none`) is a placeholder, not a secret, and might be a word of
# a caption; a longer one is struck out of answers.
SECRET_CHARS = 12
STRUCK_OUT = "[key]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long to wait, and how much to take.

    Attributes:
        connect_s: for a connection to stand.
        read_s: for the next bytes; Model Studio itself gives up after 300 s.
        write_s: for the next bytes to be taken.
        pool_s: for another request to give its connection free.
        answer_s: from sending to the last byte, looked at whenever bytes arrive.
        answer_bytes: of an answer's body; captions are a few kilobytes.
    """

    connect_s: float = 10
    read_s: float = 300
    write_s: float = 300
    pool_s: float = 3600
    answer_s: float = 900
    answer_bytes: int = 16 * 2**20


BOUNDS = Bounds()
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a failed exchange is told; the texts may name `host`, `detail` and the bounds."""

    problem: str
    fix: str


_RETRY_FIX = "ask again; if it stays so, send shorter segments (--max-segment)"
_REACH_FIX = "check --base-url and the network, and that a server of your own is up"
_BROKEN = Failure(problem="the connection to {host} broke: {detail}", fix=_RETRY_FIX)
_SLOW = Failure(problem="{host} took too long: {detail}", fix=_RETRY_FIX)
_OURS = Failure(problem="the request to {host} could not be put into HTTP", fix="report this")

# Every kind of failure that httpx knows; a test keeps the table complete.
FAILURES: dict[type[httpx.RequestError], Failure] = {
    httpx.RequestError: _BROKEN,
    httpx.TransportError: _BROKEN,
    httpx.NetworkError: _BROKEN,
    httpx.ReadError: _BROKEN,
    httpx.WriteError: _BROKEN,
    httpx.CloseError: _BROKEN,
    httpx.TimeoutException: _SLOW,
    httpx.ConnectError: Failure(problem="{host} cannot be reached: {detail}", fix=_REACH_FIX),
    httpx.ConnectTimeout: Failure(
        problem="{host} could not be connected to within {connect_s:g} s", fix=_REACH_FIX
    ),
    httpx.ReadTimeout: Failure(problem="{host} sent nothing for {read_s:g} s", fix=_RETRY_FIX),
    httpx.WriteTimeout: Failure(problem="{host} took nothing for {write_s:g} s", fix=_RETRY_FIX),
    httpx.PoolTimeout: Failure(
        problem="no connection to {host} became free within {pool_s:g} s",
        fix="ask less at once (--concurrency)",
    ),
    httpx.ProxyError: Failure(
        problem="the proxy on the way to {host} failed: {detail}",
        fix="check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    ),
    httpx.ProtocolError: _BROKEN,
    httpx.RemoteProtocolError: Failure(
        problem="{host} broke off, or does not speak HTTP: {detail}", fix=_RETRY_FIX
    ),
    # Without detail: what h11 says of a bad header repeats the header.
    httpx.LocalProtocolError: _OURS,
    httpx.UnsupportedProtocol: _OURS,
}


class Client:
    """Connections to one endpoint; safe to use from several threads."""

    def __init__(
        self, endpoint: Endpoint, *, api_key: str | None = None, bounds: Bounds = BOUNDS
    ) -> None:
        if api_key is not None:
            check_key(api_key, "api_key")
            check_secrecy(endpoint)
        self._endpoint = endpoint
        self._bounds = bounds
        self._http = _open(endpoint, api_key, bounds)

    @property
    def base_url(self) -> str:
        """Where requests go."""
        return self._endpoint.base_url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def post(self, request: Request) -> Reply:
        """Send `request` and return the reply, whatever its status, unless it is a redirect.

        Raises:
            ServiceConnectionError: no answer arrived, or only a part of one.
            ServiceError: the answer is a redirect, too large, or compressed.
            UsageError: the client is closed.
        """
        if self._http.is_closed:
            raise UsageError("this captioner is closed", fix="open another one")
        try:
            return self._exchange(request)
        except httpx.RequestError as error:
            raise self._connection_error(error) from error

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        self._http.close()

    def _exchange(self, request: Request) -> Reply:
        deadline = time.monotonic() + self._bounds.answer_s
        with self._http.stream(
            "POST",
            self.base_url + request.path,
            content=request.body,
            headers={"Content-Type": "application/json", **request.headers},
        ) as response:
            self._refuse_detours(response)
            body = self._read(response, deadline)
        headers = {name: self._strike_out(value) for name, value in response.headers.items()}
        return Reply(status_code=response.status_code, body=body, headers=headers)

    def _refuse_detours(self, response: httpx.Response) -> None:
        """Refuse a redirect, naming the place it points to, and an encoding not asked for."""
        if response.has_redirect_location:
            place = response.headers["Location"].partition("?")[0]
            raise self._error(
                f"sent us elsewhere (HTTP {response.status_code}), "
                f"to {clean(self._strike_out(place), EXCERPT_CHARS)}",
                response=response,
                fix="redirects are not followed; if you trust that place, pass it as --base-url",
            )
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() not in {"", "identity"}:
            raise self._error("answered compressed, unasked", response=response)

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        """Return the body as sent; uncompressed, a byte received is a byte held."""
        body = bytearray()
        for block in response.iter_raw():
            body += block
            if len(body) > self._bounds.answer_bytes:
                raise self._error(
                    f"answered with more than {self._bounds.answer_bytes} bytes",
                    response=response,
                )
            if time.monotonic() > deadline:
                raise ServiceConnectionError(
                    f"{self._endpoint.host} was not done within {self._bounds.answer_s:g} s",
                    fix=_RETRY_FIX,
                )
        return self._strike_out(body.decode("latin-1")).encode("latin-1")

    def _error(self, problem: str, *, response: httpx.Response, fix: str = "") -> ServiceError:
        request_id = self._strike_out(response.headers.get("x-request-id", ""))
        return ServiceError(
            f"{self._endpoint.host} {problem}",
            fix=fix or "check --base-url: this is not how a captioning service answers",
            status_code=response.status_code,
            request_id=clean(request_id, EXCERPT_CHARS) or None,
        )

    def _strike_out(self, text: str) -> str:
        """Return `text` without the key."""
        key = self._http.headers.get("Authorization", "").removeprefix("Bearer ")
        return text.replace(key, STRUCK_OUT) if len(key) >= SECRET_CHARS else text

    def _connection_error(self, error: httpx.RequestError) -> ServiceConnectionError:
        kinds = (kind for kind in type(error).__mro__ if kind in FAILURES)
        failure = FAILURES[next(kinds)]
        problem = failure.problem.format(
            host=self._endpoint.host,
            detail=clean(self._strike_out(str(error)), EXCERPT_CHARS) or type(error).__name__,
            connect_s=self._bounds.connect_s,
            read_s=self._bounds.read_s,
            write_s=self._bounds.write_s,
            pool_s=self._bounds.pool_s,
        )
        return ServiceConnectionError(problem, fix=failure.fix)


def _open(endpoint: Endpoint, api_key: str | None, bounds: Bounds) -> httpx.Client:
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # a caption is small, and a small answer can unpack to a big
        "User-Agent": f"captoolkit/{__version__}",
    }
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    try:
        httpx.URL(endpoint.base_url)
        return httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(
                connect=bounds.connect_s,
                read=bounds.read_s,
                write=bounds.write_s,
                pool=bounds.pool_s,
            ),
            limits=LIMITS,
            follow_redirects=False,
            # A transport of its own keeps the environment's proxies out: through one of them, what
            # is meant for this machine would leave it, key included.
            transport=httpx.HTTPTransport(limits=LIMITS) if endpoint.is_loopback else None,
        )
    except httpx.InvalidURL:
        raise UsageError(f"base_url={endpoint.base_url} is not a URL") from None
    except (ImportError, ValueError, OSError) as error:
        # httpx reads proxies and certificates from the environment; the values may hold a password.
        raise UsageError(
            f"the environment's proxy or certificate settings cannot be used "
            f"({type(error).__name__})",
            fix="check ALL_PROXY, HTTPS_PROXY, HTTP_PROXY, SSL_CERT_FILE and SSL_CERT_DIR",
        ) from None


# ---------------------------------------------------------------------------- fetching files

MAX_PORT = 65_535

_AGAIN_FIX = "try again, or download it yourself and give the file"
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
        raise UsageError("the URL is not one that can be used", fix="write https://HOST/PATH")
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
class Incoming:
    """A file on its way: the answer's head, and its body still to be read.

    Attributes:
        address: where it comes from.
        status_code: the HTTP status.
        headers: their names are in lower case.
        location: the address that a redirect names, None for every other answer.
        blocks: the body as it is sent, packed if its headers say so.
    """

    address: Address
    status_code: int
    headers: Mapping[str, str]
    location: str | None
    blocks: Iterator[bytes]


class Getter(Closing):
    """Asks for files, one after another, all of it within `answer_s`.

    httpx bounds each wait alone; a head that drips in, or interim answers without end, outlast
    that. So when the time is over a timer ends the connection, whatever is being waited for.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._is_late = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(bounds.answer_s, self._end)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """Stop the clock; may be called twice."""
        self._timer.cancel()
        self._timer.join()

    @contextlib.contextmanager
    def get(self, address: Address) -> Iterator[Incoming]:
        """Ask for a file and yield the answer, whatever its status; a redirect is not followed.

        Each time it is another client: nothing that one host has set, or was told, meets another.

        Raises:
            SourceNotFoundError: the host cannot be reached.
            InputError: no answer came or, while `blocks` is read, only a part of one.
        """
        with _open(address.endpoint, None, self._bounds) as client:
            request = client.build_request(
                "GET", address.url, headers={"Accept": "*/*"}, extensions={"trace": self._notice}
            )
            request.url = _QuietURL(request.url)
            try:
                response = client.send(request, stream=True, auth=address.login)
            except httpx.RequestError as error:
                raise self._failure(error, address) from error
            except httpx.InvalidURL:  # of a redirect: httpx maps only some to its own error
                malformed = httpx.RemoteProtocolError("Invalid URL in location header")
                raise self._failure(malformed, address) from None
            with contextlib.closing(response):
                following = response.next_request
                yield Incoming(
                    address=address,
                    status_code=response.status_code,
                    headers=dict(response.headers),
                    location=None if following is None else str(following.url),
                    blocks=self._blocks(response, address),
                )

    def _blocks(self, response: httpx.Response, address: Address) -> Iterator[bytes]:
        try:
            yield from response.iter_raw()
        except httpx.RequestError as error:
            raise self._failure(error, address) from error
        if self._is_late:  # a body that ends where its connection does looks whole
            raise self._lateness(address)

    def _failure(self, error: httpx.RequestError, address: Address) -> InputError:
        if self._is_late:
            return self._lateness(address)
        failure = FAILURES[next(kind for kind in type(error).__mro__ if kind in FAILURES)]
        problem = failure.problem.format(
            host=address.endpoint.host,
            detail=_detail(error),
            connect_s=self._bounds.connect_s,
            read_s=self._bounds.read_s,
            write_s=self._bounds.write_s,
            pool_s=self._bounds.pool_s,
        )
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return SourceNotFoundError(problem, fix=_ADDRESS_FIX, path=address.name)
        return InputError(problem, fix=_AGAIN_FIX, path=address.name)

    def _lateness(self, address: Address) -> InputError:
        return InputError(
            f"{address.endpoint.host} was not done within {self._bounds.answer_s:g} s",
            fix="download it yourself and give the file",
            path=address.name,
        )

    def _notice(self, event: str, info: Mapping[str, Any]) -> None:
        """Take in, as httpx's `trace`, which socket is being waited for."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._is_late:  # it stood only when the time was over
                self._end()

    def _end(self) -> None:
        self._is_late = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Not a TLS socket's own method, which takes its keys away while another reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _QuietURL(httpx.URL):
    """A URL that keeps its query to itself: httpx writes every URL it asks for into its log."""

    def __str__(self) -> str:
        return super().__str__().partition("?")[0]


def _detail(error: httpx.RequestError) -> str:
    """What the system says; what is said of an answer is left out, as it repeats the answer."""
    if isinstance(error, httpx.ProtocolError):
        return "its answer is cut off or malformed"
    return clean(str(error), EXCERPT_CHARS) or type(error).__name__
