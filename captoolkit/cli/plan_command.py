"""`captoolkit plan`: how each file would be prepared, and why."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.help_sections import SectionedCommand
from captoolkit.cli.show import display_source, name_options, print_json, print_line, print_table
from captoolkit.units import format_count

if TYPE_CHECKING:
    from pathlib import Path

    from captoolkit.jobs.commands.outcomes import InputOutcome
    from captoolkit.jobs.listing.inputs import Input
    from captoolkit.model import CostRange, Plan, Span
    from captoolkit.pipeline.prepared import Prepared

MAX_ROWS = 8  # segments, and silences, that a plan lists; it counts the others


@click.command("plan", cls=SectionedCommand, short_help=COMMANDS["plan"])
@basic.inputs
@basic.target
@shared.via_or_auto
@shared.shape
@shared.picture
@basic.overwrite
@basic.report
@basic.as_json
@basic.debug
def command(
    inputs: list[Input],
    picture: str | None,
    overwrite: bool,
    report: Path | None,
    as_json: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Show how each FILE would be prepared, and why: segments, sizes, tokens, price range.

    Nothing is sent, and only the files of --picture and --report are written.
    """
    from captoolkit.api.prepare import prepare

    return show_plans(
        inputs,
        partial(prepare, **options),
        picture=picture,
        overwrite=overwrite,
        report=report,
        as_json=as_json,
        debug=debug,
    )


def show_plans(
    inputs: Sequence[Input],
    make: Callable[..., Prepared],
    *,
    picture: str | None,
    overwrite: bool,
    report: Path | None,
    as_json: bool,
    debug: bool,
) -> int:
    """Print the plan of each input, and draw it; no segment is made.

    Args:
        inputs: the inputs.
        make: called with a source; returns a preparation that has made nothing yet.
        picture: the value of `--picture`, None without it.
        overwrite: replace existing pictures and reports.
        report: the value of `--report`, None without it.
        as_json: print one JSON document instead of text.
        debug: show the traceback of an error.

    Returns:
        The exit status.
    """
    from captoolkit.cli.prepared_files import print_picture
    from captoolkit.cli.run_report import RunReport
    from captoolkit.jobs.commands.outcomes import InputOutcome
    from captoolkit.jobs.commands.output_names import output_names
    from captoolkit.jobs.commands.save_work import PictureFiles
    from captoolkit.support.files import FileSet

    pictures = PictureFiles(
        picture,
        inputs=FileSet(each.url for each in inputs),
        names=output_names(inputs),
        overwrite=overwrite,
    )
    indices = itertools.count()
    documents = []

    def show(item: Input) -> InputOutcome:
        path = pictures.path(next(indices))
        with make(item.source()) as prepared:
            plan = prepared.plan
            pictures.write(prepared, path)
        print_picture(path)
        if as_json:
            documents.append(_document(plan))
        else:
            print_plan(item.url, plan)
        outcome = InputOutcome.of_source(item, display_source(item.url), plan.info, plan.track)
        return dataclasses.replace(outcome, segments=len(plan.spans), tokens=plan.audio_tokens)

    with RunReport(
        inputs, out=None, done="planned", report=report, overwrite=overwrite
    ) as reporter:
        status = reporter.run(inputs, show, debug=debug)
    if as_json:
        print_json("plan", {"files": documents})
    return status


def print_plan(name: str, plan: Plan) -> None:
    """Write a plan as text."""
    print_line(
        f"{display_source(name)}: {plan.action.value}, {format_count(len(plan.spans), 'segment')}"
    )
    for reason in plan.reasons:
        print_line(f"  {name_options(reason)}")
    for warning in plan.info.warnings:
        print_line(f"  warning: {name_options(warning)}")
    print_table(_segment_rows(plan), indent="  ")
    print_table(_skipped_rows(plan), indent="  ")
    if plan.target is None:  # pieces for people and players
        return
    print_line(f"  {describe_tokens(plan)}")
    for region, costs in groupby(plan.costs, key=lambda cost: cost.region):
        print_line(f"  {region}: {'; '.join(describe_price(cost) for cost in costs)}.")


def _segment_rows(plan: Plan) -> list[tuple[str, ...]]:
    """Return the times of the first segments, and their largest sizes, or their chapters."""
    from captoolkit.planning.prepare_plan import largest_file_bytes
    from captoolkit.services.limits import sent_size

    spans = plan.spans[:MAX_ROWS]
    if plan.target is None:
        titles = plan.titles or [""] * len(plan.spans)
        rows = [
            (f"segment {index}", _times(plan, span), title)
            for index, (span, title) in enumerate(zip(spans, titles, strict=False), start=1)
        ]
        return rows + _others_row(plan.spans)
    sizes = [sent_size(largest_file_bytes(plan, span), plan.via) for span in spans]
    rows = [
        (f"segment {index}", _times(plan, span), f"at most {size}")
        for index, (span, size) in enumerate(zip(spans, sizes, strict=True), start=1)
    ]
    return rows + _others_row(plan.spans)


def _skipped_rows(plan: Plan) -> list[tuple[str, ...]]:
    """Return the times of the first silences that are left out."""
    rows = [("silence", _times(plan, span), "") for span in plan.skipped[:MAX_ROWS]]
    return rows + _others_row(plan.skipped)


def _times(plan: Plan, span: Span) -> str:
    """Return the start and the end of a stretch on the file's clock."""
    from captoolkit.units import format_clock

    span = plan.track.on_file_clock(span)
    return f"{format_clock(span.start_s, decimals=3)} - {format_clock(span.end_s, decimals=3)}"


def _others_row(spans: Sequence[Span]) -> list[tuple[str, ...]]:
    """Return a row with the number of the spans that are not listed, if there are any."""
    others = len(spans) - MAX_ROWS
    return [(f"and {others:,} more", "", "")] if others > 0 else []


def describe_tokens(*plans: Plan) -> str:
    """Return the token counts of plans for one service in words."""
    target = plans[0].target
    tokens = format_count(sum(plan.input_tokens for plan in plans), "input token")
    requests = format_count(sum(len(plan.spans) for plan in plans), "request")
    audio_tokens = sum(plan.audio_tokens for plan in plans)
    service = target.name if target else "no service"
    if target is not None and target.dialect and target.limit("tokens_per_s") is None:
        return f"{requests} to {service}, whose tokens for a second of sound are not known."
    return f"{tokens} in {requests} to {service}, {audio_tokens:,} of them audio."


def describe_price(cost: CostRange) -> str:
    """Return the price of the input, and the price with the longest possible answers, in words."""
    most = "an unknown length of answers" if cost.most is None else f"{cost.most:.4f} at most"
    return f"{cost.currency} {cost.least:.4f} for the input, {most}"


def _document(plan: Plan) -> dict[str, Any]:
    from captoolkit.pipeline.manifest import encoding_fields
    from captoolkit.planning.prepare_plan import largest_file_bytes
    from captoolkit.support.exact_json import seconds

    encoding = plan.encoding
    return {
        "path": plan.info.path,
        "target": plan.target.name if plan.target else None,
        "via": plan.via.value if plan.via else None,
        "track": plan.track.number,
        "action": plan.action.value,
        "encoding": encoding and encoding_fields(encoding),
        "gain_db": plan.gain_db,
        "segments": [
            {
                "index": index,
                "start_s": seconds(span.start_samples, span.rate_hz),
                "end_s": seconds(span.end_samples, span.rate_hz),
                "max_bytes": largest_file_bytes(plan, span) if plan.target else None,
            }
            for index, span in enumerate(map(plan.track.on_file_clock, plan.spans), start=1)
        ],
        "skipped": [
            {
                "start_s": seconds(span.start_samples, span.rate_hz),
                "end_s": seconds(span.end_samples, span.rate_hz),
            }
            for span in map(plan.track.on_file_clock, plan.skipped)
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
