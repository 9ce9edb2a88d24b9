"""The files of `prepare` and `split`: several inputs at once, saved, printed in their order.

Rules: an input that fails does not affect the others. Names are printed in the order of the inputs;
rows of the report appear as inputs end. After an interrupt the finished inputs are listed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli.app import run_all
from captoolkit.cli.show import display_path, print_line, print_message
from captoolkit.errors import CaptoolkitError, OutputExistsError

if TYPE_CHECKING:
    from captoolkit.cli.run_report import RunReport
    from captoolkit.jobs.commands.save_work import SavedFiles, SaveWork
    from captoolkit.jobs.listing.inputs import Input
    from captoolkit.pipeline.prepared import Prepared
    from captoolkit.support.provenance import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """The options of `shared.saving` and the folder.

    Attributes:
        out: the folder that receives all files.
        jobs: the number of parallel jobs, over all inputs; None for one for each core.
        name: the value of `--name`, None without it.
        stdin_stem: the value of `--stem`, None without it.
        overwrite: replace the files of an earlier run.
        skip_existing: keep the files of an earlier run that the same options would make again.
        report: the value of `--report`, None without it.
        as_json: print the manifests in one document, instead of the names of the files.
        debug: show the traceback of an error.
    """

    out: Path
    jobs: int | None
    name: str | None
    stdin_stem: str | None
    overwrite: bool
    skip_existing: bool
    report: Path | None
    as_json: bool
    debug: bool


def take_saving(options: dict[str, Any]) -> Saving:
    """Remove the parameters of `shared.saving` and the folder from `options`, and return them."""
    return Saving(**{field.name: options.pop(field.name) for field in fields(Saving)})


def save_each(
    command: str,
    inputs: Sequence[Input],
    make: Callable[..., Prepared],
    provenance: Provenance,
    saving: Saving,
    *,
    picture: str | None = None,
) -> int:
    """Make and save each input's segments, with a progress bar on a terminal.

    Args:
        command: the command's name; the format of the JSON document contains it.
        inputs: the inputs.
        make: called with a source, `jobs` and `on_event`.
        provenance: the verb and options of `make`.
        saving: where and how the files are saved.
        picture: the value of `--picture`, None without it.

    Returns:
        The exit status.
    """
    from captoolkit.cli.run_report import RunReport
    from captoolkit.jobs.commands.output_names import output_names
    from captoolkit.jobs.commands.save_work import PictureFiles, SaveWork
    from captoolkit.support.files import FileSet

    overwrite = saving.overwrite
    names = output_names(inputs, saving.name, stdin_stem=saving.stdin_stem)
    spare = FileSet(each.url for each in inputs)
    work = SaveWork(
        make=make,
        provenance=provenance,
        inputs=inputs,
        names=names,
        out=saving.out,
        pictures=PictureFiles(
            picture, inputs=spare, names=names, overwrite=overwrite, folder=saving.out
        ),
        overwrite=overwrite,
        skip_existing=saving.skip_existing,
        spare=spare,
    )
    work.refuse_shared_outputs(saving.report)
    place = display_path(saving.out)
    with RunReport(inputs, out=place, report=saving.report, overwrite=overwrite) as reporter:
        printer = _OrderedPrinter(len(inputs), as_json=saving.as_json)
        status = _work_on_all(work, reporter, printer, saving)
        printer.end()
        if saving.as_json:
            documents = ",\n".join(printer.manifests)
            click.echo(f'{{"format": "captoolkit.{command}/1", "files": [\n{documents}\n]}}')
    return status


def _work_on_all(
    work: SaveWork,
    reporter: RunReport,
    printer: _OrderedPrinter,
    saving: Saving,
) -> int:
    """Carry out the work on all inputs; report each as it ends, also after an interrupt."""
    from captoolkit.cli.progress import InputsProgress
    from captoolkit.jobs.commands.input_pool import InputPool
    from captoolkit.support.keywords import count_cores

    inputs, is_new = work.inputs, not saving.out.exists()

    def show(index: int, result: Callable[[], SavedFiles]) -> None:
        try:
            saved = result()
        except CaptoolkitError as error:
            if isinstance(error, OutputExistsError) and not work.skip_existing:
                error.fix += ", or --skip-existing to keep finished files"
            reporter.add_failure(inputs[index], error)
            printer.skip(index)
            raise
        reporter.add(saved.outcome)
        printer.add(index, saved)

    with (
        InputsProgress(inputs) as bars,
        InputPool(
            work,
            range(len(inputs)),
            jobs=saving.jobs or count_cores(),
            following=lambda index: bars.following(inputs[index]),
            inputs=inputs,
        ) as pool,
    ):
        try:
            results = pool.results()
            works = ((inputs[i].url, functools.partial(show, i, result)) for i, result in results)
            return run_all(works, debug=saving.debug)
        except KeyboardInterrupt:
            pool.close()
            for index, result in pool.finished():
                show(index, result)
            printer.end()
            raise
        finally:
            if is_new:
                with contextlib.suppress(OSError):  # not empty
                    work.out.rmdir()


class _OrderedPrinter:
    """Prints the names of the files of each input, in the order of the inputs."""

    def __init__(self, inputs: int, *, as_json: bool) -> None:
        self.manifests: list[str] = []
        self._as_json = as_json
        self._waiting: dict[int, SavedFiles | None] = {}
        self._inputs = inputs
        self._next = 0

    def skip(self, index: int) -> None:
        """Let the inputs after one that failed be printed."""
        self._waiting[index] = None
        self._print()

    def add(self, index: int, saved: SavedFiles) -> None:
        """Print the files of an input, as soon as those before it are printed."""
        self._waiting[index] = saved
        self._print()

    def end(self) -> None:
        """Print the files that wait for inputs without an end."""
        while self._waiting:
            self._next = min(self._waiting)
            self._print()

    def _print(self) -> None:
        while self._next in self._waiting:
            saved = self._waiting.pop(self._next)
            self._next += 1
            if saved is None:
                continue
            print_picture(saved.picture)
            if self._as_json:
                self.manifests.append(saved.manifest.read_text(encoding="utf-8").rstrip())
                continue
            for path in saved.segments:
                print_line(display_path(path))


def print_picture(path: Path | None) -> None:
    """Print the path of a picture, if there is a picture."""
    if path is not None:
        print_message(f"picture: {display_path(path)}")
