"""The emulator as a server on this machine: it starts when it is created and ends with `close`."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from captoolkit.emulator.emulated_service import EmulatedService
from captoolkit.emulator.http_app import HOST, NATIVE_PATH, TRANSPORT, make_app
from captoolkit.emulator.journal import RecordedRequest
from captoolkit.emulator.service_profiles import DEFAULT_PROFILE
from captoolkit.errors import UsageError
from captoolkit.support.cancel import Closing

BACKLOG = 1024
MAX_PORT = 65_535
KEEP_ALIVE_S = 75  # longer than clients keep a connection, so that the client closes it


class Emulator(Closing):
    """A local server that answers as a service does; a context manager.

    ```python
    with Emulator(faults=["throttle=20%"]) as emulator:
        client = openai.OpenAI(base_url=emulator.compatible_url, api_key="any")
        ...
        assert emulator.requests[0].status == 200
    ```

    Args:
        port: the port on 127.0.0.1; 0 takes a free one.
        like: the service: `model-studio`, `vllm` or `openai`. It decides how a request carries
            audio, which models there are, the ranges of parameters, and the words of refusals.
        key: the only key that is accepted; None accepts every key.
        faults: faults to inject, each `KIND[=COUNT or SHARE]` (see `fault_injection`). The first
            fault that selects a request applies to it.
        seed: a different number selects different requests for the faults with a share.
        latency_s: the time by which each caption is delayed, to rehearse with the speed of a
            service.
        log: a file that receives one JSON line for each request: `path`, `model`, `audio_sha256`,
            `status`, `request_id`, `fault`.

    Raises:
        UsageError: the port is not free, the service or a fault is unknown, the key has no
            character, or `latency_s` is no length of time.
        OutputError: the log cannot be written.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        like: str = DEFAULT_PROFILE,
        key: str | None = None,
        faults: Iterable[str] = (),
        seed: int = 0,
        latency_s: float = 0.0,
        log: str | PathLike[str] | None = None,
    ) -> None:
        if not 0 <= latency_s < inf:
            raise UsageError(f"latency_s={latency_s} must be at least 0")
        if key is not None and not (key.isascii() and key.isprintable() and key.strip()):
            raise UsageError("key must be visible ASCII text", fix="leave it out for every key")
        listener = _listen(port)
        try:
            self._service = EmulatedService(
                like=like,
                key=key,
                faults=faults,
                seed=seed,
                latency_s=latency_s,
                log=None if log is None else Path(log),
            )
        except BaseException:
            listener.close()
            raise
        self.port: int = listener.getsockname()[1]
        self._server = _UvicornServer(self._service)
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="captoolkit-emulator", daemon=True
        )
        self._thread.start()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def url(self) -> str:
        """The address of the server, such as `http://127.0.0.1:8765`."""
        return f"http://{HOST}:{self.port}"

    @property
    def native_url(self) -> str:
        """The base URL of Model Studio's own protocol, in the form the `dashscope` SDK takes.

        Raises:
            UsageError: another service is imitated, which has no such protocol.
        """
        if self._service.profile.native is None:
            raise UsageError(
                f"the emulator is like {self._service.profile.name}, which has no native protocol",
                fix="use compatible_url",
            )
        return self.url + NATIVE_PATH

    @property
    def compatible_url(self) -> str:
        """The base URL of the OpenAI-compatible protocol, in the form the `openai` SDK takes."""
        return self.url + self._service.profile.base_path

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests so far, in the order of their replies."""
        return self._service.journal.requests

    @property
    def most_in_flight(self) -> int:
        """The highest number of captions that were requested and not yet answered at one moment."""
        return self._service.journal.most_in_flight

    def wait(self) -> None:
        """Block until the server ends; it ends only on `close` or an interrupt."""
        # Not Thread.join: after an interrupt inside it Python takes the thread as ended.
        self._ended.wait()

    def close(self) -> None:
        """Abort all connections and stop the server; may be called twice."""
        self._service.stop.set()
        self._server.should_exit = True
        self._thread.join()
        self._service.close()

    def _serve(self, listener: socket.socket) -> None:
        try:
            self._server.run([listener])
        finally:
            self._ended.set()


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= MAX_PORT:
        raise UsageError(
            f"port={port} must be from 0 to {MAX_PORT}", fix="leave it out for a free port"
        )
    try:
        return socket.create_server((HOST, port), backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"port={port} cannot be listened on ({error.strerror or error})",
            fix="choose another, or leave it out for a free one",
        ) from error


class _UvicornServer(uvicorn.Server):
    """uvicorn that aborts its connections on shutdown; by default it waits for open replies."""

    def __init__(self, service: EmulatedService) -> None:
        super().__init__(
            uvicorn.Config(
                make_app(service),
                http=_HttpProtocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Abort all connections, then end the tasks that served them."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


class _HttpProtocol(H11Protocol):
    """HTTP/1.1 that gives the application access to the connection's transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put the transport into the scope of each of the connection's requests."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.app = _with_transport(self.app, transport)


def _with_transport(app: Any, transport: asyncio.BaseTransport) -> ASGIApp:
    async def wrapped_app(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, TRANSPORT: transport}, receive, send)

    return wrapped_app
