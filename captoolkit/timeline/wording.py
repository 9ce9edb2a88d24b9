r"""The text of an entry, safe to show: the same in every format that people read.

Rules: words and their order never change. Every kind of line end becomes `\n`, and so do the
separators at which other readers break lines (U+2028, form feed, ...). A tab becomes a space. Other
control characters, lone surrogates, U+FFFE and U+FFFF become U+FFFD, the replacement that WebVTT
and CommonMark themselves specify: visible, and harmless in a terminal. XML forbids the last two,
and players drop a cue that has one of them.
"""

from __future__ import annotations

import re
from itertools import groupby

from captoolkit.model import Entry, Status

SILENCE = "[silence]"
EMPTY_CAPTION = "[empty caption]"
NO_REASON = "reason unknown"
# The title of the time before the first entry, where a list of chapters has to begin at 0:00.
BEFORE_FIRST = "[no caption]"

_UNSHOWABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def paragraphs(entry: Entry) -> list[list[str]]:
    r"""Return the paragraphs to show for an entry, each a list of lines; never empty.

    A failed or silent entry begins with a marker in brackets; its text, if it has any, follows.

    ```python
    >>> from captoolkit.model import Span
    >>> span = Span(start_samples=0, end_samples=1, rate_hz=1)
    >>> paragraphs(Entry(index=1, source_span=span, status=Status.OK, text="A dog.\n\nRain."))
    [['A dog.'], ['Rain.']]
    >>> paragraphs(Entry(index=1, source_span=span, status=Status.FAILED, error="timed out"))
    [['[no caption: timed out]']]

    ```
    """
    texts = _filled_paragraphs(entry.text)
    if entry.status is Status.OK:
        return texts or [[EMPTY_CAPTION]]
    return [[_marker(entry)], *texts]


def detail_paragraphs(entry: Entry) -> list[list[str]]:
    """Return the paragraphs of an entry's details, each a list of lines; empty without details."""
    return _filled_paragraphs(entry.details)


def _filled_paragraphs(text: str) -> list[list[str]]:
    lines = [line.strip() for line in plain(text).split("\n")]
    return [list(group) for is_filled, group in groupby(lines, key=bool) if is_filled]


def caption_text(entry: Entry) -> str:
    """Return the paragraphs of an entry, without its details, with a blank line between them."""
    return "\n\n".join("\n".join(lines) for lines in paragraphs(entry))


def full_text(entry: Entry) -> str:
    """Return the paragraphs of an entry and of its details with a blank line between them."""
    shown = [*paragraphs(entry), *detail_paragraphs(entry)]
    return "\n\n".join("\n".join(lines) for lines in shown)


def text_in_one_line(entry: Entry) -> str:
    """Return the paragraphs of an entry on a single line."""
    return " ".join(line for lines in paragraphs(entry) for line in lines)


def plain(text: str) -> str:
    r"""Return `text` with `\n` line ends and without control characters.

    ```python
    >>> plain("a\r\nb\tc \x1b[31m")
    'a\nb c �[31m'

    ```
    """
    unified = "\n".join(text.splitlines()).replace("\t", " ")
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", unified)


def one_line(text: str) -> str:
    """Return `text` without control characters and on a single line."""
    return " ".join(plain(text).split())


def _marker(entry: Entry) -> str:
    if entry.status is Status.SILENT:
        return SILENCE
    return f"[no caption: {one_line(entry.error or '') or NO_REASON}]"
