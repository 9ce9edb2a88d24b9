"""A real HTTP server on this machine that keeps what it is sent and answers as it is told.

`pages` says how single paths are answered, the methods how all others are.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

THROTTLED = b'{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded"}'
FAILED = b'{"code":"InternalError","message":"An internal error has occurred"}'
Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it arrived; the names of the headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Recorder:
    """A server on 127.0.0.1; each method below says how it treats the requests to come."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.most_at_once = 0  # the highest number of requests that were treated at one moment
        self._at_once = 0
        self._counting = threading.Lock()
        self.released = threading.Event()
        self._latest = threading.local()  # the request that a thread is treating
        self.pages: dict[str, Behaviour] = {}
        self._behave: Behaviour = _answer(200, b"{}", {})
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.authority = f"127.0.0.1:{self.port}"
        self.url = f"{'http' if context is None else 'https'}://{self.authority}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Keep a request, then treat it as told."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        seen = Seen(method=handler.command, path=handler.path, headers=headers, body=body)
        self.seen.append(seen)
        self._latest.seen = seen
        with self._counting:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            with contextlib.suppress(OSError):  # the other side has left, as it should
                self.pages.get(handler.path.partition("?")[0], self._behave)(handler)
        finally:
            with self._counting:
                self._at_once -= 1

    def page(self, path: str, body: object, *, status: int = 200) -> None:
        """Answer at one path with bytes as they are, or with anything else as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.pages[path] = _answer(status, raw, {})

    def stream(
        self,
        *blocks: bytes,
        status: int = 200,
        content_type: str = "text/event-stream",
        ending: str = "whole",
        between_s: float = 0.0,
    ) -> None:
        """Send blocks one after another, as chunks of HTTP.

        Args:
            blocks: what is sent.
            status: of the answer.
            content_type: what it calls itself.
            ending: `whole`, or how it breaks off after the last block: `cut` (the connection
                closes), `hang` (nothing more comes), `closed` (it looks as if it were whole).
            between_s: how long to wait after each block.
        """

        def behave(handler: BaseHTTPRequestHandler) -> None:
            coding = {} if ending == "closed" else {"Transfer-Encoding": "chunked"}
            _head(handler, status, {"Content-Type": content_type, **coding})
            for block in blocks:
                sent = block if ending == "closed" else b"%x\r\n%b\r\n" % (len(block), block)
                handler.wfile.write(sent)
                handler.wfile.flush()
                self.released.wait(between_s)
            if ending == "whole":
                handler.wfile.write(b"0\r\n\r\n")
            if ending == "hang":
                _wait(self.released)

        self._behave = behave

    def answer(
        self,
        body: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        after: Callable[[], object] | None = None,
    ) -> None:
        """Answer with bytes as they are, or with anything else as JSON, once `after` returns."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        answer = _answer(status, raw, {"Content-Type": "application/json", **(headers or {})})

        def behave(handler: BaseHTTPRequestHandler) -> None:
            if after is not None:
                after()
            answer(handler)

        self._behave = behave

    def echo_authorization(self) -> None:
        """Refuse, repeating the key in body, headers and reason phrase."""

        def behave(handler: BaseHTTPRequestHandler) -> None:
            key = handler.headers.get("Authorization", "")
            body = json.dumps({"code": f"Bad {key}", "message": f"wrong: {key}", "request_id": key})
            headers = {"X-Request-Id": key, "Content-Type": "application/json"}
            _answer(401, body.encode(), headers, phrase=f"No {key}")(handler)

        self._behave = behave

    def raw(self, answer: bytes) -> None:
        """Send an answer as it is, head and all; the connection stays open for another request."""

        def behave(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(answer)

        self._behave = behave

    def hang(self) -> None:
        """Say nothing until the test is over."""
        self._behave = lambda handler: _wait(self.released)

    def reset(self) -> None:
        """Break the connection off without a word."""
        self._behave = _reset

    def promise_more(self, body: bytes) -> None:
        """Send `body`, having announced twice as much, and close."""
        self._behave = _answer(200, body, {"Content-Length": str(2 * len(body))})

    def drip(self) -> None:
        """Send a byte every few milliseconds until nobody listens or the test is over."""
        self._behave = self._drip

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        _head(handler, 200, {})
        while not self.released.wait(0.005):
            handler.wfile.write(b" ")

    def drip_head(self) -> None:
        """Send a header that never ends, letter by letter."""

        def behave(handler: BaseHTTPRequestHandler) -> None:
            handler.close_connection = True
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not self.released.wait(0.005):
                handler.wfile.write(b"x")

        self._behave = behave

    def pour(self, size_bytes: int) -> None:
        """Send `size_bytes` without announcing how many, as long as somebody listens."""

        def behave(handler: BaseHTTPRequestHandler) -> None:
            _head(handler, 200, {})
            for _ in range(size_bytes // 65536):
                handler.wfile.write(bytes(65536))

        self._behave = behave

    def weather(self, choose: Callable[[Seen], str], answer: Callable[[Seen], bytes]) -> None:
        """Treat each request as `choose` names: `fair` is an answer, the others are faults."""
        faults: dict[str, Behaviour] = {
            "hang": lambda handler: _wait(self.released),
            "reset": _reset,
            "drip": self._drip,
            "throttled": _answer(429, THROTTLED, {}),
            "come back": _answer(429, THROTTLED, {"Retry-After": "7"}),
            "failed": _answer(500, FAILED, {}),
            "html": _answer(502, b"<html><h1>Bad gateway</h1>", {"Content-Type": "text/html"}),
            "header": _answer(200, b"{}", {"X-Long": "x" * 2**20}),
        }

        def behave(handler: BaseHTTPRequestHandler) -> None:
            seen = self._latest.seen
            kind = choose(seen)
            if kind == "fair":
                _answer(200, answer(seen), {"Content-Type": "application/json"})(handler)
            elif kind == "half":
                body = answer(seen)[:40]
                _answer(200, body, {"Content-Length": str(2 * len(body))})(handler)
            else:
                faults[kind](handler)

        self._behave = behave

    def close(self) -> None:
        """Stop, and wait until everything has stopped."""
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False  # closing waits for the answers under way

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that left early: that is what they are tested for."""


def _handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            recorder.handle(self)

        do_CONNECT = do_GET = do_POST  # noqa: N815 - the names that the base class looks for

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    return Handler


def _head(
    handler: BaseHTTPRequestHandler,
    status: int,
    headers: Mapping[str, str],
    phrase: str | None = None,
) -> None:
    handler.close_connection = True
    handler.send_response(status, phrase)
    for name, value in {**headers, "Connection": "close"}.items():
        handler.send_header(name, value)
    handler.end_headers()


def _answer(
    status: int, body: bytes, headers: Mapping[str, str], phrase: str | None = None
) -> Behaviour:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        _head(handler, status, {"Content-Length": str(len(body)), **headers}, phrase)
        handler.wfile.write(body)

    return behave


def _reset(handler: BaseHTTPRequestHandler) -> None:
    # Lingering for zero seconds makes closing send RST instead of FIN.
    linger = struct.pack("ii", 1, 0)
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def _wait(released: threading.Event) -> None:
    released.wait(30)
