"""Bars on standard error, driven by the library's events.

Rules: bars appear only on a terminal, and only then rich is imported.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from captoolkit.cli.show import display_source, print_message, printable
from captoolkit.events import (
    Event,
    OnEvent,
    Progressed,
    Started,
    Warned,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MAX_NAME = 28  # characters of a file's name next to its bar


def bars_for(names: Sequence[str]) -> FileBars | FilesBar:
    """Return the bars of one file, by its length, or the bar of several files, by their number."""
    return FileBars(names[0]) if len(names) == 1 else FilesBar(len(names))


class FileBars:
    """One bar for preparing a file. A context manager; `show` is an `on_event`."""

    def __init__(self, name: str) -> None:
        self._name = printable(display_source(name))
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, event: Event) -> None:
        """Update the bar; print a warning above it."""
        with self._lock:
            if isinstance(event, Warned):
                print_above(self._progress, f"warning: {self._name}: {printable(event.message)}")
            elif self._progress is not None and self._task is not None:
                if isinstance(event, Started):
                    self._progress.update(self._task, total=event.plan.track.duration_s)
                elif isinstance(event, Progressed):
                    self._progress.update(self._task, completed=event.done_s, total=event.total_s)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._progress = new_progress()
            self._progress.start()
            self._task = self._progress.add_task(f"prepare  {short_name(self._name)}", total=None)
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    @contextlib.contextmanager
    def following(self, name: str) -> Iterator[OnEvent]:
        """Yield the `on_event` for the work on the file."""
        yield self.show


class FilesBar:
    """One bar for several files: the number of finished files plus the shares of running ones."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._finished = 0
        self._shares: dict[object, float] = {}
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._progress = new_progress()
            self._progress.start()
            self._task = self._progress.add_task(self._description(), total=self._files)
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    @contextlib.contextmanager
    def following(self, name: str) -> Iterator[OnEvent]:
        """Yield the `on_event` for the work on one file; on exit the file counts as finished."""
        key = object()  # the same name may be given twice

        def show(event: Event) -> None:
            if isinstance(event, Warned):
                line = f"warning: {printable(display_source(name))}: {printable(event.message)}"
                with self._lock:
                    print_above(self._progress, line)
            elif isinstance(event, Progressed) and event.total_s > 0:
                self._update(key, event.done_s / event.total_s)

        try:
            yield show
        finally:
            self._update(key, None)

    def _update(self, key: object, share: float | None) -> None:
        """Set the finished share of a running file; None if its work has ended."""
        with self._lock:
            self._shares.pop(key, None)
            if share is None:
                self._finished += 1
            else:
                self._shares[key] = share
            if self._progress is not None and self._task is not None:
                completed = self._finished + sum(self._shares.values())
                description = self._description()
                self._progress.update(self._task, completed=completed, description=description)

    def _description(self) -> str:
        return f"{self._finished} of {self._files} files"


def short_name(name: str) -> str:
    """Return a name for a bar: its end, if it is too long."""
    return name if len(name) <= MAX_NAME else f"...{name[3 - MAX_NAME :]}"


def print_above(progress: Progress | None, text: str) -> None:
    """Write a line to standard error, above the bars if there are any."""
    if progress is None:
        print_message(text)
    else:
        progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def new_progress() -> Progress:
    """Return a display of bars on standard error, which is not shown yet."""
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
        # Data on the terminal is printed above the bar; elsewhere it is not touched.
        redirect_stdout=sys.stdout.isatty(),
    )
