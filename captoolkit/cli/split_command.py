"""`captoolkit split`: pieces in the source's own codec."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.help_sections import OUTPUT, SectionedCommand, option
from captoolkit.cli.option_types import FolderPlace
from captoolkit.cli.plan_command import show_plans
from captoolkit.cli.prepared_files import save_each, take_saving

if TYPE_CHECKING:
    from captoolkit.jobs.listing.inputs import Input


_folder = option(
    OUTPUT,
    "-o",
    "out",
    metavar="DIR",
    type=FolderPlace(path_type=Path),
    help="Write the files into this folder; it is created if necessary.  [required without "
    "--dry-run]",
)
_dry_run = option(
    OUTPUT,
    "--dry-run",
    is_flag=True,
    help="Show how each FILE would be cut, and why; write only the files of --picture and "
    "--report.",
)


@click.command("split", cls=SectionedCommand, short_help=COMMANDS["split"])
@basic.inputs
@_folder
@_dry_run
@shared.lengths
@shared.cuts
@shared.track
@shared.max_duration
@basic.raw
@shared.picture
@shared.saving
def command(inputs: list[Input], picture: str | None, dry_run: bool, **options: Any) -> int:
    """Split each FILE into pieces of at most 40 minutes, in its own codec, cut in quiet places.

    Frames are copied without change where the codec allows it; WAV, AIFF and FLAC are encoded
    again without loss. Tags are kept, pictures are not. Writes DIR/STEM.001.EXT, ... and
    DIR/STEM.manifest.json; prints the names of the pieces. A FILE that needs no cut is copied, even
    with --exact. --segment and --parts lift the 40 minutes, --max-segment sets another length.
    """
    from captoolkit.api.split import split, split_provenance

    if options["out"] is None and not dry_run:
        raise click.UsageError("Missing option '-o'.", click.get_current_context())
    saving = take_saving(options)
    if dry_run:
        return show_plans(
            inputs,
            partial(split, **options),
            picture=picture,
            overwrite=saving.overwrite,
            report=saving.report,
            as_json=saving.as_json,
            debug=saving.debug,
        )
    return save_each(
        "split",
        inputs,
        partial(split, **options),
        split_provenance(**options),
        saving,
        picture=picture,
    )
