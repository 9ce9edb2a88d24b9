"""The captions of one recording: make its segments, ask about each, yield the entries.

Rules: each finished segment is sent at once, while captoolkit makes later ones. Each segment
becomes exactly one entry. An error that ends the run is raised if there is no caption; otherwise
the remaining segments become failed entries, and captoolkit does not make them. An object that is
dropped without `close` ends its threads and removes its files.
"""

from __future__ import annotations

import contextlib
import functools
import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from captoolkit.dispatch.asker import Outcome
from captoolkit.dispatch.budget import range_in
from captoolkit.dispatch.run import LAST_ANSWERS_S, AskingRun, RecordingEntries
from captoolkit.dispatch.run_results import RunResults
from captoolkit.errors import CaptoolkitError
from captoolkit.model import Entry, Plan
from captoolkit.pipeline.prepared import Prepared
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.support.cancel import TICK_S, StoppedError
from captoolkit.timeline.value import Timeline

Finished = tuple[ReadySegment, Future[Outcome]]


class Captions(RunResults):
    """The entries of one recording, in the order in which they finish; iterate once.

    A context manager. Closing it cancels the run: no further request is sent, and `close` does not
    wait for answers in flight. Answers that arrive while the program runs are written to the
    ledger, where the next run finds them. After a cancellation the iteration raises
    `CancelledError`.

    Attributes:
        plan: the plan of the recording, known before the first request.
        captioner: the captioner.
        is_paid: whether the ledger records the answers, because they may cost money.
        may_cost: whether the service is known to charge for its answers.
        cost_range: the range of the cost, None if no price is known.
    """

    def __init__(self, prepared: Prepared, run: AskingRun) -> None:
        self._entries = RecordingEntries(prepared, run)
        super().__init__(
            run,
            totals=self._entries,
            end_preparing=prepared.close,
            abandon_preparing=prepared.close,
        )
        self.plan: Plan = prepared.plan
        self.cost_range = range_in(prepared.plan, run.service.price)
        self._prepared = prepared
        self._segments = iter(prepared)
        self._finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._pending = 0  # segments that were submitted and have no entry yet
        self._is_prepared = False
        self._error: CaptoolkitError | None = None  # ended the preparation after some segments
        self._rest: Iterator[Entry] = iter(())  # failed entries of segments that were not made

    def __next__(self) -> Entry:
        """Return the next finished entry.

        Raises:
            InputError: the source was written to meanwhile; raised after the last entry. The ledger
                has the paid answers.
            CancelledError: the captioning was cancelled.
            UsageError: it has failed before.
        """
        if self._is_complete:
            raise StopIteration
        with self._ending_on_failure():
            entry = self._next_entry()
        if entry is None:
            self._is_complete = True
            self.close()
            raise StopIteration
        return entry

    def timeline(self) -> Timeline:
        """Wait for the remaining entries and return all as one timeline.

        Its usage and cost include the answers from the ledger, so the same job gives the same
        timeline. `usage` and `cost` of this object are those of this run alone.

        Raises:
            InputError: as the iteration.
            CancelledError: this was closed, or `stop` set, before the last entry.
        """
        for _ in self:
            pass
        return self._entries.timeline()

    def _next_entry(self) -> Entry | None:
        """Make segments and submit them until there is an entry; None after the last one."""
        while not self._is_prepared and self._run.error is None:
            if (finished := self._take(wait=False)) is not None:
                return self._finish(*finished)
            self._submit_next()
        while self._pending:
            if (finished := self._take(wait=True)) is not None:
                return self._finish(*finished)
        self._raise_without_caption()
        error = self._error or (None if self._is_prepared else self._run.unsent_error)
        if error is not None:
            self._error, self._is_prepared = None, True
            self._rest = iter(self._entries.add_failed_rest(error))
        entry = next(self._rest, None)
        if entry is None:
            self._prepared.refuse_changed()
        return entry

    def _submit_next(self) -> None:
        """Make the next segment and submit it, or note that all are made."""
        self._run.reserve()
        segment = None
        try:
            segment = next(self._segments, None)
        except CaptoolkitError as error:
            if self._run.stop.is_set():
                raise StoppedError from error
            if not self._prepared.segments or error is self._run.gate.error:
                raise
            self._error = error
        finally:
            if segment is None:
                self._run.give_back()
        if segment is None:
            self._is_prepared = True
            return
        measured = self._entries.measured(segment)
        future = self._run.submit(measured, path=self.plan.info.path)
        future.add_done_callback(functools.partial(_put, self._finished, segment))
        self._pending += 1

    def _take(self, *, wait: bool) -> Finished | None:
        """Return a finished segment; None if `wait` is False and none is finished.

        Raises:
            StoppedError: the run was cancelled.
        """
        while True:
            with contextlib.suppress(queue.Empty):
                return self._finished.get(timeout=TICK_S if wait else 0)
            if self._run.stop.is_set():
                raise StoppedError
            if not wait:
                return None

    def _finish(self, segment: ReadySegment, future: Future[Outcome]) -> Entry:
        """Remove the segment's file; return its entry, or raise an error that ends the run."""
        self._pending -= 1
        self._prepared.discard(segment)
        outcome = future.result()
        if outcome.error is not None and self._run.error is not None:
            self._run.finish(wait_s=LAST_ANSWERS_S)
            if all(future.result().error for _, future in self._arrived()):
                self._raise_without_caption()
        return self._entries.add(outcome)

    def _arrived(self) -> Iterable[Finished]:
        """Return the finished segments that have no entry yet; leave them in the queue."""
        arrived = []
        while (finished := self._take(wait=False)) is not None:
            arrived.append(finished)
        for finished in arrived:
            self._finished.put(finished)
        return arrived

    def _raise_without_caption(self) -> None:
        """Raise the fault that ended the run, unless a segment has a caption."""
        if self._run.error is not None and not self._entries.has_caption:
            raise self._run.final_error(self._entries.left)


def _put(
    finished: queue.SimpleQueue[Finished], segment: ReadySegment, future: Future[Outcome]
) -> None:
    finished.put((segment, future))
