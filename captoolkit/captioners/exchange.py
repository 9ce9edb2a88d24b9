"""What goes to a service and what comes back, and whoever carries it.

Rules: bytes and headers, no library's types. What a service says is cleaned before it is put into
a message, a name or a log.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

EXCERPT_CHARS = 200
CODE_CHARS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent: a JSON body, and the path below the base URL that it goes to."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, whole; the names of the headers are in lower case."""

    status_code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Sender(Protocol):
    """What carries a request to a service and brings the reply."""

    @property
    def base_url(self) -> str:
        """Where requests go."""
        ...

    def post(self, request: Request) -> Reply:
        """Send `request` and return the reply, whatever its status."""
        ...

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        ...


def request_id_of(reply: Reply, stated: str | None) -> str | None:
    """Return what the service's support asks for: from the body, or else from the header."""
    return clean(stated or reply.headers.get("x-request-id", ""), CODE_CHARS) or None


def clean(text: str, most_chars: int) -> str:
    r"""Return `text` on one line, without control characters, cut to `most_chars`.

    ```python
    >>> clean("Bad\x1b[31m   request\r\n", 100), clean("abcdef", 4)
    ('Bad [31m request', 'abc…')

    ```
    """
    # Category C: control, format (bidirectional overrides among them), surrogates, unassigned.
    letters = text[: 8 * most_chars]  # enough to fill the line, however long the text is
    shown = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in letters)
    line = " ".join(shown.split())
    return line if len(line) <= most_chars else f"{line[: most_chars - 1]}…"
