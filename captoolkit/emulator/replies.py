"""HTTP replies as values, and how a fault changes or replaces one. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.chat import ChatRequest, ModelAnswer
from captoolkit.emulator.fault_injection import FaultKind
from captoolkit.emulator.refusals import Refusal

JSON, EVENTS = "application/json", "text/event-stream;charset=UTF-8"

# Faults that are refusals; they replace the model's answer.
REFUSALS = {
    FaultKind.THROTTLE: refusals.THROTTLED,
    FaultKind.QUOTA: refusals.QUOTA_GONE,
    FaultKind.KEY: refusals.BAD_KEY,
    FaultKind.ERROR500: refusals.FAILED,
    FaultKind.DOWNLOAD_ERROR: refusals.SLOW_DOWNLOAD,
    FaultKind.POLICY_THROTTLE: refusals.THROTTLED,
}
UNANSWERED = frozenset({FaultKind.HANG, FaultKind.RESET})
REDIRECT_PATH = "/elsewhere"

PADDING_BYTES = 1 << 20
GATEWAY_PAGE = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center></body>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """An HTTP reply as a value.

    Attributes:
        parts: the body: one part for a document, one part for each event of a stream.
        streams: the body is sent in chunks, without a length.
        failure: an event that can end the stream, or a document that can replace the body, and
            that reports an error although the status is 200.
    """

    status: int
    parts: tuple[bytes, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON
    streams: bool = False
    failure: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProtocol:
    """How one protocol is read and written.

    Attributes:
        read: JSON object and headers (names in lower case) -> the request; raises RefusedError.
        answer: the model's answer and the request -> the reply.
        refuse: refusal, request id, whether the client requested a stream -> the reply.
        is_compatible: it is OpenAI's, which not every model has.
    """

    read: Callable[[Mapping[str, Any], Mapping[str, str]], ChatRequest]
    answer: Callable[[ModelAnswer, ChatRequest], HttpReply]
    refuse: Callable[[Refusal, str, bool], HttpReply]
    is_compatible: bool


def encode_json(body: Mapping[str, Any]) -> bytes:
    """Return a JSON document as the services write it: no spaces, UTF-8 without escapes.

    The document may repeat client text that has no UTF-8 form; `?` replaces it.
    """
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def gateway_page() -> HttpReply:
    """Return the page that a gateway sends when the server behind it does not answer."""
    return HttpReply(status=502, parts=(GATEWAY_PAGE,), media_type="text/html")


def redirect(port: int) -> HttpReply:
    """Return a redirect to another host name of this emulator; its journal shows followers."""
    location = f"http://localhost:{port}{REDIRECT_PATH}"
    headers = {"Location": location}
    return HttpReply(status=307, parts=(b"",), headers=headers, media_type="text/plain")


def apply_fault(reply: HttpReply, kind: FaultKind | None) -> HttpReply:
    """Return the reply as a fault changes it; most faults change how it is sent instead."""
    half = reply.parts[: len(reply.parts) // 2]
    if kind is FaultKind.BIGHEADER:
        return replace(reply, headers={**reply.headers, "X-Padding": "x" * PADDING_BYTES})
    if kind is FaultKind.SSE_ERROR and reply.failure:
        return replace(reply, parts=(*(half if reply.streams else ()), reply.failure))
    if kind is FaultKind.BREAK and reply.streams:
        return replace(reply, parts=half)
    return reply
