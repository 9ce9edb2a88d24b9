"""Caption one recording: make its segments, ask about each, emit the entries, stitch the timeline.

Rules: a segment is sent as soon as it is finished, while later ones are made. Each segment becomes
exactly one entry. An error that all segments would meet is raised if there is no caption yet;
otherwise the remaining segments become failed entries.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from captoolkit.captioners.failures import RetryKind, rule_for
from captoolkit.dispatch.asker import Ask, Outcome, failed
from captoolkit.dispatch.budget import cost_of, range_in
from captoolkit.dispatch.workers import WorkerPool
from captoolkit.errors import CaptoolkitError, ServiceError, UsageError
from captoolkit.events import EntryReady
from captoolkit.model import Cost, Entry, Plan, Span, Status, Usage
from captoolkit.pipeline.event_gate import EventGate
from captoolkit.pipeline.prepared import Prepared
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.services.service import Service
from captoolkit.support.cancel import Closing, StoppedError
from captoolkit.timeline.stitch import stitch
from captoolkit.timeline.value import Timeline

UNCOUNTED = Usage(input_tokens=0, output_tokens=0, total_tokens=0)  # of answers from the ledger
AHEAD = 4  # unfinished segments for each request that may be in flight
CLOSE_WAIT_S = 10.0  # for a local captioner; idle threads end at once
LAST_ANSWERS_S = 30.0  # for requests in flight after an error that ends the run: they are paid for


class Captions(Closing):
    """The entries of one recording, in the order in which they finish; iterate once.

    A context manager. Closing it cancels the run: no further request is sent, and `close` does not
    wait for answers in flight. Answers that arrive while the program runs are written to the
    ledger, where the next run finds them.

    Attributes:
        plan: the plan of the recording, known before the first request.
        captioner: the captioner.
        is_paid: whether the ledger records the answers, because they may cost money.
        may_cost: whether the service is known to charge for its answers.
        asked: the number of segments sent to the captioner so far; the others were in the ledger or
            could not be sent.
        recalled: the number of answers from the ledger so far.
        usage: the usage of this run's requests so far; the timeline has the usage of all answers,
            from this run and from earlier ones.
        cost_range: the range of the cost, None if no price is known.
    """

    def __init__(
        self,
        prepared: Prepared,
        *,
        service: Service,
        ask: Ask,
        concurrency: int,
        is_paid: bool,
        gate: EventGate,
        stop: threading.Event,
        release: Callable[[], None],
    ) -> None:
        self.plan: Plan = prepared.plan
        self.captioner = service.info
        self.cost_range = range_in(prepared.plan, service.price)
        self.is_paid = is_paid
        self.may_cost = is_paid and service.may_cost
        self.asked = self.recalled = 0
        self.usage = Usage()
        self._prepared = prepared
        self._price = service.price
        self._gate = gate
        self._stop = stop
        self._limit = AHEAD * concurrency
        self._workers = WorkerPool(ask, size=concurrency, stop=stop, release=release)
        self._entries: list[Entry] = []
        self._complete = False
        self._work = self._results()

    def __iter__(self) -> Iterator[Entry]:
        """Yield an entry for each segment."""
        return self

    def __next__(self) -> Entry:
        """Return the next finished entry."""
        try:
            return next(self._work)
        except StoppedError:
            raise StopIteration from None

    @property
    def cost(self) -> Cost | None:
        """The cost of this run's requests so far, None if the price or the usage is unknown."""
        return cost_of(self.usage, self._price)

    def timeline(self) -> Timeline:
        """Wait for the remaining entries and return all as one timeline.

        Its usage and cost include the answers from the ledger, so the same job gives the same
        timeline. `usage` and `cost` of this object are those of this run alone.

        Raises:
            UsageError: this was closed before the last entry.
        """
        for _ in self:
            pass
        if not self._complete:
            raise UsageError("this captioning was cancelled", fix="begin another one")
        usage = sum((entry.usage for entry in self._entries), Usage())
        return stitch(
            source=self._prepared.source,
            captioner=self.captioner,
            entries=self._entries,
            skipped=self._prepared.skipped,
            cost=cost_of(usage, self._price),
        )

    def close(self) -> None:
        """Cancel the remaining work; may be called twice, and from another thread."""
        if not self._complete:
            self._stop.set()
        try:
            self._prepared.close()
        finally:
            is_abandoned = self.is_paid and not self._complete
            self._workers.close(wait_s=0.0 if is_abandoned else CLOSE_WAIT_S)

    def _results(self) -> Iterator[Entry]:
        """Make segments, queue them for the workers, and yield entries in between."""
        error = None
        for segment in self._segments():
            if isinstance(segment, CaptoolkitError):
                error = segment
                break
            self._workers.put(segment)
            # Unfinished segments take room on the disk, so their number is bounded.
            while finished := self._workers.take(wait=self._workers.unfinished >= self._limit):
                yield self._finish(*finished)
        while self._workers.unfinished and (finished := self._workers.take(wait=True)):
            yield self._finish(*finished)
        if error is not None:
            yield self._emit(_failed_rest(self._prepared, error))
        self._complete = True
        self.close()

    def _segments(self) -> Iterator[ReadySegment | CaptoolkitError]:
        """Yield each segment, and at last the error that ended the preparation, if one did.

        Raises:
            CaptoolkitError: the preparation failed before the first segment.
        """
        segments = iter(self._prepared)
        while True:
            try:
                segment = next(segments, None)
            except CaptoolkitError as error:
                if self._stop.is_set():
                    raise StoppedError from error
                if not self._prepared.segments or error is self._gate.error:
                    raise
                yield error
                return
            if segment is None:
                return
            yield segment

    def _finish(self, segment: ReadySegment, outcome: Outcome) -> Entry:
        """Remove the segment's file; return its entry, or raise an error that ends the run."""
        self._prepared.discard(segment)
        error = outcome.error
        ends_run = isinstance(error, ServiceError) and rule_for(error).retry is RetryKind.HALT
        if ends_run and not any(entry.status is Status.OK for entry in self._entries):
            assert error is not None
            self._workers.close(wait_s=LAST_ANSWERS_S)
            first = error.__cause__  # the error of another segment, if this one was never sent
            raise first if isinstance(first, ServiceError) else error
        return self._emit(outcome)

    def _emit(self, outcome: Outcome) -> Entry:
        """Count an outcome, emit its entry and return it."""
        self._entries.append(outcome.entry)
        self.asked += outcome.asked
        self.recalled += outcome.recalled
        self.usage += UNCOUNTED if outcome.recalled else outcome.entry.usage
        path = self.plan.info.path
        self._gate(EntryReady(path=path, entry=outcome.entry, recalled=outcome.recalled))
        return outcome.entry


def _failed_rest(prepared: Prepared, error: CaptoolkitError) -> Outcome:
    """Return a failed entry for the sound after the last finished segment."""
    track, last = prepared.plan.track, prepared.segments[-1]
    start = last.source_span.end_samples
    span = Span(
        start_samples=start,
        end_samples=max(start + 1, track.duration_samples),
        rate_hz=track.sample_rate_hz,
    )
    return failed(last.index + 1, span, error)
