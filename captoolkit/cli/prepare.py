"""`captoolkit prepare`: files that fit the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, display_name, for_each
from captoolkit.cli.show import as_path, say


@click.command("prepare", short_help=COMMANDS["prepare"])
@options.files_argument
@click.option(
    "-o",
    "out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The folder that receives them; made if it is not there.",
)
@options.preparing_options()
@options.jobs_option
@options.overwrite_option
@options.json_option
@options.debug_option
def command(
    files: tuple[str, ...],
    out: Path,
    jobs: int | None,
    overwrite: bool,
    as_json: bool,
    debug: bool,
    **chosen: Any,
) -> int:
    """Make files that the target takes of each FILE, with as little change as its limits allow.

    Writes DIR/STEM.001.EXT, ... and DIR/STEM.manifest.json; prints the names of the segments. A
    FILE's results appear together, when the last has been read back and checked, or not at all.
    """
    from captoolkit.cli.progress import Bars
    from captoolkit.files import distinct_stems
    from captoolkit.preparing import prepare

    stems = iter(distinct_stems(map(as_path, files)))
    manifests: list[str] = []

    def make(name: str) -> None:
        stem = next(stems)
        with (
            Bars(name) as bars,
            prepare(name, jobs=jobs, on_event=bars.show, **options.wishes(chosen)) as work,
        ):
            segments = work.save(out, stem=stem, overwrite=overwrite, spare=files)
        manifests.append((out / f"{stem}.manifest.json").read_text(encoding="utf-8"))
        if not as_json:
            for segment in segments:
                say(display_name(str(segment.path)))

    status = for_each(files, make, debug=debug)
    if as_json:
        documents = ",\n".join(text.rstrip() for text in manifests)
        click.echo(f'{{"format": "captoolkit.prepare/1", "files": [\n{documents}\n]}}')
    return status
