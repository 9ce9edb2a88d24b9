"""The recordings of a batch: files, folders, URLs, patterns of URLs, and manifests of data sets.

Rules: URLs keep their scheme. A recording that is named twice is one input. A line of a manifest
that cannot be used is an `Input` with an error, and the others are done. A listing is a stream: it
may hold a million recordings.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from captoolkit.errors import UsageError
from captoolkit.jobs.chunks import is_in_shard
from captoolkit.jobs.inputs import Input, find_inputs


def list_inputs(
    names: Iterable[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    files_from: str | None = None,
    is_null_separated: bool = False,
    column: str | None = None,
    limit: int | None = None,
    shard: tuple[int, int] | None = None,
) -> Iterator[Input]:
    """Yield the recordings that names stand for, in the order of the names.

    Args:
        names: files, folders, URLs, patterns of URLs, and manifests.
        include: as for `find_inputs`.
        exclude: as for `find_inputs`.
        files_from: as for `find_inputs`.
        is_null_separated: as for `find_inputs`.
        column: the column of manifests that holds the path or URL; None finds it by its name.
        limit: the number of recordings after which the listing ends.
        shard: I and N: only the recordings of shard I of N, from 0.

    Raises:
        UsageError: an option is invalid, or a library is missing.
        InputError: a listing cannot be read.
    """
    found = find_inputs(
        names,
        include=include,
        exclude=exclude,
        files_from=files_from,
        is_null_separated=is_null_separated,
    )
    for each in itertools.islice(found, limit):
        if is_in_shard(each.id, shard):
            yield each


def parse_shard(text: str) -> tuple[int, int]:
    """Return I and N of `I/N`.

    Raises:
        UsageError: it has another form, or I is not below N.

    ```python
    >>> parse_shard("0/3")
    (0, 3)

    ```
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if match is None or not int(match[1]) < int(match[2]):
        raise UsageError(
            f"shard={text} must be I/N with I from 0 to N-1", fix="write 0/3, 1/3 and 2/3"
        )
    return int(match[1]), int(match[2])


def slurm_shard(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the shard of a task of a SLURM job array, None outside an array.

    ```python
    >>> slurm_shard({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4",
    ...              "SLURM_ARRAY_TASK_MIN": "1"})
    (2, 4)

    ```
    """
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
    if not all(environment.get(name, "").isdigit() for name in names):
        return None
    number, count = (int(environment[name]) for name in names)
    first = int(environment.get("SLURM_ARRAY_TASK_MIN", "0") or 0)
    last = int(environment.get("SLURM_ARRAY_TASK_MAX", "") or first + count - 1)
    step = (last - first) // (count - 1) if count > 1 else 1
    shard = (number - first) // max(1, step)
    return (shard, count) if 0 <= shard < count else None
