"""The driver of a batch: it hands chunks to an engine, keeps their rows, and isolates poison.

Rules: a row is written as soon as the recordings of its chunk are done. A chunk that ended its
worker is split to single recordings; a recording that does it `tries` times is quarantined, and so
is one that takes longer than the time limit, by the driver's clock, that often. Deaths are counted
by marks in OUT, so a further run knows them; a mark counts for one version of the recording, and
the marks of a finished recording are removed. An engine that does not outlive its tasks gets the
mark before the task begins, because this process may be the one that dies. A worker that cannot do
any task (another ffmpeg) gets no further one.
"""

from __future__ import annotations

import dataclasses
import itertools
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from captoolkit.errors import CaptoolkitError, OutputError, ToolError, UsageError
from captoolkit.events import BatchProgressed, OnEvent, Warned
from captoolkit.jobs.asking import Asking
from captoolkit.jobs.chunk_queue import ChunkQueue, Redo
from captoolkit.jobs.chunks import Chunk, chunk_of, hash_lines, split_chunk
from captoolkit.jobs.engine import Ending, Engine, Finished
from captoolkit.jobs.results.recipe import Recipe
from captoolkit.jobs.results.recording_rows import RecordingRow, RowStatus, failed_row, write_rows
from captoolkit.jobs.results.summary import BatchSummary, Tally
from captoolkit.jobs.stores.base_store import Store
from captoolkit.jobs.work import AnswerWatch, Task, work_on
from captoolkit.model import Usage
from captoolkit.units import format_length

TRIES = ".captoolkit/tries/"
TURN_S = 0.2  # the longest wait for the end of a task, between two looks at the clock
PROGRESS_S = 0.25
ERRORS_OF_CHUNK = 2  # a chunk that could not be done as a whole is tried once more


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSettings:
    """How a batch treats faults.

    Attributes:
        tries: how often a recording may end its worker before it is quarantined.
        file_timeout_s: the longest time for one recording on a worker.
        max_failures: the run ends after more failures than this; None for no limit.
        asks_on_worker: whether workers ask the captioner.
        is_redo: whether results are made again even if OUT holds them.
        retry_failed: whether deaths of earlier runs are forgotten.
        give_up_after: as in `Task`.
    """

    tries: int = 2
    file_timeout_s: float = 3600.0
    max_failures: int | None = None
    asks_on_worker: bool = True
    is_redo: bool = False
    retry_failed: bool = False
    give_up_after: int | None = None


def new_run_id() -> str:
    """Return the name of a run; names sort in order of time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(3)}"


class Driver:
    """Runs a batch once.

    Args:
        store: OUT.
        recipe: the verb and its options.
        run_id: the name of the run.
        engine: runs the tasks; the caller closes it.
        chunks: the chunks to do.
        settings: how faults are treated.
        asking: asks about prepared segments; None if this process asks no captioner.
        on_event: receives `BatchProgressed` and `Warned`.
        stop: ends the run when it is set.
    """

    def __init__(
        self,
        *,
        store: Store,
        recipe: Recipe,
        run_id: str,
        engine: Engine,
        chunks: ChunkQueue,
        settings: DriverSettings,
        asking: Asking | None,
        on_event: OnEvent,
        stop: threading.Event,
    ) -> None:
        self.run_id = run_id
        self._store = store
        self._recipe = recipe
        self._engine = engine
        self._chunks = chunks
        self._settings = settings
        self._asking = asking
        self._on_event = on_event
        self._stop = stop
        self._tally = Tally()
        self._watch = AnswerWatch(settings.give_up_after)
        self._begun_s = time.monotonic()
        self._emitted_s = float("-inf")
        self._retries: deque[Chunk] = deque()
        self._running: dict[str, Chunk] = {}
        self._errors: dict[str, int] = {}  # of whole chunks, by id
        self._marks = _read_marks(store)
        self._deaths = {} if settings.retry_failed else _count_deaths(self._marks)
        self._is_stopped = False

    def run(self) -> BatchSummary:
        """Do the chunks and return the summary.

        Raises:
            CaptoolkitError: OUT cannot be written, the listing cannot be read, the cluster is gone,
                or the service refuses every request.
        """
        try:
            while not self._is_over():
                self._fill()
                self._take_end()
                self._end_late_tasks()
                if self._asking is not None:
                    for chunk, rows in self._asking.completed():
                        self._finish_chunk(chunk, rows)
                self._emit_progress()
            self._emit_progress(is_last=True)
            return self._summary()
        finally:
            for chunk in self._running.values():
                self._unmark(chunk)

    def _is_over(self) -> bool:
        """Whether nothing is left, or the run was stopped."""
        if self._stop.is_set():
            self._is_stopped = True
        limit = self._settings.max_failures
        if limit is not None and self._tally.failures > limit:
            self._is_stopped = True
        if self._is_stopped:
            return True
        if self._running or (self._asking is not None and self._asking.unanswered):
            return False
        return self._asks_no_more or (not self._retries and self._chunks.is_empty)

    @property
    def _asks_no_more(self) -> bool:
        """Whether the budget is used up, or the captioner answers nothing."""
        asking = self._asking
        if asking is None:
            return self._watch.error is not None
        return asking.is_capped or asking.run.error is not None

    # ------------------------------------------------------------------------------- chunks

    def _fill(self) -> None:
        """Submit chunks until the window is full."""
        slots = self._engine.slots
        window = slots + slots // 8
        while len(self._running) < window and not self._asks_no_more:
            if self._asking is not None and self._asking.is_full:
                return
            is_idle = not self._running and not self._retries
            chunk = (
                self._retries.popleft()
                if self._retries
                else self._chunks.take(timeout_s=TURN_S if is_idle else 0.0)
            )
            if chunk is None:
                return
            self._submit(chunk)

    def _submit(self, chunk: Chunk) -> None:
        """Submit a chunk, unless it has ended this process or its workers before."""
        deaths = self._deaths.get(chunk.mark, 0)
        if deaths and len(chunk.inputs) > 1:
            self._retries.extend(split_chunk(chunk))
            return
        if deaths >= self._settings.tries:
            self._quarantine(chunk, "it ended its worker")
            return
        if not self._engine.outlives_tasks:
            self._store.write_new(f"{TRIES}{chunk.mark}-{deaths + 1}", b"")
        task = Task(
            chunk=chunk,
            recipe=self._recipe,
            out=self._store.url,
            asks_on_worker=self._settings.asks_on_worker,
            is_redo=self._settings.is_redo,
            try_number=deaths + 1,
            give_up_after=self._settings.give_up_after,
        )
        self._running[chunk.id] = chunk
        self._engine.submit(chunk.id, work_on, task)

    def _take_end(self) -> None:
        """Wait for the end of a task, and for no longer than a turn."""
        wait_s = TURN_S if self._running or self._asking is not None else 0.0
        finished = self._engine.take(wait_s)
        while finished is not None:
            chunk = self._running.pop(finished.key)
            if finished.ending is Ending.RETURNED:
                self._unmark(chunk)
                self._take_rows(chunk, finished.result)
            elif finished.ending is Ending.DIED:
                self._record_death(chunk, "it ended its worker")
            else:
                self._unmark(chunk)
                self._retry_or_fail(chunk, finished)
            finished = self._engine.take(0.0)

    def _end_late_tasks(self) -> None:
        """End the tasks with a recording that takes longer than the limit."""
        now_s = time.monotonic()
        for key, (place, since_s) in self._engine.places().items():
            chunk = self._running.get(key)
            if chunk is None or now_s - since_s < self._settings.file_timeout_s:
                continue
            self._engine.end_task(key)
            del self._running[key]
            late = [each for each in chunk.inputs if each.id == place]
            others = [each for each in chunk.inputs if each.id != place]
            if late and others:
                self._unmark(chunk)
                self._retries.append(chunk_of(others, number=chunk.number, is_part=True))
                chunk = chunk_of(late, number=chunk.number, is_part=True)
            limit = format_length(self._settings.file_timeout_s)
            self._record_death(chunk, f"it took longer than {limit}")

    def _record_death(self, chunk: Chunk, problem: str) -> None:
        """Count a death; try the recordings of the chunk again, one in each task."""
        if len(chunk.inputs) > 1:
            self._unmark(chunk)
            self._retries.extend(split_chunk(chunk))
            return
        deaths = self._deaths[chunk.mark] = self._deaths.get(chunk.mark, 0) + 1
        mark = f"{TRIES}{chunk.mark}-{deaths}"
        self._store.write_new(mark, b"")
        self._marks.setdefault(chunk.id, set()).add(mark)
        if deaths >= self._settings.tries:
            self._quarantine(chunk, problem)
        else:
            self._retries.append(chunk)

    def _quarantine(self, chunk: Chunk, problem: str) -> None:
        """Write the row of a recording that is not tried again."""
        deaths = self._deaths[chunk.mark]
        times = "once" if deaths == 1 else f"{deaths} times"
        error = CaptoolkitError(
            f"{problem} ({times})", fix="examine the recording, and pass --retry-failed"
        )
        row = failed_row(chunk.inputs[0], error, status=RowStatus.QUARANTINED)
        self._finish_chunk(chunk, [dataclasses.replace(row, tries=deaths)])

    def _retry_or_fail(self, chunk: Chunk, finished: Finished) -> None:
        """Try a chunk again after an error of the whole chunk; the second error is its rows."""
        error = finished.error
        if isinstance(error, UsageError | ToolError | ImportError):
            shown = CaptoolkitError(f"worker {finished.worker or 'in this process'}: {error}")
            if not self._engine.refuse_worker(finished.worker):
                raise error if isinstance(error, CaptoolkitError) else shown from error
            self._on_event(Warned(path=self._store.url, message=f"{shown}; others go on"))
            self._retries.appendleft(chunk)
            return
        count = self._errors[chunk.id] = self._errors.get(chunk.id, 0) + 1
        if count < ERRORS_OF_CHUNK:
            self._retries.append(chunk)
            return
        if isinstance(error, OutputError) and not self._tally.count:
            raise error  # nothing can be written at all
        if not isinstance(error, CaptoolkitError):
            error = CaptoolkitError(f"{type(error).__name__}: {error}")
        self._finish_chunk(chunk, [failed_row(each, error) for each in chunk.inputs])

    # --------------------------------------------------------------------------------- rows

    def _take_rows(self, chunk: Chunk, rows: list[RecordingRow]) -> None:
        """Write rows, or ask about their segments first."""
        if self._asking is None:
            self._finish_chunk(chunk, rows)
            return
        for complete, answered in self._asking.add(chunk, rows):
            self._finish_chunk(complete, answered)

    def _finish_chunk(self, chunk: Chunk, rows: Iterable[RecordingRow]) -> None:
        """Write the rows of a chunk, which no later run does again."""
        kept = list(rows)
        write_rows(self._store, self.run_id, chunk.id, kept)
        if self._asking is not None:
            self._asking.remove_segments(chunk, kept)
        for row in kept:
            self._tally.add(row)
            self._watch.add(row)
            if row.is_finished and self._marks:
                for mark in self._marks.pop(hash_lines([row.id]), ()):
                    self._store.remove(mark)

    def _unmark(self, chunk: Chunk) -> None:
        """Remove the mark of a task that did not end this process."""
        if not self._engine.outlives_tasks:
            self._store.remove(f"{TRIES}{chunk.mark}-{self._deaths.get(chunk.mark, 0) + 1}")

    # ------------------------------------------------------------------------------ reports

    def _emit_progress(self, *, is_last: bool = False) -> None:
        now_s = time.monotonic()
        if now_s - self._emitted_s < PROGRESS_S and not is_last:
            return
        self._emitted_s = now_s
        run = self._asking.run if self._asking is not None else None
        tally = self._tally
        self._on_event(
            BatchProgressed(
                path=self._store.url,
                total=self._chunks.total if self._chunks.is_read else None,
                done=tally.done,
                failed=tally.count - tally.done,
                kept=self._chunks.selection.kept,
                running=len(self._running),
                waiting_segments=self._asking.unanswered if self._asking is not None else 0,
                done_s=tally.duration_s,
                requested=run.requested if run else 0,
                recalled=run.recalled if run else 0,
                spent=run.cost if run else None,
                elapsed_s=now_s - self._begun_s,
            )
        )

    def _summary(self) -> BatchSummary:
        tally, selection = self._tally, self._chunks.selection
        run = self._asking.run if self._asking is not None else None
        return BatchSummary(
            verb=self._recipe.verb,
            out=self._store.url,
            done=tally.statuses[RowStatus.DONE],
            silent=tally.statuses[RowStatus.SILENT],
            failed=tally.statuses[RowStatus.FAILED],
            quarantined=tally.statuses[RowStatus.QUARANTINED],
            holes=tally.statuses[RowStatus.HOLES],
            kept=selection.kept,
            changed=selection.changed if selection.redo is Redo.NONE else 0,
            failed_before=selection.failed_before,
            left=max(0, self._chunks.total - tally.count),
            warned=tally.warned,
            segments=tally.segments,
            duration_s=tally.duration_s,
            worker_s=tally.worker_s,
            elapsed_s=time.monotonic() - self._begun_s,
            requested=run.requested if run else 0,
            recalled=run.recalled if run else 0,
            usage=run.usage if run else Usage(),
            cost=run.cost if run else None,
            is_capped=self._asking is not None and self._asking.is_capped,
            error=str(run.error) if run is not None and run.error else self._watch.error,
            is_stopped=self._is_stopped,
            reasons=tally.reasons,
        )


def _read_marks(store: Store) -> dict[str, set[str]]:
    """Return the names of the marks that earlier runs have left, by the id of their chunk."""
    marks: dict[str, set[str]] = {}
    for file in store.list(TRIES):
        marks.setdefault(file.name.removeprefix(TRIES).partition("-")[0], set()).add(file.name)
    return marks


def _count_deaths(marks: dict[str, set[str]]) -> dict[str, int]:
    """Return how often each chunk ended its worker, by `Chunk.mark`."""
    deaths: dict[str, int] = {}
    for name in itertools.chain.from_iterable(marks.values()):
        mark, _, number = name.removeprefix(TRIES).rpartition("-")
        if number.isdigit():
            deaths[mark] = max(deaths.get(mark, 0), int(number))
    return deaths
