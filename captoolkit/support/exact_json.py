r"""JSON with exact decimals and readable text, for manifests and timelines.

Rules: times are seconds with six decimals, which identify a sample at any rate up to 768 kHz.
Amounts of money keep their digits and get no exponent. Text stays UTF-8, except characters that can
harm a terminal, break a line in another reader, or cannot be encoded (control characters, U+2028,
lone surrogates): they are written as `\uXXXX`. `msgspec` and `json` do not keep these rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal

from captoolkit.units import format_seconds

_encode = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` makes one for each value
_SPACE = re.compile(r"[ \t\n\r]*")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_UNREADABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def render(value: object) -> str:
    """Return `value` (of dicts, lists, texts, numbers, `Decimal`) as indented JSON text."""
    return _written(value, "") + "\n"


def render_line(value: object) -> str:
    """Return `value` as JSON text on one line, with a newline at the end."""
    return re.sub(r"\n *", "", _written(value, "").replace(",\n", ", \n")) + "\n"


def line_of(text: str, path: str) -> int:
    r"""Return the line, from 1, on which the value at `path` begins in JSON text.

    ```python
    >>> line_of('{"a": 1,\n "b": [1,\n 2]}', "$.b[1]")
    3

    ```
    """
    decoder, at = json.JSONDecoder(), _after_space(text, 0)
    for key, index in _STEP.findall(path):
        at = _child(decoder, text, at, index or key)
    return text.count("\n", 0, at) + 1


def _child(decoder: json.JSONDecoder, text: str, at: int, wanted: str) -> int:
    """Return the start of a member's value, or of an item, of the object or list at `at`."""
    is_object, at, number = text[at] == "{", _after_space(text, at + 1), 0
    while text[at] not in "}]":
        name = str(number)
        if is_object:
            name, at = decoder.raw_decode(text, at)
            at = _after_space(text, _after_space(text, at) + 1)
        if name == wanted:
            break
        _, at = decoder.raw_decode(text, at)
        at = _after_space(text, at)
        at = _after_space(text, at + 1) if text[at] == "," else at
        number += 1
    return at


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def seconds(samples: int, rate_hz: int) -> Decimal:
    """Return `samples` at `rate_hz` as seconds with six decimals."""
    return Decimal(format_seconds(samples, rate_hz))


def _written(value: object, margin: str) -> str:
    """Return `value` as JSON; `json.dumps` does not write a `Decimal`."""
    inner = f"{margin}  "
    match value:
        case dict():
            items = (f"{_written(key, '')}: {_written(item, inner)}" for key, item in value.items())
            return _block("{", items, "}", margin)
        case list() | tuple():
            return _block("[", (_written(item, inner) for item in value), "]", margin)
        case Decimal():
            return f"{value:f}"
        case _:
            return escape(_encode(value))


def _block(opening: str, items: Iterable[str], closing: str, margin: str) -> str:
    body = ",\n".join(f"{margin}  {item}" for item in items)
    return f"{opening}\n{body}\n{margin}{closing}" if body else opening + closing


def escape(text: str) -> str:
    """Return JSON text with escapes for the characters that harm a terminal or a reader."""
    return _UNREADABLE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
