"""Sends an answer, or plays the faults that only a connection can show (ASGI).

Rules: whoever waits here also listens for the client to leave, so that nothing outlasts the
connection; the server ends all connections when it stops.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from captoolkit.emulator.fault_injection import Kind
from captoolkit.emulator.replies import Reply

TRANSPORT = "captoolkit.transport"  # where the server leaves the connection in a scope
DRIP_S = 1.0  # from one byte to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An answer as starlette sends one; `reply` is None where there is none."""

    reply: Reply | None
    fault: Kind | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, or play the fault."""
        transport: asyncio.Transport = scope[TRANSPORT]
        if self.fault is Kind.RESET:
            _reset(transport)
        if self.reply is not None:
            await self._send(self.reply, transport, receive, send)
        else:
            await _leaving(receive)

    async def _send(
        self, reply: Reply, transport: asyncio.Transport, receive: Receive, send: Send
    ) -> None:
        await send(_head(reply))
        if self.fault is Kind.DRIP:
            for byte in b"".join(reply.parts):
                await send(_body(bytes((byte,)), more=True))
                if await _has_left(receive, DRIP_S):
                    return
        elif self.fault is Kind.HALF or (self.fault is Kind.BREAK and not reply.streams):
            whole = b"".join(reply.parts)
            await send(_body(whole[: len(whole) // 2], more=True))
            transport.close()
            await _leaving(receive)
            return
        else:
            for part in reply.parts:
                await send(_body(part, more=True))
                await asyncio.sleep(0)  # other connections have their turn between events
        await send(_body(b"", more=False))


def _head(reply: Reply) -> dict[str, object]:
    headers = {"Content-Type": reply.media_type, **reply.headers}
    if not reply.streams:
        headers["Content-Length"] = str(sum(len(part) for part in reply.parts))
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": reply.status, "headers": raw}


def _body(data: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _reset(transport: asyncio.Transport) -> None:
    """Break the connection off: lingering for zero seconds makes closing send RST, not FIN."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _has_left(receive: Receive, within_s: float) -> bool:
    try:
        await asyncio.wait_for(_leaving(receive), within_s)
    except TimeoutError:
        return False
    return True
