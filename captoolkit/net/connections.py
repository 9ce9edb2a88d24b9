"""Connections over HTTP: timeouts, size limits, and a filter for httpx's own logs.

Rules: httpx is imported in `net/` alone, and none of its types or errors leave it. Every wait is
bounded, and so is a whole exchange (`HttpLimits`). No redirect is followed here: `client.py`
refuses them, `download.py` follows a few. No message, name or log holds the part of an address
that may be secret.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from captoolkit import __version__
from captoolkit.errors import UsageError
from captoolkit.net.transport_errors import (
    TOO_LATE,
    FailedExchange,
    MakeError,
    cause_of,
    explain,
    fill_in,
)
from captoolkit.services.regions import Endpoint
from captoolkit.support.cancel import Closing


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The timeouts of an exchange, in seconds, and the size limit of an answer.

    Attributes:
        connect_s: until a connection stands.
        read_s: until the next bytes arrive; Model Studio itself gives up after 300 s.
        write_s: until the server accepts the next bytes.
        pool_s: until another request releases its connection.
        answer_s: from sending to the last byte.
        upload_s: the same for an uploaded file, which may be large.
        answer_bytes: of an answer's body; captions are a few kilobytes.
    """

    connect_s: float = 10
    read_s: float = 300
    write_s: float = 300
    pool_s: float = 3600
    answer_s: float = 900
    upload_s: float = 3600
    answer_bytes: int = 16 * 2**20

    def times_s(self, total_s: float) -> dict[str, float]:
        """Return the times that messages name."""
        return {
            "connect_s": self.connect_s,
            "read_s": self.read_s,
            "write_s": self.write_s,
            "pool_s": self.pool_s,
            "total_s": total_s,
        }


DEFAULT_LIMITS = HttpLimits()
POOL = httpx.Limits(max_connections=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse:
    """The head of an answer, and its body, which is still to be read.

    Attributes:
        headers: names in lower case.
        location: the address that a redirect names; None for every other answer.
        blocks: the body as it is sent, compressed if its headers say so.
    """

    status_code: int
    headers: Mapping[str, str]
    location: str | None
    blocks: Iterator[bytes]


class Watchdog(Closing):
    """Ends an exchange after `total_s`, at any stage.

    httpx bounds each wait alone; a head that arrives letter by letter, or interim answers without
    end, outlast that. So a timer shuts the socket down. Each exchange has a connection of its own,
    which the watchdog learns as soon as it stands.

    Attributes:
        is_late: whether the time was over.
        peer: the host and port that the connection was last made to: of a proxy if there is one.
    """

    def __init__(self, total_s: float) -> None:
        self.total_s = total_s
        self.is_late = False
        self.peer = ""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(total_s, self.end)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """Stop the timer; may be called twice."""
        self._timer.cancel()
        self._timer.join()

    def end(self) -> None:
        """End the exchange now, as if the time was over."""
        with self._lock:
            self.is_late = True
            self._shut()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Learn the socket of a connection as soon as it stands; called as httpx's `trace`."""
        if event.endswith(".connect_tcp.started"):
            self.peer = f"{info['host']}:{info['port']}"
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self.watch(info["return_value"])

    def watch(self, stream: Any) -> None:
        """Watch a connection, given as httpcore's stream."""
        with self._lock:
            self._socket = stream.get_extra_info("socket")
            if self.is_late:  # the connection stood only after the time was over
                self._shut()

    def release(self) -> None:
        """Leave the connection alone: the exchange is over."""
        with self._lock:
            self._socket = None

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Not a TLS socket's own method, which drops its keys while another thread reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Connections(Closing):
    """Connections to one endpoint; safe to use from several threads."""

    def __init__(
        self, endpoint: Endpoint, *, headers: Mapping[str, str], limits: HttpLimits = DEFAULT_LIMITS
    ) -> None:
        self._endpoint = endpoint
        port = urlsplit(endpoint.base_url).port or (443 if endpoint.encrypted else 80)
        self._peer = f"{endpoint.host}:{port}"
        self._limits = limits
        self._http = _open(endpoint, headers, limits)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._http.is_closed

    def close(self) -> None:
        """Close all connections; may be called twice."""
        self._http.close()

    @contextlib.contextmanager
    def send(
        self,
        method: str,
        url: str,
        *,
        watchdog: Watchdog,
        make_error: MakeError,
        login: tuple[str, str] | None = None,
        **content: Any,
    ) -> Iterator[RawResponse]:
        """Send a request and yield the answer with any status; no redirect is followed.

        Args:
            method: of HTTP.
            url: the whole address.
            watchdog: ends the exchange when its time is over.
            make_error: makes the error to raise for a failure, also while blocks are read.
            login: user and password.
            content: `headers`, and a body as `content` or as `data` and `files`, as for httpx.
        """
        _keep_answers_out_of_logs()
        traced = {"trace": watchdog.trace}
        request = self._http.build_request(method, url, extensions=traced, **content)
        request.url = _QuietURL(request.url)
        failed: httpx.RequestError | None = None
        try:
            response = self._http.send(request, stream=True, auth=login)
        except httpx.RequestError as error:
            failed = error
        except httpx.InvalidURL:  # of a redirect: httpx maps only some to its own error
            failed = httpx.RemoteProtocolError("Invalid URL in location header")
        if failed is not None:  # raised here, the error has no context that repeats the answer
            raise make_error(self._failure(failed, watchdog)) from cause_of(failed)
        with contextlib.closing(response):
            watchdog.watch(response.extensions["network_stream"])
            following = response.next_request
            try:
                yield RawResponse(
                    status_code=response.status_code,
                    headers=dict(response.headers),
                    location=None if following is None else str(following.url),
                    blocks=self._blocks(response, watchdog, make_error),
                )
            finally:
                watchdog.release()

    def _blocks(
        self, response: httpx.Response, watchdog: Watchdog, make_error: MakeError
    ) -> Iterator[bytes]:
        status_code = response.status_code
        failed: httpx.RequestError | None = None
        try:
            yield from response.iter_raw()
        except httpx.RequestError as error:
            failed = error
        if failed is not None:
            raise make_error(self._failure(failed, watchdog, status_code)) from cause_of(failed)
        if watchdog.is_late:  # a body without a length looks complete where its connection ends
            raise make_error(self._lateness(watchdog, status_code))

    def _failure(
        self, error: httpx.RequestError, watchdog: Watchdog, status_code: int | None = None
    ) -> FailedExchange:
        if watchdog.is_late:
            return self._lateness(watchdog, status_code)
        return explain(
            error,
            host=self._endpoint.address,
            limits=self._limits.times_s(watchdog.total_s),
            status_code=status_code,
            is_encrypted=self._endpoint.encrypted,
            proxy="" if watchdog.peer in {"", self._peer} else watchdog.peer,
        )

    def _lateness(self, watchdog: Watchdog, status_code: int | None) -> FailedExchange:
        limits = self._limits.times_s(watchdog.total_s)
        return fill_in(
            TOO_LATE, host=self._endpoint.address, limits=limits, status_code=status_code
        )


def _open(endpoint: Endpoint, headers: Mapping[str, str], limits: HttpLimits) -> httpx.Client:
    own = {
        # A new connection for each request: if a server closes an idle one just then, or writes
        # into it, that cannot be distinguished from a failed request, which costs money.
        "Connection": "close",
        # A caption is small, and a small compressed answer can unpack to a large one.
        "Accept-Encoding": "identity",
        "User-Agent": f"captoolkit/{__version__}",
    }
    try:
        httpx.URL(endpoint.base_url)
        return httpx.Client(
            headers={**own, **headers},
            timeout=httpx.Timeout(
                connect=limits.connect_s,
                read=limits.read_s,
                write=limits.write_s,
                pool=limits.pool_s,
            ),
            limits=POOL,
            follow_redirects=False,
            # A transport of its own ignores the environment's proxies: through a proxy, requests
            # to this machine or to the local network would leave it, key included.
            transport=(
                httpx.HTTPTransport(limits=POOL)
                if endpoint.is_loopback or endpoint.allows_plain_http
                else None
            ),
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


# ----------------------------------------------------------------------------- httpx's own logs


@functools.cache
def _keep_answers_out_of_logs() -> None:
    """Filter the loggers of httpx and httpcore: a server's answer may repeat the key."""
    logging.getLogger("httpx").addFilter(_without_phrase)
    for name in ("httpcore.http11", "httpcore.http2", "httpcore.proxy"):
        logging.getLogger(name).addFilter(_without_answer)


def _without_phrase(record: logging.LogRecord) -> bool:
    """Pass a line about a request, with the standard phrase for its status."""
    if record.msg.startswith("HTTP Request: ") and isinstance(record.args, tuple):
        *others, status_code, _ = record.args
        phrase = httpx.codes.get_reason_phrase(int(str(status_code)))
        record.args = (*others, status_code, phrase)
    return True


def _without_answer(record: logging.LogRecord) -> bool:
    """Pass a line about an answer, without the answer or the error that repeats it."""
    event, *value = re.split(" (?:return_value|exception)=", record.getMessage(), maxsplit=1)
    if value and event.startswith("receive_response"):
        record.msg, record.args = event, ()
    return True


class _QuietURL(httpx.URL):
    """A URL that shows no query: httpx logs every URL that it requests."""

    def __str__(self) -> str:
        return super().__str__().partition("?")[0]
