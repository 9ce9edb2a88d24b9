"""`captoolkit plan`: what would be done to each file and why."""

from __future__ import annotations

import itertools
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, for_each
from captoolkit.cli.show import plural, say, say_columns, shown

if TYPE_CHECKING:
    from captoolkit.model import CostRange, Plan, Span

MOST_SEGMENTS = 8  # how many a plan lists before it only counts the others


@click.command("plan", short_help=COMMANDS["plan"])
@options.files_argument
@options.preparing_options()
@options.picture_option
@options.overwrite_option
@options.json_option
@options.debug_option
def command(
    files: tuple[str, ...],
    picture: str | None,
    overwrite: bool,
    as_json: bool,
    debug: bool,
    **chosen: Any,
) -> int:
    """Show what would be done to each FILE and why: segments, sizes, tokens, price range.

    Nothing is sent, and nothing is written but the picture that --picture asks for.
    """
    from captoolkit.api.prepare import prepare
    from captoolkit.cli.picture_output import Pictures

    pictures = Pictures(picture, inputs=files, overwrite=overwrite)
    places = itertools.count()
    plans = []

    def show(name: str) -> None:
        place = pictures.place(next(places))
        with prepare(name, **options.options(chosen)) as work:
            made = work.plan
            pictures.write(work, place)
        if as_json:
            plans.append(_document(made))
        else:
            say_plan(name, made)

    status = for_each(files, show, debug=debug)
    if as_json:
        from captoolkit.support.exact_json import render

        click.echo(render({"format": "captoolkit.plan/1", "files": plans}), nl=False)
    return status


def say_plan(name: str, plan: Plan) -> None:
    """Write a plan for a person."""
    say(f"{shown(name)}: {plan.action.value}, {plural(len(plan.spans), 'segment')}")
    for reason in plan.reasons:
        say(f"  {reason}")
    for warning in plan.info.warnings:
        say(f"  warning: {warning}")
    say_columns(_segment_rows(plan), indent="  ")
    say_columns(_skipped_rows(plan), indent="  ")
    say(f"  {tokens(plan)}")
    for region, costs in groupby(plan.costs, key=lambda cost: cost.region):
        say(f"  {region}: {'; '.join(price(cost) for cost in costs)}.")


def _segment_rows(plan: Plan) -> list[tuple[str, ...]]:
    """Where the segments lie and how large each may come out; of many, the first."""
    from captoolkit.services.limits import sent_size
    from captoolkit.units import format_clock

    rows: list[tuple[str, ...]] = [
        (
            f"segment {index}",
            f"{format_clock(span.start_s, decimals=3)} - {format_clock(span.end_s, decimals=3)}",
            f"at most {sent_size(max_bytes(plan, span), plan.via)}",
        )
        for index, span in enumerate(plan.spans[:MOST_SEGMENTS], start=1)
    ]
    others = len(plan.spans) - len(rows)
    return rows + ([(f"and {others:,} more", "", "")] if others else [])


def _skipped_rows(plan: Plan) -> list[tuple[str, ...]]:
    """Where silence is left out; of many, the first."""
    from captoolkit.units import format_clock

    rows: list[tuple[str, ...]] = [
        (
            "silence",
            f"{format_clock(span.start_s, decimals=3)} - {format_clock(span.end_s, decimals=3)}",
        )
        for span in plan.skipped[:MOST_SEGMENTS]
    ]
    others = len(plan.skipped) - len(rows)
    return rows + ([(f"and {others:,} more", "")] if others else [])


def max_bytes(plan: Plan, span: Span) -> int:
    """Return how large the file of a planned segment may come out."""
    from captoolkit.bitstream.encodings import file_bytes
    from captoolkit.model import Action

    made = plan.encoding
    if plan.action is Action.PASS_THROUGH:
        return plan.info.size_bytes
    if made is None:
        return plan.max_segment_bytes or plan.info.size_bytes
    return file_bytes(made, int(span.duration_s * made.sample_rate_hz) + 1)


def tokens(plan: Plan) -> str:
    """Return what the service will count."""
    service = plan.target.name if plan.target else "no service"
    return (
        f"{plural(plan.input_tokens, 'input token')} in {plural(len(plan.spans), 'request')} "
        f"to {service}, {plan.audio_tokens:,} of them sound."
    )


def price(cost: CostRange) -> str:
    """Return what they will cost: the input, and with the longest answers that there can be."""
    most = "an unknown length of answers" if cost.most is None else f"{cost.most:.4f} at most"
    return f"{cost.currency} {cost.least:.4f} for the input, {most}"


def _document(plan: Plan) -> dict[str, Any]:
    from captoolkit.pipeline.manifest import encoding_fields
    from captoolkit.support.exact_json import seconds

    made = plan.encoding
    return {
        "path": plan.info.path,
        "target": plan.target.name if plan.target else None,
        "via": plan.via.value if plan.via else None,
        "track": plan.track.number,
        "action": plan.action.value,
        "encoding": made and encoding_fields(made),
        "segments": [
            {
                "index": index,
                "start_s": seconds(span.start_samples, span.rate_hz),
                "end_s": seconds(span.end_samples, span.rate_hz),
                "max_bytes": max_bytes(plan, span),
            }
            for index, span in enumerate(plan.spans, start=1)
        ],
        "skipped": [
            {
                "start_s": seconds(span.start_samples, span.rate_hz),
                "end_s": seconds(span.end_samples, span.rate_hz),
            }
            for span in plan.skipped
        ],
        "cut_reach_s": seconds(plan.reach_samples, plan.track.sample_rate_hz),
        "tokens": {"audio": plan.audio_tokens, "input": plan.input_tokens},
        "costs": [
            {
                "region": cost.region,
                "currency": cost.currency,
                "least": cost.least,
                "most": cost.most,
            }
            for cost in plan.costs
        ],
        "reasons": list(plan.reasons),
        "warnings": list(plan.info.warnings),
    }
