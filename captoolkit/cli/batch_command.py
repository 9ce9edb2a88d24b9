"""`captoolkit batch`: a verb over many recordings, and the state and the rows of a batch."""

from __future__ import annotations

import dataclasses
import functools
import sys
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, FAILED, CommandGroup
from captoolkit.cli.batch_summary import (
    forecast_lines,
    print_forecast,
    print_status,
    print_summary,
    status_fields,
)
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
    FolderPlace,
    Place,
    StreamPlace,
    WholeNumber,
    complete_from,
    complete_path,
    parsed_by,
    refuse_output_over_listing,
    refused_option,
)
from captoolkit.cli.show import configure, confirm_requests, print_json, print_line, print_message
from captoolkit.errors import UsageError
from captoolkit.timeline import FORMATS
from captoolkit.units import format_count, parse_duration, parse_size

if TYPE_CHECKING:
    from captoolkit.jobs.batch_options import BatchVerb


@click.group("batch", cls=CommandGroup, short_help=COMMANDS["batch"])
def command() -> None:
    """Probe, prepare, split or caption many recordings, on one machine or many.

    Each recording gets a row in OUT. The same command again does the recordings that are left: a
    killed run loses nothing that is finished, and pays for nothing twice. A recording that ends its
    worker, or takes too long, is tried again alone and then quarantined; the others go on.

    Exit status: 0 all recordings are done; 1 some failed, are quarantined or have segments without
    a caption, or the budget was reached; 2 wrong usage, or OUT holds the results of another verb or
    of other options; 130 interrupted.
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


_refused = functools.partial(refused_option, "a batch")
_PAGES = "it writes no pages, because OUT holds no recordings"
_EXPORT = "take `captoolkit export -f html` with the timelines that need a page"
_refused_options = group(
    _refused("--skip-existing", "it keeps finished recordings", "leave it out", is_flag=True),
    _refused(
        "--name", "results are named after their recordings", "leave it out; OUT has their folders"
    ),
    _refused("--stem", "it reads no recording from standard input", "name a file"),
    _refused(
        "--report",
        "OUT has a row for each recording",
        "write them with `captoolkit batch rows OUT -o FILE`",
    ),
    _refused(
        "--picture", "it draws no cuts", "take `captoolkit plan --picture` with single recordings"
    ),
    _refused("--jobs", "it has a worker for each core", "pass --cluster local:N for N of them"),
    _refused("--stream", "it shows no captions", "leave it out", is_flag=True),
    _refused("--embed-audio", _PAGES, _EXPORT, is_flag=True),
    _refused("--spectrogram", _PAGES, _EXPORT, is_flag=True),
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
        callback=parsed_by(parse_duration),
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
    basic.messages("Print a line for each request that is repeated."),
    basic.as_json,
    basic.debug,
    _refused_options,
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
@basic.raw
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
    shell_complete=complete_from([name for name in FORMATS if name != "html"]),
    help="Formats of each timeline, separated by commas, such as json,srt,vtt; JSON is always "
    "written.  [default: json]",
)
@shared.format_options
@shared.no_resume
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
    options["resume"] = not options.pop("fresh")
    return _run("caption", **options)


@command.command("status", short_help="Show how far a batch is.")
@click.argument("out", metavar="OUT", type=Place(), shell_complete=complete_path)
@basic.as_json
@basic.debug
def status(out: str, as_json: bool, debug: bool) -> int:
    """Show the options of the batch in OUT, and how many recordings have which state."""
    from captoolkit.jobs.results.recipe import read_job
    from captoolkit.jobs.results.recording_rows import read_rows
    from captoolkit.jobs.results.summary import Tally
    from captoolkit.jobs.stores.object_store import open_store

    store = open_store(out)
    recipe = read_job(store)
    tally = Tally()
    for row in read_rows(store):
        tally.add(row)
    if as_json:
        print_json("batch-status", status_fields(store.url, recipe, tally))
    else:
        parameters = command.commands[recipe.verb].params
        names = {str(parameter.name): parameter.opts[0] for parameter in parameters}
        print_status(recipe, tally, names=names)
    return 0


@command.command("rows", short_help="Write the rows of a batch as a table.")
@click.argument("out", metavar="OUT", type=Place(), shell_complete=complete_path)
@click.option(
    "-o",
    "path",
    default="-",
    metavar="PATH",
    type=StreamPlace(),
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
    quiet: bool,
    verbose: bool,
    progress: str,
    confirmed: bool = False,
    **options: Any,
) -> int:
    """Run a verb, or show its forecast."""
    from captoolkit.cli.batch_progress import BatchBar
    from captoolkit.cli.caption_command import note_local_captions
    from captoolkit.jobs.batch import batch, forecast_batch
    from captoolkit.support import files

    configure(is_quiet=quiet, is_verbose=verbose, progress=progress)
    if verb == "caption":
        note_local_captions(options.get("target"))
    place = None if "://" in out else out
    files.refuse_shared([("-o", place), ("--ledger", options.get("ledger"))])
    refuse_output_over_listing(options["files_from"], {**options, "out": place})
    options = {name: value for name, value in options.items() if value is not None}
    if dry_run:
        workers = _workers(cluster)
        expected = forecast_batch(verb, names, out=out, workers=workers, needs_key=False, **options)
        print_forecast(verb, expected, as_json=as_json)
        return 0
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if is_terminal and not confirmed and verb == "caption" and _sends_requests(options):
        expected = forecast_batch(verb, names, out=out, workers=_workers(cluster), **options)
        # A batch that is finished sends no requests.
        if expected.requests and expected.needs_confirmation:
            for line in forecast_lines(verb, expected):
                print_message(line, even_if_quiet=True)
            confirm_requests(expected.requests, expected.base_url, is_most=options["resume"])
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
        print_summary(summary, retries=options["retry_failed"])
    return 0 if summary.is_complete else FAILED


def _sends_requests(options: dict[str, Any]) -> bool:
    """Return whether this process sends the requests of a `batch caption`, and not its workers."""
    from captoolkit.jobs.batch_options import read_settings

    own: Any = dict(options)
    captioner = own.pop("captioner", "acoustic")
    return not read_settings("caption", own, captioner=captioner).driver.asks_on_worker


def _workers(cluster: str) -> int:
    """Return the number of workers that a forecast counts with."""
    from captoolkit.support.keywords import count_cores

    number = cluster.removeprefix("local:")
    if number.isdigit():
        return max(1, int(number))
    return 1 if cluster == "none" else count_cores()
