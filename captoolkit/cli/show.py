"""How things are shown to a person: plain aligned text, safe for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from captoolkit.errors import UsageError


def clean(text: str) -> str:
    r"""Return `text` with everything a terminal could obey replaced by `?`.

    ```python
    >>> clean("a\x1b[31mb")
    'a?[31mb'

    ```
    """
    return "".join(char if char.isprintable() else "?" for char in text)


def shown(name: str) -> str:
    """Return an input's name as it may be shown: a URL without what only its owner may know."""
    from captoolkit.media.source import is_web_url, public_url

    try:
        return public_url(name) if is_web_url(name) else name
    except UsageError:  # what is no address may still hold somebody's password
        return "the URL"


def as_path(name: str) -> Path:
    """Return a path whose stem is what the files made of an input are called."""
    from captoolkit.media.source import is_web_url, stem_of

    try:
        return Path(f"{stem_of(name)}.url") if is_web_url(name) else Path(name)
    except UsageError:  # told when it is its turn
        return Path("source")


def say(text: str = "") -> None:
    """Write one line of data to standard output."""
    click.echo(clean(text))


def say_piece(text: str) -> None:
    """Write a piece of a text to standard output at once; its line breaks stay."""
    click.echo("\n".join(clean(line) for line in text.split("\n")), nl=False)


def note(text: str) -> None:
    """Write one line for the person to standard error."""
    click.echo(clean(text), err=True)


def columns(rows: Iterable[Sequence[str]], *, indent: str = "") -> list[str]:
    """Return rows as lines with aligned columns, two spaces apart.

    ```python
    >>> columns([("a", "1"), ("long", "2")])
    ['a     1', 'long  2']

    ```
    """
    table = [tuple(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return [
        indent
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def say_columns(rows: Iterable[Sequence[str]], *, indent: str = "") -> None:
    """Write rows with aligned columns."""
    for line in columns(rows, indent=indent):
        say(line)


def plural(number: int, noun: str) -> str:
    """Return `1 segment`, `2 segments`, `30,750 tokens`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
