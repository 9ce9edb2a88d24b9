"""`captoolkit ledger`: what has been asked and answered."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.show import note, plural, say_columns
from captoolkit.errors import UsageError
from captoolkit.units import parse_duration

if TYPE_CHECKING:
    from captoolkit.dispatch.ledger import Record

MOST_WORDS = 48  # characters of a caption in the list
EVERYTHING = "all"
DAY_S = 86_400


def parse_age(text: str) -> Fraction:
    """Return the seconds in `30d`, `12h` or what else `parse_duration` reads; `all` is none.

    Raises:
        UsageError: the text is no age, or a bare number, of which nobody knows the unit.

    ```python
    >>> parse_age("30d"), parse_age("12h"), parse_age("all")
    (Fraction(2592000, 1), Fraction(43200, 1), Fraction(0, 1))

    ```
    """
    if text == EVERYTHING:
        return Fraction(0)
    age = text.strip()
    days = age.removesuffix("d")
    refusal = UsageError(f"{text!r} is no age", fix="write 30d, 12h, 45m, 90s or all")
    if age.replace(".", "").isdecimal():
        raise refusal
    try:
        return DAY_S * parse_duration(days) if days != age else parse_duration(age)
    except UsageError as error:
        raise refusal from error


@click.command("ledger", short_help=COMMANDS["ledger"])
@options.ledger_option
@click.option(
    "--export", "as_lines", is_flag=True, help="Print everything, one JSON document a line."
)
@click.option(
    "--prune",
    "older_than_s",
    callback=options.parsed_by(parse_age),
    metavar="AGE",
    help="Forget what was asked longer ago than that, such as 30d, 12h or all.",
)
def command(ledger: str | None, as_lines: bool, older_than_s: Fraction | None) -> int:
    """List what services have been asked and what they answered.

    The ledger is what makes a second run of the same job free. What is pruned from it would be
    asked, and paid for, again. It holds captions and prompts, but never a key nor a sound.
    """
    from captoolkit.dispatch.ledger import Ledger, default_path

    path = Path(ledger) if ledger is not None else default_path()
    if not path.exists():
        note(f"({path}: nothing has been asked yet)")
        return 0
    with Ledger(ledger) as opened:
        if older_than_s is not None:
            gone = opened.prune(older_than_s)
            note(f"{opened.path}: {plural(gone, 'question')} forgotten")
        elif as_lines:
            _export(opened.records())
        else:
            _list(opened.records())
            note(f"({opened.path})")
    return 0


def _export(records: Iterable[Record]) -> None:
    for record in records:
        click.echo(record.to_json())


def _list(records: Iterable[Record]) -> None:
    rows = [
        (
            record.asked_at[:16].replace("T", " "),
            record.state,
            record.model,
            str(record.usage.total_tokens) if record.usage and record.usage.total_tokens else "-",
            _short(record.text or record.error or ""),
        )
        for record in records
    ]
    if rows:
        say_columns([("asked (UTC)", "state", "model", "tokens", "answer"), *rows])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_WORDS else f"{line[: MOST_WORDS - 1]}…"
