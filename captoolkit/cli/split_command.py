"""`captoolkit split`: pieces in the source's own codec."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.file_output import save_each


@click.command("split", short_help=COMMANDS["split"])
@options.files_argument
@options.folder_option
@options.length_options
@click.option(
    "--exact",
    is_flag=True,
    help="Cut at the sample and not between frames; what a lossy codec decodes to becomes FLAC.",
)
@click.option(
    "--at",
    type=click.Choice(["chapters"]),
    help="Cut at the recording's own chapter marks; longer chapters are cut as well.",
)
@options.track_option
@options.max_duration_option
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
    """Split each FILE into pieces of 40 minutes at most, in its own codec, cut where it is quiet.

    Frames are copied as they are where the codec allows it, and samples are encoded losslessly
    where it does not: WAV, AIFF, FLAC. Tags are kept, pictures are not. Writes DIR/STEM.001.EXT,
    ... and DIR/STEM.manifest.json; prints the names of the pieces. A FILE that need not be cut
    becomes one piece, untouched, with --exact too. --segment and --parts lift the 40 minutes,
    --max-segment sets another length.
    """
    from captoolkit.api.split import split

    make = partial(split, **chosen)
    return save_each(
        "split", files, make, out, jobs=jobs, overwrite=overwrite, as_json=as_json, debug=debug
    )
