"""`captoolkit prepare`: files that fit the target."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.file_output import save_each


@click.command("prepare", short_help=COMMANDS["prepare"])
@options.files_argument
@options.folder_option
@options.preparing_options()
@options.picture_option
@options.jobs_option
@options.overwrite_option
@options.json_option
@options.debug_option
def command(
    files: tuple[str, ...],
    out: Path,
    picture: str | None,
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
    from captoolkit.api.prepare import prepare

    make = partial(prepare, **options.options(chosen))
    return save_each(
        "prepare",
        files,
        make,
        out,
        picture=picture,
        jobs=jobs,
        overwrite=overwrite,
        as_json=as_json,
        debug=debug,
    )
