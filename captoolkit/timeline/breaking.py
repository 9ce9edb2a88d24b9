r"""Text breaking: into sentences, into lines of subtitle width, into a title.

Rules: no character is lost except the space at which a line is broken. Widths are columns: a wide
(East Asian) character has two, a combining character none. Words are not broken, except that text
without spaces between words breaks between two wide characters, but not before a closing mark or
after an opening one. A number stays on the line of its unit if both fit there and another word
stays on the line above. Every function takes linear time for any text: a pattern that matches a run
of characters matches all of it, and only at its start.
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
    r"""(?<![.!?…])[.!?…]++["'”’»)\]]*+\s++(?=[^a-z])"""  # not in "approx. ten"
    rf"|(?<![{_WIDE_STOPS}])[{_WIDE_STOPS}]++[{_AFTER_WIDE_STOP}]*+\s*+(?=.)"
    r"|(?<![।॥؟۔])[।॥؟۔]++\s++(?=.)"
    r"|(?<!\s)[^\S\n]*+\n[^\S\n]*+\n\s*+(?=.)"
)
_WORD = re.compile(r"(?:\A +)?[^ ]+ *")
_SPACED_WORD = re.compile(r"(?:\A\s+)?\S+\s*")
_NUMBER = re.compile(r"[(\[]?[-+−~≈]?\d[\d.,:/]* *")
_UNITS = frozenset(
    (
        *("Hz", "kHz", "MHz", "dB", "dBFS", "dBTP", "LU", "LUFS", "s", "ms", "min", "h"),
        *("%", "°", "°C", "°F", "m", "cm", "mm", "km", "km/h", "mph", "bpm", "BPM", "fps"),
        *("kbit/s", "MB", "kB"),
    )
)
_AFTER_UNIT = ".,;:!?)]"
_CLOSING = frozenset("、。，．：；！？）」』】》〉〕”’…—～%℃·")
_OPENING = frozenset("（「『【《〈〔“‘")


def columns(text: str) -> int:
    """Return the number of columns that a text fills on one line.

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
    r"""Return the sentences of a text with their trailing spaces; joined, they are the text.

    ```python
    >>> sentences("A dog. It barks 3.5 times!\n\nRain")
    ['A dog. ', 'It barks 3.5 times!\n\n', 'Rain']
    >>> sentences("一位女士。“雨声。”风")
    ['一位女士。', '“雨声。”', '风']

    ```
    """
    found: list[str] = []
    start = reached = 0
    has_words = False
    for end in _SENTENCE_END.finditer(text):
        has_words = has_words or any(map(str.isalpha, text[reached : end.end()]))
        reached = end.end()
        if has_words:  # without a letter, as in "1.", it is the beginning of a sentence
            found.append(text[start:reached])
            start, has_words = reached, False
    rest = text[start:]
    return [*found, rest] if rest or not found else found


def needs_no_space_after(text: str) -> bool:
    """Return whether a sentence may follow without a space, as in Chinese and Japanese.

    ```python
    >>> needs_no_space_after("一位女士。”"), needs_no_space_after("A dog.")
    (True, False)

    ```
    """
    return text.rstrip(_AFTER_WIDE_STOP).endswith(tuple(_WIDE_STOPS))


def words_with_spaces(text: str) -> list[str]:
    """Return the words of a text with the spaces around them; joined, they are the text.

    ```python
    >>> words_with_spaces("A dog  barks ")
    ['A ', 'dog  ', 'barks ']

    ```
    """
    return _SPACED_WORD.findall(text) or [text]


def wrapped(line: str, *, width: int = LINE_COLUMNS) -> list[str]:
    """Return a line broken into lines of at most `width` columns, longer only if unbreakable.

    ```python
    >>> wrapped("a dog barks", width=6)
    ['a dog', 'barks']
    >>> wrapped("a tone of 249 Hz", width=13)
    ['a tone of', '249 Hz']
    >>> wrapped("一位女士在说话。", width=10)
    ['一位女士在', '说话。']

    ```
    """
    if columns(line) <= width:
        return [line]
    lines: list[str] = []
    current: list[str] = []
    filled = 0
    for chunk in _chunks(line):
        size = columns(chunk.rstrip(" "))
        if current and filled + size > width:
            kept = _number_before(chunk, current, width=width - size)
            lines.append("".join(current[: len(current) - len(kept)]).rstrip(" "))
            current, filled = kept, sum(map(columns, kept))
        current.append(chunk)
        filled += columns(chunk)
    return [*lines, "".join(current).rstrip(" ")]


def _number_before(chunk: str, line: list[str], *, width: int) -> list[str]:
    """The number at the end of a line, if the chunk after it is its unit; empty otherwise."""
    is_unit = chunk.rstrip(" ").rstrip(_AFTER_UNIT) in _UNITS
    if is_unit and len(line) > 1 and _NUMBER.fullmatch(line[-1]) and columns(line[-1]) <= width:
        return line[-1:]
    return []


def _chunks(line: str) -> Iterator[str]:
    """The pieces between which a line may break, each with its trailing spaces."""
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


def shortened(line: str, *, width: int = TITLE_COLUMNS) -> str:
    """Return a line cut to at most `width` columns; a cut line ends in `…`.

    ```python
    >>> shortened("A dog. It barks."), shortened("A dog. It barks.", width=8)
    ('A dog. It barks.', 'A dog. …')
    >>> shortened("A dog that barks", width=8)
    'A dog …'

    ```
    """
    if columns(line) <= width:
        return line
    first = sentences(line)[0].rstrip()
    if columns(first) + 2 <= width:
        return f"{first} {MORE}"
    beginning = wrapped(line, width=width - 2)[0]
    filled = accumulate(map(_width, beginning))
    fitting = sum(1 for _ in takewhile(lambda reached: reached <= width - 2, filled))
    return f"{beginning[:fitting]} {MORE}"
