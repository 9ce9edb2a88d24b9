"""Text for the terminal: data on standard output, messages on standard error.

Rules: text from a file, a service or a tag may hold anything; a terminal must not obey it. A URL is
shown without its login and its query.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from captoolkit.errors import CaptoolkitError
from captoolkit.units import format_count

if TYPE_CHECKING:
    from pathlib import Path

_KEYWORD = r"`([a-z_]+)`|\b([a-z_]+)=([^\s,;]+)"


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
    from captoolkit.media.source import public_url

    return public_url(name)


def display_path(path: str | Path) -> str:
    """Return a path relative to the current folder if it is inside; otherwise unchanged."""
    from pathlib import Path

    with contextlib.suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return str(path)


def configure(*, is_quiet: bool = False, is_verbose: bool = False, progress: str = "auto") -> None:
    """Set how messages are shown, for the command that begins."""
    _settings.is_quiet = is_quiet
    _settings.is_verbose = is_verbose
    _settings.progress = "off" if is_quiet and progress == "auto" else progress


def learn_options(command: click.Command) -> None:
    """Let messages name the parameters of a command and of its subcommands, for `name_options`.

    An argument has the name that the help shows, such as NAME.
    """
    group = command.commands.values() if isinstance(command, click.Group) else ()
    names: dict[str, str] = {}
    for parameter in (each for one in (command, *group) for each in one.params):
        shown = parameter.opts[0]
        if not isinstance(parameter, click.Option):
            shown = (parameter.metavar or shown).strip("[]")
        own = shown.removeprefix("--").replace("-", "_")  # --stem is the keyword `stem`, too
        names |= {own: shown, parameter.name or own: shown}
    _settings.options = names


def has_bars() -> bool:
    """Whether progress is shown as bars."""
    return _settings.progress == "auto" and sys.stderr.isatty()


def is_json() -> bool:
    """Whether messages are JSON objects."""
    return _settings.progress == "json"


@contextlib.contextmanager
def bars_below(print_above: Callable[[str], None]) -> Iterator[None]:
    """Let all lines for the terminal be printed by `print_above`, while bars are drawn."""
    before, _settings.print_above = _settings.print_above, print_above
    try:
        yield
    finally:
        _settings.print_above = before


class _Settings:
    """How this process shows messages."""

    is_quiet = False
    is_verbose = False
    progress = "auto"
    print_above: Callable[[str], None] | None = None
    options: Mapping[str, str] = {}


_settings = _Settings()


def _is_one_terminal() -> bool:
    """Whether standard output and standard error are the same terminal."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        return False
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except OSError:
        return False


def print_line(text: str = "") -> None:
    """Write one line of data to standard output."""
    if _settings.print_above is not None and _is_one_terminal():
        _settings.print_above(printable(text))
    else:
        click.echo(printable(text))


def print_sentence(text: str, *, indent: str = "") -> None:
    """Write a sentence to standard output: one line, on a terminal in lines of its width."""
    if not sys.stdout.isatty():
        print_line(f"{indent}{text}")
        return
    import shutil
    import textwrap

    lines = textwrap.wrap(
        text,
        shutil.get_terminal_size().columns,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        print_line(line)


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


def print_message(text: str, *, even_if_quiet: bool = False) -> None:
    """Write one line to standard error, unless the user wants errors only."""
    if is_json():
        print_event("message", text=text)
    elif even_if_quiet or not _settings.is_quiet:
        _print_on_error_stream(text)


def print_detail(text: str) -> None:
    """Write one line to standard error if the user wants details (-v)."""
    if _settings.is_verbose and not is_json():
        _print_on_error_stream(text)


def print_error(problem: str, *, name: str = "", request_id: str | None = None) -> None:
    """Write one error line to standard error.

    Args:
        problem: the problem and its remedy.
        name: the input concerned.
        request_id: for the service's support.
    """
    problem = f"{name}: {name_options(problem)}" if name else name_options(problem)
    if is_json():
        print_event("error", text=problem, request_id=request_id)
        return
    suffix = f" [request id {request_id}]" if request_id else ""
    _print_on_error_stream(f"error: {problem}{suffix}")


def print_warning(input_id: str, name: str, message: str) -> None:
    """Write a warning about an input to standard error."""
    message = name_options(message)
    if is_json():
        print_event("warning", input=input_id, text=message)
    else:
        print_message(f"warning: {name}: {message}")


def confirm_requests(count: int, place: str, *, is_most: bool) -> None:
    """Ask on the terminal whether requests may be sent.

    Args:
        count: the number of requests.
        place: the address of the service.
        is_most: whether the ledger may have some of the answers.

    Raises:
        CaptoolkitError: the user declined.
        click.Abort: the user pressed Ctrl-C, or the input ended.
    """
    number = f"{'at most ' if is_most else ''}{format_count(count, 'request')}"
    try:
        is_confirmed = click.confirm(f"Send {number} to {printable(place)}?", err=True)
    except click.Abort:
        click.echo(err=True)  # the next line does not begin after the question
        raise
    if not is_confirmed:
        raise CaptoolkitError("no request was sent", fix="answer yes, or pass --yes")


def name_options(text: str) -> str:
    """Return a message of the library with the options of the command instead of keywords.

    `captoolkit.errors` has the notation: `max_cost=0.5`, `overwrite=True`, or a name in backquotes.
    A keyword that is no option of the command stays unchanged.
    """

    def replace(match: re.Match[str]) -> str:
        option = _settings.options.get(match[1] or match[2])
        if option is None:
            return match[0]
        return option if match[3] in (None, "True") else f"{option} {match[3]}"

    return re.sub(_KEYWORD, replace, text)


def describe_retry(name: str, index: int, reason: str) -> str:
    """Return a line about a segment that is requested again, and why."""
    return f"{name}: segment {index} is requested again: {name_options(reason)}"


def print_event(event: str, **fields: Any) -> None:
    """Write a JSON object as one line to standard error, with `--progress json`."""
    if is_json():
        import json

        from captoolkit.support.exact_json import escape

        line = json.dumps({"event": event, **fields}, ensure_ascii=False)
        click.echo(escape(line), err=True)


def _print_on_error_stream(text: str) -> None:
    if _settings.print_above is not None:
        _settings.print_above(printable(text))
    else:
        click.echo(printable(text), err=True)


def aligned(rows: Iterable[Sequence[str]], *, indent: str = "") -> list[str]:
    """Return rows as lines with aligned columns, two spaces apart.

    ```python
    >>> aligned([("a", "1"), ("long", "2")])
    ['a     1', 'long  2']
    >>> aligned([("雨", "1"), ("ab", "2")])  # a Chinese character fills two columns
    ['雨  1', 'ab  2']

    ```
    """
    table = [tuple(row) for row in rows]
    widths = [max(_columns(cell) for cell in column) for column in zip(*table, strict=True)]
    return [
        indent
        + "  ".join(
            cell + " " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def _columns(text: str) -> int:
    """Return the number of columns that a text fills on a terminal."""
    if text.isascii():
        return len(text)
    from captoolkit.timeline.breaking import columns

    return columns(text)
