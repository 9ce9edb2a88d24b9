"""What the makers of segments tell, from whatever thread: one thing at a time."""

from __future__ import annotations

import threading

from captoolkit.bitstream.encodings import describe
from captoolkit.events import Event, OnEvent, Progressed, Replaced, Started, Warned
from captoolkit.model import Encoding, Plan


class Report:
    """Hands events on to the caller, and keeps what the manifest has to say.

    Attributes:
        warnings: what is odd about the source, or turned out otherwise than planned.
        remarks: what was done otherwise than planned, as sentences.
    """

    def __init__(self, plan: Plan, on_event: OnEvent) -> None:
        self.warnings = [*plan.info.warnings]
        self.remarks: list[str] = []
        self._plan = plan
        self.on_event = on_event
        self._guard = threading.RLock()
        self._telling: int | None = None  # the thread that is in the caller's hands
        self._done_s = 0.0

    def started(self) -> None:
        """Say that the work begins, and what is known to be odd."""
        self.tell(Started(path=self._path, plan=self._plan))
        for warning in self.warnings:
            self.tell(Warned(path=self._path, message=warning))

    def progressed(self, seconds: float) -> None:
        """Say that so much more of the sound has been read and encoded."""
        with self._guard:
            self._done_s += seconds
            done_s, total_s = self._done_s, self._plan.track.duration_s
            self.tell(Progressed(path=self._path, done_s=min(done_s, total_s), total_s=total_s))

    def replaced(self, index: int, encoding: Encoding) -> None:
        """Say that a segment came out too large and was encoded anew."""
        with self._guard:
            made = describe(encoding)
            self.remarks.append(f"Segment {index} came out too large and was made as {made}.")
            self.tell(Replaced(path=self._path, index=index, encoding=encoding))

    def warned(self, message: str) -> None:
        """Say something about the input that its user should know."""
        with self._guard:
            self.warnings.append(message)
            self.tell(Warned(path=self._path, message=message))

    def tell(self, event: Event) -> None:
        """Hand an event on."""
        with self._guard:
            before, self._telling = self._telling, threading.get_ident()
            try:
                self.on_event(event)
            finally:
                self._telling = before  # what is told of may make us tell more

    @property
    def is_telling_here(self) -> bool:
        """Whether this thread is in the caller's `on_event`, for which other threads may wait."""
        return self._telling == threading.get_ident()

    @property
    def _path(self) -> str:
        return self._plan.info.path
