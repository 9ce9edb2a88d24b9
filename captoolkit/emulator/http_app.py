"""The HTTP application (ASGI): its paths, reading requests, sending replies, connection faults.

Rules: a request is read to its end before the reply starts, because a client that is cut off while
it sends sees no reply. The size of a body and the number of bodies in memory are bounded. The
journal records every request before its reply starts. Every wait also watches for the client to
disconnect; the server aborts all connections when it stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from captoolkit.emulator import native_protocol, refusals, replies
from captoolkit.emulator.emulated_service import (
    EmulatedService,
    ReceivedRequest,
    document_reply,
    refuse,
)
from captoolkit.emulator.fault_injection import (
    CAPTION_KINDS,
    POLICY_KINDS,
    UPLOAD_KINDS,
    FaultKind,
)
from captoolkit.emulator.journal import RecordedRequest
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.emulator.replies import HttpReply, ServerProtocol
from captoolkit.emulator.storage import (
    EXPIRED,
    INCOMPLETE,
    KEY_SHOWN,
    MAX_FILE_MB,
    NO_FORM,
    NO_LENGTH,
    TOO_LARGE,
    StorageRefusal,
    StorageRefusedError,
)

HOST = "127.0.0.1"
MAX_BODY_BYTES = 64 << 20  # Model Studio, rate limit page: the whole body
MAX_FORM_BYTES = (MAX_FILE_MB + 1) << 20
BODY_TIMEOUT_S = 60.0  # for the whole body
MAX_BODIES = 16  # in memory at once

NATIVE_PATH = "/api/v1"
CAPTION_PATH = f"{NATIVE_PATH}/services/aigc/multimodal-generation/generation"
UPLOAD_PATH = "/oss"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

TRANSPORT = "captoolkit.transport"  # the key of the connection's transport in an ASGI scope
DRIP_INTERVAL_S = 1.0  # between two bytes


def make_app(service: EmulatedService) -> Starlette:
    """Return the application that serves `service`."""
    handlers, profile = _Handlers(service), service.profile
    chat = partial(handlers.caption, profile.protocol)
    routes = [
        Route(f"{profile.base_path}/chat/completions", chat, methods=["POST"]),
        Route(f"{profile.base_path}/models", handlers.models, methods=["GET"]),
    ]
    if profile.has_model_pages:
        page = f"{profile.base_path}/models/{{model:path}}"
        routes.append(Route(page, handlers.model, methods=["GET"]))
    if profile.native is not None:
        routes += [
            Route(CAPTION_PATH, partial(handlers.caption, profile.native), methods=["POST"]),
            Route(f"{NATIVE_PATH}/uploads", handlers.policy, methods=["GET"]),
            Route(UPLOAD_PATH, handlers.upload, methods=["POST"]),
        ]
    served = frozenset(route.path for route in routes)
    routes.append(Route("/{path:path}", partial(handlers.not_served, served), methods=METHODS))
    return Starlette(routes=routes)


class _Handlers:
    """One method for each kind of request."""

    def __init__(self, service: EmulatedService) -> None:
        self._service = service
        self._bodies = asyncio.Semaphore(MAX_BODIES)

    async def caption(self, protocol: ServerProtocol, http: Request) -> EmulatedResponse:
        """Reply to a request for a caption."""
        fault = self._service.faults.next(CAPTION_KINDS)
        with self._service.journal.in_flight():
            async with self._bodies:
                request = _received(http, protocol, fault, await _read_body(http))
                reply = await self._in_worker(self._service.reply, request)
            if self._service.latency_s:  # the end of the server ends the connection, and this wait
                await _disconnects(http.receive, within_s=self._service.latency_s)
        return self._respond(http, request, reply)

    async def policy(self, http: Request) -> EmulatedResponse:
        """Reply to a request for the policy that an upload needs."""
        fault = self._service.faults.next(POLICY_KINDS)
        request = _received(http, native_protocol.PROTOCOL, fault)
        model = http.query_params.get("model", "")
        request.model = model or None
        try:
            if request.fault is not None:
                raise RefusedError(replies.REFUSALS[request.fault])
            self._service.check_key(request.headers)
            if http.query_params.get("action") != "getPolicy":
                raise RefusedError(refusals.NO_SUCH_PATH)
            self._service.target(model)
            upload_url = f"http://{HOST}:{request.port}{UPLOAD_PATH}"
            data = self._service.uploads.policy(model, upload_url)
            reply = document_reply(request, {"request_id": request.request_id, "data": data})
        except RefusedError as refused:
            reply = refuse(request, refused.refusal)
        return self._respond(http, request, reply)

    async def upload(self, http: Request) -> EmulatedResponse:
        """Store the file of a form; the storage replies with an empty body, or in XML."""
        fault = self._service.faults.next(UPLOAD_KINDS)
        request = _received(http, native_protocol.PROTOCOL, fault)
        try:
            async with self._bodies, asyncio.timeout(BODY_TIMEOUT_S):
                status = await self._store(http, request.fault)
            reply = HttpReply(status=status, parts=(b"",), media_type="text/plain")
        except (TimeoutError, ClientDisconnect):
            reply = _xml_reply(INCOMPLETE, request.request_id)
        except StorageRefusedError as refused:
            reply = _xml_reply(refused.refusal, request.request_id)
        return self._respond(http, request, reply)

    async def _store(self, http: Request, fault: FaultKind | None) -> int:
        """Store the form's file and return the HTTP status that the form asks for."""
        length = http.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_FORM_BYTES:
            await _drain(http)
            raise StorageRefusedError(TOO_LARGE if length.isdecimal() else NO_LENGTH)
        try:
            form = await http.form(max_files=1)
        except HTTPException:
            raise StorageRefusedError(NO_FORM) from None
        try:
            if fault is not None:
                raise StorageRefusedError(EXPIRED)
            if "authorization" in http.headers:
                raise StorageRefusedError(KEY_SHOWN)
            fields, content = _fields_and_file(form)
            await self._in_worker(self._service.uploads.receive, fields, content)
        finally:
            await form.close()
        return 200 if fields.get("success_action_status") == "200" else 204

    async def models(self, http: Request) -> EmulatedResponse:
        """List the models of the compatible protocol."""
        write = self._service.profile.write_model
        rows = [write(name, self._service.began_s) for name in self._service.models()]
        return self._document(http, lambda: {"object": "list", "data": rows})

    async def model(self, http: Request) -> EmulatedResponse:
        """Show one model of the compatible protocol."""
        name = str(http.path_params["model"])

        def document() -> dict[str, Any]:
            if name not in self._service.models():
                raise RefusedError(refusals.unknown_model(name))
            return self._service.profile.write_model(name, self._service.began_s)

        return self._document(http, document)

    def _document(self, http: Request, write: Callable[[], dict[str, Any]]) -> EmulatedResponse:
        """Reply with a document to a request that has the right key."""
        request = _received(http, self._service.profile.protocol)
        try:
            self._service.check_key(request.headers)
            reply = document_reply(request, write())
        except RefusedError as refused:
            reply = refuse(request, refused.refusal)
        return self._respond(http, request, reply)

    async def not_served(self, served: frozenset[str], http: Request) -> EmulatedResponse:
        """Refuse a path that is not served, or a wrong method."""
        await _drain(http)
        profile, path = self._service.profile, http.url.path
        is_compatible = profile.native is None or path.startswith(profile.base_path)
        protocol = profile.protocol if is_compatible else native_protocol.PROTOCOL
        request = _received(http, protocol)
        refusal = refusals.WRONG_METHOD if path in served else refusals.NO_SUCH_PATH
        reply = refuse(request, refusal.about(method=http.method, url_path=path))
        return self._respond(http, request, reply)

    async def _in_worker(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function, which may block, in one of the service's worker threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._service.workers, function, *arguments)

    def _respond(
        self, http: Request, request: ReceivedRequest, reply: HttpReply | None
    ) -> EmulatedResponse:
        """Record the request in the journal and return the response that sends the reply."""
        recorded = RecordedRequest(
            method=http.method,
            path=http.url.path,
            model=request.model,
            audio_sha256=request.audio_sha256,
            status=None if reply is None else reply.status,
            request_id=request.request_id,
            streams=request.streams,
            fault=None if request.fault is None else str(request.fault),
        )
        self._service.journal.add(recorded)
        return EmulatedResponse(reply=reply, fault=request.fault)


# ------------------------------------------------------------------------- reading a request


def _received(
    http: Request,
    protocol: ServerProtocol,
    fault: FaultKind | None = None,
    body: bytes | Refusal = b"",
) -> ReceivedRequest:
    return ReceivedRequest(
        protocol=protocol,
        headers=dict(http.headers),
        body=body,
        fault=fault,
        port=http.scope["server"][1],
    )


async def _read_body(http: Request) -> bytes | Refusal:
    """Return the whole body, or its refusal; a body over the limit is read and discarded."""
    body = bytearray()
    size_bytes = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in http.stream():
                size_bytes += len(chunk)
                if size_bytes <= MAX_BODY_BYTES:
                    body += chunk
                else:
                    body.clear()
    except (TimeoutError, ClientDisconnect):
        return refusals.SLOW_REQUEST
    return bytes(body) if size_bytes <= MAX_BODY_BYTES else refusals.large_body(MAX_BODY_BYTES)


async def _drain(http: Request) -> None:
    """Read a body and discard it."""
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for _ in http.stream():
                pass


def _fields_and_file(form: FormData) -> tuple[dict[str, str], BinaryIO | None]:
    """Return the fields before the form's file, and the file; later fields are ignored."""
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            return fields, value.file if name == "file" else None
        fields[name] = value
    return fields, None


def _xml_reply(refusal: StorageRefusal, request_id: str) -> HttpReply:
    return HttpReply(
        status=refusal.status, parts=(refusal.xml(request_id),), media_type="application/xml"
    )


# --------------------------------------------------------------------------- sending a reply


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedResponse:
    """An ASGI response that sends a reply, or performs the fault of its connection.

    Attributes:
        reply: None if nothing is sent.
    """

    reply: HttpReply | None
    fault: FaultKind | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply, or perform the fault."""
        transport: asyncio.Transport = scope[TRANSPORT]
        if self.fault is FaultKind.RESET:
            _reset(transport)
        if self.reply is not None:
            await self._send(self.reply, transport, receive, send)
        else:
            await _wait_for_disconnect(receive)

    async def _send(
        self, reply: HttpReply, transport: asyncio.Transport, receive: Receive, send: Send
    ) -> None:
        await send(_start_message(reply))
        if self.fault is FaultKind.DRIP:
            for byte in b"".join(reply.parts):
                await send(_body_message(bytes((byte,)), more=True))
                if await _disconnects(receive, within_s=DRIP_INTERVAL_S):
                    return
        elif self.fault is FaultKind.HALF or (self.fault is FaultKind.BREAK and not reply.streams):
            whole = b"".join(reply.parts)
            await send(_body_message(whole[: len(whole) // 2], more=True))
            transport.close()
            await _wait_for_disconnect(receive)
            return
        else:
            for part in reply.parts:
                await send(_body_message(part, more=True))
                await asyncio.sleep(0)  # other connections have their turn between events
        await send(_body_message(b"", more=False))


def _start_message(reply: HttpReply) -> dict[str, object]:
    headers = {"Content-Type": reply.media_type, **reply.headers}
    if not reply.streams:
        headers["Content-Length"] = str(sum(len(part) for part in reply.parts))
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": reply.status, "headers": raw}


def _body_message(data: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _reset(transport: asyncio.Transport) -> None:
    """Reset the connection: lingering for zero seconds makes closing send RST, not FIN."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _disconnects(receive: Receive, *, within_s: float) -> bool:
    try:
        await asyncio.wait_for(_wait_for_disconnect(receive), within_s)
    except TimeoutError:
        return False
    return True
