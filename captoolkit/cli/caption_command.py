"""`captoolkit caption`: from files to timelines, with a table of the costs at the end."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import click

from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, FAILED, run_all
from captoolkit.cli.caption_summary import MAX_ROWS, FileSummary, print_summary
from captoolkit.cli.show import display_source, plural, print_error, print_message
from captoolkit.errors import CaptoolkitError, ServiceError, UsageError

if TYPE_CHECKING:
    from captoolkit.cli.caption_progress import CaptionDisplay
    from captoolkit.cli.timeline_files import TimelineFiles
    from captoolkit.dispatch.caption_run import CaptionResult, CaptionRun
    from captoolkit.jobs.listing.inputs import Input
    from captoolkit.timeline.value import Timeline

CUT_OFF = "the caption reached the model's length limit and is cut off"


@click.command("caption", short_help=COMMANDS["caption"])
@shared.inputs
@shared.timeline_output
@shared.embed_audio
@shared.captioner
@shared.requests
@shared.target_of_model
@shared.via_or_auto
@shared.shape
@shared.file_name
@shared.stdin_stem
@shared.overwrite
@shared.debug
def command(
    inputs: list[Input],
    formats: str | None,
    out: str | None,
    spread: bool,
    frame_rate: str | None,
    embed_audio: bool,
    name: str | None,
    stdin_stem: str | None,
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
    from captoolkit.cli.timeline_files import TimelineFiles
    from captoolkit.jobs.commands.output_names import output_names

    names = output_names(inputs, name, stdin_stem=stdin_stem, has_index=False)
    outputs = TimelineFiles(
        formats,
        out,
        inputs=[each.url for each in inputs],
        stems=[str(Path(each.folder, each.stem)) for each in names],
        overwrite=overwrite,
        embed_audio=embed_audio,
        spread=spread,
        frame_rate=frame_rate,
    )
    files = CaptionedFiles(inputs, outputs)
    try:
        with contextlib.closing(files.works(**options)) as works:
            status = run_all(works, debug=debug)
    except KeyboardInterrupt:
        if files.is_paid:
            print_message("The ledger has the answers so far; run it again to continue.")
        raise
    finally:
        summaries = [files.summaries[index] for index in sorted(files.summaries)]
        print_summary(summaries)
    return FAILED if any(each.failed for each in summaries) else status


class CaptionedFiles:
    """Captions files in one run, and writes the timeline of each as soon as it is complete.

    Args:
        inputs: the recordings.
        outputs: the files to write, for each input in turn.

    Attributes:
        summaries: of the files with a timeline so far, by the place of the file.
        is_paid: whether the ledger records the answers.
    """

    def __init__(self, inputs: Sequence[Input], outputs: TimelineFiles) -> None:
        self.summaries: dict[int, FileSummary] = {}
        self.is_paid = False
        self._outputs = outputs
        self._inputs: list[Input] = []
        self._sources: list[str | BinaryIO] = []
        self._paths: list[Mapping[str, Path | None]] = []
        self._refused: list[tuple[str, CaptoolkitError]] = []
        for each in inputs:
            try:
                paths, source = outputs.next_paths(), each.source()
                outputs.refuse_unembeddable(each.url)
            except CaptoolkitError as error:
                self._refused.append((each.url, error))
            else:
                self._inputs.append(each)
                self._sources.append(source)
                self._paths.append(paths)

    def works(
        self, *, confirmed: bool, fresh: bool, stream: bool, **options: Any
    ) -> Generator[tuple[str, Callable[[], None]]]:
        """Yield the name of each input as it is done, and a function that writes its timeline.

        The function raises the error of the input instead.
        """
        from captoolkit.api.caption import caption_many
        from captoolkit.cli.caption_progress import CaptionBars, StreamedFiles

        names = [display_source(each.url) for each in self._inputs]
        display = StreamedFiles(names) if stream else CaptionBars(names)
        with caption_many(
            self._sources, on_event=display.show, stream=stream, resume=not fresh, **options
        ) as run:
            for name, error in self._refused:
                yield name, functools.partial(_raise, error)
            self.is_paid = run.is_paid
            if run.is_paid and self._inputs:
                self._confirm(run, confirmed=confirmed, fresh=fresh)
            with display:
                yield from self._results(run, display)

    def _results(
        self, run: CaptionRun, display: CaptionDisplay
    ) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield the works of the files in the order in which they finish."""
        left = len(self._inputs)
        try:
            for result in run:
                left -= 1
                display.finish(result.path)
                yield self._inputs[result.index].url, functools.partial(self._write, result)
        except ServiceError as error:  # every request would meet it
            name = self._inputs[0].url if len(self._inputs) == 1 else f"{plural(left, 'file')} left"
            yield name, functools.partial(_raise, error)

    def _confirm(self, run: CaptionRun, *, confirmed: bool, fresh: bool) -> None:
        """Print tokens and price range and, on a terminal, ask for confirmation.

        Many files are not opened in advance without that question: their number and price stay
        unknown, and the first request is sent at once.

        Raises:
            CaptoolkitError: the user declined.
        """
        from captoolkit.cli.plan_command import describe_price, describe_tokens
        from captoolkit.model import Plan

        is_asked = run.may_cost and not confirmed and sys.stdin.isatty() and sys.stderr.isatty()
        if len(self._inputs) > MAX_ROWS and not is_asked:
            return
        if len(self._inputs) > MAX_ROWS:
            number = plural(len(self._inputs), "file")
            print_message(f"Reading {number} to predict the price; --yes skips this.")
        plans = [plan for plan in run.plans() if isinstance(plan, Plan)]
        if not plans:  # their errors are results
            return
        cost = run.cost_range()
        price = describe_price(cost) if cost else "The price is not known"
        ledger = "" if fresh else "; answers in the ledger cost nothing"
        name = display_source(self._inputs[0].url)
        if len(self._inputs) > 1:
            name = plural(len(plans), "file")
        print_message(f"{name}: {describe_tokens(*plans)} {price}{ledger}.")
        if is_asked:
            requests = plural(sum(len(plan.spans) for plan in plans), "request")
            number = requests if fresh else f"at most {requests}"
            if not click.confirm(f"Send {number} to {run.captioner.base_url}?", err=True):
                raise CaptoolkitError("no request was sent", fix="answer yes, or pass --yes")

    def _write(self, result: CaptionResult) -> None:
        """Write the timeline of a file, and print its paths and failures; raise its error."""
        from captoolkit.cli.timeline_files import print_paths, rescue

        if result.timeline is None:
            _raise(result.error)
        name, paths = display_source(self._inputs[result.index].url), self._paths[result.index]
        try:
            self._outputs.write(result.timeline, paths)
        except (OSError, UsageError):  # the disk is full, or a format cannot hold so much
            print_message(f"{name}: its timeline is kept in {rescue(result.timeline)}")
            raise
        summary = FileSummary.of(name, result, result.timeline, list(paths.values()))
        self.summaries[result.index] = summary
        print_paths(paths)
        _print_failures(name, result.timeline)


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


def _raise(error: CaptoolkitError | None) -> NoReturn:
    assert error is not None
    raise error
