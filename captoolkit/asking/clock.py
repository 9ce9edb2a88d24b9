"""Where time comes from while segments are asked about: whoever waits can be stopped."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

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
