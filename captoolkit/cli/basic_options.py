"""Options of nearly every command: recordings, messages, forms of output. Each is a decorator.

Rules: there are no branches here. The parameter's name is the library's keyword. Importing this
module loads only click and the modules that `probe` of a WAV needs: a command that prepares or
captions takes its further options from `shared_options`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from captoolkit.cli import show
from captoolkit.cli.help_sections import INPUTS, MESSAGES, OUTPUT, TARGET, group, option, section
from captoolkit.cli.option_types import (
    FilePlace,
    StreamPlace,
    complete_path,
    complete_target,
    parsed_by,
    refuse_output_over_listing,
)
from captoolkit.model import Via
from captoolkit.services.catalogue import DEFAULT_TARGET

BASE64 = str(Via.BASE64)


report = option(
    OUTPUT,
    "--report",
    metavar="FILE",
    type=FilePlace(path_type=Path),
    help="Write a JSON object a line for each FILE as it ends: status, segments, reason.",
)
overwrite = option(OUTPUT, "-y", "--overwrite", is_flag=True, help="Replace existing files.")
as_json = option(
    MESSAGES, "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
)


def _configure_quiet(_: click.Context, __: click.Parameter, is_quiet: bool) -> None:
    show.configure(is_quiet=is_quiet)


QUIET: dict[str, Any] = {"is_flag": True, "help": "Print only errors on standard error."}
quiet = option(  # of commands without progress; it passes no parameter
    MESSAGES, "-q", "--quiet", **QUIET, expose_value=False, callback=_configure_quiet
)


def messages(verbose_help: str) -> Callable[..., Any]:
    """Return the decorator of the options for `show.configure`, with the help of `--verbose`."""
    return section(
        MESSAGES,
        click.option("-q", "--quiet", **QUIET),
        click.option("-v", "--verbose", is_flag=True, help=verbose_help),
        click.option(
            "--progress",
            type=click.Choice(("auto", "json", "off")),
            default="auto",
            show_default=True,
            help="auto: bars on a terminal. json: each message on standard error is a JSON object "
            "on a line of its own.",
        ),
    )


debug = option(MESSAGES, "--debug", is_flag=True, help="Show the traceback of an error.")
listing = section(
    INPUTS,
    click.option(
        "--files-from",
        metavar="FILE",
        type=StreamPlace(),
        shell_complete=complete_path,
        help="Read further names from this file, one a line; - is standard input.",
    ),
    click.option(
        "-0",
        "--null",
        "is_null_separated",
        is_flag=True,
        help="The names in --files-from end in NUL, as `find -print0` writes them.",
    ),
    click.option(
        "--include",
        multiple=True,
        metavar="GLOB",
        help="Take only the files of a folder that match, such as '*.wav' or 'talks/**'. May be "
        "repeated.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        help="Leave out the files and folders of a folder that match. May be repeated.",
    ),
)


def inputs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add FILE... and the options that name inputs; pass them as `inputs`, a list of `Input`."""

    @functools.wraps(command)
    def with_inputs(
        *,
        files: tuple[str, ...],
        files_from: str | None,
        is_null_separated: bool,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
        quiet: bool,
        verbose: bool,
        progress: str,
        **options: Any,
    ) -> Any:
        from captoolkit.jobs.listing.inputs import find_inputs

        show.configure(is_quiet=quiet, is_verbose=verbose, progress=progress)
        refuse_output_over_listing(files_from, options)
        found = find_inputs(
            files,
            include=include,
            exclude=exclude,
            files_from=files_from,
            is_null_separated=is_null_separated,
        )
        return command(inputs=found, **options)

    files_argument = click.argument(
        "files", metavar="FILE...", nargs=-1, shell_complete=complete_path
    )
    about_files = messages("Print a line for each FILE as it ends.")
    return group(files_argument, listing, about_files)(with_inputs)


target = option(
    TARGET,
    "--target",
    default=DEFAULT_TARGET,
    show_default=True,
    metavar="NAME",
    shell_complete=complete_target,
    help="The service or model whose limits the files keep; `captoolkit targets` lists them.",
)
via = option(
    TARGET,
    "--via",
    type=click.Choice(tuple(map(str, Via))),
    default=BASE64,
    show_default=True,
    help="How the files are sent; each way has its own size limit.",
)


def _checked_raw(text: str) -> str:
    from captoolkit.planning.options import checked_raw

    return checked_raw(text)


raw = option(
    INPUTS,
    "--raw",
    callback=parsed_by(_checked_raw),
    metavar="FORMAT:RATE:CHANNELS",
    help="The recording has no header and holds samples of this kind, such as s16le:16000:1.",
)
