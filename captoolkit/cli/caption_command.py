"""`captoolkit caption`: from files to timelines, with a table of the costs at the end."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import click
from click.core import ParameterSource

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, FAILED, run_all
from captoolkit.cli.caption_summary import MAX_ROWS, FileSummary, print_summary
from captoolkit.cli.help_sections import SectionedCommand
from captoolkit.cli.option_types import refused_option
from captoolkit.cli.show import (
    confirm_requests,
    display_source,
    is_json,
    print_error,
    print_json,
    print_message,
)
from captoolkit.errors import CaptoolkitError, OutputExistsError, ServiceError, UsageError
from captoolkit.units import format_count

if TYPE_CHECKING:
    from captoolkit.cli.caption_progress import CaptionDisplay
    from captoolkit.cli.run_report import RunReport
    from captoolkit.cli.timeline_files import TimelineFiles
    from captoolkit.dispatch.caption_run import CaptionResult, CaptionRun
    from captoolkit.jobs.listing.inputs import Input
    from captoolkit.model import Entry
    from captoolkit.timeline.value import Timeline


@click.command("caption", cls=SectionedCommand, short_help=COMMANDS["caption"])
@basic.inputs
@shared.timeline_output
@shared.embed_audio
@shared.spectrogram
@shared.captioner
@shared.requests
@shared.target_of_model
@shared.via_or_auto
@shared.shape
@shared.jobs
@shared.file_name
@shared.stdin_stem
@basic.overwrite
@shared.skip_existing
@basic.report
@basic.as_json
@basic.debug
@refused_option(
    "caption",
    "--picture",
    "the page of -f html shows the cuts",
    "take `captoolkit plan --picture` to see them before anything is sent",
)
@shared.no_dry_run("caption", " --captioner NAME")
def command(
    inputs: list[Input],
    name: str | None,
    stdin_stem: str | None,
    overwrite: bool,
    skip_existing: bool,
    report: Path | None,
    as_json: bool,
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
    from captoolkit.cli.run_report import RunReport
    from captoolkit.cli.timeline_files import STANDARD_OUTPUT, TimelineFiles, take_output
    from captoolkit.jobs.commands.output_names import output_names

    out = options["out"] or "."
    if as_json and out == STANDARD_OUTPUT:
        raise UsageError(
            "--json and -o - both write to standard output", fix="name a file or a folder with -o"
        )
    names = output_names(inputs, name, stdin_stem=stdin_stem, has_index=False)
    outputs = TimelineFiles(
        inputs=[each.url for each in inputs],
        stems=[str(Path(each.folder, each.stem)) for each in names],
        overwrite=overwrite,
        skip_existing=skip_existing,
        **take_output(options),
    )
    files = CaptionedFiles(inputs, outputs, skip_existing=skip_existing, as_json=as_json)
    files.refuse_shared_outputs(report=report, ledger=options["ledger"])
    note_local_captions(options["target"])
    with (
        files.open_run(overwrite=overwrite, **options) as run,
        RunReport(inputs, out=out, report=report, overwrite=overwrite) as reporter,
    ):
        try:
            with run:
                status = run_all(files.works(run, reporter), debug=debug)
        except KeyboardInterrupt:
            files.print_interrupted(run)
            raise
        else:
            if as_json:
                files.print_document(run)
        finally:
            summaries = [files.summaries[index] for index in sorted(files.summaries)]
            if not is_json():
                print_summary(summaries)
                files.print_remainder(run)
    return FAILED if any(each.failed for each in summaries) else status


def note_local_captions(target: str | None) -> None:
    """Print that `--target` selects no service without `--captioner`: the captions are local.

    Raises:
        UsageError: the target is not known.
    """
    from captoolkit.captioners.registry import DEFAULT_CAPTIONER, question_captioner_of
    from captoolkit.services import catalogue

    context = click.get_current_context()
    is_default = context.get_parameter_source("captioner") is ParameterSource.DEFAULT
    if target in (None, DEFAULT_CAPTIONER) or not is_default:
        return
    captioner = question_captioner_of(catalogue.target(target))
    print_message(
        f"note: the local captioner makes the captions, and --target {target} sets only the "
        f"limits; --captioner {captioner} asks the service"
    )


class CaptionedFiles:
    """Captions files in one run, and writes each timeline when it is complete.

    Args:
        inputs: the recordings.
        outputs: the files to write, for each input in turn.
        skip_existing: keep the timelines of an earlier run that this run would make again.
        as_json: keep a document of each file instead of printing the names of its timelines.

    Attributes:
        summaries: of the files with a new timeline so far, by the place of the file.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        outputs: TimelineFiles,
        *,
        skip_existing: bool = False,
        as_json: bool = False,
    ) -> None:
        self.summaries: dict[int, FileSummary] = {}
        self._as_json = as_json
        self._documents: dict[int, dict[str, Any]] = {}
        self._outputs = outputs
        self._skip_existing = skip_existing
        self._inputs: list[Input] = []
        self._sources: list[str | BinaryIO] = []
        self._paths: list[Mapping[str, Path | None]] = []
        self._refused: list[tuple[Input, CaptoolkitError]] = []
        self._display: CaptionDisplay
        self._is_confirmed = self._is_fresh = self._is_reported = False
        for each in inputs:
            try:
                paths, source = outputs.next_paths(), each.source()
                outputs.refuse_unembeddable(each.url)
            except CaptoolkitError as error:
                is_found = isinstance(error, OutputExistsError) and not skip_existing
                if is_found and outputs.rerun_option == "--skip-existing":
                    error.fix += ", or --skip-existing to keep finished files and do the rest"
                self._refused.append((each, error))
            else:
                self._inputs.append(each)
                self._sources.append(source)
                self._paths.append(paths)

    def refuse_shared_outputs(self, *, report: Path | None, ledger: str | None) -> None:
        """Refuse two outputs of this command at one place.

        Raises:
            UsageError: there are two.
        """
        from captoolkit.dispatch.ledger_place import default_path
        from captoolkit.support.files import refuse_shared

        written = [path for paths in self._paths for path in paths.values() if path is not None]
        results = [*dict.fromkeys(path.parent for path in written), *written]
        refuse_shared(
            [
                ("--report", report),
                ("--ledger", ledger or default_path()),
                *(("-o", path) for path in results),
            ]
        )

    def open_run(
        self, *, confirmed: bool, fresh: bool, stream: bool, overwrite: bool, **options: Any
    ) -> CaptionRun:
        """Return the run over all files; nothing has begun.

        Raises:
            CaptoolkitError: an option is invalid, or the key is missing.
        """
        from captoolkit.api.caption import caption_many
        from captoolkit.cli.caption_progress import CaptionBars, CaptionObjects, StreamedFiles

        names = [display_source(each.url) for each in self._inputs]
        if is_json():
            self._display = CaptionObjects(self._inputs)
        else:
            self._display = StreamedFiles(names) if stream else CaptionBars(names)
        self._is_confirmed, self._is_fresh = confirmed, fresh
        return caption_many(
            self._sources,
            on_event=self._display.show,
            existing=[each.get("json") for each in self._paths] if self._skip_existing else (),
            overwrite=overwrite,
            stream=stream,
            resume=not fresh,
            **options,
        )

    def works(
        self, run: CaptionRun, reporter: RunReport
    ) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield the name of each input when it ends, and a function that writes its timeline.

        The function raises the error of the input instead.
        """
        for item, error in self._refused:
            reporter.add_failure(item, error)
            yield item.url, functools.partial(_raise, error)
        if run.is_paid and self._inputs:
            self._confirm(run)
        left = len(self._inputs)
        with self._display:
            try:
                for result in run:
                    left -= 1
                    self._display.finish(result.path, is_kept=result.is_kept)
                    name = self._inputs[result.index].url
                    yield name, functools.partial(self._finish, result, reporter)
            except ServiceError as error:  # it ended the run
                self._is_reported = True
                name = f"{format_count(left, 'file')} left"
                if len(self._inputs) == 1:
                    name = self._inputs[0].url
                    reporter.add_failure(self._inputs[0], error)
                yield name, functools.partial(_raise, error)

    def print_remainder(self, run: CaptionRun) -> None:
        """Print how many segments are left after a fault that ended the run with captions."""
        if run.error is not None and run.left and not self._is_reported:
            print_message(f"{format_count(run.left, 'segment')} left: {self._outputs.rerun_advice}")

    def print_interrupted(self, run: CaptionRun) -> None:
        """Print how to continue a paid run."""
        if run.is_paid:
            print_message(
                f"The ledger has the answers so far; {self._outputs.rerun_advice} to continue."
            )

    def print_document(self, run: CaptionRun) -> None:
        """Print the JSON document: the files with a timeline, and the figures of the run."""
        print_json(
            "caption",
            {
                "files": [self._documents[index] for index in sorted(self._documents)],
                "requested": run.requested,
                "recalled": run.recalled,
                "total_tokens": run.usage.total_tokens,
                "cost": run.cost and dataclasses.asdict(run.cost),
            },
        )

    def _confirm(self, run: CaptionRun) -> None:
        """Print tokens and price range and, on a terminal, ask for confirmation.

        Many files are not opened in advance without that question: their number and price stay
        unknown, and the first request is sent at once.

        Raises:
            CaptoolkitError: the user declined.
        """
        from captoolkit.cli.plan_command import describe_price, describe_tokens
        from captoolkit.model import Plan

        is_asked = run.needs_confirmation and not self._is_confirmed
        is_asked = is_asked and sys.stdin.isatty() and sys.stderr.isatty()
        if len(self._inputs) > MAX_ROWS and not is_asked:
            return
        if len(self._inputs) > MAX_ROWS:
            number = format_count(len(self._inputs), "file")
            print_message(f"Reading {number} to predict the price; --yes skips this.")
        plans = [plan for plan in run.plans() if isinstance(plan, Plan)]
        if not plans:  # their errors are results
            return
        cost = run.cost_range()
        price = describe_price(cost) if cost else "The price is not known"
        ledger = "" if self._is_fresh else "; answers in the ledger cost nothing"
        name = display_source(self._inputs[0].url)
        if len(self._inputs) > 1:
            name = format_count(len(plans), "file")
        sentence = f"{name}: {describe_tokens(*plans)} {price}{ledger}."
        print_message(sentence, even_if_quiet=is_asked)
        if is_asked:
            count = sum(len(plan.spans) for plan in plans)
            confirm_requests(count, run.captioner.base_url or "", is_most=not self._is_fresh)

    def _finish(self, result: CaptionResult, reporter: RunReport) -> None:
        """Write the timeline of a file, and print its paths and failures; raise its error."""
        from captoolkit.captioners.answers import ending_warnings
        from captoolkit.cli.timeline_files import print_paths, raise_refused, written_paths
        from captoolkit.jobs.commands.outcomes import InputOutcome

        item, paths = self._inputs[result.index], self._paths[result.index]
        try:
            is_kept, refused = self._write(result, paths)
        except CaptoolkitError as error:
            reporter.add_failure(item, error)
            raise
        timeline = result.timeline
        assert timeline is not None
        name = display_source(item.url)
        written = written_paths(paths, refused)
        if not is_kept:
            summary = FileSummary.of(name, result, timeline, list(paths.values()))
            self.summaries[result.index] = summary
        outcome = InputOutcome.captioned(
            item,
            name,
            timeline,
            out=paths.get("json") or next(iter(written.values()), None),
            size_bytes=sum(path.stat().st_size for path in written.values()),
            seconds=result.seconds,
            is_kept=is_kept,
            warnings=(*result.warnings, *ending_warnings(timeline.entries)),
        )
        reporter.add(outcome)
        _print_failures(name, timeline)
        if self._as_json:
            self._documents[result.index] = {
                **outcome.row(),
                "failed": len(timeline.holes),
                "requested": result.requested,
                "recalled": result.recalled,
                "total_tokens": result.usage.total_tokens,
                "cost": result.cost and dataclasses.asdict(result.cost),
                "files": {form: str(path) for form, path in written.items()},
            }
        else:
            print_paths(written.values())
        raise_refused(refused)

    def _write(
        self, result: CaptionResult, paths: Mapping[str, Path | None]
    ) -> tuple[bool, Mapping[str, UsageError]]:
        """Write the files of a result.

        Returns whether it is kept and all its files existed, and the errors of the formats that
        cannot hold it.
        """
        from captoolkit.cli.timeline_files import rescue

        if result.timeline is None:
            _raise(result.error)
        if result.is_kept:
            is_completed, refused = self._outputs.complete(result.timeline, paths)
            return not is_completed, refused
        kept = f"{display_source(self._inputs[result.index].url)}: its timeline is kept in"
        try:
            refused = self._outputs.write(result.timeline, paths)
        except (OSError, UsageError):  # the disk is full, or a format cannot hold so much
            print_message(f"{kept} {rescue(result.timeline)}")
            raise
        if refused and "json" not in paths:
            print_message(f"{kept} {rescue(result.timeline)}")
        return False, refused


def _print_failures(name: str, timeline: Timeline) -> None:
    """Print which segments have no caption, and which captions are cut off."""
    from captoolkit.captioners.answers import ending_warnings

    groups: dict[str, list[Entry]] = {}
    for hole in timeline.holes:
        groups.setdefault(hole.error or "", []).append(hole)
    for error, holes in groups.items():
        numbers = f"segment {holes[0].index}"
        if len(holes) > 1:
            numbers = f"segments {holes[0].index} to {holes[-1].index}"
            if len(holes) <= holes[-1].index - holes[0].index:
                numbers += f", {len(holes):,} of them"
        request_id = next((hole.request_id for hole in holes if hole.request_id), None)
        print_error(error, name=f"{display_source(name)}: {numbers}", request_id=request_id)
    for warning in ending_warnings(timeline.entries):
        print_message(f"warning: {display_source(name)}: {warning}")


def _raise(error: CaptoolkitError | None) -> NoReturn:
    assert error is not None
    raise error
