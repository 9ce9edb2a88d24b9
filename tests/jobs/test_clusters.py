"""Tests of the clusters: what is started, what listens, and what is refused."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.jobs.clusters import open_engine
from captoolkit.jobs.engine import Engine
from captoolkit.services.keys import KEY_VARIABLE
from tests.support import engine_tasks
from tests.support.engine_tasks import MEMORY_BYTES, ends_of


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
    monkeypatch.setattr("captoolkit.jobs.clusters.CONNECT_S", 1)
    with pytest.raises(CaptoolkitError, match="no scheduler answers at tcp"):
        open_engine("tcp://127.0.0.1:1")
