"""The emulator as a server on this machine: it starts when it is made, and ends with `close`."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from captoolkit.emulator.fault_injection import Fault
from captoolkit.emulator.journal import Visit
from captoolkit.emulator.routes import COMPATIBLE, HOST, NATIVE, make_app
from captoolkit.emulator.send import TRANSPORT
from captoolkit.emulator.service_state import Room
from captoolkit.errors import UsageError
from captoolkit.support.cancel import Closing

BACKLOG = 1024
MAX_PORT = 65_535
KEEP_ALIVE_S = 75  # longer than clients keep a connection, so that it is theirs to end


class Emulator(Closing):
    """A local server that answers as Model Studio does; a context manager.

    ```python
    with Emulator(faults=["throttle=20%"]) as emulator:
        client = openai.OpenAI(base_url=emulator.compatible_url, api_key="any")
        ...
        assert emulator.requests[0].status == 200
    ```

    Args:
        port: where to listen on 127.0.0.1; 0 takes a free one.
        faults: what goes wrong, as `KIND[=COUNT or SHARE]` (see `faults`), first come first.
        seed: other numbers give the faults with a share to other requests.
        log: a file that gets one JSON line a request: `path`, `model`, `audio_sha256`, `status`,
            `request_id`, `fault`.

    Raises:
        UsageError: the port is not free, or a fault is not known.
        OutputError: the log cannot be written.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        faults: Iterable[str | Fault] = (),
        seed: int = 0,
        log: str | PathLike[str] | None = None,
    ) -> None:
        listening = _listen(port)
        try:
            self._room = Room(faults=faults, seed=seed, log=None if log is None else Path(log))
        except BaseException:
            listening.close()
            raise
        self.port: int = listening.getsockname()[1]
        self._server = _Server(self._room)
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(listening,), name="captoolkit-emulator", daemon=True
        )
        self._thread.start()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def url(self) -> str:
        """Where it listens: `http://127.0.0.1:PORT`."""
        return f"http://{HOST}:{self.port}"

    @property
    def native_url(self) -> str:
        """The base URL of Model Studio's own protocol, as the `dashscope` SDK wants it."""
        return self.url + NATIVE

    @property
    def compatible_url(self) -> str:
        """The base URL of the OpenAI-compatible protocol, as the `openai` SDK wants it."""
        return self.url + COMPATIBLE

    @property
    def requests(self) -> list[Visit]:
        """What was asked so far, in the order in which it was answered."""
        return self._room.journal.visits

    def wait(self) -> None:
        """Wait until it ends, which without an interrupt it does not."""
        self._ended.wait()  # an interrupt in Thread.join makes Python take the thread for ended

    def close(self) -> None:
        """End all connections and stop; may be called twice."""
        self._room.stop.set()
        self._server.should_exit = True
        self._thread.join()
        self._room.close()

    def _serve(self, listening: socket.socket) -> None:
        try:
            self._server.run([listening])
        finally:
            self._ended.set()


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= MAX_PORT:
        raise UsageError(f"port={port} must be from 0 to {MAX_PORT}", fix="leave it out for any")
    try:
        return socket.create_server((HOST, port), backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"port={port} cannot be listened on ({error.strerror or error})",
            fix="choose another, or leave it out for a free one",
        ) from error


class _Server(uvicorn.Server):
    """uvicorn, which here ends its connections when it stops: a hanging answer waits for that."""

    def __init__(self, room: Room) -> None:
        super().__init__(
            uvicorn.Config(
                make_app(room),
                http=_Protocol,
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
        """End all connections, then whatever was waiting for them."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


class _Protocol(H11Protocol):
    """HTTP/1.1, with the connection within reach of the application."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Leave the connection in the scope of each of its requests."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.app = _within_reach(self.app, transport)


def _within_reach(app: Any, transport: asyncio.BaseTransport) -> ASGIApp:
    async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, TRANSPORT: transport}, receive, send)

    return with_transport
