"""Progress on standard error, driven by the library's events: a bar, or JSON objects.

Rules: bars appear only on a terminal, and only then rich is imported. The bar counts seconds of
sound, so the time left does not depend on the number of files.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

from captoolkit.cli import show
from captoolkit.cli.show import display_source, printable
from captoolkit.events import Event, OnEvent, Progressed, Started, Warned
from captoolkit.jobs.commands.sound_left import SoundLeft

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from captoolkit.jobs.listing.inputs import Input

MAX_NAME = 28  # characters of a file's name next to its bar
REPORT_INTERVAL_S = 1.0  # between two progress objects of an input


class InputsProgress:
    """The progress of the work on some inputs. A context manager.

    Args:
        inputs: all inputs.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._inputs = inputs
        self._sound = SoundLeft([each.size_bytes for each in inputs])
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if show.has_bars():
            self._progress = new_progress()
            self._progress.start()
            self._task = self._progress.add_task(self._description(), total=None)
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    @contextlib.contextmanager
    def following(self, item: Input) -> Iterator[OnEvent]:
        """Yield the `on_event` for the work on one input; on exit the input counts as finished."""
        key = object()  # the same file may be given twice
        name, reported_s = display_source(item.url), 0.0

        def receive(event: Event) -> None:
            nonlocal reported_s
            match event:
                case Warned(message=message):
                    show.print_warning(item.id, name, message)
                case Started(plan=plan):
                    duration_s = round(plan.track.duration_s, 6)
                    show.print_event("started", input=item.id, duration_s=duration_s)
                    self._update(key, item, 0.0, duration_s)
                case Progressed(done_s=done_s, total_s=total_s):
                    self._update(key, item, done_s, total_s)
                    if show.is_json() and time.monotonic() - reported_s >= REPORT_INTERVAL_S:
                        reported_s = time.monotonic()
                        figures = {"done_s": round(done_s, 3), "total_s": round(total_s, 3)}
                        show.print_event("progress", input=item.id, **figures)

        try:
            yield receive
        finally:
            with self._lock:
                self._sound.finish(key, item.size_bytes)
                self._draw()

    def _update(self, key: object, item: Input, done_s: float, total_s: float) -> None:
        with self._lock:
            self._sound.update(key, item.size_bytes, done_s=done_s, total_s=total_s)
            self._draw()

    def _draw(self) -> None:
        if self._progress is not None and self._task is not None:
            done_s, total_s = self._sound.done_s, self._sound.total_s
            self._progress.update(
                self._task, completed=done_s, total=total_s, description=self._description()
            )

    def _description(self) -> str:
        if len(self._inputs) == 1:
            return f"prepare  {short_name(printable(display_source(self._inputs[0].url)))}"
        return f"{self._sound.finished:,} of {len(self._inputs):,} files"


def short_name(name: str) -> str:
    """Return a name for a bar: its end, if it is too long."""
    return name if len(name) <= MAX_NAME else f"...{name[3 - MAX_NAME :]}"


def new_progress(*, speed_estimate_s: float = 30) -> Progress:
    """Return a display of bars on standard error; while it is shown, lines are printed above it.

    Args:
        speed_estimate_s: the time of work from which the time left follows.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    class BarsBelow(Progress):
        def start(self) -> None:
            self._lines = contextlib.ExitStack()
            self._lines.enter_context(show.bars_below(self._print_above))
            super().start()

        def stop(self) -> None:
            super().stop()
            self._lines.close()

        def _print_above(self, line: str) -> None:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    return BarsBelow(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeLeft(compact=True, elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        speed_estimate_period=speed_estimate_s,
    )
