"""`captoolkit export`: a timeline in other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, run_each
from captoolkit.cli.option_types import complete_path
from captoolkit.errors import UsageError


@click.command("export", short_help=COMMANDS["export"])
@click.argument("timeline", metavar="TIMELINE.json", shell_complete=complete_path)
@shared.timeline_output
@shared.embed_audio
@shared.spectrogram
@shared.shareable
@basic.overwrite
@basic.quiet
@basic.debug
def command(timeline: str, overwrite: bool, debug: bool, **output: Any) -> int:
    """Write the timeline in TIMELINE.json in other formats; - reads standard input."""
    from captoolkit.cli.timeline_files import (
        STANDARD_INPUT,
        TimelineFiles,
        note_holes,
        print_paths,
        raise_refused,
        read_timeline,
        take_output,
        written_paths,
    )

    if output["formats"] is None and output["out"] is None:
        raise UsageError(
            "no format is given",
            fix="pass -f, such as -f srt, or -o with an ending that selects one",
        )
    outputs = TimelineFiles(
        inputs=[timeline],
        stems=["timeline" if timeline == STANDARD_INPUT else Path(timeline).stem],
        overwrite=overwrite,
        timeline_folder=None if timeline == STANDARD_INPUT else Path(timeline).parent,
        **take_output(output),
    )

    def write(name: str) -> None:
        paths = outputs.next_paths()
        loaded = read_timeline(name)
        refused = outputs.write(loaded, paths)
        print_paths(written_paths(paths, refused).values())
        note_holes(name, loaded)
        raise_refused(refused)

    return run_each([timeline], write, debug=debug)
