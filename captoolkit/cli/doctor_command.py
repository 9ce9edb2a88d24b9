"""`captoolkit doctor`: what is found here, and whether it will do."""

from __future__ import annotations

import os
import platform
from typing import Any

import click

from captoolkit import __version__
from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, FAILED, report
from captoolkit.cli.show import say_columns
from captoolkit.services.keys import KEY_VARIABLE

LIBRARIES = ("ffmpeg-python", "imageio-ffmpeg", "soundfile", "numpy", "pydub", "httpx", "click")


@click.command("doctor", short_help=COMMANDS["doctor"])
@options.json_option
def command(as_json: bool) -> int:
    """Show what captoolkit finds here: ffmpeg and what it encodes, key, folders, versions.

    The key itself is never shown. The exit status is 1 when something found will not do.
    """
    from captoolkit.dispatch.ledger import default_path
    from captoolkit.errors import ToolError, UsageError
    from captoolkit.services import catalogue

    found: dict[str, Any] = {"captoolkit": __version__, "python": platform.python_version()}
    found |= {f"library {name}": _version(name) for name in LIBRARIES}
    status = 0
    try:
        found |= _ffmpeg()
    except ToolError as error:
        report(str(error))
        status = FAILED
    try:
        found["services"] = ", ".join(sorted(catalogue.targets()))
    except UsageError as error:
        report(str(error))
        status = FAILED
    found |= {
        f"key ({KEY_VARIABLE})": "set" if os.environ.get(KEY_VARIABLE) else "not set",
        "targets of your own": str(catalogue.user_file() or "none"),
        "configuration folder": str(catalogue.config_folder()),
        "ledger of answers": str(default_path()),
    }
    if as_json:
        from captoolkit.support.exact_json import render

        click.echo(render({"format": "captoolkit.doctor/1", **found}), nl=False)
    else:
        say_columns(found.items())
    return status


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _ffmpeg() -> dict[str, str]:
    from captoolkit.media import ffmpeg

    tool = ffmpeg.find()
    missing = sorted(ffmpeg.NEEDED_ENCODERS - tool.encoders)
    can = sorted(ffmpeg.NEEDED_ENCODERS & tool.encoders)
    return {
        "ffmpeg": tool.path,
        "ffmpeg version": tool.version,
        "ffmpeg encodes": ", ".join(can) + (f"; lacks {', '.join(missing)}" if missing else ""),
    }
