"""Tests of the engine on a cluster: every task has one end, whatever happens to its worker."""

from __future__ import annotations

import time
from typing import Any

import pytest

from captoolkit.jobs.clusters import open_engine
from captoolkit.jobs.engine import Ending, Engine
from tests.support import engine_tasks
from tests.support.engine_tasks import MEMORY_BYTES, ends_of, submit_again


def test_a_late_end_on_a_worker_is_not_the_end_of_the_second_attempt() -> None:
    """After `end_task`, the second attempt on a cluster ends once, with its own result."""
    with open_engine("local:1", memory_bytes=MEMORY_BYTES) as engine:
        engine.submit("late", engine_tasks.slow, "first")
        submit_again(engine, "late")
        assert ends_of(engine, 1)["late"].result == "second"
        assert engine.take(0.5) is None


def test_tasks_run_on_all_workers(cluster: Engine) -> None:
    """Results arrive under the keys of their tasks."""
    for number in range(8):
        cluster.submit(f"double-{number}", engine_tasks.double, number)
    ends = ends_of(cluster, 8)
    assert {key: end.result for key, end in ends.items()} == {
        f"double-{number}": 2 * number for number in range(8)
    }
    assert cluster.slots == 2


def test_an_error_on_a_worker_is_the_end_of_its_task(cluster: Engine) -> None:
    """The error of the task's function reaches the driver."""
    cluster.submit("failing", engine_tasks.fail, "no such thing")
    end = ends_of(cluster, 1)["failing"]
    assert end.ending is Ending.RAISED
    assert str(end.error) == "no such thing"


@pytest.mark.slow
def test_a_worker_that_dies_ends_its_own_task_only() -> None:
    """Killed, crashed, out of memory, endless: one end for each, and the neighbours return."""
    deadly: dict[str, tuple[Any, Any]] = {
        "SIGKILL": (engine_tasks.killed, None),
        "SIGSEGV": (engine_tasks.crash, None),
        "memory": (engine_tasks.eat_memory, 3_000_000_000),
    }
    with open_engine("local:2", memory_bytes=MEMORY_BYTES) as engine:
        for name, (function, task) in deadly.items():
            engine.submit(name, function, task)
            for number in range(4):
                engine.submit(f"near {name} {number}", engine_tasks.double, number)
            ends = ends_of(engine, 5)
            assert ends[name].ending is Ending.DIED
            assert [ends[f"near {name} {n}"].result for n in range(4)] == [0, 2, 4, 6]
        engine.submit("endless", engine_tasks.endless, "night.wav")
        until_s = time.monotonic() + 20
        while engine.places().get("endless", ("", 0))[0] != "night.wav":
            assert time.monotonic() < until_s
            assert engine.take(0.05) is None
        engine.end_task("endless")
        for number in range(4):
            engine.submit(f"after {number}", engine_tasks.double, number)
        assert set(ends_of(engine, 4)) == {f"after {number}" for number in range(4)}
