"""One recording on its way through a captioner: segments are made, asked about, told and stitched.

Rules: a segment is asked about as soon as it is finished, while later ones are still being made;
each segment ends as exactly one entry, whatever happens to it; what fails for all of them is raised
if there is no caption yet, and else costs only what is left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from captoolkit.captioners.failures import RetryKind, rule_for
from captoolkit.dispatch.asker import Answered, Ask, hole
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

UNCOUNTED = Usage(input_tokens=0, output_tokens=0, total_tokens=0)  # what is in the ledger
AHEAD = 4  # segments prepared or asked about, for each request that may be under way
PATIENCE_S = 10.0  # threads that are idle end at once; captioners on this machine soon
LAST_ANSWERS_S = 30.0  # what is under way when asking further is hopeless is paid for all the same


class Captions(Closing):
    """The entries of one recording, in the order in which they finish; iterate once.

    A context manager. Closing it cancels: nothing more is asked, and nobody waits for the answers
    under way; those that still come while the program runs go into the ledger, where the next run
    finds them.

    Attributes:
        plan: what is being asked about, known before anything is sent.
        captioner: who is asked.
        is_paid: whether answers are written down, because they may cost something.
        may_cost: whether the service is known to charge for its answers.
        asked: how many segments were asked about so far; the others were in the ledger, or could
            not be asked about.
        recalled: how many answers were in the ledger so far.
        usage: what the service counted so far for what was asked now; the timeline's is what it
            counted for all answers, whenever they were asked for.
        cost_range: what they will cost, None where no price is known.
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
        self._crowd = AHEAD * concurrency
        self._crew = WorkerPool(ask, size=concurrency, stop=stop, release=release)
        self._entries: list[Entry] = []
        self._complete = False
        self._work = self._results()

    def __iter__(self) -> Iterator[Entry]:
        """Yield entries until every segment has one."""
        return self

    def __next__(self) -> Entry:
        """Return the next entry that finishes."""
        try:
            return next(self._work)
        except StoppedError:
            raise StopIteration from None

    @property
    def cost(self) -> Cost | None:
        """What was asked now costs, None where no price or no count is known."""
        return cost_of(self.usage, self._price)

    def timeline(self) -> Timeline:
        """Wait for what is left and return everything as one timeline.

        Its usage and cost are those of its answers, also of the ones that the ledger had: the same
        job gives the same timeline. What this run added to the bill is `usage` and `cost` here.

        Raises:
            UsageError: this was closed before it was done.
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
        """Cancel what is not done; may be called twice, and from another thread."""
        if not self._complete:
            self._stop.set()
        try:
            self._prepared.close()
        finally:
            abandon = self.is_paid and not self._complete
            self._crew.close(patience_s=0.0 if abandon else PATIENCE_S)

    def _results(self) -> Iterator[Entry]:
        """Make segments and have them asked about, handing out what is finished in between."""
        broken = None
        for segment in self._segments():
            if isinstance(segment, CaptoolkitError):
                broken = segment
                break
            self._crew.put(segment)
            # Segments wait on the disk for their turn: not a night of them.
            while done := self._crew.take(wait=self._crew.under_way >= self._crowd):
                yield self._told(*done)
        while self._crew.under_way and (done := self._crew.take(wait=True)):
            yield self._told(*done)
        if broken is not None:
            yield self._hand_out(_hole_at_the_end(self._prepared, broken))
        self._complete = True
        self.close()

    def _segments(self) -> Iterator[ReadySegment | CaptoolkitError]:
        """Each segment, and at the end why there is none although more should come.

        A failure before the first segment is the caller's to hear; later ones cost what is left.
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

    def _told(self, segment: ReadySegment, answered: Answered) -> Entry:
        """Take in what came of a segment, whose file nobody needs any more."""
        self._prepared.discard(segment)
        fault = answered.fault
        hopeless = isinstance(fault, ServiceError) and rule_for(fault).retry is RetryKind.HALT
        if hopeless and not any(entry.status is Status.OK for entry in self._entries):
            assert fault is not None
            self._crew.close(patience_s=LAST_ANSWERS_S)
            first = fault.__cause__  # of a segment that was not asked about any more
            raise first if isinstance(first, ServiceError) else fault
        return self._hand_out(answered)

    def _hand_out(self, answered: Answered) -> Entry:
        self._entries.append(answered.entry)
        self.asked += answered.asked
        self.recalled += answered.recalled
        self.usage += UNCOUNTED if answered.recalled else answered.entry.usage
        path = self.plan.info.path
        self._gate(EntryReady(path=path, entry=answered.entry, recalled=answered.recalled))
        return answered.entry


def _hole_at_the_end(prepared: Prepared, error: CaptoolkitError) -> Answered:
    """What could not be prepared any more, from the last finished segment on."""
    track, last = prepared.plan.track, prepared.segments[-1]
    start = last.source_span.end_samples
    span = Span(
        start_samples=start,
        end_samples=max(start + 1, track.duration_samples),
        rate_hz=track.sample_rate_hz,
    )
    return hole(last.index + 1, span, error)
