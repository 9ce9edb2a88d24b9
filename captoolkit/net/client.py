"""The client of one service: it carries requests, and with them the key.

Rules: the key goes to the service's own host alone, and only over TLS or to this machine; that is
checked before a connection exists. Redirects are refused, so that no server can lead the key away.
The key is struck out of everything that a server sends back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO
from urllib.parse import urlencode, urlsplit

from captoolkit.errors import InputError, ServiceConnectionError, ServiceError, UsageError
from captoolkit.net.connections import (
    DEFAULT_LIMITS,
    Connections,
    HttpLimits,
    RawResponse,
    Watchdog,
)
from captoolkit.net.http_messages import (
    EXCERPT_CHARS,
    Response,
    ServiceRequest,
    StreamingResponse,
    UploadForm,
    clean,
)
from captoolkit.net.redaction import Redactor
from captoolkit.net.transport_errors import FailedExchange
from captoolkit.services.keys import check_key, check_secrecy
from captoolkit.services.regions import Endpoint, endpoint_of
from captoolkit.support.cancel import Closing

NO_VALUES: Mapping[str, str] = MappingProxyType({})


class Client(Closing):
    """Connections to one service; safe to use from several threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        api_key: str | None = None,
        limits: HttpLimits = DEFAULT_LIMITS,
        key_header: str = "",
        headers: Mapping[str, str] = NO_VALUES,
        query: Mapping[str, str] = NO_VALUES,
    ) -> None:
        """Open a client; nothing is sent yet.

        Args:
            endpoint: the checked base URL.
            api_key: goes to the endpoint, with every request.
            limits: the times of an exchange, and the size of an answer.
            key_header: the header that holds the key alone; `Authorization: Bearer KEY` if empty.
            headers: further headers of every request.
            query: names and values in the address of every request.

        Raises:
            UsageError: the key is not valid, or would travel unencrypted.
        """
        if api_key is not None:
            check_key(api_key, "api_key")
            check_secrecy(endpoint)
        self._endpoint = endpoint
        self._redactor = Redactor(api_key or "")
        self._limits = limits
        self._query = urlencode(query)
        login = {}
        if api_key is not None:
            login = {key_header: api_key} if key_header else {"Authorization": f"Bearer {api_key}"}
        self._service = Connections(
            endpoint, headers={"Accept": "application/json", **headers, **login}, limits=limits
        )

    @property
    def base_url(self) -> str:
        """The service's base URL."""
        return self._endpoint.base_url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def post(self, request: ServiceRequest) -> Response:
        """Send `request` and return the complete response, with any status but a redirect's.

        Raises:
            ServiceConnectionError: no answer arrived, or only a part of one.
            ServiceError: the answer is a redirect, too large, or compressed.
            UsageError: the client is closed.
        """
        with self.open(request) as response:
            return _complete(response)

    @contextlib.contextmanager
    def open(self, request: ServiceRequest) -> Iterator[StreamingResponse]:
        """Send `request` and yield the response while it arrives; raises the errors of `post`.

        A block is whole lines, so that no block ends within a key.
        """
        if self._service.is_closed:
            raise UsageError("this captioner is closed", fix="open another one")
        base_url = request.base_url or self.base_url
        if urlsplit(base_url).netloc != urlsplit(self.base_url).netloc:
            raise ValueError(f"{base_url} is not on {self._endpoint.host}")
        headers = {"Content-Type": "application/json"} if request.body else {}
        with (
            Watchdog(self._limits.answer_s) as watchdog,
            self._service.send(
                request.method,
                _with_query(base_url + request.path, self._query),
                watchdog=watchdog,
                make_error=self._connection_error,
                content=request.body,
                headers={**headers, **request.headers},
            ) as response,
        ):
            yield self._streaming(response, self._endpoint.host)

    def send_form(self, form: UploadForm) -> Response:
        """Send a form and a file to a host of its own, without the key; return the response.

        Raises:
            ServiceConnectionError: no answer arrived, or only a part of one.
            ServiceError: the answer is a redirect, too large, or compressed.
            InputError: the file cannot be read.
        """
        storage = endpoint_of(form.url)
        accept = {"Accept": "application/json"}
        with (
            _opened(form.file) as stream,
            Connections(storage, headers=accept, limits=self._limits) as connections,
            Watchdog(self._limits.upload_s) as watchdog,
            connections.send(
                "POST",
                form.url,
                watchdog=watchdog,
                make_error=self._connection_error,
                data=dict(form.fields),
                files={"file": (form.name, stream, form.media_type)},
            ) as response,
        ):
            return _complete(self._streaming(response, storage.host))

    def close(self) -> None:
        """Close all connections; may be called twice."""
        self._service.close()

    def _streaming(self, response: RawResponse, host: str) -> StreamingResponse:
        self._refuse_redirect(response, host)
        encoding = response.headers.get("content-encoding", "identity")
        if encoding.lower() not in {"", "identity"}:
            raise self._error(f"{host} sent a compressed answer unasked", response)
        return StreamingResponse(
            status_code=response.status_code,
            headers={name: self._redactor.text(value) for name, value in response.headers.items()},
            blocks=self._lines(response, host),
            redactor=self._redactor,
        )

    def _refuse_redirect(self, response: RawResponse, host: str) -> None:
        """Refuse a redirect; the error names the place, without its query."""
        if response.location is not None:
            place = response.headers["location"].partition("?")[0]
            raise self._error(
                f"{host} redirects (HTTP {response.status_code}) "
                f"to {clean(self._redactor.text(place), EXCERPT_CHARS)}",
                response,
                fix="redirects are not followed; if you trust that place, pass it as `base_url`",
            )

    def _lines(self, response: RawResponse, host: str) -> Iterator[bytes]:
        """Yield the body in whole lines, without the key; refuse a body over the size limit."""
        held: list[bytes] = []
        received_bytes = 0
        for block in response.blocks:
            received_bytes += len(block)
            if received_bytes > self._limits.answer_bytes:
                most = self._limits.answer_bytes
                raise self._error(f"{host} answered with more than {most:,} bytes", response)
            lines, end, rest = block.rpartition(b"\n")
            if end:
                yield self._redactor.body(b"".join([*held, lines, end]))
                held.clear()
            held.append(rest)
        yield self._redactor.body(b"".join(held))

    def _error(self, problem: str, response: RawResponse, *, fix: str = "") -> ServiceError:
        request_id = self._redactor.text(response.headers.get("x-request-id", ""))
        return ServiceError(
            problem,
            fix=fix or "check `base_url`: captioning services do not answer so",
            status_code=response.status_code,
            request_id=clean(request_id, EXCERPT_CHARS) or None,
        )

    def _connection_error(self, failed: FailedExchange) -> ServiceConnectionError:
        return ServiceConnectionError(
            self._redactor.text(failed.problem),
            fix=failed.fix,
            status_code=failed.status_code,
            kind=failed.kind,
        )


def _with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})", path=file) from error


def _complete(response: StreamingResponse) -> Response:
    return Response(
        status_code=response.status_code,
        headers=response.headers,
        body=b"".join(response.blocks),
    )
