"""Where `-f` and `-o` put a timeline: decided and refused before any work is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from captoolkit import files
from captoolkit.errors import UsageError
from captoolkit.timeline import extension_of, render

if TYPE_CHECKING:
    from captoolkit.model import Timeline

STANDARD_OUTPUT = "-"


class Outputs:
    """The files of all inputs, by the rules of `-f` and `-o`.

    Args:
        formats: names with commas between them.
        out: what `-o` says, None without it.
        inputs: the files on the command line.
        overwrite: replace what is there.

    Raises:
        UsageError: a format is unknown, or `-o` cannot hold them all.
    """

    def __init__(
        self, formats: str, out: str | None, *, inputs: Sequence[str], overwrite: bool
    ) -> None:
        self._formats = list(dict.fromkeys(name.strip() for name in formats.split(",")))
        for name in self._formats:
            extension_of(name)
        self._overwrite = overwrite
        self._single = len(self._formats) == 1 and len(inputs) == 1
        self._out = out
        if out == STANDARD_OUTPUT and not self._single:
            raise UsageError("-o - takes one input and one format", fix="name a folder for several")
        if out is not None and not self._single and Path(out).is_file():
            raise UsageError(f"{out} is a file", fix="several results need a folder")
        stems = files.distinct_stems(map(Path, inputs))
        self._stems = iter(stems)

    def places(self, name: str) -> Mapping[str, Path | None]:
        """Return where each format of the next input goes; None is standard output.

        Raises:
            OutputExistsError: one is there already.
        """
        stem = next(self._stems)
        if self._out == STANDARD_OUTPUT:
            return {self._formats[0]: None}
        places = {form: self._place(stem, form) for form in self._formats}
        if not self._overwrite:
            files.refuse_existing(places.values())
        return places

    def write(self, timeline: Timeline, places: Mapping[str, Path | None]) -> None:
        """Write a timeline to its places, each whole or not at all."""
        for form, place in places.items():
            text = render(timeline, form)
            if place is None:
                sys.stdout.buffer.write(text.encode())
            else:
                files.write_whole(place, text, overwrite=self._overwrite)

    def _place(self, stem: str, form: str) -> Path:
        name = f"{stem}.{extension_of(form)}"
        if self._out is None:
            return Path.cwd() / name
        out = Path(os.path.abspath(self._out))  # noqa: PTH100 - keeps links as they are
        ends_as_folder = self._out.endswith(("/", os.sep))
        return out if self._single and not out.is_dir() and not ends_as_folder else out / name
