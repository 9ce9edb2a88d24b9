"""Timelines in files: the only module of `timeline/` that reads or writes one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from captoolkit.errors import InputError, OutputError, SourceNotFoundError, UsageError
from captoolkit.support import files
from captoolkit.support.keywords import documents
from captoolkit.timeline.base import FormatOptions
from captoolkit.timeline.formats import format_of, parse, render_for

if TYPE_CHECKING:
    from captoolkit.timeline.value import Timeline

DEFAULT_FORMAT = "json"  # of a file without an ending


def load(path: str | os.PathLike[str]) -> Timeline:
    """Return the timeline in a `.json` file that captoolkit wrote.

    Raises:
        SourceNotFoundError: the file does not exist or cannot be read.
        InputError: the file holds no timeline, or one that this version cannot read; the message
            gives the place in the file.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - Path("") is the current folder
            content = file.read()
    except FileNotFoundError as error:
        problem = "no such file" if os.fspath(path) else "the name is empty"
        raise SourceNotFoundError(problem, fix="check the name", path=path) from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise SourceNotFoundError(
            f"it cannot be read ({reason})", fix="check the name", path=path
        ) from error
    try:
        return parse(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"it is not UTF-8 text (byte {error.start})",
            fix="give a timeline that captoolkit wrote",
            path=path,
        ) from error
    except InputError as error:
        error.path = str(path)
        raise


@documents(FormatOptions)
def save(
    timeline: Timeline,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    overwrite: bool = False,
    **options: Unpack[FormatOptions],
) -> None:
    """Write a timeline to a file, which appears complete or not at all.

    Args:
        timeline: the timeline to write.
        path: the file; its ending selects the format unless `format` does. A name without an
            ending is JSON.
        format: one of the names in `captoolkit.timeline.FORMATS`.
        overwrite: replace an existing file.
        **options: `FormatOptions`, as for `render`.

    Raises:
        UsageError: no format has that name or ending, or the format cannot hold this timeline.
        OutputExistsError, OutputError: the file exists already, or cannot be written.
    """
    name = format or format_of(path)
    if name is None and Path(path).suffix:
        raise UsageError(
            f"the ending {Path(path).suffix!r} stands for no timeline format",
            fix="pass format, such as format='srt', or another ending",
        )
    name = name or DEFAULT_FORMAT
    if Path(path).is_dir():  # `overwrite` would not help
        problem = f"{Path(path)} is a folder" if os.fspath(path) else "the name is empty"
        raise OutputError(problem, fix="name a file", path=path)
    text = render_for("save", timeline, name, options)
    files.write_whole(Path(path), text, overwrite=overwrite)
