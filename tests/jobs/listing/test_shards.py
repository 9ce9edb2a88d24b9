"""Tests of shards: together they are the listing, and no two have a recording in common."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.errors import UsageError
from captoolkit.jobs.listing.shards import is_in_shard, parse_shard, slurm_shard


@given(st.sets(st.text(min_size=1), max_size=40), st.integers(1, 7))
def test_shards_are_disjoint_and_together_everything(names: set[str], count: int) -> None:
    """Each id belongs to exactly one shard."""
    for name in names:
        assert sum(is_in_shard(name, (number, count)) for number in range(count)) == 1


def test_a_shard_is_read() -> None:
    """`I/N` counts from 0; other forms are refused."""
    assert parse_shard("2/3") == (2, 3)
    for text in ("3/3", "1", "a/b", "-1/3", "1/0"):
        with pytest.raises(UsageError, match="I from 0 to N-1"):
            parse_shard(text)


@pytest.mark.parametrize(
    ("first", "last", "step"), [(0, 3, 1), (1, 4, 1), (10, 16, 2)], ids=["from 0", "from 1", "step"]
)
def test_tasks_of_a_slurm_array_are_its_shards(first: int, last: int, step: int) -> None:
    """Each task of an array is one shard, wherever the numbers of the array begin."""
    numbers = range(first, last + 1, step)
    shards = [
        slurm_shard(
            {
                "SLURM_ARRAY_TASK_ID": str(number),
                "SLURM_ARRAY_TASK_COUNT": str(len(numbers)),
                "SLURM_ARRAY_TASK_MIN": str(first),
                "SLURM_ARRAY_TASK_MAX": str(last),
            }
        )
        for number in numbers
    ]
    assert shards == [(number, len(numbers)) for number in range(len(numbers))]
    assert slurm_shard({}) is None


@pytest.mark.parametrize(("number", "count", "last"), [(3, 3, 7), (2, 3, 7), (9, 3, 3)])
def test_a_slurm_array_with_gaps_is_refused(number: int, count: int, last: int) -> None:
    """With `--array=1,3,7` two tasks would do one shard, and a shard would be done by none."""
    environment = {
        "SLURM_ARRAY_TASK_ID": str(number),
        "SLURM_ARRAY_TASK_COUNT": str(count),
        "SLURM_ARRAY_TASK_MIN": "1",
        "SLURM_ARRAY_TASK_MAX": str(last),
    }
    with pytest.raises(UsageError, match=r"not evenly spaced.*pass --shard"):
        slurm_shard(environment)
