"""The way of events to the caller: a gate for each input, and the events of a preparation.

Rules: the gate calls `on_event` from any thread, one call at a time. The first exception that
`on_event` raises ends the work: the gate keeps it and raises it again in every thread that has a
further event.
"""

from __future__ import annotations

import threading

from captoolkit.bitstream.encodings import describe
from captoolkit.events import Event, OnEvent, Progressed, Replaced, Started, Warned
from captoolkit.model import Encoding, Plan
from captoolkit.support.cancel import StoppedError


class EventGate:
    """Serialises the calls of `on_event`; is itself an `on_event`.

    Args:
        on_event: the caller's function.
        stop: when set, the gate passes no event on and ends the work of the calling thread.

    Attributes:
        guard: the lock that is held during each call; hold it to keep several events together.
        error: the first exception that `on_event` raised, None so far.
    """

    def __init__(self, on_event: OnEvent, stop: threading.Event | None = None) -> None:
        self.on_event = on_event
        self.guard = threading.RLock()
        self.error: BaseException | None = None
        self._stop = stop or threading.Event()
        self._thread_inside: int | None = None

    def __call__(self, event: Event) -> None:
        """Pass an event to `on_event`.

        Raises:
            StoppedError: the work was cancelled.
            BaseException: `on_event` raised it, now or before.
        """
        with self.guard:
            if self._stop.is_set():
                raise StoppedError
            if self.error is not None:
                raise self.error
            outer, self._thread_inside = self._thread_inside, threading.get_ident()
            try:
                self.on_event(event)
            except BaseException as error:
                self.error = error
                raise
            finally:
                self._thread_inside = outer  # `on_event` may cause further events in this thread

    @property
    def is_inside(self) -> bool:
        """Whether the current thread is inside `on_event`; other threads may wait for it there."""
        return self._thread_inside == threading.get_ident()


class PrepareEvents:
    """Emits the events of one preparation and keeps the sentences for its manifest.

    Args:
        plan: the plan that is carried out.
        on_event: the caller's function, or the gate that the caller shares with other work on the
            same input.

    Attributes:
        gate: the gate that all events pass.
        warnings: oddities of the source, and differences between the plan and the result.
        remarks: one sentence for each segment that was replaced.
    """

    def __init__(self, plan: Plan, on_event: OnEvent) -> None:
        self.gate = on_event if isinstance(on_event, EventGate) else EventGate(on_event)
        self.warnings = [*plan.info.warnings]
        self.remarks: list[str] = []
        self._plan = plan
        self._path = plan.info.path
        self._done_s = 0.0

    def started(self) -> None:
        """Emit `Started`, and `Warned` for each oddity that is already known."""
        self.gate(Started(path=self._path, plan=self._plan))
        for warning in self.warnings:
            self.gate(Warned(path=self._path, message=warning))

    def progressed(self, seconds: float) -> None:
        """Emit `Progressed` after `seconds` more of the sound have been read and encoded."""
        with self.gate.guard:
            self._done_s += seconds
            done_s, total_s = self._done_s, self._plan.track.duration_s
            self.gate(Progressed(path=self._path, done_s=min(done_s, total_s), total_s=total_s))

    def replaced(self, index: int, encoding: Encoding) -> None:
        """Emit `Replaced`: a segment was too large and has been encoded again as `encoding`."""
        with self.gate.guard:
            made = describe(encoding)
            self.remarks.append(f"Segment {index} was too large and was encoded as {made}.")
            self.gate(Replaced(path=self._path, index=index, encoding=encoding))

    def warned(self, message: str) -> None:
        """Emit `Warned` and keep the message for the manifest."""
        with self.gate.guard:
            self.warnings.append(message)
            self.gate(Warned(path=self._path, message=message))
