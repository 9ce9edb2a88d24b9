"""Where `--picture` puts the drawing of each plan: decided and refused before any work is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from captoolkit.cli.app import display_name
from captoolkit.cli.show import as_path, note
from captoolkit.errors import UsageError
from captoolkit.support import files

if TYPE_CHECKING:
    from captoolkit.pipeline.prepared import Prepared

EXTENSION = ".svg"


class Pictures:
    """The pictures of all inputs, by the rule of `--picture`.

    Args:
        picture: what the option says, None without it.
        inputs: the files on the command line.
        overwrite: replace what is there; an input never is.

    Raises:
        UsageError: one file is named for the pictures of several inputs.
    """

    def __init__(self, picture: str | None, *, inputs: Sequence[str], overwrite: bool) -> None:
        self._picture = picture
        self._inputs = inputs
        self._overwrite = overwrite
        self._stems = files.distinct_stems(map(as_path, inputs))
        is_folder = picture is not None and (
            Path(picture).is_dir() or picture.endswith(("/", os.sep))
        )
        self._single = len(inputs) == 1 and not is_folder
        one_file = picture is not None and picture.lower().endswith(EXTENSION) and not is_folder
        if one_file and len(inputs) > 1:
            raise UsageError(
                f"--picture {picture} is one file for {len(inputs)} pictures",
                fix="name a folder",
            )

    def place(self, number: int) -> Path | None:
        """Return where the picture of an input goes, by its place among them; None for none.

        Raises:
            OutputExistsError: it is there already.
            OutputError: it could not be written, or would replace an input.
        """
        if self._picture is None:
            return None
        named = Path(self._picture).absolute()
        place = named if self._single else named / f"{self._stems[number]}{EXTENSION}"
        files.refuse_inputs([place], self._inputs)
        if not self._overwrite:
            files.refuse_existing([place])
        files.refuse_unwritable_file(place)
        return place

    def write(self, work: Prepared, place: Path | None) -> None:
        """Write the picture of a preparation as far as it has come, and say where it is.

        Nothing if none is wanted.
        """
        if place is not None:
            files.write_whole(place, work.picture(), overwrite=self._overwrite)
            note(f"picture: {display_name(str(place))}")
