"""The interface of an engine, which runs tasks, and the engine that runs them in this process.

Rules: a task is a value that can be pickled and a function of a module; it holds URLs and options,
never a key. An engine runs a task at most once and gives its end exactly once: a result, an error,
or the death of its worker. It does not retry a task that had begun: the driver decides. A task
reports its place (the input that it works on), so that the driver can tell how long an input takes.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from captoolkit.support.cancel import Closing, StoppedError

T = TypeVar("T")

Report = Callable[[str], None]
TaskFunction = Callable[[T, Report, threading.Event], Any]

STOP_S = 30  # the longest wait for a task that is stopped


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
        outlives_tasks: whether this process survives a task that ends its own process.
    """

    name: str
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


class InProcessEngine(Engine):
    """Runs one task at a time, in a thread of this process; needs no library."""

    name = "this process"
    outlives_tasks = False

    def __init__(self) -> None:
        # Each task has its own event: it stops the task, and distinguishes two with one key.
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
        self._thread.join(STOP_S)

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
