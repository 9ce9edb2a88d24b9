r"""Striking a key out of everything that a server sends back.

Rules: pure. A key is found in plain text and in the escapes of JSON (`\/`, `\u0073`), also where
one JSON text holds another, so the text may be decoded afterwards. `RedactedStream` finds a key
that arrives in pieces.
"""

from __future__ import annotations

import re

# A shorter key (`EMPTY`, `none`) is a placeholder and may be a word of a caption; only a longer
# one is struck out of answers.
SECRET_CHARS = 12
STRUCK_OUT = "[key]"


class Redactor:
    r"""Replaces a key in texts.

    ```python
    >>> Redactor("sk-secret/0123").text(r"Bearer sk-secret\/0123, s\u006B-secret/0123")
    'Bearer [key], [key]'

    ```

    Args:
        key: the key; empty for none.
    """

    def __init__(self, key: str = "") -> None:
        self.key = key if len(key) >= SECRET_CHARS else ""
        letters = re.sub(r"\\+", r"\\", self.key)
        self._pattern = re.compile(r"(?<!\\)" + "".join(map(_letter_pattern, letters)))

    def text(self, text: str) -> str:
        """Return `text` without the key."""
        if not self.key or (self.key not in text and "\\" not in text):
            return text
        return self._pattern.sub(STRUCK_OUT, text)

    def body(self, body: bytes) -> bytes:
        """Return the bytes of an answer without the key, which is ASCII."""
        return self.text(body.decode("latin-1")).encode("latin-1") if self.key else body


def _letter_pattern(letter: str) -> str:
    r"""Return the pattern of a letter: backslashes and the letter, or one and its number (`u0073`).

    No pattern gives a backslash back (`*+`), and none begins among backslashes, so that the time
    for an answer full of backslashes grows with its length and not with the square of it.
    """
    if letter == "\\":
        return r"(?:\\++(?:u(?i:005c))?)++"  # a run of them, which notations multiply
    return rf"\\*+(?:{re.escape(letter)}|(?<=\\)u(?i:00{ord(letter):02x}))"


NO_KEY = Redactor()


class RedactedStream:
    """A text that arrives in pieces, without the key.

    An end that may be the beginning of the key is held back until the next piece.

    ```python
    >>> stream = RedactedStream(Redactor("sk-secret/0123"))
    >>> [stream.add("I heard sk-se"), stream.add("cret/0123 and sk-"), stream.end()]
    ['I heard ', '[key] and ', 'sk-']

    ```
    """

    def __init__(self, redactor: Redactor) -> None:
        self._key = redactor.key
        self._held = ""

    def add(self, piece: str) -> str:
        """Return the text that a piece makes certain."""
        if not self._key:
            return piece
        before, match, rest = (self._held + piece).rpartition(self._key)
        begun = next(
            (
                chars
                for chars in range(min(len(self._key) - 1, len(rest)), 0, -1)
                if self._key.startswith(rest[-chars:])
            ),
            0,
        )
        certain, self._held = rest[: len(rest) - begun], rest[len(rest) - begun :]
        return before.replace(self._key, STRUCK_OUT) + (STRUCK_OUT if match else "") + certain

    def end(self) -> str:
        """Return the text that was held back."""
        held, self._held = self._held, ""
        return held
