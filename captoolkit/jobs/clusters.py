"""The clusters that engines run on: this process, this machine's cores, or a cluster of Dask.

Rules: workers are processes with one thread each. An embedded cluster listens on 127.0.0.1 only,
with TLS where `cryptography` is installed, because anybody who reaches a scheduler can run code on
it. A terminal sends Ctrl-C to all processes: the driver alone obeys it, and ends the workers.
"""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.jobs.dask_engine import DaskEngine
from captoolkit.jobs.engine import Engine, InProcessEngine
from captoolkit.services.keys import key_variables
from captoolkit.support import files
from captoolkit.support.keywords import count_cores

if TYPE_CHECKING:
    from distributed import Client

    Cluster = str | Client

LOG = logging.getLogger("captoolkit")
CONNECT_S = 20  # the longest wait for a scheduler
LOCAL_HOST = "127.0.0.1"
INSTALL = "install the engine: pip install 'captoolkit[cluster]', or pass --cluster none"
NO_WARNING = "ignore:resource_tracker:UserWarning"
_LOCAL = re.compile(r"local(?::(\d+))?")

SETTINGS = {
    "distributed.worker.daemon": False,  # a worker may start processes of its own
    "distributed.scheduler.worker-saturation": 1.0,  # no task waits at a worker that may die
    "distributed.scheduler.allowed-failures": 0,  # the driver counts deaths, for each input
    # Each process of a cluster measures itself so often that it takes 3 % of a core while it waits;
    # with these settings it takes 0.5 %.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "30s",
    "distributed.admin.system-monitor.interval": "5s",
    # Without its MALLOC_TRIM_THRESHOLD_: with it each block of sound goes back to the system, and a
    # FLAC takes twice the CPU time.
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1
    ),
    # A cluster closes a worker that is away this long after a death, even if another death is why.
    "distributed.deploy.lost-worker-timeout": "1000 days",
}


def open_engine(cluster: Cluster = "local", *, memory_bytes: int | None = None) -> Engine:
    """Return the engine that `cluster` names.

    Args:
        cluster: `local`, `local:N`, `none`, the address of a scheduler (`tcp://host:8786`), the
            path of a scheduler file, or a `distributed.Client`, which stays open.
        memory_bytes: the most memory of a worker on this machine; None divides the machine's.

    Raises:
        UsageError: there is no such engine, or its library is not installed.
        CaptoolkitError: the scheduler does not answer.
    """
    refuse_unknown_cluster(cluster)
    if cluster == "none":
        return InProcessEngine()
    if find_spec("distributed") is None:
        raise UsageError(f"cluster={cluster!r} needs dask.distributed", fix=INSTALL)
    if not isinstance(cluster, str):
        return _engine_of_client(cluster)
    local = _LOCAL.fullmatch(cluster)
    if local:
        return _open_local(int(local[1]) if local[1] else count_cores(), memory_bytes)
    if memory_bytes is not None:
        raise UsageError(
            "`worker_memory` is for workers on this machine",
            fix="start the workers of the cluster with dask worker --memory-limit",
        )
    if "://" in cluster:
        return _connect(cluster, address=cluster)
    return _connect(cluster, scheduler_file=cluster)


def refuse_unknown_cluster(cluster: Cluster) -> None:
    """Refuse a text that names no engine; this needs no library and starts nothing.

    Raises:
        UsageError: there is no such engine, or it would have no worker.
    """
    if not isinstance(cluster, str) or cluster == "none":
        return
    local = _LOCAL.fullmatch(cluster)
    if local and local[1] and int(local[1]) < 1:
        raise UsageError(f"cluster={cluster} has no worker", fix="take local:1 or more")
    if not local and "://" not in cluster and not Path(cluster).is_file():
        raise UsageError(
            f"cluster={cluster} is not known",
            fix="take local, local:N, none, tcp://HOST:8786, or the path of a scheduler file",
        )


def _open_local(workers: int, memory_bytes: int | None) -> DaskEngine:
    """Start a cluster of processes on this machine."""
    import dask
    from distributed import Client, LocalCluster, Security

    _refuse_spawned_main()
    secure = Security.temporary() if find_spec("cryptography") is not None else None
    has_dashboard = find_spec("bokeh") is not None
    with contextlib.ExitStack() as resources:
        folder = resources.enter_context(files.staging(None))
        own = {"temporary-directory": str(folder)}
        resources.enter_context(dask.config.set(SETTINGS | own))
        with _interrupts_deferred(), _interrupts_kept_from_children():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host=LOCAL_HOST,
                protocol="tls://" if secure else "tcp://",
                security=secure,
                dashboard_address=f"{LOCAL_HOST}:0",
                worker_dashboard_address=None,
                silence_logs=logging.CRITICAL,
                memory_limit=memory_bytes or "auto",
                env=dict.fromkeys(key_variables(), ""),  # only the driver reads the keys
                scheduler_kwargs={"dashboard": has_dashboard},
            )
            resources.callback(cluster.close)
        client = resources.enter_context(Client(cluster, security=secure, set_as_default=False))
        if has_dashboard:
            LOG.info("the dashboard of the batch is at %s", client.dashboard_link)
        plural = "worker" if workers == 1 else "workers"
        started = resources.pop_all()

    def release() -> None:
        """End the workers, which remove their files, also if Ctrl-C is pressed again meanwhile."""
        with _interrupts_deferred(most=1):
            started.close()

    return DaskEngine(client, name=f"{workers} {plural} on this machine", release=release)


@contextlib.contextmanager
def _interrupts_deferred(*, most: int | None = None) -> Iterator[None]:
    """Raise an interrupt at the end of the block, or after `most` others at once."""
    deferred: list[int] = []

    def defer(number: int, frame: Any) -> None:
        deferred.append(number)
        if most is not None and len(deferred) > most:
            handlers[number](number, frame)

    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, defer)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if deferred:
        signal.raise_signal(deferred[0])


@contextlib.contextmanager
def _interrupts_kept_from_children() -> Iterator[None]:
    """Start processes and threads that never get Ctrl-C, which a terminal sends to all processes.

    They, and those that they start, inherit the signal mask.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Python starts this process once, and then unblocks Ctrl-C in the thread that did it. A third
    # Ctrl-C ends the driver at once: the process removes the semaphores and need not warn.
    sys.warnoptions.append(NO_WARNING)
    resource_tracker.ensure_running()
    sys.warnoptions.remove(NO_WARNING)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _connect(name: str, **where: str) -> DaskEngine:
    """Connect to a running scheduler."""
    from distributed import Client

    try:
        client = Client(**where, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise CaptoolkitError(
            f"no scheduler answers at {name}",
            fix="start one with `dask scheduler`, and check the address",
        ) from error
    log = logging.getLogger("distributed.client")  # a lost scheduler is an error of the engine
    level = log.level
    log.setLevel(logging.CRITICAL)

    def release() -> None:
        client.close()
        log.setLevel(level)

    return DaskEngine(client, name=name, release=release)


def _engine_of_client(client: Any) -> DaskEngine:
    """Return an engine on the caller's own client."""
    from distributed import Client

    if not isinstance(client, Client) or client.asynchronous:
        raise UsageError(
            f"cluster={client!r} is no cluster", fix="pass a name, or a synchronous Client"
        )
    name = f"the cluster at {client.scheduler.address}" if client.scheduler else "the client"
    return DaskEngine(client, name=name, release=lambda: None)


def _refuse_spawned_main() -> None:
    """Refuse to start workers from a script that each worker would run again.

    Raises:
        UsageError: this process is a worker that is importing the caller's script.
    """
    import multiprocessing

    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(
            "each worker imports the script that calls captoolkit.batch",
            fix="put the call below `if __name__ == '__main__':`",
        )
