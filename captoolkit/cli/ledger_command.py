"""`captoolkit ledger`: the stored answers of services."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.option_types import FilePlace, parsed_by
from captoolkit.cli.show import display_path, print_line, print_message, print_table
from captoolkit.errors import SourceNotFoundError, UsageError
from captoolkit.units import format_count, parse_duration

if TYPE_CHECKING:
    from captoolkit.dispatch.ledger import Record

EMPTY = "no request is recorded"
MAX_TEXT = 48  # characters of a caption in the list
EVERYTHING = "all"
DAY_S = 86_400


def parse_age(text: str) -> Fraction:
    """Return the seconds in `30d`, or in any text that `parse_duration` takes; `all` is 0.

    Raises:
        UsageError: the text is no age, or a number without a unit.

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
@shared.ledger
@click.option(
    "--export", "as_lines", is_flag=True, help="Print all records, one JSON document per line."
)
@click.option(
    "--prune",
    "older_than_s",
    callback=parsed_by(parse_age),
    metavar="AGE",
    help="Delete records that are older than this, such as 30d, 12h or all.",
)
@click.option(
    "--backup",
    metavar="FILE",
    type=FilePlace(),
    help="Copy the ledger to FILE, also while other runs use it; a copy by other programs may miss "
    "the last answers.",
)
def command(
    ledger: str | None, as_lines: bool, older_than_s: Fraction | None, backup: str | None
) -> int:
    """List the requests to services, with their answers.

    With the ledger a repeated run is free. Deleted answers would be requested, and paid for, again.
    The ledger holds captions and prompts, but no keys and no audio.
    """
    from captoolkit.dispatch.ledger import Ledger
    from captoolkit.dispatch.ledger_place import default_path

    if (backup is not None) + (older_than_s is not None) + as_lines > 1:
        raise UsageError(
            "--export, --prune and --backup are three commands", fix="pass one of them"
        )
    path = Path(ledger) if ledger is not None else default_path()
    if not path.exists():
        if backup is not None:  # a script would take the copy for made
            raise SourceNotFoundError(
                "there is no ledger to copy", fix="check --ledger or CAPTOOLKIT_LEDGER", path=path
            )
        print_message(f"({path}: {EMPTY})")
        return 0
    with Ledger(ledger) as opened:
        if backup is not None:
            opened.backup(backup)
            print_line(display_path(backup))
        elif older_than_s is not None:
            deleted = opened.prune(older_than_s)
            print_message(f"{opened.path}: {format_count(deleted, 'record')} deleted")
        elif as_lines:
            _export(opened.records())
        else:
            is_empty = not _list(opened.records())
            print_message(f"({opened.path}: {EMPTY})" if is_empty else f"({opened.path})")
    return 0


def _export(records: Iterable[Record]) -> None:
    for record in records:
        click.echo(record.to_json())


def _list(records: Iterable[Record]) -> int:
    """Print a table of the records, and return their number."""
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
        print_table([("requested (UTC)", "state", "model", "tokens", "answer"), *rows])
    return len(rows)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"
