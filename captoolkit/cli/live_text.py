"""Captions on standard error as they come, one segment after another.

Rules: several segments are answered at once, so one is written as it comes, the first that has no
caption yet, and what comes of later ones is kept until it is their turn.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from captoolkit.cli.show import clean, note, shown
from captoolkit.events import EntryReady, Event, RetryScheduled, TextArrived, Warned
from captoolkit.model import Status

NO_CAPTION = "(no caption)"


class Streamed:
    """Writes text as it comes; `show` is an `on_event`. A context manager."""

    def __init__(self, name: str) -> None:
        self._name = clean(shown(name))
        self._turn = 1
        self._text: dict[int, str] = {}
        self._ended: set[int] = set()
        self._written = 0  # how much of the text whose turn it is

    def show(self, event: Event) -> None:
        """Take in what the work reports."""
        match event:
            case TextArrived(index=index, text=text):
                self._text[index] = self._text.get(index, "") + text
                self._write()
            case RetryScheduled(index=index, reason=reason):
                self._text.pop(index, None)
                if index == self._turn:
                    self._end_line()
                note(f"{self._name}: segment {index} is asked about again: {reason}")
            case EntryReady(entry=entry):
                if entry.status is Status.OK:
                    self._text.setdefault(entry.index, entry.text)
                else:  # what had come of it is void
                    self._text[entry.index] = NO_CAPTION
                    if entry.index == self._turn:
                        self._end_line()
                self._ended.add(entry.index)
                self._write()
            case Warned(message=message):
                if self._written:
                    sys.stderr.write("\n")
                note(f"warning: {self._name}: {message}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_line()

    def _write(self) -> None:
        """Write what has come of the segment whose turn it is, and of those that follow."""
        while True:
            text = self._text.get(self._turn, "")
            if text and not self._written:
                sys.stderr.write(f"[{self._turn}] ")
            fresh = text[self._written :]
            sys.stderr.write("\n".join(clean(line) for line in fresh.split("\n")))
            sys.stderr.flush()
            self._written = len(text)
            if self._turn not in self._ended:
                return
            self._end_line()
            self._text.pop(self._turn, None)
            self._ended.discard(self._turn)
            self._turn += 1

    def _end_line(self) -> None:
        if self._written:
            sys.stderr.write("\n")
        self._written = 0
