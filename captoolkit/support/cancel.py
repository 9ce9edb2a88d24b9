"""How work ends: resources that close, a clock with interruptible waits, cancel scopes."""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from math import inf
from typing import Self

from captoolkit.errors import CaptoolkitError, ServiceError

TICK_S = 0.2  # longest time between two checks of the stop flag while a thread waits for another


class Closing(ABC):
    """A context manager that calls `close()` on exit. `close()` may be called twice."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Release all resources."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class StoppedError(Exception):
    """Ends the work of a thread after a cancellation; captoolkit never raises it to the caller."""


_IS_OVER: ContextVar[Callable[[], bool]] = ContextVar("is_over", default=lambda: False)


@contextlib.contextmanager
def ended_when(is_over: Callable[[], bool]) -> Iterator[None]:
    """Let `check_thread` end the work of this thread inside the block when `is_over` returns True.

    For long work without events, such as a decode that only measures.
    """
    token = _IS_OVER.set(is_over)
    try:
        yield
    finally:
        _IS_OVER.reset(token)


def check_thread() -> None:
    """Raise if the work of this thread is over.

    Raises:
        StoppedError: the function given to `ended_when` returned True.
    """
    if _IS_OVER.get()():
        raise StoppedError


@contextlib.contextmanager
def calling_when_over(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` from another thread when the work of this thread is over.

    `end` ends a wait that cannot check a flag, such as a read from a socket.

    Raises:
        StoppedError: an error ended the block, and the work of this thread is over.
    """
    is_over = _IS_OVER.get()
    has_ended = threading.Event()

    def watch() -> None:
        while not has_ended.wait(TICK_S):
            if is_over():
                end()
                return

    watcher = threading.Thread(target=watch, name="captoolkit-cancel", daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        check_thread()
        raise
    finally:
        has_ended.set()
        watcher.join()


class Clock:
    """The clock of this machine. Tests pass their own wherever `CLOCK` is the default."""

    def now_s(self) -> float:
        """Return the seconds since a fixed moment."""
        return time.monotonic()

    def today(self) -> datetime:
        """Return the date and time in UTC."""
        return datetime.now(UTC)

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Wait for that many seconds.

        Raises:
            StoppedError: `stop` was set before or during the wait.
        """
        if stop.wait(max(0.0, seconds)):
            raise StoppedError


CLOCK = Clock()


class RunStop(threading.Event):
    """The stop flag of a run: also set when the caller's event is, which the run never sets.

    Args:
        stop: the event of a caller who can cancel this run, and perhaps others; None without one.
    """

    def __init__(self, stop: threading.Event | None) -> None:
        super().__init__()
        self._caller = stop

    @classmethod
    def of(cls, stop: threading.Event | None) -> RunStop:
        """Return `stop` if it is the flag of a run already, else a new flag."""
        return stop if isinstance(stop, RunStop) else cls(stop)

    def is_set(self) -> bool:
        """Return whether the run was cancelled."""
        return super().is_set() or (self._caller is not None and self._caller.is_set())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait; return whether the run was cancelled."""
        if self._caller is None:
            return super().wait(timeout)
        until_s = time.monotonic() + (inf if timeout is None else timeout)
        while not self.is_set() and (left_s := until_s - time.monotonic()) > 0:
            super().wait(min(TICK_S, left_s))
        return self.is_set()


class CancelScope:
    """Permission to go on, shared by the threads of a run; it ends for all of them at once.

    Args:
        stop: cancels the run when it is set; an event of its own if None.
        deadline_s: when the scope ends, on the clock.
        clock: the clock.
    """

    def __init__(
        self,
        *,
        stop: threading.Event | None = None,
        deadline_s: float = inf,
        clock: Clock = CLOCK,
    ) -> None:
        self.stop = stop or threading.Event()
        self.deadline_s = deadline_s
        self.clock = clock
        self._halted: CaptoolkitError | None = None

    def halt(self, error: CaptoolkitError) -> None:
        """End the scope because of an error that all remaining requests would meet as well."""
        self._halted = self._halted or error

    @property
    def halted(self) -> CaptoolkitError | None:
        """The error given to `halt`; None so far."""
        return self._halted

    def check(self, ahead_s: float = 0.0) -> None:
        """Raise if the scope has ended, or will end within the next `ahead_s` seconds.

        Raises:
            StoppedError: the run was cancelled.
            CaptoolkitError: the deadline has passed; or a copy of the error given to `halt`.
        """
        if self.stop.is_set():
            raise StoppedError
        if self._halted is not None:
            raise _copy_of(self._halted)
        if self.clock.now_s() + ahead_s >= self.deadline_s:
            raise CaptoolkitError(
                "not sent: the time limit of this run has passed",
                fix="run it again; the ledger keeps all answers, and captoolkit does not pay for "
                "them again",
            )

    def wait(self, seconds: float) -> None:
        """Wait for that many seconds, or until `halt`; call `check` before and after."""
        self.check(max(0.0, seconds))
        self.clock.wait(_StopOrHalt(self), seconds)
        self.check()


class _StopOrHalt(threading.Event):
    """The stop flag of a scope, for one wait that `halt` ends as well."""

    def __init__(self, scope: CancelScope) -> None:
        super().__init__()
        self._scope = scope

    def is_set(self) -> bool:
        """Return whether the run was cancelled."""
        return self._scope.stop.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait; return whether the run was cancelled."""
        scope, until_s = self._scope, time.monotonic() + (inf if timeout is None else timeout)
        while scope.halted is None and (left_s := until_s - time.monotonic()) > 0:
            if scope.stop.wait(min(TICK_S, left_s)):
                return True
        return scope.stop.is_set()


def _copy_of(error: CaptoolkitError) -> CaptoolkitError:
    """Return a copy for another request: `error` is its cause, and its request ID is removed."""
    another = copy.copy(error)
    another.__cause__ = error
    if isinstance(another, ServiceError):
        another.request_id = None
    return another
