"""`captoolkit targets`: the known services, and their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.show import print_json, print_line, print_table

if TYPE_CHECKING:
    from fractions import Fraction

    from captoolkit.model import Fact, Price, Target


@click.command("targets", short_help=COMMANDS["targets"])
@click.argument("name", required=False)
@basic.as_json
def command(name: str | None, as_json: bool) -> int:
    """List the known services; with NAME show all limits of one, with sources and dates."""
    from captoolkit.services import catalogue

    rows = [catalogue.target(name)] if name else list(catalogue.targets().values())
    if as_json:
        print_json("targets", {"targets": [_document(row) for row in rows]})
    elif name:
        _print(rows[0])
    else:
        print_table((row.name, _summary(row), row.title) for row in rows)
    return 0


def _summary(row: Target) -> str:
    from captoolkit.units import format_length

    longest_s = row.limit("max_duration_s")
    return f"up to {format_length(longest_s)}" if longest_s else "any length"


def _print(row: Target) -> None:
    print_line(f"{row.name}: {row.title}")
    print_line(f"  models   {', '.join(row.models)}")
    for container, codecs in sorted(row.accepts.items()):
        print_line(f"  accepts  {container} ({', '.join(codecs)})")
    allowed = [word for word in ("prompt", "system", "turns") if getattr(row, word)]
    print_line(
        f"  allows   {', '.join(allowed) or 'audio alone: no prompt, system message or turns'}"
    )
    print_line(f"  a longer clip is {'cut off' if row.on_exceed == 'truncate' else 'refused'}")
    print_line()
    numbers: list[Fact | Price] = [*row.facts.values(), *row.prices]
    pages = list(dict.fromkeys((one.source, one.checked) for one in numbers))

    def page(one: Fact | Price) -> str:
        return f"[{pages.index((one.source, one.checked)) + 1}]"

    print_table(
        [
            *((key, _number(fact.value), page(fact), fact.note) for key, fact in row.facts.items()),
            *((f"price {one.region}", _price(one), page(one), "") for one in row.prices),
        ],
        indent="  ",
    )
    print_line()
    for number, (title, checked) in enumerate(pages, start=1):
        print_line(f"  [{number}] {title}, read on {checked}")


def _number(value: Fraction) -> str:
    return f"{int(value):,}" if value.denominator == 1 else f"{float(value):g}"


def _price(price: Price) -> str:
    return f"{price.currency} {price.input_per_million} in, {price.output_per_million} out / 1M"


def _document(row: Target) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "models": list(row.models),
        "accepts": {container: list(codecs) for container, codecs in row.accepts.items()},
        "prompt": row.prompt,
        "system": row.system,
        "turns": row.turns,
        "on_exceed": row.on_exceed,
        "limits": {
            key: {
                "value": int(fact.value) if fact.value.denominator == 1 else float(fact.value),
                "source": fact.source,
                "checked": fact.checked,
                "note": fact.note,
            }
            for key, fact in row.facts.items()
        },
        "prices": [
            {
                "region": price.region,
                "currency": price.currency,
                "input_per_million": price.input_per_million,
                "output_per_million": price.output_per_million,
                "source": price.source,
                "checked": price.checked,
            }
            for price in row.prices
        ],
    }
