"""The end of a run over several inputs: the rows of `--report`, and the summary."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from captoolkit.cli.app import run_inputs
from captoolkit.cli.show import (
    display_source,
    is_json,
    name_options,
    print_detail,
    print_event,
    print_message,
)
from captoolkit.errors import CaptoolkitError, OutputError
from captoolkit.jobs.commands.outcomes import (
    InputOutcome,
    OutcomeStatus,
    OutcomeSummary,
    ReportFile,
)
from captoolkit.units import format_clock, format_count, format_size

if TYPE_CHECKING:
    from captoolkit.jobs.listing.inputs import Input

MANY = 20  # inputs of a command that makes no files


class RunReport:
    """Collects the outcomes of inputs; on exit, also by an interrupt, it prints the summary.

    A report that can no longer be written does not end the work: the exit raises its error.

    Args:
        inputs: all inputs.
        out: the place of the files, for display; None for a command that makes no files: it has a
            summary in text for more than `MANY` inputs.
        done: the word for inputs that are done.
        report: the file of `--report`, None without it.
        overwrite: replace a file that is no report.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        *,
        out: str | None,
        done: str = "made",
        report: Path | None = None,
        overwrite: bool = False,
    ) -> None:
        self.summary = OutcomeSummary()
        self._inputs = len(inputs)
        self._out = out
        self._done = done
        self._fault: OutputError | None = None
        self._file = ReportFile(report, overwrite=overwrite, spare=[each.url for each in inputs])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._close()
        left = self._inputs - self.summary.counts.total()
        if kind is not None and not issubclass(kind, KeyboardInterrupt):
            return
        if self._inputs > (MANY if self._out is None else 1) and not is_json():
            for line in self.summary.lines(out=self._out, left=left, done=self._done):
                print_message(name_options(line))
        print_event("summary", **self.summary.fields(out=self._out, left=left))
        if kind is None and self._fault is not None:
            raise self._fault

    def add(self, outcome: InputOutcome) -> None:
        """Count an outcome, write its row, and print it with -v."""
        self.summary.add(outcome)
        self._write(outcome)
        print_event("finished", **outcome.row())
        if outcome.status is OutcomeStatus.FAILED:
            return  # the error line has it
        end = "kept" if outcome.status is OutcomeStatus.KEPT else "done"
        segments = f"{format_count(outcome.segments, 'segment')}, " if outcome.segments else ""
        print_detail(
            f"{display_source(outcome.path)}: {end}, {segments}"
            f"{format_clock(outcome.duration_s or 0)}, {format_size(outcome.size_bytes)} "
            f"in {outcome.seconds:.1f} s"
        )

    def _write(self, outcome: InputOutcome) -> None:
        try:
            self._file.add(outcome)
        except OutputError as error:
            self._keep(error)
            self._close()

    def _close(self) -> None:
        try:
            self._file.close()
        except OutputError as error:
            self._keep(error)

    def _keep(self, error: OutputError) -> None:
        """Keep the first error of the report, with the path of the report in its text."""
        if self._fault is None:
            problem = f"the report {error.path} is not complete: {error.problem}"
            self._fault = OutputError(problem, fix=error.fix, path=error.path)

    def run(
        self, inputs: Iterable[Input], work: Callable[[Input], InputOutcome], *, debug: bool
    ) -> int:
        """Call `work` for each input, and add the outcome that it returns, or its failure.

        Returns:
            The exit status, as `run_each` does.
        """

        def work_and_add(item: Input) -> None:
            begun_s = time.monotonic()
            try:
                outcome = work(item)
            except CaptoolkitError as error:
                self.add_failure(item, error)
                raise
            self.add(dataclasses.replace(outcome, seconds=time.monotonic() - begun_s))

        return run_inputs(inputs, work_and_add, debug=debug)

    def add_failure(self, item: Input, error: CaptoolkitError) -> None:
        """Count an input that failed."""
        self.add(InputOutcome.failure(item, display_source(item.url), error))
