"""Progress on standard error, driven by the library's events: bars, and captions as they arrive.

Rules: bars appear only on a terminal, and only then rich is imported. Several segments are
captioned at once, but text is shown for one segment at a time: the first without a complete
caption. The text of later segments is kept until their turn.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from captoolkit.cli.show import display_source, print_message, printable
from captoolkit.events import (
    EntryReady,
    Event,
    OnEvent,
    Progressed,
    RetryScheduled,
    Started,
    TextArrived,
    Warned,
)
from captoolkit.model import Status

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MAX_NAME = 28  # characters of a file's name next to its bar
NO_CAPTION = "(no caption)"


def bars_for(names: Sequence[str]) -> FileBars | FilesBar:
    """Return the bars of one file, by its length, or the bar of several files, by their number."""
    return FileBars(names[0]) if len(names) == 1 else FilesBar(len(names))


class FileBars:
    """One bar for preparing a file and, if it is captioned, one for its captions.

    A context manager; `show` is an `on_event`.
    """

    def __init__(self, name: str, *, captions: bool = False) -> None:
        self._name = printable(display_source(name))
        self._captions = captions
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: Event) -> None:
        """Update the bars; print a warning above them."""
        with self._lock:
            if isinstance(event, Warned):
                print_above(self._progress, f"warning: {self._name}: {printable(event.message)}")
            elif self._progress is not None:
                self._draw(self._progress, event)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._progress = _progress()
            self._progress.start()
            self._tasks["prepare"] = self._add(self._progress, "prepare", None)
        return self

    def __exit__(self, *error: object) -> None:
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

    def _add(self, progress: Progress, verb: str, total: float | None) -> TaskID:
        name = self._name
        short = name if len(name) <= MAX_NAME else f"...{name[3 - MAX_NAME :]}"
        return progress.add_task(f"{verb}  {short}", total=total)


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
            self._progress = _progress()
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


class StreamedCaptions:
    """Writes the text of captions as it arrives. A context manager; `show` is an `on_event`."""

    def __init__(self, name: str) -> None:
        self._name = printable(display_source(name))
        self._current = 1  # the index of the segment on display
        self._texts: dict[int, str] = {}
        self._ended: set[int] = set()
        self._written = 0  # characters of the current segment's text

    def show(self, event: Event) -> None:
        """Write the event's text, or keep it until its segment's turn."""
        match event:
            case TextArrived(index=index, text=text):
                self._texts[index] = self._texts.get(index, "") + text
                self._write()
            case RetryScheduled(index=index, reason=reason):
                self._texts.pop(index, None)
                if index == self._current:
                    self._end_line()
                print_message(f"{self._name}: segment {index} is requested again: {reason}")
            case EntryReady(entry=entry):
                if entry.status is Status.OK:
                    self._texts.setdefault(entry.index, entry.text)
                else:  # text that arrived before the failure is no caption
                    self._texts[entry.index] = NO_CAPTION
                    if entry.index == self._current:
                        self._end_line()
                self._ended.add(entry.index)
                self._write()
            case Warned(message=message):
                if self._written:
                    sys.stderr.write("\n")
                print_message(f"warning: {self._name}: {message}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end_line()

    def _write(self) -> None:
        """Write the new text of the current segment, and of those after it as segments end."""
        while True:
            text = self._texts.get(self._current, "")
            if text and not self._written:
                sys.stderr.write(f"[{self._current}] ")
            new_text = text[self._written :]
            sys.stderr.write("\n".join(printable(line) for line in new_text.split("\n")))
            sys.stderr.flush()
            self._written = len(text)
            if self._current not in self._ended:
                return
            self._end_line()
            self._texts.pop(self._current, None)
            self._ended.discard(self._current)
            self._current += 1

    def _end_line(self) -> None:
        if self._written:
            sys.stderr.write("\n")
        self._written = 0


def print_above(progress: Progress | None, text: str) -> None:
    """Write a line to standard error, above the bars if there are any."""
    if progress is None:
        print_message(text)
    else:
        progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


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
        # Data on the terminal is printed above the bar; elsewhere it is not touched.
        redirect_stdout=sys.stdout.isatty(),
    )
