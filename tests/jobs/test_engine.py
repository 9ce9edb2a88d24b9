"""Tests of the engines: every task has one end, whatever happens to its worker."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.jobs.engine import Ending, Engine, Finished, open_engine
from captoolkit.services.keys import KEY_VARIABLE
from tests.support import engine_tasks

MEMORY_BYTES = 400_000_000
KEY = "sk-a-key-that-workers-do-not-need"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Engine]:
    """Two worker processes on this machine, started with a key in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        with open_engine("local:2", memory_bytes=MEMORY_BYTES) as engine:
            yield engine


def ends_of(engine: Engine, number: int, *, timeout_s: float = 30) -> dict[str, Finished]:
    """Return the ends of some tasks, by key."""
    ends: dict[str, Finished] = {}
    until_s = time.monotonic() + timeout_s
    while len(ends) < number:
        assert time.monotonic() < until_s, f"only {sorted(ends)} have ended"
        if finished := engine.take(0.5):
            assert finished.key not in ends
            ends[finished.key] = finished
    return ends


# ------------------------------------------------------------------------------ in this process


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


def submit_again(engine: Engine, key: str) -> None:
    """End a running task, and submit another one under its key while it may still run."""
    until_s = time.monotonic() + 20
    while key not in engine.places():
        assert time.monotonic() < until_s
        engine.take(0.01)
    engine.end_task(key)
    assert key not in engine.places()
    engine.submit(key, engine_tasks.slow, "second")


# ----------------------------------------------------------------------------------- on a cluster


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


def test_workers_do_not_have_the_key(cluster: Engine) -> None:
    """The key of the environment stays in the driver's process."""
    cluster.submit("key", engine_tasks.read_variable, KEY_VARIABLE)
    assert ends_of(cluster, 1)["key"].result == ""


def test_workers_keep_the_memory_of_blocks_of_sound(cluster: Engine) -> None:
    """Dask would let them give it back after each block, which doubles their CPU time."""
    cluster.submit("trim", engine_tasks.read_variable, "MALLOC_TRIM_THRESHOLD_")
    assert ends_of(cluster, 1)["trim"].result == os.environ.get("MALLOC_TRIM_THRESHOLD_")


def test_nothing_listens_beyond_this_machine(cluster: Engine) -> None:
    """All sockets of an embedded cluster are on 127.0.0.1."""
    own = psutil.Process()
    listening = [
        connection.laddr.ip
        for process in [own, *own.children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}


def test_a_cluster_of_ones_own_stays_open() -> None:
    """An address and a `Client` name a running cluster, which closing does not end."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as running,
        Client(running, set_as_default=False) as client,
    ):
        for _ in range(2):
            with open_engine(client) as engine:
                engine.submit("a", engine_tasks.double, 3)
                assert ends_of(engine, 1)["a"].result == 6
        assert client.status == "running"


def test_the_processes_of_an_embedded_cluster_end_with_it() -> None:
    """Closing ends workers that are busy, and leaves no child process."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    engine = open_engine("local:1")
    engine.submit("endless", engine_tasks.endless, "night.wav")
    time.sleep(0.5)
    workers = [
        child for child in psutil.Process().children(recursive=True) if child.pid not in before
    ]
    engine.close()
    engine.close()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not [
        child for child in alive if child.is_running() and "resource_tracker" not in str(child)
    ]


# ------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("cluster_name", "words"),
    [
        ("local:0", "no worker"),
        ("locally", "is not known"),
        ("", "is not known"),
    ],
)
def test_a_cluster_that_cannot_be_is_wrong_usage(cluster_name: str, words: str) -> None:
    """The message names the clusters that there are."""
    with pytest.raises(UsageError, match=words):
        open_engine(cluster_name)


def test_worker_memory_is_for_this_machine_only() -> None:
    """A running cluster has set the memory of its workers already."""
    with pytest.raises(UsageError, match="dask worker --memory-limit"):
        open_engine("tcp://127.0.0.1:1", memory_bytes=MEMORY_BYTES)


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names the address."""
    monkeypatch.setattr("captoolkit.jobs.engine.CONNECT_S", 1)
    with pytest.raises(CaptoolkitError, match="no scheduler answers at tcp"):
        open_engine("tcp://127.0.0.1:1")
