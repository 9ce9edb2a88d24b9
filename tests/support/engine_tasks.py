"""Tasks that engines run in the tests: some return, some kill the process that runs them."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from typing import NoReturn

from captoolkit.jobs.engine import Engine, Finished, Report
from captoolkit.support.cancel import StoppedError

MEMORY_BYTES = 400_000_000  # of a worker


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


def submit_again(engine: Engine, key: str) -> None:
    """End a running task, and submit another one under its key while it may still run."""
    until_s = time.monotonic() + 20
    while key not in engine.places():
        assert time.monotonic() < until_s
        engine.take(0.01)
    engine.end_task(key)
    assert key not in engine.places()
    engine.submit(key, slow, "second")


def double(task: int, report: Report, stop: threading.Event) -> int:
    """Return twice the task."""
    report(f"input {task}")
    return 2 * task


def fail(task: str, report: Report, stop: threading.Event) -> NoReturn:
    """Raise an error of the worker."""
    raise ValueError(task)


def read_variable(task: str, report: Report, stop: threading.Event) -> str | None:
    """Return an environment variable of the worker."""
    return os.environ.get(task)


def killed(task: object, report: Report, stop: threading.Event) -> None:
    """End like a worker that the kernel kills for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash(task: object, report: Report, stop: threading.Event) -> None:
    """End like a worker with a bug in native code."""
    ctypes.string_at(0)


def eat_memory(size_bytes: int, report: Report, stop: threading.Event) -> None:
    """Fill memory, page by page."""
    pages = []
    for _ in range(size_bytes // 1_000_000):
        pages.append(b"x" * 1_000_000)
        time.sleep(0.002)
    time.sleep(5)


def endless(task: str, report: Report, stop: threading.Event) -> None:
    """Never end, and take no notice of `stop`."""
    report(task)
    while True:
        time.sleep(0.05)


def slow(task: str, report: Report, stop: threading.Event) -> str:
    """Return the task after a second, and take no notice of `stop`."""
    report(task)
    time.sleep(1.0)
    return task


def until_stopped(task: str, report: Report, stop: threading.Event) -> None:
    """End as soon as `stop` is set."""
    report(task)
    stop.wait(60)
    raise StoppedError
