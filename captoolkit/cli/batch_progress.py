"""The progress of a batch: a bar with rate, cost and time left, or JSON objects.

Rules: the bar appears only on a terminal, and only then rich is imported. The time left follows
from the recordings done so far, so it is that of the limit that binds: cores, requests or tokens.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Self

from captoolkit.cli.show import (
    describe_retry,
    has_bars,
    is_json,
    print_detail,
    print_event,
    print_warning,
)
from captoolkit.events import BatchProgressed, Event, RetryScheduled, Warned

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

ESTIMATE_S = 600  # of the last work, from which the time left follows


class BatchBar:
    """The progress of a batch, as a bar or as JSON. A context manager; `show` is an `on_event`.

    Attributes:
        last: the last progress; None before the first.
    """

    def __init__(self, verb: str) -> None:
        self.last: BatchProgressed | None = None
        self._verb = verb
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._reported: BatchProgressed | None = None

    def show(self, event: Event) -> None:
        """Update the bar or print the progress; print warnings, and with -v the retries."""
        with self._lock:
            if isinstance(event, BatchProgressed):
                self.last = event
                self._report(event)
                if self._progress is not None and self._task is not None:
                    self._progress.update(
                        self._task,
                        total=event.total,
                        completed=event.done + event.failed,
                        description=f"{self._verb}  {describe(event)}",
                    )
            elif isinstance(event, Warned):
                print_warning(event.path, event.path, event.message)
            elif isinstance(event, RetryScheduled):
                print_detail(describe_retry(event.path, event.index, event.reason))

    def __enter__(self) -> Self:
        if has_bars():
            from captoolkit.cli.progress import new_progress

            self._progress = new_progress(speed_estimate_s=ESTIMATE_S)
            self._task = self._progress.add_task(self._verb, total=None)
            self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        if self.last is not None:
            self._report(self.last, is_end=True)

    def _report(self, event: BatchProgressed, *, is_end: bool = False) -> None:
        """Print the progress as JSON, at most once a second and at the end."""
        if not is_json() or event is self._reported:
            return
        if is_end or self._reported is None or event.elapsed_s - self._reported.elapsed_s >= 1:
            self._reported = event
            fields = dataclasses.asdict(event)
            del fields["path"], fields["spent"]
            print_event("progress", **fields)


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
