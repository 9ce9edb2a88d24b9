"""Bars on a terminal, driven by the library's events; on anything else, nothing."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from captoolkit.cli.show import clean, note, shown
from captoolkit.events import EntryReady, Event, Progressed, SegmentReady, Started, Warned

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MOST_NAME = 28  # characters of a file's name beside its bar


class Bars:
    """One bar for preparing a file and, when it is captioned, one for its captions.

    A context manager; `show` is an `on_event`. rich is loaded only where a bar is drawn.
    """

    def __init__(self, name: str, *, captions: bool = False) -> None:
        self._name = clean(shown(name))
        self._captions = captions
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: Event) -> None:
        """Take in what the work reports."""
        with self._lock:
            if isinstance(event, Warned):
                self._warn(f"warning: {self._name}: {clean(event.message)}")
            elif self._progress is not None:
                self._draw(self._progress, event)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._progress = _progress()
            self._progress.start()
            self._tasks["prepare"] = self._add(self._progress, "prepare", None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _draw(self, progress: Progress, event: Event) -> None:
        if isinstance(event, Started):
            plan = event.plan
            progress.update(self._tasks["prepare"], total=plan.track.duration_s)
            if self._captions:
                self._tasks["caption"] = self._add(progress, "caption", len(plan.spans))
        elif isinstance(event, Progressed):
            progress.update(self._tasks["prepare"], completed=event.done_s, total=event.total_s)
        elif isinstance(event, SegmentReady):
            end_s = event.segment.source_span.end_s
            progress.update(self._tasks["prepare"], completed=end_s)
        elif isinstance(event, EntryReady):
            progress.advance(self._tasks["caption"])

    def _add(self, progress: Progress, verb: str, total: float | None) -> Any:
        return progress.add_task(f"{verb}  {_short(self._name)}", total=total)

    def _warn(self, text: str) -> None:
        if self._progress is None:
            note(text)
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _short(name: str) -> str:
    """A name that leaves room for its bar: the end says most."""
    return name if len(name) <= MOST_NAME else f"...{name[3 - MOST_NAME :]}"


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeLeft(compact=True, elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
    )
