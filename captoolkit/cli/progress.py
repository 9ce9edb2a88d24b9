"""Bars on a terminal, driven by the library's events; on anything else, nothing."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from captoolkit.cli.show import clean, note, shown
from captoolkit.events import (
    EntryReady,
    Event,
    OnEvent,
    Progressed,
    Started,
    Warned,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MOST_NAME = 28  # characters of a file's name beside its bar


def bars_for(names: Sequence[str]) -> Bars | WholeBar:
    """Return the bar of one file, by its length, or of many files, by their number."""
    return Bars(names[0]) if len(names) == 1 else WholeBar(len(names))


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
                tell(self._progress, f"warning: {self._name}: {clean(event.message)}")
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

    @contextlib.contextmanager
    def following(self, name: str) -> Iterator[OnEvent]:
        """Yield the `on_event` for the work on the file."""
        yield self.show

    def _draw(self, progress: Progress, event: Event) -> None:
        if isinstance(event, Started):
            plan = event.plan
            progress.update(self._tasks["prepare"], total=plan.track.duration_s)
            if self._captions:
                self._tasks["caption"] = self._add(progress, "caption", len(plan.spans))
        elif isinstance(event, Progressed):
            progress.update(self._tasks["prepare"], completed=event.done_s, total=event.total_s)
        elif isinstance(event, EntryReady):
            progress.advance(self._tasks["caption"])

    def _add(self, progress: Progress, verb: str, total: float | None) -> Any:
        return progress.add_task(f"{verb}  {_short(self._name)}", total=total)


class WholeBar:
    """One bar for many files: how many are done, and how far those are that are worked on."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._done = 0
        self._under_way: dict[object, float] = {}
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._progress = _progress()
            self._progress.start()
            self._task = self._progress.add_task(self._said(), total=self._files)
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    @contextlib.contextmanager
    def following(self, name: str) -> Iterator[OnEvent]:
        """Yield the `on_event` for the work on one of the files; leaving it, the file is done."""
        one = object()  # a file may be named twice

        def show(event: Event) -> None:
            if isinstance(event, Warned):
                said = f"warning: {clean(shown(name))}: {clean(event.message)}"
                with self._lock:
                    tell(self._progress, said)
            elif isinstance(event, Progressed) and event.total_s > 0:
                self._move(one, event.done_s / event.total_s)

        try:
            yield show
        finally:
            self._move(one, None)

    def _move(self, one: object, share: float | None) -> None:
        """Take in how far one file is; None when no more will be done to it."""
        with self._lock:
            self._under_way.pop(one, None)
            if share is None:
                self._done += 1
            else:
                self._under_way[one] = share
            if self._progress is not None and self._task is not None:
                done = self._done + sum(self._under_way.values())
                self._progress.update(self._task, completed=done, description=self._said())

    def _said(self) -> str:
        return f"{self._done} of {self._files} files"


def tell(progress: Progress | None, text: str) -> None:
    """Write a line to standard error, above the bars if there are any."""
    if progress is None:
        note(text)
    else:
        progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


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
        # Data goes where it was sent; on the terminal it stands above the bar.
        redirect_stdout=sys.stdout.isatty(),
    )
