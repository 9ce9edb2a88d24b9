"""`captoolkit prepare`: files that fit the target."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS
from captoolkit.cli.prepared_files import save_each

if TYPE_CHECKING:
    from captoolkit.jobs.listing.inputs import Input


@click.command("prepare", short_help=COMMANDS["prepare"])
@shared.inputs
@shared.output_folder
@shared.target
@shared.via_or_auto
@shared.shape
@shared.picture
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
    picture: str | None,
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
    """Make files that the target takes from each FILE, with as little change as its limits allow.

    Writes DIR/STEM.001.EXT, ... and DIR/STEM.manifest.json; prints the names of the segments. The
    files of one FILE appear together, after each has been read back and checked, or not at all.
    """
    from captoolkit.api.prepare import prepare, prepare_provenance

    return save_each(
        "prepare",
        inputs,
        partial(prepare, **options),
        prepare_provenance(**options),
        out=out,
        name=name,
        stdin_stem=stdin_stem,
        overwrite=overwrite,
        skip_existing=skip_existing,
        report=report,
        jobs=jobs,
        as_json=as_json,
        debug=debug,
        picture=picture,
    )
