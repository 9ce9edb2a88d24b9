"""Requests and responses as values, and the texts in them.

Rules: bytes and headers, no types of an HTTP library. `clean` is applied to every text of a
service before it appears in a message, a name or a log.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from captoolkit.net.redaction import NO_KEY, Redactor

EXCERPT_CHARS = 200
CODE_CHARS = 100
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """A request with a JSON body.

    Attributes:
        path: below the base URL.
        base_url: another base URL of the same host; the client's own if None.
    """

    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadForm:
    """A form with a file, for a host of its own, which never receives the key.

    Attributes:
        url: the whole address.
        fields: in the order in which they are sent; they may sign for an account.
        file: sent after the fields, under `name`.
    """

    url: str
    fields: Mapping[str, str] = field(repr=False)
    file: Path
    name: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A complete response; the names of its headers are in lower case."""

    status_code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingResponse:
    """The head of a response, and its body while it arrives.

    Attributes:
        blocks: the body, block by block; each ends where a line does, the last where the body does.
        redactor: strikes the key out of texts that are put together from several blocks.
    """

    status_code: int
    blocks: Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    redactor: Redactor = NO_KEY


def request_id_of(response: Response, stated: str | None) -> str | None:
    """Return the id that the service's support needs: from the body, else from the header."""
    return clean(stated or response.headers.get("x-request-id", ""), CODE_CHARS) or None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long a service wants the client to wait; None where it states nothing.

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
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


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

    A byte order mark before it is skipped, and U+FFFD replaces bytes that are not UTF-8. Some
    services cut their streams into pieces of UTF-16: the escape `\ud83d` stands in one piece and
    `\ude00` in the next. msgspec refuses such a half; the standard library accepts it.

    ```python
    >>> parse_json(b'\xef\xbb\xbf{"text": "caf\xe9"}')
    {'text': 'caf\ufffd'}

    ```

    Raises:
        ValueError: the body holds no JSON value.
    """
    body = body.removeprefix(BOM)
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(body.decode(errors="replace"))
    except RecursionError as error:
        raise ValueError("too deep") from error
