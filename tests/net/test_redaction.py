"""A key is struck out of plain, escaped and divided texts."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.net.redaction import STRUCK_OUT, RedactedStream, Redactor

KEY = "sk-a/b.c|u0123+4567"
ESCAPED = "".join(f"\\u{ord(letter):04X}" for letter in KEY)


@pytest.mark.parametrize(
    "text",
    [
        f"wrong key {KEY}",
        json.dumps({"message": f"wrong key {KEY}"}),
        json.dumps({"message": KEY}).replace("/", r"\/"),
        json.dumps({"message": json.dumps({"key": KEY}).replace("/", r"\/")}),
        f'{{"message": "{ESCAPED}"}}',
        json.dumps({"message": f'{{"message": "{ESCAPED.lower()}"}}'}),
    ],
)
def test_a_key_is_found_in_every_notation(text: str) -> None:
    """Plain, with escapes, and in a JSON text within another: nothing of the key is left."""
    shown = Redactor(KEY).text(text)
    assert STRUCK_OUT in shown
    assert "0123" not in shown
    assert Redactor(KEY).body(text.encode()) == shown.encode()


def test_a_key_with_a_backslash_is_found() -> None:
    """A backslash may be a letter of the key, in any notation."""
    key = "sk\\\\a-0123456789\\"
    for text in (key, json.dumps(key), json.dumps(json.dumps(key)), json.dumps(f'"{key}"')):
        assert "0123" not in Redactor(key).text(text)


def test_an_answer_full_of_backslashes_takes_no_time() -> None:
    """The time grows with the length of an answer, and not with the square of it."""
    body = b"\\" * 200_000 + b"s" + b"\\" * 200_000
    begun_s = time.process_time()
    assert Redactor(KEY).body(body) == body
    assert time.process_time() - begun_s < 2


def test_a_placeholder_is_no_key() -> None:
    """A short key may be a word of a caption, and another case is another text."""
    assert Redactor("EMPTY").text("EMPTY") == "EMPTY"
    assert Redactor().text(r"a\u0073") == r"a\u0073"
    assert Redactor(KEY).text(KEY.upper()) == KEY.upper()


@given(
    words=st.lists(st.sampled_from([KEY, KEY[:5], KEY[-4:], "s", "rain ", "sk"])),
    size=st.integers(1, 9),
)
def test_a_key_in_pieces_is_found(words: list[str], size: int) -> None:
    """The pieces of a text give the text that the whole gives, whatever their size."""
    text = "".join(words)
    stream = RedactedStream(Redactor(KEY))
    pieces = [stream.add(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join([*pieces, stream.end()]) == text.replace(KEY, STRUCK_OUT)
