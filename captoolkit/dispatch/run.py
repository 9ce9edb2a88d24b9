"""One run of asking: the worker pool, ledger, budget and rate limiter that many recordings share.

Rules: a run has one stop flag, one gate for the events of all its recordings, and a bounded number
of unfinished segments over all of them. The fault that ends the run is kept as `error`; the caller
decides how the run ends.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from captoolkit.dispatch.asker import Ask, Outcome, failed
from captoolkit.dispatch.budget import Budget, cost_of, refuse_too_small, worst_case
from captoolkit.dispatch.circuit_breaker import CircuitBreaker
from captoolkit.dispatch.clip_meter import ClipMeter
from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.workers import AHEAD, AHEAD_HERE, WorkerPool, never
from captoolkit.errors import CaptoolkitError, ServiceError
from captoolkit.events import EntryReady, Warned
from captoolkit.model import Cost, Entry, Plan, Price, Status, Usage, Via
from captoolkit.pipeline.caption_meter import OpenCaptionMeter
from captoolkit.pipeline.event_gate import EventGate
from captoolkit.pipeline.prepared import Prepared
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.services.service import Service
from captoolkit.support.cancel import Closing, StoppedError
from captoolkit.support.provenance import Provenance
from captoolkit.timeline.stitch import stitch
from captoolkit.timeline.value import Timeline

UNCOUNTED = Usage(input_tokens=0, output_tokens=0, total_tokens=0)  # of answers from the ledger
CLOSE_WAIT_S = 10.0  # for a local captioner; idle threads end at once
LAST_ANSWERS_S = 30.0  # for requests in flight after an error that ends the run: they are paid for


class AskingTotals:
    """The outcomes so far, counted; thread-safe.

    Attributes:
        requested: the number of segments sent to the captioner so far.
        recalled: the number of answers from the ledger so far.
        usage: the usage of the requests so far.
    """

    def __init__(self, price: Price | None) -> None:
        self.requested = self.recalled = 0
        self.usage = Usage()
        self._price = price
        self._counting = threading.Lock()

    @property
    def cost(self) -> Cost | None:
        """The cost of the requests so far, None if the price or the usage is unknown."""
        return cost_of(self.usage, self._price)

    def count(self, outcome: Outcome) -> None:
        """Add an outcome."""
        with self._counting:
            self.requested += outcome.requested
            self.recalled += outcome.recalled
            self.usage += UNCOUNTED if outcome.recalled else outcome.entry.usage


class AskingRun(AskingTotals, Closing):
    """Asks one captioner about the segments of any number of recordings; thread-safe.

    Closing it cancels the run: no further request is sent, and `close` does not wait for paid
    answers in flight. Answers that arrive while the program runs are written to the ledger.

    Args:
        asker_of: returns the function that asks about the segments of the named input.
        service: the captioner's service.
        ways: the ways in which the captioner accepts sound.
        open_meter: begins a segment of a captioner that measures samples; None for one that needs
            files.
        concurrency: the largest number of requests in flight.
        budget: the limit on the cost; None for no limit.
        ledger: records the answers, because they may cost money; None for a free captioner.
        breaker: ends the scope of the run when nothing is answered; the stop flag of that scope
            cancels the run.
        gate: receives the events of all recordings.
        release: called once, after `close` and after the last request has ended.

    Attributes:
        is_paid: whether the answers may cost money.
        made_by: the verb and options that the timelines record; None records nothing.
    """

    def __init__(
        self,
        asker_of: Callable[[str], Ask],
        *,
        service: Service,
        ways: frozenset[Via],
        open_meter: OpenCaptionMeter | None = None,
        concurrency: int,
        budget: Budget | None,
        ledger: Ledger | None,
        breaker: CircuitBreaker,
        gate: EventGate,
        release: Callable[[], None],
    ) -> None:
        super().__init__(service.price)
        self.service = service
        self.ways = ways
        self.open_meter = open_meter
        self.is_paid = ledger is not None
        self.gate = gate
        self.stop = breaker.scope.stop
        self.made_by: Provenance | None = None
        self._asker_of = asker_of
        self._budget = budget
        self._breaker = breaker
        ahead = AHEAD_HERE if ledger is None else AHEAD
        self._workers = WorkerPool(size=concurrency, stop=self.stop, release=release, ahead=ahead)

    @property
    def error(self) -> ServiceError | None:
        """The fault that ended the run: every request would meet it, or nothing was answered."""
        return self._breaker.error

    @property
    def unsent_error(self) -> CaptoolkitError | None:
        """The error of the segments that are not sent after `error`."""
        return self._breaker.unsent_error

    def final_error(self, left: int, *, is_least: bool = False) -> ServiceError:
        """Return `error` with the number of segments that are left, or at least left."""
        return self._breaker.final_error(left, is_least=is_least)

    @property
    def may_cost(self) -> bool:
        """Whether the service is known to charge for its answers."""
        return self.is_paid and self.service.may_cost

    @property
    def needs_confirmation(self) -> bool:
        """Whether a person should confirm the requests: see `Service.needs_confirmation`."""
        return self.is_paid and self.service.needs_confirmation

    @property
    def limit(self) -> int:
        """The largest number of unfinished segments: four for each request in flight.

        Two for a captioner on this machine.
        """
        return self._workers.limit

    def reserve(self, *, unless: Callable[[], bool] = never) -> bool:
        """Reserve the place of a segment before it is made; wait while `limit` are unfinished.

        `submit` uses the place, `give_back` returns it.

        Args:
            unless: ends the wait without a place when it returns True.

        Returns:
            Whether a place is reserved.

        Raises:
            StoppedError: the run was cancelled or closed.
        """
        return self._workers.reserve(unless=unless)

    def give_back(self) -> None:
        """Return a reserved place: there is no segment for it."""
        self._workers.give_back()

    def submit(self, segment: ReadySegment, *, path: str) -> Future[Outcome]:
        """Ask about a segment, for which a place is reserved.

        Args:
            segment: the segment; its file has to exist until the future is done.
            path: the name of its input, for events.

        Returns:
            The future of its outcome. A segment without a caption has an outcome with an `error`.
            The future itself raises `StoppedError` if the run was cancelled before, and exceptions
            of `on_event`.
        """
        ask = self._asker_of(path)

        def ask_and_count(segment: ReadySegment) -> Outcome:
            outcome = ask(segment)
            self.count(outcome)
            return outcome

        return self._workers.submit(segment, ask_and_count)

    def refuse_small_budget(self, plan: Plan) -> None:
        """Refuse a plan if the whole budget is too small for one of its requests.

        Raises:
            UsageError: the worst case of a request is larger than the budget.
        """
        price, target = self.service.price, self.service.target
        if self._budget is not None and price is not None:
            durations_s = {span.exact_s for span in plan.spans}
            worst_cases = [worst_case(target, price, duration_s) for duration_s in durations_s]
            refuse_too_small(self._budget, worst_cases, price)

    def close(self) -> None:
        """Cancel the run; may be called twice, and from another thread."""
        self.stop.set()
        # Inside `on_event` a thread to wait for may wait for this one.
        is_abandoned = self.is_paid or self.gate.is_inside
        self._workers.close(wait_s=0.0 if is_abandoned else CLOSE_WAIT_S)

    def finish(self, *, wait_s: float = CLOSE_WAIT_S) -> None:
        """End the run without cancelling it: wait at most `wait_s` for the requests in flight."""
        self._workers.close(wait_s=wait_s)


class RecordingEntries(AskingTotals):
    """The entries of one recording so far, and their totals; thread-safe."""

    def __init__(self, prepared: Prepared, run: AskingRun) -> None:
        super().__init__(run.service.price)
        self._prepared = prepared
        self._service = run.service
        self._gate = run.gate
        self._stop = run.stop
        self._made_by = run.made_by
        self._entries: list[Entry] = []
        self._adding = threading.Lock()
        self._meter = None if prepared.measures_envelope else ClipMeter(prepared.plan.track)
        self._warnings: tuple[str, ...] = ()
        self._is_whole = True

    @property
    def has_caption(self) -> bool:
        """Whether one of the entries has a caption."""
        return self.captions > 0

    @property
    def captions(self) -> int:
        """The number of entries with a caption."""
        with self._adding:
            return sum(entry.status is Status.OK for entry in self._entries)

    @property
    def left(self) -> int:
        """The number of planned segments without a caption so far."""
        return max(0, len(self._prepared.plan.spans) - self.captions)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the preparation, and, after `timeline`, of the captioner's own decode."""
        return (*self._prepared.warnings, *self._warnings)

    def measured(self, segment: ReadySegment) -> ReadySegment:
        """Return the segment to ask about.

        A captioner that decodes it stops when the run is cancelled, and measures the envelope,
        unless the preparation does so.
        """

        def decoded(at: int, rate_hz: int, block: Any) -> None:
            if self._stop.is_set():
                raise StoppedError
            if self._meter is not None:
                self._meter.feed(segment, at, rate_hz, block)

        return replace(segment, on_decoded=decoded)

    def add(self, outcome: Outcome) -> Entry:
        """Count an outcome, emit its entry and return it."""
        with self._adding:
            self._entries.append(outcome.entry)
        self.count(outcome)
        path = self._prepared.plan.info.path
        self._gate(EntryReady(path=path, entry=outcome.entry, recalled=outcome.recalled))
        return outcome.entry

    def add_failed_rest(self, error: CaptoolkitError) -> list[Entry]:
        """Add failed entries for the sound after the last segment, one for each planned segment.

        The last segment may end before its planned end, because its cut has moved.
        """
        self._is_whole = False
        track, last = self._prepared.plan.track, self._prepared.segments[-1]
        start, end = last.source_span.end_samples, track.end_samples
        # The segment after the last one begins at its end, wherever it was planned.
        later = (span.start_samples for span in self._prepared.plan.spans[last.index + 1 :])
        marks = [start, *(mark for mark in later if start < mark < end), end]
        spans = [
            replace(last.source_span, start_samples=first, end_samples=following)
            for first, following in itertools.pairwise(marks)
            if first < following
        ]
        return [
            self.add(failed(index, span, error)) for index, span in enumerate(spans, last.index + 1)
        ]

    def timeline(self) -> Timeline:
        """Return all entries as one timeline, with the usage and cost of all answers.

        The envelope is from the decode of the preparation, else from that of the captioner.

        Raises:
            InputError: the source was written to meanwhile; the ledger keeps the paid answers.
        """
        self._prepared.refuse_changed()
        envelope = self._prepared.envelope
        if self._meter is not None:
            self._warn(self._meter.warnings)
            if self._is_whole:
                envelope = self._meter.envelope(self._prepared.segments)
        usage = sum((entry.usage for entry in self._entries), Usage())
        return stitch(
            source=self._prepared.source,
            captioner=self._service.info,
            entries=self._entries,
            skipped=self._prepared.skipped,
            cost=cost_of(usage, self._service.price),
            made_by=self._made_by,
            modified_ns=self._prepared.modified_ns,
            envelope=envelope,
        )

    def _warn(self, warnings: tuple[str, ...]) -> None:
        if self._warnings != warnings:
            self._warnings = warnings
            for warning in warnings:
                self._gate(Warned(path=self._prepared.plan.info.path, message=warning))
