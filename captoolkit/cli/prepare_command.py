"""`captoolkit prepare`: files that fit the target."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.help_sections import SectionedCommand
from captoolkit.cli.prepared_files import save_each, take_saving

if TYPE_CHECKING:
    from captoolkit.jobs.listing.inputs import Input


@click.command("prepare", cls=SectionedCommand, short_help=COMMANDS["prepare"])
@basic.inputs
@shared.output_folder
@basic.target
@shared.via_or_auto
@shared.shape
@shared.picture
@shared.saving
@shared.no_dry_run("prepare")
def command(inputs: list[Input], picture: str | None, **options: Any) -> int:
    """Make files that the target takes from each FILE, with as little change as its limits allow.

    Writes DIR/STEM.001.EXT, ... and DIR/STEM.manifest.json; prints the names of the segments. The
    files of one FILE appear together, after each has been read back and checked, or not at all.
    """
    from captoolkit.api.prepare import prepare, prepare_provenance

    saving = take_saving(options)
    return save_each(
        "prepare",
        inputs,
        partial(prepare, **options),
        prepare_provenance(**options),
        saving,
        picture=picture,
    )
