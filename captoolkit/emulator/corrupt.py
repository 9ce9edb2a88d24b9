"""What a fault makes of an answer, where it is still an answer. Pure."""

from __future__ import annotations

from dataclasses import replace

from captoolkit.emulator import refusals
from captoolkit.emulator.fault_injection import Kind
from captoolkit.emulator.replies import Reply

# Faults that come in place of an answer, which is then not made at all.
REFUSALS = {
    Kind.THROTTLE: refusals.THROTTLED,
    Kind.QUOTA: refusals.QUOTA_GONE,
    Kind.KEY: refusals.BAD_KEY,
    Kind.ERROR500: refusals.FAILED,
    Kind.DOWNLOAD_ERROR: refusals.SLOW_DOWNLOAD,
    Kind.POLICY_THROTTLE: refusals.THROTTLED,
}
UNANSWERED = frozenset({Kind.HANG, Kind.RESET})
ELSEWHERE = "/elsewhere"  # where a redirect leads

HEADER_BYTES = 1 << 20
PAGE = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center></body>
</html>
"""


def page() -> Reply:
    """Return what a gateway sends when what is behind it does not answer."""
    return Reply(status=502, parts=(PAGE,), media_type="text/html")


def redirect(port: int) -> Reply:
    """Return the way to another host name, which is this emulator as well: so it can be seen."""
    location = f"http://localhost:{port}{ELSEWHERE}"
    return Reply(status=307, parts=(b"",), headers={"Location": location}, media_type="text/plain")


def spoil(reply: Reply, kind: Kind | None) -> Reply:
    """Return the answer as a fault leaves it; most leave it as it is and spoil its sending."""
    half = reply.parts[: len(reply.parts) // 2]
    if kind is Kind.BIGHEADER:
        return replace(reply, headers={**reply.headers, "X-Padding": "x" * HEADER_BYTES})
    if kind is Kind.SSE_ERROR and reply.failure:
        return replace(reply, parts=(*(half if reply.streams else ()), reply.failure))
    if kind is Kind.BREAK and reply.streams:
        return replace(reply, parts=half)
    return reply
