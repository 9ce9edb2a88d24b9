"""`captoolkit split`: pieces in the source's own codec."""

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


@click.command("split", cls=SectionedCommand, short_help=COMMANDS["split"])
@basic.inputs
@shared.output_folder
@shared.lengths
@shared.cuts
@shared.track
@shared.max_duration
@basic.raw
@shared.saving
def command(inputs: list[Input], **options: Any) -> int:
    """Split each FILE into pieces of at most 40 minutes, in its own codec, cut in quiet places.

    Frames are copied without change where the codec allows it; WAV, AIFF and FLAC are encoded
    again without loss. Tags are kept, pictures are not. Writes DIR/STEM.001.EXT, ... and
    DIR/STEM.manifest.json; prints the names of the pieces. A FILE that needs no cut is copied, even
    with --exact. --segment and --parts lift the 40 minutes, --max-segment sets another length.
    """
    from captoolkit.api.split import split, split_provenance

    saving = take_saving(options)
    return save_each(
        "split",
        inputs,
        partial(split, **options),
        split_provenance(**options),
        saving,
    )
