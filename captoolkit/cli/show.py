"""Text for the terminal: data on standard output, messages on standard error.

Rules: text from a file, a service or a tag may hold anything; a terminal must not obey it. A URL is
shown without its login and its query.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from captoolkit.errors import UsageError


def printable(text: str) -> str:
    r"""Return `text` with `?` in place of every character that a terminal could obey.

    ```python
    >>> printable("a\x1b[31mb")
    'a?[31mb'

    ```
    """
    return "".join(char if char.isprintable() else "?" for char in text)


def display_source(name: str) -> str:
    """Return an input's name for display: a path, or a URL without its secret parts."""
    if name == "-":
        return "standard input"
    from captoolkit.media.source import is_web_url, public_url

    try:
        return public_url(name) if is_web_url(name) else name
    except UsageError:  # even an invalid URL may hold a password
        return "the URL"


def display_path(path: str | Path) -> str:
    """Return a path relative to the current folder if it is inside; otherwise unchanged."""
    with contextlib.suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return str(path)


def print_line(text: str = "") -> None:
    """Write one line of data to standard output."""
    click.echo(printable(text))


def print_text(text: str) -> None:
    """Write part of a text to standard output at once, with its line breaks."""
    click.echo("\n".join(printable(line) for line in text.split("\n")), nl=False)


def print_table(rows: Iterable[Sequence[str]], *, indent: str = "") -> None:
    """Write rows with aligned columns to standard output."""
    for line in aligned(rows, indent=indent):
        print_line(line)


def print_json(command: str, fields: Mapping[str, Any]) -> None:
    """Write a command's JSON document to standard output."""
    from captoolkit.support.exact_json import render

    click.echo(render({"format": f"captoolkit.{command}/1", **fields}), nl=False)


def print_message(text: str) -> None:
    """Write one line to standard error."""
    click.echo(printable(text), err=True)


def print_error(problem: str, *, request_id: str | None = None) -> None:
    """Write one error line to standard error; the request id is for the service's support."""
    print_message(f"error: {problem}" + (f" [request id {request_id}]" if request_id else ""))


def aligned(rows: Iterable[Sequence[str]], *, indent: str = "") -> list[str]:
    """Return rows as lines with aligned columns, two spaces apart.

    ```python
    >>> aligned([("a", "1"), ("long", "2")])
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


def plural(number: int, noun: str) -> str:
    """Return `1 segment`, `2 segments`, `30,750 tokens`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
