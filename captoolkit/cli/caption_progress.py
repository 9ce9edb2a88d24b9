"""Progress of captioning on standard error: a bar over all files, and captions as they arrive.

Rules: several segments of several files are captioned at once, but text is shown for one segment at
a time: the first without a complete caption, of the first file that is not complete. The text of
later segments and files is kept until their turn.
"""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Self

from captoolkit.cli.progress import REPORT_INTERVAL_S, new_progress, short_name
from captoolkit.cli.show import (
    describe_retry,
    display_path,
    display_source,
    has_bars,
    print_detail,
    print_event,
    print_message,
    print_warning,
    printable,
)
from captoolkit.events import (
    EntryReady,
    Event,
    Progressed,
    RetryScheduled,
    Started,
    TextArrived,
    Warned,
)
from captoolkit.media.source import is_web_url
from captoolkit.model import Status
from captoolkit.support import files

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from captoolkit.jobs.listing.inputs import Input

NO_CAPTION = "(no caption)"


class CaptionDisplay(ABC):
    """Shows the captioning of some files; a context manager. `show` is an `on_event`."""

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show an event of one of the files."""

    @abstractmethod
    def finish(self, path: str, *, is_kept: bool = False) -> None:
        """Show that a file has its result, perhaps that of an earlier run."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *error: object) -> None: ...


class CaptionBars(CaptionDisplay):
    """A bar by the seconds of sound that have their captions, over all files.

    A single file has a second bar for its preparation.

    Args:
        names: the names of the files.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._finished = self._kept = 0
        self._lengths_s: list[float] = []  # of the files that are open so far
        self._done_s = 0.0

    def show(self, event: Event) -> None:
        """Update the bars; print a warning above them."""
        with self._lock:
            match event:
                case Warned(path=path, message=message):
                    name = display_path(display_source(path))
                    print_warning(path, name, message)
                case RetryScheduled(path=path, index=index, reason=reason):
                    print_detail(describe_retry(display_path(display_source(path)), index, reason))
                case Started(plan=plan):
                    self._lengths_s.append(plan.track.duration_s)
                case Progressed(done_s=done_s, total_s=total_s) if len(self._names) == 1:
                    self._update("prepare", done_s, total_s)
                case EntryReady(entry=entry):
                    self._done_s += entry.source_span.samples / entry.source_span.rate_hz
                    self._update_captions()

    def finish(self, path: str, *, is_kept: bool = False) -> None:
        """Count a finished file."""
        with self._lock:
            self._finished += 1
            self._kept += is_kept
            self._update_captions()

    def __enter__(self) -> Self:
        if has_bars():
            self._progress = new_progress()
            self._progress.start()
            if len(self._names) == 1:
                self._update("prepare", 0.0, None)
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _update_captions(self) -> None:
        """Draw the captioned sound; the files that are not open count with the mean length."""
        if self._lengths_s:
            made = max(len(self._names) - self._kept, len(self._lengths_s))
            total_s = sum(self._lengths_s) / len(self._lengths_s) * made
            self._update("caption", min(self._done_s, total_s), total_s)

    def _update(self, verb: str, completed_s: float, total_s: float | None) -> None:
        if self._progress is None:
            return
        shown = f"{self._finished:,} of {len(self._names):,} files"
        if len(self._names) == 1:
            shown = short_name(self._names[0])
        if verb not in self._tasks:
            self._tasks[verb] = self._progress.add_task(verb)
        self._progress.update(
            self._tasks[verb],
            completed=completed_s,
            total=total_s,
            description=f"{verb}  {shown}",
        )


class CaptionObjects(CaptionDisplay):
    """Writes the objects of `--progress json`.

    Args:
        inputs: the files.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._lock = threading.Lock()
        self._only = inputs[0].id if len(inputs) == 1 else None
        self._ids = {_event_path(each.url): each.id for each in reversed(inputs)}
        self._total_s: dict[str, float] = {}
        self._done_s: defaultdict[str, float] = defaultdict(float)
        self._reported_s: dict[str, float] = {}

    def show(self, event: Event) -> None:
        """Write an object for the event, unless one was written for its file just before."""
        name = self._only or self._ids.get(event.path, event.path)
        with self._lock:
            match event:
                case Warned(message=message):
                    print_warning(name, name, message)
                case Started(plan=plan):
                    self._total_s[name] = round(plan.track.duration_s, 6)
                    print_event("started", input=name, duration_s=self._total_s[name])
                case TextArrived(index=index, text=text):
                    print_event("text", input=name, segment=index, text=text)
                case EntryReady(entry=entry):
                    self._done_s[name] += entry.source_span.samples / entry.source_span.rate_hz
                    self._report(name)

    def _report(self, name: str) -> None:
        now_s = time.monotonic()
        if now_s - self._reported_s.get(name, -inf) >= REPORT_INTERVAL_S:
            self._reported_s[name] = now_s
            figures = {
                "done_s": round(self._done_s[name], 3),
                "total_s": self._total_s.get(name),
            }
            print_event("progress", input=name, **figures)

    def finish(self, path: str, *, is_kept: bool = False) -> None:
        """Forget a finished file; `RunReport` writes its end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...


def _event_path(url: str) -> str:
    """Return the path of an input in events."""
    return display_source(url) if is_web_url(url) else files.absolute(url)


class StreamedFiles(CaptionDisplay):
    """Writes the captions of files as they arrive, one file after another.

    Args:
        names: the names of the files.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._has_headings = len(names) > 1
        self._lock = threading.Lock()
        self._kept: dict[str, list[Event]] = {}  # by file, in the order of their start
        self._screen: StreamedCaptions | None = None  # shows the first of them
        self._finished: set[str] = set()

    def show(self, event: Event) -> None:
        """Write the event's text, or keep it until its file's turn."""
        with self._lock:
            kept = self._kept.setdefault(event.path, [])
            if self._screen is not None and next(iter(self._kept)) == event.path:
                self._screen.show(event)
            elif isinstance(event, TextArrived | EntryReady | RetryScheduled | Warned):
                kept.append(event)
            self._show_next()

    def finish(self, path: str, *, is_kept: bool = False) -> None:
        """End a file: its turn ends after its last caption."""
        with self._lock:
            if path in self._kept:
                self._finished.add(path)
                self._show_next()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._screen is not None:
            self._screen.__exit__()

    def _show_next(self) -> None:
        """Begin with the first file, and go to the next one when it is finished."""
        while self._kept:
            path = next(iter(self._kept))
            if self._screen is None:
                if self._has_headings:
                    print_message(f"{display_path(display_source(path))}:")
                self._screen = StreamedCaptions(display_path(path))
                for event in self._kept[path]:
                    self._screen.show(event)
                self._kept[path] = []
            if path not in self._finished:
                return
            self._screen.__exit__()
            self._screen = None
            del self._kept[path]
            self._finished.discard(path)


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
                print_message(describe_retry(self._name, index, reason))
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
                print_warning(self._name, self._name, message)

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
