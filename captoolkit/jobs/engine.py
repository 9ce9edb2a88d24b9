"""The engines that run tasks: in this process, on this machine's cores, or on a cluster of Dask.

Rules: this is the only module that imports `distributed`. A task is a value that can be pickled and
a function of a module; it holds URLs and options, never a key. An engine runs a task at most once
and gives its end exactly once: a result, an error, or the death of its worker. It does not retry a
task that had begun: the driver decides. (The scheduler of a cluster of one's own retries a task
whose worker died, up to its setting `distributed.scheduler.allowed-failures`.) Workers are
processes with one thread each. A task reports its place (the input that it works on), so that the
driver can tell how long an input takes; at most one report a second leaves a worker. An embedded
cluster listens on 127.0.0.1 only, with TLS where `cryptography` is installed, because anybody who
reaches a scheduler can run code on it.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import re
import signal
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.services.keys import key_variables
from captoolkit.support.cancel import Closing, StoppedError
from captoolkit.support.keywords import count_cores

if TYPE_CHECKING:
    from distributed import Client, Future

    Cluster = str | Client

T = TypeVar("T")

Report = Callable[[str], None]
TaskFunction = Callable[[T, Report, threading.Event], Any]

REPORT_S = 1.0  # between two reports of a task
CONNECT_S = 20  # the longest wait for a scheduler
RESTART_S = 30  # the longest wait for a worker that is restarted
RESULT_S = 60  # the longest wait for the result of a finished task
COUNT_S = 5.0  # between two counts of a cluster's workers
UNBEGUN_DEATHS = 2  # of the workers at which a task waited, before its own end counts as a death
LOCAL_HOST = "127.0.0.1"
INSTALL = "install the engine: pip install 'captoolkit[cluster]', or pass --cluster none"
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


class Ending(StrEnum):
    """How a task ended."""

    RETURNED = "returned"
    RAISED = "raised"
    DIED = "died"  # its worker died, or the cluster lost it


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end of a task.

    Attributes:
        key: the key that it was submitted with.
        result: the value that its function returned.
        error: the exception that its function raised.
        worker: the address of the worker that ran it; empty if it is not known.
    """

    key: str
    ending: Ending
    result: Any = None
    error: BaseException | None = None
    worker: str = ""


class Engine(Closing):
    """Runs tasks. A context manager; closing it cancels the tasks that have not ended.

    Attributes:
        name: a phrase for people, such as `2 workers on this machine`.
        dashboard_url: the address of the dashboard; None without a dashboard.
        outlives_tasks: whether this process survives a task that ends its own process.
    """

    name: str
    dashboard_url: str | None = None
    outlives_tasks = True

    @property
    @abstractmethod
    def slots(self) -> int:
        """The number of tasks that can run at once, now; at least 1."""

    @abstractmethod
    def submit(self, key: str, function: TaskFunction[T], task: T) -> None:
        """Begin a task. `key` is distinct from those of all unfinished tasks."""

    @abstractmethod
    def take(self, timeout_s: float) -> Finished | None:
        """Return the end of a task; None if none ends within `timeout_s`.

        Raises:
            CaptoolkitError: the cluster is gone.
        """

    @abstractmethod
    def places(self) -> dict[str, tuple[str, float]]:
        """Return, for each running task that reports, its last report and when it came.

        The moment is on `time.monotonic()` of this process.
        """

    @abstractmethod
    def end_task(self, key: str) -> None:
        """End a task, by force if need be; its end is never given by `take`."""

    def refuse_worker(self, worker: str) -> bool:
        """Send no further task to a worker; return whether there are others."""
        return False


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
    if cluster == "none":
        return InProcessEngine()
    if find_spec("distributed") is None:
        raise UsageError(f"cluster={cluster!r} needs dask.distributed", fix=INSTALL)
    if not isinstance(cluster, str):
        return _engine_of_client(cluster)
    local = _LOCAL.fullmatch(cluster)
    if local:
        workers = int(local[1]) if local[1] else count_cores()
        if workers < 1:
            raise UsageError(f"cluster={cluster} has no worker", fix="take local:1 or more")
        return _open_local(workers, memory_bytes)
    if memory_bytes is not None:
        raise UsageError(
            "--worker-memory is for workers on this machine",
            fix="start the workers of the cluster with dask worker --memory-limit",
        )
    if "://" in cluster:
        return _connect(cluster, address=cluster)
    if Path(cluster).is_file():
        return _connect(cluster, scheduler_file=cluster)
    raise UsageError(
        f"cluster={cluster} is not known",
        fix="take local, local:N, none, tcp://HOST:8786, or the path of a scheduler file",
    )


# ------------------------------------------------------------------------------ in this process


class InProcessEngine(Engine):
    """Runs one task at a time, in a thread of this process; needs no library."""

    name = "this process"
    outlives_tasks = False

    def __init__(self) -> None:
        # The event that stops a task also tells it from an earlier task with the same key.
        self._waiting: queue.SimpleQueue[tuple[str, Any, Any, threading.Event] | None]
        self._waiting = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[tuple[Finished, threading.Event]] = queue.SimpleQueue()
        self._places: dict[str, tuple[str, float]] = {}
        self._stops: dict[str, threading.Event] = {}
        self._thread = threading.Thread(target=self._work, name="captoolkit-task", daemon=True)
        self._thread.start()

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def submit(self, key: str, function: TaskFunction[T], task: T) -> None:
        """Queue a task."""
        stop = self._stops[key] = threading.Event()
        self._waiting.put((key, function, task, stop))

    def take(self, timeout_s: float) -> Finished | None:
        """Return the end of a task; None if none ends within `timeout_s`."""
        with contextlib.suppress(queue.Empty):
            finished, stop = self._finished.get(timeout=max(0.0, timeout_s))
            if self._stops.get(finished.key) is stop:
                del self._stops[finished.key]
                self._places.pop(finished.key, None)
                return finished
        return None

    def places(self) -> dict[str, tuple[str, float]]:
        """Return the last report of the running task."""
        return dict(self._places)

    def end_task(self, key: str) -> None:
        """Ask a task to stop; the next one begins when it has."""
        stop = self._stops.pop(key, None)
        if stop is not None:
            stop.set()
        self._places.pop(key, None)

    def close(self) -> None:
        """Stop the running task and wait for its end."""
        for stop in self._stops.values():
            stop.set()
        self._stops.clear()
        self._waiting.put(None)
        self._thread.join(RESTART_S)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            key, function, task, stop = item
            if stop.is_set():
                continue

            def report(value: str, key: str = key, stop: threading.Event = stop) -> None:
                if self._stops.get(key) is stop:
                    self._places[key] = (value, time.monotonic())

            try:
                result = function(task, report, stop)
                finished = Finished(key=key, ending=Ending.RETURNED, result=result)
            except StoppedError:
                finished = Finished(key=key, ending=Ending.DIED)
            except BaseException as error:
                finished = Finished(key=key, ending=Ending.RAISED, error=error)
            self._finished.put((finished, stop))


# --------------------------------------------------------------------------------------- Dask


class DaskEngine(Engine):
    """Runs tasks on the workers of a Dask cluster.

    Args:
        client: the client of the cluster.
        name: a phrase for people.
        release: called by `close`, after the unfinished tasks are cancelled.
    """

    def __init__(self, client: Client, *, name: str, release: Callable[[], None]) -> None:
        self.name = name
        self.dashboard_url = client.dashboard_link if find_spec("bokeh") is not None else None
        self._client = client
        self._release = release
        self._topic = f"captoolkit-{id(self):x}-{time.time_ns():x}"
        # By the task's key, under the key of its last submission: ends of earlier ones are ignored.
        self._futures: dict[str, tuple[str, Future[Any]]] = {}
        self._submissions = itertools.count()
        self._tasks: dict[str, tuple[TaskFunction[Any], Any]] = {}
        self._unbegun_deaths: dict[str, int] = {}
        self._ended: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._places: dict[str, tuple[str, float]] = {}
        self._workers: dict[str, str] = {}  # the worker of each task that has reported
        self._refused: set[str] = set()
        self._slots, self._counted_s = 1, float("-inf")
        self._closed = False
        client.subscribe_topic(self._topic, self._receive)

    @property
    def slots(self) -> int:
        """The number of threads of all workers."""
        now_s = time.monotonic()
        if now_s - self._counted_s > COUNT_S:
            self._counted_s = now_s
            with self._cluster_errors():
                self._slots = max(1, sum(self._client.nthreads().values()))
        return self._slots

    def submit(self, key: str, function: TaskFunction[T], task: T) -> None:
        """Send a task to the scheduler."""
        self._tasks[key] = (function, task)
        own_key = f"{self._topic}-{key}-{next(self._submissions)}"
        with self._cluster_errors():
            future = self._client.submit(
                _run,
                *(function, task, key, self._topic, own_key),
                key=own_key,
                pure=False,
                workers=self._accepted_workers() if self._refused else None,
            )
        self._futures[key] = own_key, future
        future.add_done_callback(lambda _: self._ended.put((key, own_key)))

    def take(self, timeout_s: float) -> Finished | None:
        """Return the end of a task; None if none ends within `timeout_s`."""
        try:
            key, own_key = self._ended.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            if self._client.status not in ("running", "connecting"):
                raise _cluster_gone(self.name) from None
            return None
        if not self._is_current(key, own_key):  # ended by `end_task`
            return None
        _, future = self._futures.pop(key)
        try:
            finished = self._end_of(key, future)
        finally:
            future.release()
        deaths = self._unbegun_deaths.get(key, 0)
        if finished.ending is Ending.DIED and key not in self._places and deaths < UNBEGUN_DEATHS:
            self._unbegun_deaths[key] = deaths + 1
            self.submit(key, *self._tasks[key])
            return None
        finished = replace(finished, worker=self._workers.get(key, ""))
        self._forget(key)
        return finished

    def places(self) -> dict[str, tuple[str, float]]:
        """Return the last report of each running task."""
        return dict(self._places)

    def end_task(self, key: str) -> None:
        """Cancel a task and restart its worker, if the task has begun."""
        submission, worker = self._futures.pop(key, None), self._workers.get(key)
        self._forget(key)
        with self._cluster_errors():
            if submission is not None:
                submission[1].cancel()
            if worker is not None:
                with contextlib.suppress(KeyError):  # it is gone already
                    self._client.restart_workers([worker], timeout=RESTART_S, raise_for_error=False)

    def refuse_worker(self, worker: str) -> bool:
        """Send no further task to a worker; return whether there are others."""
        self._refused.add(worker)
        return bool(worker and self._accepted_workers())

    def _accepted_workers(self) -> list[str]:
        with self._cluster_errors():
            return [address for address in self._client.nthreads() if address not in self._refused]

    def close(self) -> None:
        """Cancel the unfinished tasks; end the cluster if it is embedded. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._client.unsubscribe_topic(self._topic)
                self._client.cancel([future for _, future in self._futures.values()])
        finally:
            self._futures.clear()
            self._release()

    def _forget(self, key: str) -> None:
        for by_key in (self._tasks, self._places, self._workers, self._unbegun_deaths):
            by_key.pop(key, None)

    def _is_current(self, key: str, own_key: str) -> bool:
        return key in self._futures and self._futures[key][0] == own_key

    def _receive(self, event: tuple[float, Any]) -> None:
        """Keep a report. Runs in the client's own thread."""
        message = event[1]
        key = message["key"]
        if self._is_current(key, message["own_key"]):
            self._workers[key] = message["worker"]
            self._places[key] = (message["place"], time.monotonic() - message["age_s"])

    def _end_of(self, key: str, future: Future[Any]) -> Finished:
        from distributed import KilledWorker

        try:
            result = future.result(timeout=RESULT_S)
        except KilledWorker:
            return Finished(key=key, ending=Ending.DIED)
        except BaseException as error:
            if future.status in ("cancelled", "lost", "pending"):
                if self._client.status not in ("running", "connecting"):
                    raise _cluster_gone(self.name) from None
                return Finished(key=key, ending=Ending.DIED)
            if isinstance(error, KeyboardInterrupt):
                raise
            return Finished(key=key, ending=Ending.RAISED, error=error)
        return Finished(key=key, ending=Ending.RETURNED, result=result)

    @contextlib.contextmanager
    def _cluster_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            raise _cluster_gone(self.name) from error


def _cluster_gone(name: str) -> CaptoolkitError:
    return CaptoolkitError(
        f"the scheduler of {name} does not answer any more",
        fix="start it and run the same command again; finished rows are kept",
    )


def _run(function: TaskFunction[Any], task: Any, key: str, topic: str, own_key: str) -> Any:
    """Run a task on a worker of Dask: send its reports, and stop it when it is cancelled."""
    from distributed import get_worker

    worker, stop, ended = get_worker(), threading.Event(), threading.Event()
    places: list[tuple[str, float]] = []

    def watch() -> None:
        sent = None
        while True:
            if places and places[-1] is not sent:
                sent = places[-1]
                message = {"key": key, "own_key": own_key, "worker": worker.address}
                age_s = time.monotonic() - sent[1]
                worker.log_event(topic, {**message, "place": sent[0], "age_s": age_s})
            if ended.wait(REPORT_S):
                return
            state = worker.state.tasks.get(own_key)
            if state is None or state.state == "cancelled":
                stop.set()

    places.append(("", time.monotonic()))
    watcher = threading.Thread(target=watch, name="captoolkit-report", daemon=True)
    watcher.start()
    try:
        return function(task, lambda place: places.append((place, time.monotonic())), stop)
    finally:
        ended.set()


def _open_local(workers: int, memory_bytes: int | None) -> DaskEngine:
    """Start a cluster of processes on this machine."""
    import dask
    from distributed import Client, LocalCluster, Security

    _refuse_spawned_main()
    secure = Security.temporary() if find_spec("cryptography") is not None else None
    has_dashboard = find_spec("bokeh") is not None
    with contextlib.ExitStack() as resources:
        resources.enter_context(dask.config.set(SETTINGS))
        cluster = _start(
            LocalCluster,
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
        plural = "worker" if workers == 1 else "workers"
        return DaskEngine(
            client,
            name=f"{workers} {plural} on this machine",
            release=resources.pop_all().close,
        )


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep Ctrl-C from the processes and threads that start meanwhile, and from their own.

    A terminal sends Ctrl-C to all processes; the driver alone ends the run. A Ctrl-C during the
    start is delivered afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(kind: Any, **options: Any) -> Any:
    with _interrupts_blocked():
        return kind(**options)


def _connect(name: str, **where: str) -> DaskEngine:
    """Connect to a scheduler that somebody else runs."""
    from distributed import Client

    try:
        client = Client(**where, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise CaptoolkitError(
            f"no scheduler answers at {name}",
            fix="start one with `dask scheduler`, and check the address",
        ) from error
    return DaskEngine(client, name=name, release=client.close)


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
