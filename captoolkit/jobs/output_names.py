"""The names of the files that are made from several inputs: distinct, whatever the inputs are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from captoolkit.jobs.inputs import Input
from captoolkit.support import files


def output_stems(inputs: Iterable[Input]) -> list[str]:
    """Return one path for each input: its path below the folder that was searched, without ending.

    Paths that would be alike get a number: `talk`, `talk-2`.
    """
    return files.distinct_stems(PurePosixPath(each.relative) for each in inputs)
