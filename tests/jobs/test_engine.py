"""Tests of the engine in this process: every task has one end."""

from __future__ import annotations

import time

from captoolkit.jobs.clusters import open_engine
from captoolkit.jobs.engine import Ending
from tests.support import engine_tasks
from tests.support.engine_tasks import ends_of, submit_again


def test_a_task_runs_in_this_process_without_any_library() -> None:
    """`none` runs one task after another and returns each result."""
    with open_engine("none") as engine:
        for number in range(3):
            engine.submit(str(number), engine_tasks.double, number)
        ends = ends_of(engine, 3)
        assert [ends[str(number)].result for number in range(3)] == [0, 2, 4]
        assert engine.slots == 1


def test_an_error_of_a_task_is_its_end() -> None:
    """A task that raises ends with its error, and the next one runs."""
    with open_engine("none") as engine:
        engine.submit("a", engine_tasks.fail, "no such thing")
        engine.submit("b", engine_tasks.double, 1)
        ends = ends_of(engine, 2)
    assert ends["a"].ending is Ending.RAISED
    assert str(ends["a"].error) == "no such thing"
    assert ends["b"].result == 2


def test_a_task_in_this_process_ends_when_it_is_stopped() -> None:
    """`end_task` stops the running task, whose end is not given, and the next one runs."""
    with open_engine("none") as engine:
        engine.submit("a", engine_tasks.until_stopped, "one.wav")
        until_s = time.monotonic() + 10
        while not engine.places() and time.monotonic() < until_s:
            time.sleep(0.01)
        assert engine.places()["a"][0] == "one.wav"
        engine.end_task("a")
        engine.submit("b", engine_tasks.double, 4)
        assert ends_of(engine, 1)["b"].result == 8


def test_a_late_end_is_not_the_end_of_the_second_attempt() -> None:
    """After `end_task`, a task that is submitted again under its key has its own result."""
    with open_engine("none") as engine:
        engine.submit("a", engine_tasks.slow, "first")
        submit_again(engine, "a")
        assert ends_of(engine, 1)["a"].result == "second"
        assert engine.take(0.1) is None
