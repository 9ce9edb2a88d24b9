"""Shards: the parts of a listing that runs without a common engine do, such as a SLURM job array.

Rules: each id belongs to exactly one shard of N, by its hash, whatever else the listing holds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from fractions import Fraction

from captoolkit.errors import UsageError


def is_in_shard(text: str, shard: tuple[int, int] | None) -> bool:
    """Return whether an id belongs to shard I of N; without a shard every id does.

    ```python
    >>> [is_in_shard("talks/a.wav", (number, 3)) for number in range(3)]
    [True, False, False]

    ```
    """
    if shard is None:
        return True
    number, count = shard
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest, "big") % count == number


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

    Raises:
        UsageError: the numbers of the array are not evenly spaced, so the shard is not known.
    """
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
    if not all(environment.get(name, "").isdigit() for name in names):
        return None
    number, count = (int(environment[name]) for name in names)
    first = int(environment.get("SLURM_ARRAY_TASK_MIN", "0") or 0)
    last = int(environment.get("SLURM_ARRAY_TASK_MAX", "") or first + count - 1)
    step = Fraction(last - first, count - 1) if last > first and count > 1 else Fraction(1)
    shard = (number - first) / step
    if shard.denominator != 1 or not 0 <= shard < count:
        raise UsageError(
            f"the numbers of this SLURM array ({count} from {first} to {last}, with {number}) are "
            "not evenly spaced, so the shard of this task is not known",
            fix="submit an array such as --array=0-9, or pass --shard",
        )
    return int(shard), count
