"""`captoolkit caption`: from files to timelines, with a table of the costs at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, FAILED, run_inputs
from captoolkit.cli.show import (
    aligned,
    display_path,
    display_source,
    plural,
    print_error,
    print_message,
)
from captoolkit.errors import CaptoolkitError, UsageError

if TYPE_CHECKING:
    from captoolkit.cli.progress import FileBars, StreamedCaptions
    from captoolkit.cli.timeline_files import TimelineFiles
    from captoolkit.dispatch.captions import Captions
    from captoolkit.jobs.inputs import Input
    from captoolkit.model import Cost, Usage
    from captoolkit.timeline.value import Timeline

CAPTIONER_OPTIONS = ("target", "model", "region", "base_url", "prompt", "system")
NOT_FOR_CAPTIONS = ("model", "base_url", "prompt", "system")
CUT_OFF = "the caption reached the model's length limit and is cut off"

TABLE_HEAD = (
    "file",
    "segments",
    "requested",
    "from the ledger",
    "failed",
    "tokens",
    "cost",
    "written to",
)
UNKNOWN = "-"


@click.command("caption", short_help=COMMANDS["caption"])
@shared.inputs
@shared.timeline_output
@shared.embed_audio
@shared.captioner
@shared.requests
@shared.target_of_model
@shared.via_or_auto
@shared.shape
@shared.overwrite
@shared.debug
def command(
    inputs: list[Input],
    formats: str | None,
    out: str | None,
    spread: bool,
    frame_rate: str | None,
    embed_audio: bool,
    captioner: str,
    max_cost: str | None,
    overwrite: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Caption each FILE and write its timeline.

    captoolkit prepares FILE for the target, requests a caption for each segment as soon as it is
    ready, and joins the captions to one timeline on FILE's own clock. The timeline has one entry
    for each segment; without --segment, a segment lasts as long as the target allows. A segment
    without a caption is marked in the timeline, and the exit status is 1.

    The ledger records the answers of services: a repeated run requests, and pays for, only the
    segments without an answer. On a terminal, a paid run shows tokens and price range and asks for
    confirmation; --yes skips it.
    """
    from captoolkit.captioners.base import PaidCaptioner
    from captoolkit.captioners.registry import open_captioner
    from captoolkit.cli.timeline_files import TimelineFiles
    from captoolkit.dispatch.budget import Budget
    from captoolkit.jobs.output_names import output_stems

    outputs = TimelineFiles(
        formats,
        out,
        inputs=[each.url for each in inputs],
        stems=output_stems(inputs),
        overwrite=overwrite,
        embed_audio=embed_audio,
        spread=spread,
        frame_rate=frame_rate,
    )
    budget = None if max_cost is None else Budget(max_cost)  # one for all files
    summaries: list[FileSummary] = []
    with open_captioner(captioner, **{name: options[name] for name in CAPTIONER_OPTIONS}) as opened:
        options = {key: value for key, value in options.items() if key not in NOT_FOR_CAPTIONS}
        options |= {"captioner": opened, "max_cost": budget}
        try:
            status = run_inputs(
                inputs,
                lambda item: summaries.append(_caption(item, outputs, **options)),
                debug=debug,
            )
        except KeyboardInterrupt:
            if isinstance(opened, PaidCaptioner):
                print_message("The ledger has the answers so far; run it again to continue.")
            raise
    print_summary(summaries)
    return FAILED if any(summary.timeline.holes for summary in summaries) else status


def _caption(
    item: Input,
    outputs: TimelineFiles,
    *,
    confirmed: bool,
    fresh: bool,
    stream: bool,
    **options: Any,
) -> FileSummary:
    """Caption one file, write its timeline and print its failures."""
    from captoolkit.api.caption import captions
    from captoolkit.cli.timeline_files import print_paths, rescue

    paths, name = outputs.next_paths(), display_source(item.url)
    progress = _progress(name, stream=stream)
    with captions(
        item.source(), on_event=progress.show, stream=stream, resume=not fresh, **options
    ) as entries:
        outputs.refuse_unembeddable(entries.plan.info)
        if entries.is_paid:
            _confirm(name, entries, confirmed=confirmed, fresh=fresh)
        with progress:
            timeline = entries.timeline()
    try:
        outputs.write(timeline, paths)
    except (OSError, UsageError):  # the disk is full, or a format cannot hold so much
        print_message(f"{name}: its timeline is kept in {rescue(timeline)}")
        raise
    print_paths(paths)
    _print_failures(name, timeline)
    return FileSummary(
        name=display_source(name),
        timeline=timeline,
        requested=entries.asked,
        recalled=entries.recalled,
        usage=entries.usage,
        cost=entries.cost,
        paths=tuple(paths.values()),
    )


def _progress(name: str, *, stream: bool) -> FileBars | StreamedCaptions:
    from captoolkit.cli.progress import FileBars, StreamedCaptions

    return StreamedCaptions(name) if stream else FileBars(name, captions=True)


def _confirm(name: str, entries: Captions, *, confirmed: bool, fresh: bool) -> None:
    """Print tokens and price range and, on a terminal, ask for confirmation.

    Raises:
        CaptoolkitError: the user declined.
    """
    from captoolkit.cli.plan_command import describe_price, describe_tokens

    cost = entries.cost_range
    price = describe_price(cost) if cost else "The price is not known"
    ledger = "" if fresh else "; answers in the ledger cost nothing"
    print_message(f"{display_source(name)}: {describe_tokens(entries.plan)} {price}{ledger}.")
    if entries.may_cost and not confirmed and sys.stdin.isatty() and sys.stderr.isatty():
        requests = plural(len(entries.plan.spans), "request")
        number = requests if fresh else f"at most {requests}"
        if not click.confirm(f"Send {number} to {entries.captioner.base_url}?", err=True):
            raise CaptoolkitError("no request was sent", fix="answer yes, or pass --yes")


def _print_failures(name: str, timeline: Timeline) -> None:
    """Print which segments have no caption, and which captions are cut off."""
    for error, group in groupby(timeline.holes, key=lambda hole: hole.error):
        holes = list(group)
        numbers = f"segment {holes[0].index}"
        if len(holes) > 1:
            numbers = f"segments {holes[0].index} to {holes[-1].index}, {len(holes)} of them"
        request_id = next((hole.request_id for hole in holes if hole.request_id), None)
        print_error(f"{display_source(name)}: {numbers}: {error}", request_id=request_id)
    for entry in timeline.entries:
        if entry.finish_reason == "length":
            print_message(f"warning: {display_source(name)}: segment {entry.index}: {CUT_OFF}")


# -------------------------------------------------------------------------- the table at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSummary:
    """The result of one file. Tokens and cost are those of this run.

    Attributes:
        requested: segments that were requested in this run.
        recalled: segments with an answer in the ledger; they cost nothing.
        usage: the tokens that the service counted in this run.
        cost: the cost of this run; None if no price is known.
        paths: the paths of the timeline; None is standard output.
    """

    name: str
    timeline: Timeline
    requested: int
    recalled: int
    usage: Usage
    cost: Cost | None
    paths: tuple[Path | None, ...]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """The numbers of segments: all, requested, recalled, without a caption."""
        from captoolkit.model import Status

        entries = self.timeline.entries
        segments = sum(entry.status is not Status.SILENT for entry in entries)
        return segments, self.requested, self.recalled, len(self.timeline.holes)


def print_summary(summaries: Sequence[FileSummary]) -> None:
    """Write the table to standard error, unless no file was captioned."""
    if not summaries:
        return
    rows = [TABLE_HEAD, *map(_row, summaries)]
    if len(summaries) > 1:
        rows.append(_total(summaries))
    for line in aligned(rows):
        print_message(line)


def _row(summary: FileSummary) -> tuple[str, ...]:
    cost = summary.cost
    return (
        summary.name,
        *map(_number, summary.counts),
        _number(summary.usage.total_tokens),
        f"{cost.currency} {cost.amount}" if cost else UNKNOWN,
        _folder_or_file(summary.paths),
    )


def _total(summaries: Sequence[FileSummary]) -> tuple[str, ...]:
    counts = map(sum, zip(*(summary.counts for summary in summaries), strict=True))
    tokens = [summary.usage.total_tokens for summary in summaries]
    known = [number for number in tokens if number is not None]
    costs = [summary.cost for summary in summaries if summary.cost]
    amount = sum((cost.amount for cost in costs), Decimal(0))
    return (
        "total",
        *map(_number, counts),
        _number(sum(known) if known else None),
        f"{costs[0].currency} {amount}" if costs else UNKNOWN,
        "",
    )


def _number(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count:,}"


def _folder_or_file(paths: tuple[Path | None, ...]) -> str:
    """Return the file, or the folder of several files."""
    files = [path for path in paths if path is not None]
    if not files:
        return "standard output"
    if len(files) == 1:
        return display_path(files[0])
    return display_path(files[0].parent) + "/"
