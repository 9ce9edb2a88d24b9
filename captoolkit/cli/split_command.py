"""`captoolkit split`: pieces in the source's own codec."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.prepared_files import save_each
from captoolkit.planning.options import CutMarks

if TYPE_CHECKING:
    from captoolkit.jobs.listing.inputs import Input


@click.command("split", short_help=COMMANDS["split"])
@shared.inputs
@shared.output_folder
@shared.lengths
@click.option(
    "--exact",
    is_flag=True,
    help="Cut at the exact sample instead of between frames; sound of a lossy codec becomes FLAC.",
)
@click.option(
    "--at",
    type=click.Choice(get_args(CutMarks)),
    help="Cut at the chapter marks of FILE; chapters that are too long are cut further.",
)
@shared.track
@shared.max_duration
@shared.raw
@shared.jobs
@shared.name
@shared.stdin_stem
@shared.overwrite
@shared.skip_existing
@shared.report
@shared.as_json
@shared.debug
def command(
    inputs: list[Input],
    out: Path,
    jobs: int | None,
    name: str | None,
    stdin_stem: str | None,
    overwrite: bool,
    skip_existing: bool,
    report: Path | None,
    as_json: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Split each FILE into pieces of at most 40 minutes, in its own codec, cut in quiet places.

    Frames are copied without change where the codec allows it; WAV, AIFF and FLAC are encoded
    again without loss. Tags are kept, pictures are not. Writes DIR/STEM.001.EXT, ... and
    DIR/STEM.manifest.json; prints the names of the pieces. A FILE that needs no cut is copied, even
    with --exact. --segment and --parts lift the 40 minutes, --max-segment sets another length.
    """
    from captoolkit.api.split import split, split_provenance

    return save_each(
        "split",
        inputs,
        partial(split, **options),
        split_provenance(**options),
        out=out,
        name=name,
        stdin_stem=stdin_stem,
        overwrite=overwrite,
        skip_existing=skip_existing,
        report=report,
        jobs=jobs,
        as_json=as_json,
        debug=debug,
    )
