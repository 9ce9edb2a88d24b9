r"""Where text may be broken: into sentences, into lines as subtitles have them, into a title.

Rules: no character is ever lost but the space that a line is broken at. Widths are columns: a
wide (East Asian) character fills two, a combining one none. A word is never broken, except that
text without spaces between words breaks between two of its wide characters, but not before a
closing mark nor behind an opening one. Any text is gone through once, whatever it is made of: what
matches a run of characters takes all of it and begins only where the run does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate, takewhile

LINE_COLUMNS = 42  # the width that subtitle style guides give a line
TITLE_COLUMNS = 72
MORE = "…"

_WIDE_STOPS = "。！？"
_AFTER_WIDE_STOP = "”’」』）】》"
_SENTENCE_END = re.compile(
    r"""(?<![.!?…])[.!?…]++["'”’»)\]]*+\s++(?=[^a-z])"""  # a small letter goes on: "approx. ten"
    rf"|(?<![{_WIDE_STOPS}])[{_WIDE_STOPS}]++[{_AFTER_WIDE_STOP}]*+\s*+(?=.)"
    r"|(?<![।॥؟۔])[।॥؟۔]++\s++(?=.)"
    r"|(?<!\s)[^\S\n]*+\n[^\S\n]*+\n\s*+(?=.)"
)
_WORD = re.compile(r"(?:\A +)?[^ ]+ *")
_SPACED_WORD = re.compile(r"(?:\A\s+)?\S+\s*")
_CLOSING = frozenset("、。，．：；！？）」』】》〉〕”’…—～%℃·")
_OPENING = frozenset("（「『【《〈〔“‘")


def columns(text: str) -> int:
    """Return how many columns a text fills on one line.

    ```python
    >>> columns("rain"), columns("雨声"), columns("e\u0301")
    (4, 4, 1)

    ```
    """
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def sentences(text: str) -> list[str]:
    r"""Return the sentences of a text with the spaces behind them; together they are the text.

    ```python
    >>> sentences("A dog. It barks 3.5 times!\n\nRain")
    ['A dog. ', 'It barks 3.5 times!\n\n', 'Rain']
    >>> sentences("一位女士。“雨声。”风")
    ['一位女士。', '“雨声。”', '风']

    ```
    """
    said: list[str] = []
    start = seen = 0
    has_words = False
    for found in _SENTENCE_END.finditer(text):
        has_words = has_words or any(map(str.isalpha, text[seen : found.end()]))
        seen = found.end()
        if has_words:  # "1." begins one
            said.append(text[start:seen])
            start, has_words = seen, False
    rest = text[start:]
    return [*said, rest] if rest or not said else said


def may_go_on(text: str) -> bool:
    """Return whether a sentence may follow with no space between, as Chinese and Japanese have it.

    ```python
    >>> may_go_on("一位女士。”"), may_go_on("A dog.")
    (True, False)

    ```
    """
    return text.rstrip(_AFTER_WIDE_STOP).endswith(tuple(_WIDE_STOPS))


def words_with_spaces(text: str) -> list[str]:
    """Return the words of a text with the spaces around them; together they are the text.

    ```python
    >>> words_with_spaces("A dog  barks ")
    ['A ', 'dog  ', 'barks ']

    ```
    """
    return _SPACED_WORD.findall(text) or [text]


def wrapped(line: str, *, width: int = LINE_COLUMNS) -> list[str]:
    """Return a line as lines of at most so many columns; only one that cannot break is longer.

    ```python
    >>> wrapped("a dog barks", width=6)
    ['a dog', 'barks']
    >>> wrapped("一位女士在说话。", width=10)
    ['一位女士在', '说话。']

    ```
    """
    if columns(line) <= width:
        return [line]
    lines: list[str] = []
    current, filled = "", 0
    for chunk in _chunks(line):
        size = columns(chunk.rstrip(" "))
        if current and filled + size > width:
            lines.append(current.rstrip(" "))
            current, filled = "", 0
        current += chunk
        filled += columns(chunk)
    return [*lines, current.rstrip(" ")]


def _chunks(line: str) -> Iterator[str]:
    """The pieces between which a line may break, each with the spaces behind it."""
    if line.isascii():
        yield from _WORD.findall(line)
        return
    start = 0
    for place in range(1, len(line)):
        if _may_break(line[place - 1], line[place]):
            yield line[start:place]
            start = place
    yield line[start:]


def _may_break(before: str, after: str) -> bool:
    if after == " ":
        return False
    if before == " ":
        return True
    if before in _OPENING or after in _CLOSING or 0 in (_width(before), _width(after)):
        return False
    return 2 in (_width(before), _width(after)) and (
        before not in _CLOSING or _width(after) == 2 or after.isalnum()
    )


def title(said: str, *, width: int = TITLE_COLUMNS) -> str:
    """Return a line that fits so many columns; where that is not all of it, it ends in `…`.

    ```python
    >>> title("A dog. It barks."), title("A dog. It barks.", width=8)
    ('A dog. It barks.', 'A dog. …')
    >>> title("A dog that barks", width=8)
    'A dog …'

    ```
    """
    if columns(said) <= width:
        return said
    first = sentences(said)[0].rstrip()
    if columns(first) + 2 <= width:
        return f"{first} {MORE}"
    line = wrapped(said, width=width - 2)[0]
    filled = accumulate(map(_width, line))
    fitting = sum(1 for _ in takewhile(lambda reached: reached <= width - 2, filled))
    return f"{line[:fitting]} {MORE}"
