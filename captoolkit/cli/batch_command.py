"""`captoolkit batch`: a verb over many recordings, and the state and the rows of a batch."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, FAILED, CommandGroup
from captoolkit.cli.help_sections import (
    CLUSTER,
    INPUTS,
    MESSAGES,
    OUTPUT,
    REQUESTS,
    SectionedCommand,
    group,
    option,
)
from captoolkit.cli.option_types import (
    FilePlace,
    FolderPlace,
    Place,
    WholeNumber,
    complete_path,
    parsed_by,
)
from captoolkit.cli.show import (
    name_options,
    print_error,
    print_json,
    print_line,
    print_message,
    print_table,
)
from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.units import format_clock, format_count, format_length, parse_size

if TYPE_CHECKING:
    from captoolkit.jobs.batch_options import BatchVerb
    from captoolkit.jobs.forecast import Forecast
    from captoolkit.jobs.results.summary import BatchSummary

MOST_REASONS = 5  # that the summary shows
ROUNDED_S = 3600

LIMITS = {
    "cores": "the cores",
    "requests": "the requests a minute",
    "tokens": "the tokens a minute",
}


@click.group("batch", cls=CommandGroup, short_help=COMMANDS["batch"])
def command() -> None:
    """Probe, prepare, split or caption many recordings, on one machine or many.

    Each recording gets a row in OUT. The same command again does the recordings that are left: a
    killed run loses nothing that is finished, and pays for nothing twice. A recording that ends its
    worker, or takes too long, is tried again alone and then quarantined; the others go on.

    Exit status: 0 all recordings are done; 1 some failed, are quarantined or have segments without
    a caption, or the budget was reached; 2 wrong usage, or OUT holds the results of other options;
    130 interrupted.
    """


def _refuse_overwrite(context: click.Context, _: click.Parameter, is_given: bool) -> None:
    """Refuse the `-y` of the plain commands.

    Raises:
        UsageError: it is given.
    """
    if is_given:
        confirms = any(each.name == "confirmed" for each in context.command.params)
        also = ", or --yes to skip the cost confirmation" if confirms else ""
        raise UsageError(
            "a batch has no -y: it keeps finished recordings",
            fix=f"pass --redo all to make them again{also}",
        )


command.command_class = SectionedCommand

_run_options = group(
    click.argument("names", metavar="INPUT...", nargs=-1, shell_complete=complete_path),
    option(
        OUTPUT,
        "-o",
        "out",
        required=True,
        metavar="OUT",
        type=FolderPlace(),
        shell_complete=complete_path,
        help="The folder or URL of the results, such as s3://bucket/ready; it is created if "
        "necessary.",
    ),
    option(
        CLUSTER,
        "--cluster",
        default="local",
        show_default=True,
        metavar="NAME",
        help="Where the work is done: local (a process for each core), local:N, none (this "
        "process), tcp://HOST:8786 (a Dask scheduler), or the path of its scheduler file.",
    ),
    basic.listing,
    option(
        INPUTS,
        "--column",
        metavar="NAME",
        help="The column of manifests with the path or URL.  [default: found by its name]",
    ),
    option(INPUTS, "--limit", type=WholeNumber(1), metavar="N", help="Stop after N recordings."),
    option(
        INPUTS,
        "--shard",
        metavar="I/N",
        help="Do only shard I of N, from 0; needs no cluster.  [default: from "
        "SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, if they are set]",
    ),
    option(
        INPUTS,
        "--identity",
        type=click.Choice(("version", "content")),
        default="version",
        show_default=True,
        help="When a recording is the same: by size and etag or time of change, or by its bytes.",
    ),
    option(
        INPUTS,
        "--redo",
        type=click.Choice(("changed", "all")),
        help="Do changed, or all, finished recordings again.",
    ),
    click.option(
        *("-y", "--overwrite"),
        is_flag=True,
        hidden=True,
        expose_value=False,
        callback=_refuse_overwrite,
    ),
    option(
        INPUTS, "--retry-failed", is_flag=True, help="Try failed and quarantined recordings again."
    ),
    option(
        CLUSTER,
        "--tries",
        type=WholeNumber(1),
        default=2,
        show_default=True,
        metavar="N",
        help="Quarantine a recording that has ended its worker N times.",
    ),
    option(
        CLUSTER,
        "--file-timeout",
        default="1h",
        show_default=True,
        metavar="LENGTH",
        help="The longest time for one recording on a worker.",
    ),
    option(
        CLUSTER,
        "--worker-memory",
        callback=parsed_by(parse_size),
        metavar="SIZE",
        help="The most memory of each worker on this machine, such as 2GB.",
    ),
    option(
        INPUTS,
        "--max-failures",
        type=WholeNumber(0),
        metavar="N",
        help="End the run after more than N failures.",
    ),
    option(
        MESSAGES,
        "--dry-run",
        is_flag=True,
        help="Show recordings, hours, tokens, price and time; write nothing.",
    ),
    basic.as_json,
    basic.debug,
)
_layout = option(
    OUTPUT,
    "--layout",
    type=click.Choice(("files", "tar")),
    default="files",
    show_default=True,
    help="files: REL/STEM/STEM.001.wav; tar: shard-000001.tar, for WebDataset.",
)


@command.command("probe", short_help="Measure recordings: codec, rate, channels, exact length.")
@_run_options
def probe(**options: Any) -> int:
    """Measure each INPUT; the rows in OUT hold codec, rate, channels and exact length."""
    return _run("probe", **options)


@command.command("prepare", short_help="Make files that fit the target.")
@_run_options
@_layout
@basic.target
@shared.via_or_auto
@shared.shape
def prepare(**options: Any) -> int:
    """Make files that the target takes from each INPUT, with a manifest, in OUT."""
    return _run("prepare", **options)


@command.command("split", short_help="Split recordings in their own codec.")
@_run_options
@_layout
@shared.lengths
@shared.cuts
@shared.track
@shared.max_duration
def split(**options: Any) -> int:
    """Split each INPUT into pieces in its own codec, in OUT."""
    return _run("split", **options)


@command.command("caption", short_help="Caption recordings.")
@_run_options
@shared.captioner
@shared.target_of_model
@basic.via
@shared.shape
@shared.budget
@option(
    OUTPUT,
    "-f",
    "formats",
    metavar="FORMAT,...",
    callback=parsed_by(lambda names: names.split(",")),
    help="Formats of each timeline, separated by commas, such as json,srt,vtt; JSON is always "
    "written.  [default: json]",
)
@option(
    REQUESTS,
    "--rpm",
    "requests_per_minute",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Requests a minute.  [default: the service's limit]",
)
@option(
    REQUESTS,
    "--tpm",
    "tokens_per_minute",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Tokens a minute.  [default: the service's limit]",
)
@option(
    REQUESTS,
    "--ask",
    "asks_on",
    type=click.Choice(("driver", "on-workers")),
    default="driver",
    show_default=True,
    help="Which process asks the service. on-workers is for servers that cost nothing.",
)
def caption(**options: Any) -> int:
    """Caption each INPUT: OUT receives a timeline of each, and rows with the texts.

    Workers prepare the segments; this process alone asks the service, with one key, one ledger, one
    budget and one rate limit. The segments are removed when they are answered.
    """
    options["asks_on"] = "workers" if options["asks_on"] == "on-workers" else "driver"
    return _run("caption", **options)


@command.command("status", short_help="Show how far a batch is.")
@click.argument("out", metavar="OUT", type=Place(), shell_complete=complete_path)
@basic.as_json
@basic.debug
def status(out: str, as_json: bool, debug: bool) -> int:
    """Show the options of the batch in OUT, and how many recordings have which state."""
    from captoolkit.jobs.results.recipe import option_name, read_job, show_value
    from captoolkit.jobs.results.recording_rows import read_rows
    from captoolkit.jobs.results.summary import Tally
    from captoolkit.jobs.stores.object_store import open_store

    store = open_store(out)
    recipe = read_job(store)
    tally = Tally()
    for row in read_rows(store):
        tally.add(row)
    counts = {state.value: count for state, count in sorted(tally.statuses.items())}
    if as_json:
        print_json(
            "batch-status",
            {
                "out": store.url,
                "verb": recipe.verb,
                "options": dict(recipe.options),
                "recordings": counts,
                "warned": tally.warned,
                "segments": tally.segments,
                "duration_s": round(tally.duration_s, 6),
                "worker_s": round(tally.worker_s, 3),
                "reasons": [dataclasses.asdict(reason) for reason in tally.reasons],
            },
        )
        return 0
    options = {option_name(name): value for name, value in recipe.options.items()}
    shown = [f"{name} {show_value(name, value)}" for name, value in options.items()]
    print_line(" ".join([recipe.verb, *shown]))
    if not counts:
        print_line("  no recording has a row yet: rows are written when a chunk of them ends")
        return 0
    print_table([(state, f"{count:,}") for state, count in counts.items()], indent="  ")
    print_line(
        f"  {format_count(tally.segments, 'segment')}, {_sound_text(tally.duration_s)} of sound"
    )
    if tally.warned:
        print_line(f"  {_warned_text(tally.warned)}")
    for line in _reason_lines(tally.reasons):
        print_line(line)
    return 0


@command.command("rows", short_help="Write the rows of a batch as a table.")
@click.argument("out", metavar="OUT", type=Place(), shell_complete=complete_path)
@click.option(
    "-o",
    "path",
    default="-",
    metavar="PATH",
    type=FilePlace(),
    help="The file to write: .jsonl, .jsonl.gz or .parquet.  [default: JSON lines on standard "
    "output]",
)
@click.option(
    "--columns",
    type=click.Choice(("table", "nemo", "lhotse", "huggingface")),
    default="table",
    show_default=True,
    help="The columns: those of NeMo and Hugging Face with all facts, or those of one tool. With "
    "lhotse, X.jsonl becomes X.recordings.jsonl and X.supervisions.jsonl.",
)
@click.option("--failed", is_flag=True, help="Only recordings that are not done, with the reason.")
@basic.overwrite
@basic.debug
def rows(out: str, path: str, columns: str, failed: bool, overwrite: bool, debug: bool) -> int:
    """Write the rows of the batch in OUT: a line for each segment, or for each failed recording."""
    from captoolkit.jobs.results.datasets import export_rows, render_line, table_lines
    from captoolkit.jobs.results.recipe import read_job
    from captoolkit.jobs.stores.object_store import open_store

    store = open_store(out)
    read_job(store)
    if path != "-":
        made = export_rows(store, path, columns=columns, failed=failed, overwrite=overwrite)
        for each, count in zip(made.paths, made.lines, strict=True):
            print_line(f"{each}: {format_count(count, 'line')}")
        return 0
    if columns == "lhotse" and not failed:
        raise UsageError("the columns of lhotse need two files", fix="pass -o X.jsonl")
    for line in table_lines(store, columns=columns, failed=failed):
        click.echo(render_line(line), nl=False)
    return 0


# ---------------------------------------------------------------------------------- a run


def _run(
    verb: BatchVerb,
    *,
    names: tuple[str, ...],
    out: str,
    cluster: str,
    dry_run: bool,
    as_json: bool,
    debug: bool,
    confirmed: bool = False,
    **options: Any,
) -> int:
    """Run a verb, or show its forecast."""
    from captoolkit.cli.batch_progress import BatchBar
    from captoolkit.jobs.batch import batch, forecast_batch
    from captoolkit.jobs.batch_options import read_settings

    options = {name: value for name, value in options.items() if value is not None}
    if dry_run:
        workers = _workers(cluster)
        expected = forecast_batch(verb, names, out=out, workers=workers, needs_key=False, **options)
        _print_forecast(verb, expected, as_json=as_json)
        return 0
    own_captioner = options.get("captioner", "acoustic")
    is_asked = (
        verb == "caption"
        and not read_settings(
            verb, _without_captioner(options), captioner=own_captioner
        ).driver.asks_on_worker
    )
    if is_asked and not confirmed and sys.stdin.isatty() and sys.stderr.isatty():
        expected = forecast_batch(verb, names, out=out, workers=_workers(cluster), **options)
        _confirm(expected)
    bar = BatchBar(verb)
    try:
        with bar:
            summary = batch(verb, names, out=out, cluster=cluster, on_event=bar.show, **options)
    except KeyboardInterrupt:
        if bar.last is not None:
            done = format_count(bar.last.done, "recording")
            print_message(
                f"{done} of this run are done, besides those of unfinished chunks; run the same "
                "command again to continue."
            )
        raise
    if as_json:
        print_json("batch", {**dataclasses.asdict(summary), "complete": summary.is_complete})
    else:
        _print_summary(summary, retries=options["retry_failed"])
    return 0 if summary.is_complete else FAILED


def _without_captioner(options: dict[str, Any]) -> Any:
    return {name: value for name, value in options.items() if name != "captioner"}


def _workers(cluster: str) -> int:
    """Return the number of workers that a forecast counts with."""
    from captoolkit.support.keywords import count_cores

    number = cluster.removeprefix("local:")
    if number.isdigit():
        return max(1, int(number))
    return 1 if cluster == "none" else count_cores()


def _confirm(expected: Forecast) -> None:
    """Show the price of a run and ask for confirmation.

    Raises:
        CaptoolkitError: the user declined.
    """
    for line in _forecast_lines("caption", expected):
        print_message(line)
    if not click.confirm(f"Send at most {format_count(expected.requests, 'request')}?", err=True):
        raise CaptoolkitError("not confirmed; nothing was sent", fix="pass --yes to skip this")


def _print_forecast(verb: str, expected: Forecast, *, as_json: bool) -> None:
    if not as_json:
        for line in _forecast_lines(verb, expected):
            print_line(line)
        return
    print_json(
        "batch-forecast",
        {
            "verb": verb,
            "recordings": expected.inputs,
            "kept": expected.kept,
            "bytes": expected.size_bytes,
            "duration_s": round(expected.duration_s, 3),
            "sampled": expected.sampled,
            "requests": expected.requests,
            "input_tokens": expected.input_tokens,
            "cost": expected.cost and dataclasses.asdict(expected.cost),
            "times_s": {limit.value: round(s, 1) for limit, s in expected.times_s.items()},
            "binding": expected.binding.value,
        },
    )


def _forecast_lines(verb: str, expected: Forecast) -> list[str]:
    """Return a forecast in words."""
    from captoolkit.cli.plan_command import describe_price
    from captoolkit.jobs.forecast import Limit
    from captoolkit.units import format_size

    about = f" (lengths estimated from {expected.sampled} of them)" if expected.sampled else ""
    kept = f"; {expected.kept:,} are done already" if expected.kept else ""
    lines = [
        f"{verb}: {format_count(expected.inputs, 'recording')}, "
        f"{format_size(expected.size_bytes)}, "
        f"{_sound_text(expected.duration_s)} of sound{about}{kept}"
    ]
    if expected.requests:
        price = describe_price(expected.cost) if expected.cost else "the price is not known"
        is_known = expected.input_tokens is not None
        tokens = (
            format_count(expected.input_tokens or 0, "input token")
            if is_known
            else "tokens unknown"
        )
        lines.append(f"{format_count(expected.requests, 'request')}, {tokens}: {price}")
    for limit, time_s in sorted(expected.times_s.items(), key=lambda item: -item[1]):
        bound = "about" if limit is Limit.CORES else "at least"  # cores differ, rates do not
        lines.append(f"{bound} {_about(time_s)} by {LIMITS[limit.value]}")
    if expected.advice:
        lines.append(f"{LIMITS[expected.binding.value]} decide: {expected.advice}")
    return lines


def _sound_text(seconds: float) -> str:
    """Return a length of sound: as a clock shows it below one hour, in hours from there on."""
    return format_clock(seconds) if seconds < ROUNDED_S else f"{seconds / ROUNDED_S:,.2f} h"


def _about(seconds: float) -> str:
    """Return a time without needless digits."""
    return format_length(round(seconds) if seconds >= 1 else max(0.1, round(seconds, 1)))


def _print_summary(summary: BatchSummary, *, retries: bool) -> None:
    """Print the summary to standard error, and the place of the results to standard output.

    Args:
        summary: the end of the batch.
        retries: whether the run has tried recordings again that failed before.
    """
    counts = (
        (summary.done, "done"),
        (summary.silent, "silent"),
        (summary.kept, "kept from earlier runs"),
        (summary.failed, "failed"),
        (summary.quarantined, "quarantined"),
        (summary.holes, "with missing captions"),
        (summary.changed, "changed since they were done (--redo changed)"),
        (summary.failed_before, "failed in an earlier run (--retry-failed)"),
        (summary.left, "left"),
    )
    words = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing to do"
    print_message(f"{summary.verb}: {words}")
    if summary.done:
        print_message(
            f"{format_count(summary.segments, 'segment')}, {_sound_text(summary.duration_s)} of "
            f"sound in {_about(summary.elapsed_s)}"
        )
    if summary.requested or summary.recalled:
        cost = summary.cost
        price = f", {cost.currency} {cost.amount:.4f}" if cost is not None else ""
        tokens = format_count(summary.usage.total_tokens or 0, "token")
        requests = format_count(summary.requested, "request")
        recalled = format_count(summary.recalled, "answer")
        print_message(f"{requests}, {recalled} from the ledger, {tokens}{price}")
    if summary.warned:
        print_message(_warned_text(summary.warned))
    for line in _reason_lines(summary.reasons):
        print_message(line)
    if summary.error is not None:
        print_error(summary.error)
    if summary.is_capped:
        print_message("the budget is used up: run it again with a larger --max-cost")
    if summary.is_stopped:
        print_message("the run was ended early")
    is_ended = summary.is_capped or summary.is_stopped or summary.error is not None
    if summary.left or summary.holes or is_ended:
        print_message("run the same command again to continue")
    elif summary.failed or summary.quarantined:
        print_message(_failed_text(summary, retries=retries))
    print_line(summary.out)


def _failed_text(summary: BatchSummary, *, retries: bool) -> str:
    """Return a sentence on failed recordings; a run that has tried them again proposes no other."""
    if not retries:
        return "--retry-failed tries the failed ones again"
    return (
        f"they failed again: `captoolkit batch rows --failed {shlex.quote(summary.out)}` lists "
        "the reasons"
    )


def _warned_text(count: int) -> str:
    return f"{format_count(count, 'recording')} with warnings (`batch rows` has the sentences)"


def _reason_lines(reasons: Any) -> list[str]:
    """Return the most frequent reasons of failures as lines."""
    lines = [
        f"  {reason.count:,} x {name_options(reason.error)} (such as {reason.example})"
        for reason in reasons[:MOST_REASONS]
    ]
    others = len(reasons) - MOST_REASONS
    return [*lines, f"  and {others:,} other reasons"] if others > 0 else lines
