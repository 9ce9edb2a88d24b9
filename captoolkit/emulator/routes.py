"""The paths that are served, and what arrives there (ASGI).

Rules: a request is read to its end before it is answered, as a client that is cut off while it
sends sees no answer; a body is bounded, and a few are held at once; every request is in the
journal before it is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as Arrived
from starlette.routing import Route

from captoolkit.emulator import compatible_protocol, corrupt, native_protocol, refusals
from captoolkit.emulator.fault_injection import ASK_KINDS, POLICY_KINDS, UPLOAD_KINDS, Kind
from captoolkit.emulator.journal import Visit
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.emulator.replies import Reply, Wire
from captoolkit.emulator.send import Act
from captoolkit.emulator.service_state import Request, Room, refuse, refuse_key, tell
from captoolkit.emulator.storage import (
    EXPIRED,
    INCOMPLETE,
    KEY_SHOWN,
    MAX_FILE_MB,
    NO_FORM,
    NO_LENGTH,
    TOO_LARGE,
    Denial,
    DeniedError,
)

HOST = "127.0.0.1"
MAX_BODY_BYTES = 64 << 20  # Model Studio, rate limit page: the whole body
MAX_FORM_BYTES = (MAX_FILE_MB + 1) << 20
BODY_S = 60.0  # for all of a body to arrive
HELD = 16  # bodies in memory at once

NATIVE, COMPATIBLE = "/api/v1", "/compatible-mode/v1"
ASK_PATHS = {
    f"{NATIVE}/services/aigc/multimodal-generation/generation": native_protocol.WIRE,
    f"{COMPATIBLE}/chat/completions": compatible_protocol.WIRE,
}
UPLOAD_PATH = "/oss"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def make_app(room: Room) -> Starlette:
    """Return the application that serves a room."""
    desk = _Desk(room)
    routes = [Route(path, desk.ask, methods=["POST"]) for path in ASK_PATHS]
    routes += [
        Route(f"{NATIVE}/uploads", desk.policy, methods=["GET"]),
        Route(UPLOAD_PATH, desk.upload, methods=["POST"]),
        Route(f"{COMPATIBLE}/models", desk.models, methods=["GET"]),
    ]
    served = frozenset(route.path for route in routes)
    routes.append(Route("/{path:path}", partial(desk.astray, served), methods=METHODS))
    return Starlette(routes=routes)


class _Desk:
    """Where requests arrive."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._places = asyncio.Semaphore(HELD)

    async def ask(self, arrived: Arrived) -> Act:
        """Answer a request for a caption."""
        fault = self._room.schedule.next(ASK_KINDS)
        async with self._places:
            request = _request(arrived, ASK_PATHS[arrived.url.path], fault, await _body(arrived))
            reply = await self._work(self._room.answer, request)
        return self._act(arrived, request, reply)

    async def policy(self, arrived: Arrived) -> Act:
        """Answer a request for the policy that an upload needs."""
        request = _request(arrived, native_protocol.WIRE, self._room.schedule.next(POLICY_KINDS))
        model = arrived.query_params.get("model", "")
        request.model = model or None
        try:
            if request.fault is not None:
                raise RefusedError(corrupt.REFUSALS[request.fault])
            refuse_key(request.headers)
            if arrived.query_params.get("action") != "getPolicy":
                raise RefusedError(refusals.NO_SUCH_PATH)
            self._room.target(model)
            place = f"http://{HOST}:{request.port}{UPLOAD_PATH}"
            data = self._room.uploads.policy(model, place)
            reply = tell(request, {"request_id": request.request_id, "data": data})
        except RefusedError as refused:
            reply = refuse(request, refused.refusal)
        return self._act(arrived, request, reply)

    async def upload(self, arrived: Arrived) -> Act:
        """Store what a form brings; the storage answers with nothing, or in XML."""
        request = _request(arrived, native_protocol.WIRE, self._room.schedule.next(UPLOAD_KINDS))
        try:
            async with self._places, asyncio.timeout(BODY_S):
                status = await self._store(arrived, request.fault)
            reply = Reply(status=status, parts=(b"",), media_type="text/plain")
        except (TimeoutError, ClientDisconnect):
            reply = _in_xml(INCOMPLETE, request.request_id)
        except DeniedError as denied:
            reply = _in_xml(denied.denial, request.request_id)
        return self._act(arrived, request, reply)

    async def _store(self, arrived: Arrived, fault: Kind | None) -> int:
        """Store the form's file and return the status that the form wants to see."""
        length = arrived.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_FORM_BYTES:
            await _drain(arrived)
            raise DeniedError(TOO_LARGE if length.isdecimal() else NO_LENGTH)
        try:
            form = await arrived.form(max_files=1)
        except HTTPException:
            raise DeniedError(NO_FORM) from None
        try:
            if fault is not None:
                raise DeniedError(EXPIRED)
            if "authorization" in arrived.headers:
                raise DeniedError(KEY_SHOWN)
            fields, content = _before_the_file(form)
            await self._work(self._room.uploads.receive, fields, content)
        finally:
            await form.close()
        return 200 if fields.get("success_action_status") == "200" else 204

    async def models(self, arrived: Arrived) -> Act:
        """List the models of the compatible protocol."""
        request = _request(arrived, compatible_protocol.WIRE)
        rows = [
            {"id": name, "object": "model", "created": 0, "owned_by": "system"}
            for name in self._room.models()
        ]
        try:
            refuse_key(request.headers)
            reply = tell(request, {"object": "list", "data": rows})
        except RefusedError as refused:
            reply = refuse(request, refused.refusal)
        return self._act(arrived, request, reply)

    async def astray(self, served: frozenset[str], arrived: Arrived) -> Act:
        """Answer what is asked at no path that is served, or in another way."""
        await _drain(arrived)
        is_compatible = arrived.url.path.startswith(COMPATIBLE)
        request = _request(
            arrived, compatible_protocol.WIRE if is_compatible else native_protocol.WIRE
        )
        is_served = arrived.url.path in served
        reply = refuse(request, refusals.WRONG_METHOD if is_served else refusals.NO_SUCH_PATH)
        return self._act(arrived, request, reply)

    async def _work(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do what takes time in one of the room's threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._room.workers, work, *arguments)

    def _act(self, arrived: Arrived, request: Request, reply: Reply | None) -> Act:
        """Write the journal; what is returned then sends the answer."""
        visit = Visit(
            method=arrived.method,
            path=arrived.url.path,
            model=request.model,
            audio_sha256=request.audio_sha256,
            status=None if reply is None else reply.status,
            request_id=request.request_id,
            streams=request.streams,
            fault=None if request.fault is None else str(request.fault),
        )
        self._room.journal.add(visit)
        return Act(reply=reply, fault=request.fault)


def _request(
    arrived: Arrived, wire: Wire, fault: Kind | None = None, body: bytes | Refusal = b""
) -> Request:
    port = arrived.scope["server"][1]
    return Request(wire=wire, headers=dict(arrived.headers), body=body, fault=fault, port=port)


async def _body(arrived: Arrived) -> bytes | Refusal:
    """The whole body, or why it is refused; what is too much of it is read and forgotten."""
    body = bytearray()
    size_bytes = 0
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in arrived.stream():
                size_bytes += len(chunk)
                if size_bytes <= MAX_BODY_BYTES:
                    body += chunk
                else:
                    body.clear()
    except (TimeoutError, ClientDisconnect):
        return refusals.SLOW_REQUEST
    return bytes(body) if size_bytes <= MAX_BODY_BYTES else refusals.large_body(MAX_BODY_BYTES)


async def _drain(arrived: Arrived) -> None:
    """Read a body that nobody wants."""
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(BODY_S):
            async for _ in arrived.stream():
                pass


def _before_the_file(form: FormData) -> tuple[dict[str, str], BinaryIO | None]:
    """The fields of a form and its file; whatever comes after the file is not looked at."""
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            return fields, value.file if name == "file" else None
        fields[name] = value
    return fields, None


def _in_xml(denial: Denial, request_id: str) -> Reply:
    return Reply(
        status=denial.status, parts=(denial.xml(request_id),), media_type="application/xml"
    )
