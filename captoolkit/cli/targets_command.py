"""`captoolkit targets`: the known services, and their limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.option_types import complete_target
from captoolkit.cli.show import print_json, print_line, print_table

if TYPE_CHECKING:
    from fractions import Fraction

    from captoolkit.model import Fact, Price, Target


@click.command("targets", short_help=COMMANDS["targets"])
@click.argument("target", metavar="[NAME]", required=False, shell_complete=complete_target)
@basic.as_json
def command(target: str | None, as_json: bool) -> int:
    """List the known services: name, dialect, longest clip, title.

    With NAME, show the form of its requests, and all its limits and prices, with sources and dates.
    """
    from captoolkit.services import catalogue

    rows = [catalogue.target(target)] if target else list(catalogue.targets().values())
    if as_json:
        print_json("targets", {"targets": [_document(row) for row in rows]})
    elif target:
        _print(rows[0])
    else:
        print_table((row.name, row.dialect or "-", _summary(row), row.title) for row in rows)
    return 0


def _summary(row: Target) -> str:
    from captoolkit.units import format_length

    longest_s = row.limit("max_duration_s")
    return f"up to {format_length(longest_s)}" if longest_s else "any length"


def _print(row: Target) -> None:
    print_line(f"{row.name}: {row.title}")
    print_line(f"  models   {', '.join(row.models) or 'those of the server (--model)'}")
    for container, codecs in sorted(row.accepts.items()):
        print_line(f"  accepts  {container} ({', '.join(codecs)})")
    allowed = [word for word in ("prompt", "system", "turns") if getattr(row, word)]
    print_line(
        f"  allows   {', '.join(allowed) or 'audio alone: no prompt, system message or turns'}"
    )
    print_line(f"  a longer clip is {'cut off' if row.on_exceed == 'truncate' else 'refused'}")
    print_line()
    print_table(_asking(row), indent="  ")
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


def _asking(row: Target) -> Iterator[tuple[str, str]]:
    """Yield the facts about requests to a service: the name of a fact, and its value."""
    from captoolkit.captioners.registry import DEFAULT_CAPTIONER
    from captoolkit.services.keys import key_variable
    from captoolkit.services.regions import MODEL_STUDIO

    if row.protocols == (DEFAULT_CAPTIONER,):
        yield "captioner", f"{DEFAULT_CAPTIONER}, on this machine"
        return
    yield "dialect", row.dialect or "by the base URL"
    places = [row.base_url, *row.hosts] if row.hosted_by != MODEL_STUDIO else ["Model Studio"]
    yield "server", ", ".join(filter(None, places)) or "your own (--base-url)"
    if row.protocols:
        yield "captioner", " or ".join(row.protocols)
    yield "key", f"{key_variable(row)}, in {row.key_header or 'Authorization'}"
    for name in ("headers", "query", "body"):
        values = getattr(row, name)
        if values:
            yield name, ", ".join(f"{key}={json.dumps(value)}" for key, value in values.items())
    if row.max_tokens_name != "max_tokens":
        yield "--max-tokens", row.max_tokens_name
    if row.must_stream:
        yield "stream", "always"
    if row.timeout_s is not None:
        yield (
            "timeout",
            f"{row.silence_s or row.timeout_s:g} s silent, {row.timeout_s:g} s in total",
        )
    if row.default_prompt:
        yield "prompt", row.default_prompt


def _number(value: Fraction) -> str:
    return f"{int(value):,}" if value.denominator == 1 else f"{float(value):g}"


def _price(price: Price) -> str:
    audio = price.audio_input_per_million
    spoken = "" if audio is None else f" ({audio} sound)"
    until = "" if price.until is None else f", until {price.until}"
    of_input = f"{price.input_per_million}{spoken} in"
    return f"{price.currency} {of_input}, {price.output_per_million} out / 1M{until}"


def _document(row: Target) -> dict[str, Any]:
    from captoolkit.services.keys import key_variable

    return {
        "name": row.name,
        "title": row.title,
        "models": list(row.models),
        "accepts": {container: list(codecs) for container, codecs in row.accepts.items()},
        "prompt": row.prompt,
        "system": row.system,
        "turns": row.turns,
        "on_exceed": row.on_exceed,
        "dialect": row.dialect,
        "hosted_by": row.hosted_by,
        "region": row.region,
        "protocols": list(row.protocols),
        "base_url": row.base_url,
        "hosts": list(row.hosts),
        "key_variable": key_variable(row),
        "key_header": row.key_header or "Authorization",
        "headers": dict(row.headers),
        "query": dict(row.query),
        "body": dict(row.body),
        "max_tokens_name": row.max_tokens_name,
        "default_prompt": row.default_prompt,
        "must_stream": row.must_stream,
        "has_format": row.has_format,
        "timeout_s": row.timeout_s,
        "silence_s": row.silence_s,
        "limits": {key: _limit_fields(fact) for key, fact in row.facts.items()},
        "prices": [_price_fields(price) for price in row.prices],
    }


def _limit_fields(fact: Fact) -> dict[str, Any]:
    return {
        "value": int(fact.value) if fact.value.denominator == 1 else float(fact.value),
        "source": fact.source,
        "checked": fact.checked,
        "note": fact.note,
    }


def _price_fields(price: Price) -> dict[str, Any]:
    return {
        "region": price.region,
        "currency": price.currency,
        "input_per_million": price.input_per_million,
        "audio_input_per_million": price.audio_input_per_million,
        "output_per_million": price.output_per_million,
        "until": None if price.until is None else price.until.isoformat(),
        "source": price.source,
        "checked": price.checked,
    }
