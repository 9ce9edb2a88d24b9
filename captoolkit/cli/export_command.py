"""`captoolkit export`: a timeline in other formats."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, display_name, for_each
from captoolkit.cli.show import say

if TYPE_CHECKING:
    from captoolkit.timeline.value import Timeline


@click.command("export", short_help=COMMANDS["export"])
@click.argument("timeline", metavar="TIMELINE.json")
@options.output_options
@options.embed_option
@options.overwrite_option
@options.debug_option
def command(
    timeline: str,
    formats: str | None,
    out: str | None,
    spread: bool,
    frame_rate: str | None,
    embed_audio: bool,
    overwrite: bool,
    debug: bool,
) -> int:
    """Write the timeline in TIMELINE.json in other formats (- reads standard input)."""
    from captoolkit.cli.timeline_output import Outputs

    outputs = Outputs(
        formats,
        out,
        inputs=[timeline],
        overwrite=overwrite,
        embed_audio=embed_audio,
        spread=spread,
        frame_rate=frame_rate,
    )

    def convert(name: str) -> None:
        places = outputs.places()
        outputs.write(read_timeline(name), places)
        for place in places.values():
            if place is not None:
                say(display_name(str(place)))

    return for_each([timeline], convert, debug=debug)


def read_timeline(name: str) -> Timeline:
    """Return the timeline in a file; `-` is standard input."""
    from captoolkit.errors import InputError
    from captoolkit.timeline import load, parse

    if name != "-":
        return load(name)
    try:
        return parse(sys.stdin.buffer.read().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(
            "it is not UTF-8 text", fix="give a timeline that captoolkit wrote", path=name
        ) from error
