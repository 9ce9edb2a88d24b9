"""`captoolkit plan`: how each file would be prepared, and why."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.help_sections import SectionedCommand
from captoolkit.cli.show import (
    display_source,
    name_options,
    print_json,
    print_line,
    print_sentence,
    print_table,
)
from captoolkit.errors import UsageError
from captoolkit.units import format_count

if TYPE_CHECKING:
    from pathlib import Path

    from captoolkit.jobs.commands.outcomes import InputOutcome
    from captoolkit.jobs.listing.inputs import Input
    from captoolkit.model import CostRange, Plan, Span, Target
    from captoolkit.pipeline.prepared import Prepared

MAX_ROWS = 8  # segments, and silences, that a plan lists; it counts the others


@click.command("plan", cls=SectionedCommand, short_help=COMMANDS["plan"])
@basic.inputs
@shared.planned_captioner
@shared.via_or_auto
@shared.shape
@shared.picture
@basic.overwrite
@basic.report
@basic.as_json
@basic.debug
def command(
    inputs: list[Input],
    captioner: str | None,
    model: str | None,
    target: str | None,
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
    from captoolkit.captioners.registry import find_service

    limits: Target | str | None = target
    is_sent = True
    if captioner is not None:
        service = find_service(captioner, target=target, model=model)
        limits, is_sent = service.target, service.endpoint is not None
    elif model is not None:
        raise UsageError(
            f"model={model!r} needs a captioner",
            fix=f"pass --captioner, or --target {model} for the limits alone",
        )
    return show_plans(
        inputs,
        partial(prepare, target=limits, **options),
        is_sent=is_sent,
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
    is_sent: bool = True,
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
        is_sent: whether the segments go to a service; otherwise they have no tokens and prices.
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
    from captoolkit.support import files

    pictures = PictureFiles(
        picture,
        inputs=files.FileSet(each.url for each in inputs),
        names=output_names(inputs),
        overwrite=overwrite,
    )
    drawn = [("--picture", pictures.place(index)) for index in range(len(inputs))]
    files.refuse_shared([*drawn, ("--report", report)])
    indices = itertools.count()
    display = PlanDisplay(as_json=as_json)

    def show(item: Input) -> InputOutcome:
        path = pictures.path(next(indices))
        with make(item.source()) as prepared:
            plan = prepared.plan if is_sent else _without_service(prepared.plan)
            pictures.write(prepared, path)
        print_picture(path)
        display.add(item.url, plan)
        outcome = InputOutcome.of_source(item, display_source(item.url), plan.info, plan.track)
        return dataclasses.replace(outcome, segments=len(plan.spans), tokens=plan.audio_tokens)

    with RunReport(
        inputs, out=None, done="planned", report=report, overwrite=overwrite
    ) as reporter:
        status = reporter.run(inputs, show, debug=debug)
        display.finish()
    return status


class PlanDisplay:
    """Prints each plan as text, and the total of several; or all plans as one JSON document."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._documents: list[dict[str, Any]] = []
        self._total = PlanTotal()

    def add(self, name: str, plan: Plan) -> None:
        """Print a plan, or keep it for the document."""
        if self._as_json:
            self._documents.append(_document(plan))
            return
        print_plan(name, plan)
        if plan.target is not None:
            self._total.add(plan)

    def finish(self) -> None:
        """Print the total or the document."""
        if self._as_json:
            print_json("plan", {"files": self._documents})
        elif self._total.plans > 1:
            self._total.print()


def _without_service(plan: Plan) -> Plan:
    """Return the plan of segments that a captioner on this machine gets."""
    return dataclasses.replace(plan, target=None, audio_tokens=0, input_tokens=0, costs=())


def print_plan(name: str, plan: Plan) -> None:
    """Write a plan as text."""
    print_line(
        f"{display_source(name)}: {plan.action.value}, {format_count(len(plan.spans), 'segment')}"
    )
    for reason in plan.reasons:
        print_sentence(name_options(reason), indent="  ")
    for warning in plan.info.warnings:
        print_sentence(f"warning: {name_options(warning)}", indent="  ")
    print_table(_segment_rows(plan), indent="  ")
    print_table(_skipped_rows(plan), indent="  ")
    if plan.target is None:  # pieces for people and players
        return
    print_sentence(describe_tokens(plan), indent="  ")
    _print_costs(plan.costs)


def _print_costs(costs: Iterable[CostRange]) -> None:
    for region, ranges in groupby(costs, key=lambda cost: cost.region):
        prices = "; ".join(describe_price(cost) for cost in ranges)
        print_sentence(f"{region}: {prices}.", indent="  ")


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
    total = PlanTotal()
    for plan in plans:
        total.add(plan)
    return total.describe_tokens()


class PlanTotal:
    """The tokens and costs of many plans for one service, without the plans."""

    def __init__(self) -> None:
        self.plans = self._requests = self._input_tokens = self._audio_tokens = 0
        self._target: Target | None = None
        self._costs: dict[tuple[str, str], CostRange] = {}

    def add(self, plan: Plan) -> None:
        """Count one more plan."""
        from captoolkit.dispatch.budget import total_range

        self.plans += 1
        self._target = plan.target
        self._requests += len(plan.spans)
        self._input_tokens += plan.input_tokens
        self._audio_tokens += plan.audio_tokens
        for cost in plan.costs:
            key = (cost.region, cost.currency)
            self._costs[key] = total_range([self._costs[key], cost]) if key in self._costs else cost

    def describe_tokens(self) -> str:
        """Return the token counts in words."""
        target = self._target
        requests = format_count(self._requests, "request")
        service = target.name if target else "no service"
        if target is not None and target.dialect and target.limit("tokens_per_s") is None:
            return f"{requests} to {service}, whose tokens for a second of sound are not known."
        tokens = format_count(self._input_tokens, "input token")
        return f"{tokens} in {requests} to {service}, {self._audio_tokens:,} of them audio."

    def print(self) -> None:
        """Write the total of several plans as text."""
        print_sentence(f"{format_count(self.plans, 'file')}: {self.describe_tokens()}")
        _print_costs(self._costs.values())


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
