"""The engine that runs tasks on the workers of a Dask cluster.

Rules: as in `engine`. At most one report a second leaves a worker. The scheduler of a cluster of
one's own retries a task whose worker died, up to its setting
`distributed.scheduler.allowed-failures`.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from captoolkit.errors import CaptoolkitError
from captoolkit.jobs.engine import Ending, Engine, Finished, T, TaskFunction

if TYPE_CHECKING:
    from distributed import Client, Future

REPORT_S = 1.0  # between two reports of a task
RESTART_S = 30  # the longest wait for a worker that is restarted
RESULT_S = 60  # the longest wait for the result of a finished task
COUNT_S = 5.0  # between two counts of a cluster's workers
UNBEGUN_DEATHS = 2  # of the workers at which a task waited, before its own end counts as a death


class DaskEngine(Engine):
    """Runs tasks on the workers of a Dask cluster.

    Args:
        client: the client of the cluster.
        name: a phrase for people.
        release: called by `close`, after the unfinished tasks are cancelled.
    """

    def __init__(self, client: Client, *, name: str, release: Callable[[], None]) -> None:
        self.name = name
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
