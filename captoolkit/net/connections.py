"""The ground of all HTTP: connections, how long they are waited for, how their failures are told.

Rules: httpx is imported here and in `getting.py`, and none of its types or errors leave the two.
Everything is bounded: every wait, and the time of a whole exchange, whatever is being waited for.
No redirect is followed. What fetches files holds no key; what of an address may be secret is in no
message, name or log.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from captoolkit import __version__
from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.net.exchange import EXCERPT_CHARS, clean
from captoolkit.services.regions import Endpoint
from captoolkit.support.cancel import Closing


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long to wait, and how much to take.

    Attributes:
        connect_s: for a connection to stand.
        read_s: for the next bytes; Model Studio itself gives up after 300 s.
        write_s: for the next bytes to be taken.
        pool_s: for another request to give its connection free.
        answer_s: from sending to the last byte.
        upload_s: the same for a file that is uploaded, which may be large.
        answer_bytes: of an answer's body; captions are a few kilobytes, files what they are.
    """

    connect_s: float = 10
    read_s: float = 300
    write_s: float = 300
    pool_s: float = 3600
    answer_s: float = 900
    upload_s: float = 3600
    answer_bytes: int = 16 * 2**20


BOUNDS = Bounds()
LIMITS = httpx.Limits(max_connections=100)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What went wrong with an exchange, in words.

    Attributes:
        is_unreachable: whether there was no connection at all.
        status_code: that of the answer, a part of which had come; None before that.
    """

    problem: str
    fix: str
    is_unreachable: bool = False
    status_code: int | None = None


Tell = Callable[[Trouble], CaptoolkitError]  # how whoever asked puts it


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What comes back: the head, and the body still to be read.

    Attributes:
        headers: their names are in lower case.
        location: the address that a redirect names, None for every other answer.
        blocks: the body as it is sent, packed if its headers say so.
    """

    status_code: int
    headers: Mapping[str, str]
    location: str | None
    blocks: Iterator[bytes]


class Watchdog(Closing):
    """Ends an exchange when its time is over, whatever is being waited for.

    httpx bounds each wait alone; a head that drips in, or interim answers without end, outlast
    that. So a timer ends the connection, which is the exchange's own and is known as soon as it
    stands: none serves twice.
    """

    def __init__(self, total_s: float) -> None:
        self.total_s = total_s
        self.is_late = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(total_s, self._end)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """Stop the clock; may be called twice."""
        self._timer.cancel()
        self._timer.join()

    def notice(self, event: str, info: Mapping[str, Any]) -> None:
        """Take in, as httpx's `trace`, which socket is being waited for."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self.watch(info["return_value"])

    def watch(self, stream: Any) -> None:
        """Take in which connection is being waited for, as httpcore's stream."""
        with self._lock:
            self._socket = stream.get_extra_info("socket")
            if self.is_late:  # it stood only when the time was over
                self._shut()

    def leave(self) -> None:
        """Let the connection be: the exchange is over."""
        with self._lock:
            self._socket = None

    def _end(self) -> None:
        with self._lock:
            self.is_late = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Not a TLS socket's own method, which takes its keys away while another reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Connections(Closing):
    """Connections to one endpoint; safe to use from several threads."""

    def __init__(
        self, endpoint: Endpoint, *, headers: Mapping[str, str], bounds: Bounds = BOUNDS
    ) -> None:
        self._endpoint = endpoint
        self._bounds = bounds
        self._http = _open(endpoint, headers, bounds)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._http.is_closed

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        self._http.close()

    @contextlib.contextmanager
    def send(
        self,
        method: str,
        url: str,
        *,
        clock: Watchdog,
        tell: Tell,
        login: tuple[str, str] | None = None,
        **content: Any,
    ) -> Iterator[Answer]:
        """Send a request and give the answer, whatever its status; a redirect is not followed.

        Args:
            method: of HTTP.
            url: the whole address.
            clock: ends it all when its time is over.
            tell: makes the error to be raised of what goes wrong, also while blocks are read.
            login: user and password.
            content: `headers`, and a body as `content` or as `data` and `files`, as httpx takes it.
        """
        _keep_answers_quiet()
        traced = {"trace": clock.notice}
        request = self._http.build_request(method, url, extensions=traced, **content)
        request.url = _QuietURL(request.url)
        try:
            response = self._http.send(request, stream=True, auth=login)
        except httpx.RequestError as error:
            raise tell(self._trouble(error, clock)) from _cause(error)
        except httpx.InvalidURL:  # of a redirect: httpx maps only some to its own error
            malformed = httpx.RemoteProtocolError("Invalid URL in location header")
            raise tell(self._trouble(malformed, clock)) from None
        with contextlib.closing(response):
            clock.watch(response.extensions["network_stream"])
            following = response.next_request
            try:
                yield Answer(
                    status_code=response.status_code,
                    headers=dict(response.headers),
                    location=None if following is None else str(following.url),
                    blocks=self._blocks(response, clock, tell),
                )
            finally:
                clock.leave()

    def _blocks(self, response: httpx.Response, clock: Watchdog, tell: Tell) -> Iterator[bytes]:
        status_code = response.status_code
        try:
            yield from response.iter_raw()
        except httpx.RequestError as error:
            raise tell(self._trouble(error, clock, status_code)) from _cause(error)
        if clock.is_late:  # a body that ends where its connection does looks whole
            raise tell(self._lateness(clock, status_code))

    def _trouble(
        self, error: httpx.RequestError, clock: Watchdog, status_code: int | None = None
    ) -> Trouble:
        if clock.is_late:
            return self._lateness(clock, status_code)
        failure = FAILURES[next(kind for kind in type(error).__mro__ if kind in FAILURES)]
        problem = failure.problem.format(
            host=self._endpoint.address,
            detail=_detail(error),
            connect_s=self._bounds.connect_s,
            read_s=self._bounds.read_s,
            write_s=self._bounds.write_s,
            pool_s=self._bounds.pool_s,
        )
        unreachable = httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError
        return Trouble(
            problem=problem,
            fix=failure.fix,
            is_unreachable=isinstance(error, unreachable),
            status_code=status_code,
        )

    def _lateness(self, clock: Watchdog, status_code: int | None) -> Trouble:
        return Trouble(
            problem=f"{self._endpoint.address} was not done within {clock.total_s:g} s",
            fix=_RETRY_FIX,
            status_code=status_code,
        )


@functools.cache
def _keep_answers_quiet() -> None:
    """Keep what servers write out of the logs of httpx and of its ground.

    A server may repeat the key, which is logged before anybody can strike it out.
    """
    logging.getLogger("httpx").addFilter(_without_phrase)
    for name in ("httpcore.http11", "httpcore.http2", "httpcore.proxy"):
        logging.getLogger(name).addFilter(_without_answer)


def _without_phrase(record: logging.LogRecord) -> bool:
    """Let a line on a request through, with the words that belong to its status."""
    if record.msg.startswith("HTTP Request: ") and isinstance(record.args, tuple):
        *known, status_code, _ = record.args
        phrase = httpx.codes.get_reason_phrase(int(str(status_code)))
        record.args = (*known, status_code, phrase)
    return True


def _without_answer(record: logging.LogRecord) -> bool:
    """Let a line on an answer through, without the answer or the error that repeats it."""
    what, *value = re.split(" (?:return_value|exception)=", record.getMessage(), maxsplit=1)
    if value and what.startswith("receive_response"):
        record.msg, record.args = what, ()
    return True


class _QuietURL(httpx.URL):
    """A URL that keeps its query to itself: httpx writes every URL it asks for into its log."""

    def __str__(self) -> str:
        return super().__str__().partition("?")[0]


def _detail(error: httpx.RequestError) -> str:
    """What the system says; what is said of an answer is left out, as it repeats the answer."""
    if isinstance(error, httpx.ProtocolError):
        return "its answer is cut off or malformed"
    return clean(str(error), EXCERPT_CHARS) or type(error).__name__


def _cause(error: httpx.RequestError) -> httpx.RequestError | None:
    """What a traceback shows beside our own error; for the reason above not every one."""
    return None if isinstance(error, httpx.ProtocolError) else error


def _timeout(bounds: Bounds) -> httpx.Timeout:
    return httpx.Timeout(
        connect=bounds.connect_s, read=bounds.read_s, write=bounds.write_s, pool=bounds.pool_s
    )


def _open(endpoint: Endpoint, headers: Mapping[str, str], bounds: Bounds) -> httpx.Client:
    own = {
        # A new connection each: what a server may do to one that waits for the next question (close
        # it just then, drip into it) cannot be told from a failed question, which costs money.
        "Connection": "close",
        "Accept-Encoding": "identity",  # a caption is small, and a small answer can unpack to a big
        "User-Agent": f"captoolkit/{__version__}",
    }
    try:
        httpx.URL(endpoint.base_url)
        return httpx.Client(
            headers={**own, **headers},
            timeout=_timeout(bounds),
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
