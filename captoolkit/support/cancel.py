"""Where time comes from while segments are asked about: whoever waits can be stopped."""

from __future__ import annotations

import copy
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf

from captoolkit.errors import CaptoolkitError, ServiceError

TICK_S = 0.2  # how long what waits for another thread goes without looking whether to stop


class StoppedError(Exception):
    """Unwinds a thread whose work has been cancelled; never reaches the caller."""


class Clock:
    """The time of this machine; another one may be given wherever this one is the default."""

    def now_s(self) -> float:
        """Return seconds since some moment that never changes."""
        return time.monotonic()

    def today(self) -> datetime:
        """Return the date and time, in UTC."""
        return datetime.now(UTC)

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Wait that long.

        Raises:
            StoppedError: `stop` was set meanwhile.
        """
        if stop.wait(max(0.0, seconds)):
            raise StoppedError


CLOCK = Clock()


@dataclass(slots=True, kw_only=True)
class CancelScope:
    """Leave to go on, shared by the threads of a run; it ends for all of them at once.

    Attributes:
        stop: ends it without a word: the run is cancelled.
        deadline_s: when it ends, by the clock.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    deadline_s: float = inf
    clock: Clock = CLOCK
    _halted: CaptoolkitError | None = None

    def halt(self, error: CaptoolkitError) -> None:
        """End it for a reason that would hold for everything that is left."""
        self._halted = self._halted or error

    def check(self, ahead_s: float = 0.0) -> None:
        """Raise if it has ended, or will have before so many seconds have passed.

        Raises:
            StoppedError: the run was cancelled.
            CaptoolkitError: its time is over; or why it was halted.
        """
        if self.stop.is_set():
            raise StoppedError
        if self._halted is not None:
            raise _anew(self._halted)
        if self.clock.now_s() + ahead_s >= self.deadline_s:
            raise CaptoolkitError(
                "not asked: the time of this run was over",
                fix="run it again: what has an answer is not asked or paid for again",
            )

    def wait(self, seconds: float) -> None:
        """Wait that long; raise what `check` raises, before or after it."""
        self.check(max(0.0, seconds))
        self.clock.wait(self.stop, seconds)
        self.check()


def _anew(error: CaptoolkitError) -> CaptoolkitError:
    """The same error for somebody else: it was another request that it came of, its cause."""
    another = copy.copy(error)
    another.__cause__ = error
    if isinstance(another, ServiceError):
        another.request_id = None
    return another
