"""`captoolkit export`: a timeline in other formats."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, display_name, for_each
from captoolkit.cli.show import say


@click.command("export", short_help=COMMANDS["export"])
@click.argument("timeline", metavar="TIMELINE.json")
@options.output_options
@options.overwrite_option
@options.debug_option
def command(
    timeline: str, formats: str | None, out: str | None, overwrite: bool, debug: bool
) -> int:
    """Write the timeline in TIMELINE.json in other formats (- reads standard input)."""
    from captoolkit.cli.writing import Outputs
    from captoolkit.timeline import parse

    outputs = Outputs(formats, out, inputs=[timeline], overwrite=overwrite)

    def convert(name: str) -> None:
        places = outputs.places()
        outputs.write(parse(_read(name)), places)
        for place in places.values():
            if place is not None:
                say(display_name(str(place)))

    return for_each([timeline], convert, debug=debug)


def _read(name: str) -> str:
    from captoolkit.errors import InputError, SourceNotFoundError

    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise SourceNotFoundError(
            f"it cannot be read ({error.strerror})", fix="check the name", path=name
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            "it is not UTF-8 text", fix="give a timeline that captoolkit wrote", path=name
        ) from error
