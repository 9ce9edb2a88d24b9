"""What goes to a service and what comes back, and whoever carries it.

Rules: bytes and headers, no library's types. What a service says is cleaned before it is put into
a message, a name or a log.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

import msgspec

EXCERPT_CHARS = 200
CODE_CHARS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent: a JSON body, and the path below the base URL that it goes to.

    Attributes:
        base_url: another base URL of the same host; the sender's own if None.
    """

    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form with a file in it, for a host of its own, which is never sent the key.

    Attributes:
        url: where it goes, whole.
        fields: in the order in which they are sent; they may sign for an account.
        file: what is sent after them, under `name`.
    """

    url: str
    fields: Mapping[str, str] = field(repr=False)
    file: Path
    name: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, whole; the names of the headers are in lower case."""

    status_code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """What is coming back: the head of a reply, and its body while it comes.

    Attributes:
        blocks: the body, block by block; each ends where a line does, the last where the body does.
    """

    status_code: int
    blocks: Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


class Sender(Protocol):
    """What carries a request to a service and brings the reply."""

    @property
    def base_url(self) -> str:
        """Where requests go."""
        ...

    def open(self, request: Request) -> AbstractContextManager[Arriving]:
        """Send `request` and give the reply, whatever its status, as it comes."""
        ...

    def post(self, request: Request) -> Reply:
        """Send `request` and return the reply, whatever its status."""
        ...

    def send_form(self, form: Form) -> Reply:
        """Send a form, without the key, and return the reply, whatever its status."""
        ...

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        ...


def request_id_of(reply: Reply, stated: str | None) -> str | None:
    """Return what the service's support asks for: from the body, or else from the header."""
    return clean(stated or reply.headers.get("x-request-id", ""), CODE_CHARS) or None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long a service wants to be left alone; None where it does not say.

    Three forms: `retry-after-ms`, and `Retry-After` in seconds or as a date, which is counted from
    the service's own `Date` where it states one (RFC 9110, section 10.2.3).

    ```python
    >>> retry_after_s({"retry-after": "1.5"}), retry_after_s({"retry-after-ms": "20"})
    (1.5, 0.02)

    ```
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if math.isfinite(wait_s):
            return max(0.0, wait_s)
    until = _date(headers.get("retry-after", ""))
    if until is None:
        return None
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        read = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


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


def parse_json(body: bytes) -> object:
    r"""Return the JSON value in `body`.

    A text may hold half of a letter: some services cut their streams into pieces of UTF-16, and
    then the escape `\ud83d` stands in one piece and `\ude00` in the next.

    Raises:
        ValueError: there is none.
    """
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):  # it takes no half of a letter
        pass
    try:
        return json.loads(body.decode())
    except RecursionError as error:
        raise ValueError("too deep") from error
