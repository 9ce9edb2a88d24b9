"""The files of `prepare` and `split`: several inputs at once, saved, printed in their order.

Rules: an input that fails does not affect the others. The place of a picture is checked before any
work starts.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from captoolkit.cli.app import run_all
from captoolkit.cli.show import display_path, print_line, print_message
from captoolkit.errors import UsageError
from captoolkit.events import OnEvent
from captoolkit.jobs.input_pool import InputPool
from captoolkit.support import files

if TYPE_CHECKING:
    from captoolkit.jobs.inputs import Input
    from captoolkit.pipeline.prepared import Prepared
    from captoolkit.pipeline.segment import ReadySegment

PICTURE_EXTENSION = ".svg"


def save_each(
    command: str,
    inputs: Sequence[Input],
    make: Callable[..., Prepared],
    out: Path,
    *,
    picture: str | None = None,
    jobs: int | None,
    overwrite: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Make and save each input's segments, with a progress bar on a terminal.

    Args:
        command: the command's name; the format of the JSON document contains it.
        inputs: the inputs.
        make: called with a source, `jobs` and `on_event`.
        out: the folder that receives all files.
        picture: the value of `--picture`, None without it.
        jobs: the number of parallel jobs, over all inputs; None for one for each core.
        overwrite: replace the files of an earlier run.
        as_json: print the manifests in one document, instead of the names of the files.
        debug: show the traceback of an error.

    Returns:
        The exit status.
    """
    from captoolkit.cli.progress import bars_for
    from captoolkit.jobs.output_names import output_stems
    from captoolkit.support.keywords import count_cores

    stems = output_stems(inputs)
    pictures = PictureFiles(picture, inputs=inputs, stems=stems, overwrite=overwrite)
    work = SaveWork(
        make=make, inputs=inputs, stems=stems, out=out, pictures=pictures, overwrite=overwrite
    )
    manifests: list[str] = []

    def show(index: int, result: Callable[[], SavedFiles]) -> None:
        saved = result()
        manifest = out / f"{stems[index]}.manifest.json"
        manifests.append(manifest.read_text(encoding="utf-8").rstrip())
        print_picture(saved.picture)
        if not as_json:
            for segment in saved.segments:
                print_line(display_path(segment.path))

    with (
        bars_for([each.url for each in inputs]) as bars,
        InputPool(
            work,
            range(len(inputs)),
            jobs=jobs or count_cores(),
            following=lambda index: bars.following(inputs[index].url),
            inputs=inputs,
        ) as pool,
    ):
        results = pool.results()
        works = ((inputs[i].url, functools.partial(show, i, result)) for i, result in results)
        status = run_all(works, debug=debug)
    if as_json:
        documents = ",\n".join(manifests)
        click.echo(f'{{"format": "captoolkit.{command}/1", "files": [\n{documents}\n]}}')
    return status


def print_picture(path: Path | None) -> None:
    """Print the path of a picture, unless there is none."""
    if path is not None:
        print_message(f"picture: {display_path(path)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFiles:
    """The files that one input has become; `picture` is None without `--picture`."""

    segments: tuple[ReadySegment, ...]
    picture: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveWork:
    """Makes and saves the segments of an input, by its index; any process can run a copy."""

    make: Callable[..., Prepared]
    inputs: Sequence[Input]
    stems: Sequence[str]
    out: Path
    pictures: PictureFiles
    overwrite: bool

    def __call__(self, index: int, jobs: int, on_event: OnEvent) -> SavedFiles:
        """Make and save the segments, and the picture if there is one."""
        picture = self.pictures.path(index)
        with self.make(self.inputs[index].source(), jobs=jobs, on_event=on_event) as prepared:
            stem = Path(self.stems[index])
            segments = prepared.save(
                self.out / stem.parent,
                stem=stem.name,
                overwrite=self.overwrite,
                spare=[each.url for each in self.inputs],
            )
            self.pictures.write(prepared, picture)
            return SavedFiles(segments=segments, picture=picture)


class PictureFiles:
    """The files of `--picture`, one for each input.

    Args:
        picture: the value of the option, None without it.
        inputs: the inputs.
        stems: the paths of the pictures in a folder, without ending.
        overwrite: replace existing files, but never an input.

    Raises:
        UsageError: the option names one file for several inputs.
    """

    def __init__(
        self,
        picture: str | None,
        *,
        inputs: Sequence[Input],
        stems: Sequence[str],
        overwrite: bool,
    ) -> None:
        self._picture = picture
        self._inputs = files.FileSet(each.url for each in inputs)
        self._overwrite = overwrite
        self._stems = stems
        is_folder = picture is not None and (
            Path(picture).is_dir() or picture.endswith(("/", os.sep))
        )
        self._is_single_file = len(inputs) == 1 and not is_folder
        names_file = picture is not None and picture.lower().endswith(PICTURE_EXTENSION)
        if names_file and not is_folder and len(inputs) > 1:
            raise UsageError(
                f"--picture {picture} is one file for {len(inputs)} pictures",
                fix="name a folder",
            )

    def path(self, index: int) -> Path | None:
        """Return the path of an input's picture, by the input's index; None without `--picture`.

        Raises:
            OutputExistsError: the file exists.
            OutputError: the file cannot be written, or is an input.
        """
        if self._picture is None:
            return None
        named = Path(self._picture).absolute()
        path = named if self._is_single_file else named / f"{self._stems[index]}{PICTURE_EXTENSION}"
        self._inputs.refuse([path])
        if not self._overwrite:
            files.refuse_existing([path])
        files.refuse_unwritable_file(path)
        return path

    def write(self, prepared: Prepared, path: Path | None) -> None:
        """Write the picture of a preparation, unless `path` is None."""
        if path is not None:
            files.write_whole(path, prepared.picture(), overwrite=self._overwrite)
