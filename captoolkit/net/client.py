"""What carries requests to a service, its key with them.

Rules: the key is checked against where it goes before a connection exists, is kept in the headers
alone, goes to the service's own host alone, and is struck out of whatever a server echoes. No
redirect is followed, so that a key cannot be led away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from captoolkit.errors import InputError, ServiceConnectionError, ServiceError, UsageError
from captoolkit.net.connections import BOUNDS, Answer, Bounds, Connections, Trouble, Watchdog
from captoolkit.net.exchange import EXCERPT_CHARS, Arriving, Form, Reply, Request, clean
from captoolkit.services.keys import check_key, check_secrecy
from captoolkit.services.regions import Endpoint
from captoolkit.support.cancel import Closing

# A key shorter than this (`EMPTY`, `none`) is a placeholder, not a secret, and might be a word of
# a caption; a longer one is struck out of answers.
SECRET_CHARS = 12
STRUCK_OUT = "[key]"


class Client(Closing):
    """Connections to one service; safe to use from several threads."""

    def __init__(
        self, endpoint: Endpoint, *, api_key: str | None = None, bounds: Bounds = BOUNDS
    ) -> None:
        if api_key is not None:
            check_key(api_key, "api_key")
            check_secrecy(endpoint)
        self._endpoint = endpoint
        self._key = api_key or ""
        self._bounds = bounds
        login = {"Authorization": f"Bearer {api_key}"} if api_key is not None else {}
        self._service = Connections(
            endpoint, headers={"Accept": "application/json", **login}, bounds=bounds
        )

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
        with self.open(request) as arriving:
            return _whole(arriving)

    @contextlib.contextmanager
    def open(self, request: Request) -> Iterator[Arriving]:
        """Send `request` and give the reply as it comes; what `post` raises, raised as it happens.

        A block is whole lines, so that no key stands half in one and half in the next.
        """
        if self._service.is_closed:
            raise UsageError("this captioner is closed", fix="open another one")
        base_url = request.base_url or self.base_url
        if urlsplit(base_url).netloc != urlsplit(self.base_url).netloc:
            raise ValueError(f"{base_url} is not on {self._endpoint.host}")
        headers = {"Content-Type": "application/json"} if request.body else {}
        with (
            Watchdog(self._bounds.answer_s) as clock,
            self._service.send(
                request.method,
                base_url + request.path,
                clock=clock,
                tell=self._tell,
                content=request.body,
                headers={**headers, **request.headers},
            ) as answer,
        ):
            yield self._arriving(answer, self._endpoint.host)

    def send_form(self, form: Form) -> Reply:
        """Send a form and a file to a host of its own, without the key; return the reply.

        Raises:
            ServiceConnectionError: no answer arrived, or only a part of one.
            ServiceError: the answer is a redirect, too large, or compressed.
            InputError: the file cannot be read.
        """
        parts = urlsplit(form.url)
        host = parts.hostname or ""
        storage = Endpoint(base_url=form.url, host=host, encrypted=parts.scheme == "https")
        with (
            _opened(form.file) as stream,
            Connections(storage, headers={"Accept": "application/json"}, bounds=self._bounds) as to,
            Watchdog(self._bounds.upload_s) as clock,
            to.send(
                "POST",
                form.url,
                clock=clock,
                tell=self._tell,
                data=dict(form.fields),
                files={"file": (form.name, stream, form.media_type)},
            ) as answer,
        ):
            return _whole(self._arriving(answer, host))

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        self._service.close()

    def _arriving(self, answer: Answer, host: str) -> Arriving:
        self._refuse_detours(answer, host)
        return Arriving(
            status_code=answer.status_code,
            headers={name: self._strike_out(value) for name, value in answer.headers.items()},
            blocks=self._lines(answer, host),
        )

    def _refuse_detours(self, answer: Answer, host: str) -> None:
        """Refuse a redirect, naming the place it points to, and an encoding not asked for."""
        if answer.location is not None:
            place = answer.headers["location"].partition("?")[0]
            raise self._error(
                f"{host} sent us elsewhere (HTTP {answer.status_code}), "
                f"to {clean(self._strike_out(place), EXCERPT_CHARS)}",
                answer,
                fix="redirects are not followed; if you trust that place, pass it as --base-url",
            )
        encoding = answer.headers.get("content-encoding", "identity")
        if encoding.lower() not in {"", "identity"}:
            raise self._error(f"{host} answered compressed, unasked", answer)

    def _lines(self, answer: Answer, host: str) -> Iterator[bytes]:
        """Yield the body in whole lines, without the key; uncompressed, so as large as sent."""
        held: list[bytes] = []
        taken_bytes = 0
        for block in answer.blocks:
            taken_bytes += len(block)
            if taken_bytes > self._bounds.answer_bytes:
                most = self._bounds.answer_bytes
                raise self._error(f"{host} answered with more than {most} bytes", answer)
            lines, end, rest = block.rpartition(b"\n")
            if end:
                yield self._struck_out(b"".join([*held, lines, end]))
                held.clear()
            held.append(rest)
        yield self._struck_out(b"".join(held))

    def _error(self, problem: str, answer: Answer, *, fix: str = "") -> ServiceError:
        request_id = self._strike_out(answer.headers.get("x-request-id", ""))
        return ServiceError(
            problem,
            fix=fix or "check --base-url: this is not how a captioning service answers",
            status_code=answer.status_code,
            request_id=clean(request_id, EXCERPT_CHARS) or None,
        )

    def _tell(self, trouble: Trouble) -> ServiceConnectionError:
        return ServiceConnectionError(
            self._strike_out(trouble.problem), fix=trouble.fix, status_code=trouble.status_code
        )

    def _struck_out(self, body: bytes) -> bytes:
        return self._strike_out(body.decode("latin-1")).encode("latin-1")

    def _strike_out(self, text: str) -> str:
        """Return `text` without the key."""
        is_secret = len(self._key) >= SECRET_CHARS
        return text.replace(self._key, STRUCK_OUT) if is_secret else text


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})", path=file) from error


def _whole(arriving: Arriving) -> Reply:
    return Reply(
        status_code=arriving.status_code,
        headers=arriving.headers,
        body=b"".join(arriving.blocks),
    )
