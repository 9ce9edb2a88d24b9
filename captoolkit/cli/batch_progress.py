"""The progress of a batch on a terminal: one bar, with rate, cost and time left.

Rules: the bar appears only on a terminal, and only then rich is imported. The time left follows
from the recordings done so far, so it is that of the limit that binds: cores, requests or tokens.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Self

from captoolkit.cli.show import describe_retry, name_options, print_message, printable
from captoolkit.events import BatchProgressed, Event, RetryScheduled, Warned

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class BatchBar:
    """The bar of a batch. A context manager; `show` is an `on_event`.

    Attributes:
        last: the last progress; None before the first.
    """

    def __init__(self, verb: str) -> None:
        self.last: BatchProgressed | None = None
        self._verb = verb
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, event: Event) -> None:
        """Update the bar; print a warning above it."""
        with self._lock:
            if isinstance(event, BatchProgressed):
                self.last = event
                if self._progress is not None and self._task is not None:
                    self._progress.update(
                        self._task,
                        total=event.total,
                        completed=event.done + event.failed,
                        description=f"{self._verb}  {describe(event)}",
                    )
            elif isinstance(event, Warned):
                self._print(f"warning: {event.path}: {name_options(event.message)}")
            elif isinstance(event, RetryScheduled):
                self._print(describe_retry(event.path, event.index, event.reason))

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
            from rich.progress import TimeRemainingColumn as TimeLeft

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TimeLeft(compact=True, elapsed_when_finished=True),
                console=Console(stderr=True),
                transient=True,
                speed_estimate_period=600,
            )
            self._task = self._progress.add_task(self._verb, total=None)
            self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _print(self, text: str) -> None:
        if self._progress is None:
            print_message(text)
        else:
            self._progress.console.print(
                printable(text), markup=False, highlight=False, soft_wrap=True
            )


def describe(progress: BatchProgressed) -> str:
    """Return the state of a batch in a few words.

    ```python
    >>> describe(BatchProgressed(path="out", total=10, done=4, failed=1, kept=0, running=2,
    ...                          done_s=7200.0, elapsed_s=60.0))
    '5 of 10, 1 failed, 2.0 h at 120x'

    ```
    """
    finished = progress.done + progress.failed
    total = f" of {progress.total:,}" if progress.total is not None else ""
    parts = [f"{finished:,}{total}"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    speed = progress.done_s / progress.elapsed_s if progress.elapsed_s > 0 else 0.0
    if progress.done_s:
        parts.append(f"{progress.done_s / 3600:,.1f} h at {speed:,.0f}x")
    if progress.requested or progress.recalled:
        spent = progress.spent
        cost = f" {spent.currency} {spent.amount:.2f}" if spent is not None else ""
        parts.append(f"{progress.requested:,} requests{cost}")
    return ", ".join(parts)
