"""The captions of many recordings in one run: a result for each, in the order in which they finish.

Rules: nothing starts before the first result or `plans` is requested. Each source has exactly one
result, a timeline or an error, unless a fault ends the run (every request would meet it, or nothing
answers): then the recordings with a caption keep their timelines, and the iteration raises the
error once, at its end.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from captoolkit.dispatch.budget import range_in, total_range
from captoolkit.dispatch.preparers import PreparerPool
from captoolkit.dispatch.run import AskingRun
from captoolkit.dispatch.run_recording import RunRecording
from captoolkit.dispatch.run_results import RunResults
from captoolkit.errors import CaptoolkitError, ServiceError, UsageError
from captoolkit.model import Cost, CostRange, Plan, Usage
from captoolkit.timeline.value import Timeline

if TYPE_CHECKING:
    from captoolkit.media.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionResult:
    """The result of one source: a timeline, or the error that prevented it.

    Attributes:
        index: the place of the source among the sources, from 0.
        source: the source, as the caller gave it.
        path: the name of the source in events; empty if it could not be opened.
        timeline: the captions; None if there is an `error`.
        error: why there is no timeline; None if there is one. A timeline may have holes.
        is_kept: whether the timeline is the existing one of an earlier run.
        requested: the number of segments sent to the captioner in this run.
        recalled: the number of answers from the ledger.
        usage: the usage of this run's requests; the timeline has the usage of all answers.
        cost: the cost of this run's requests; None if the price or the usage is unknown.
        seconds: the time from the opening of the source to the result.
        warnings: those of the preparation, as in `Prepared`, and of a captioner on this machine
            that decodes the segments; none if `is_kept`.
    """

    index: int
    source: Source = field(repr=False)  # may be an hour of samples
    path: str = ""
    timeline: Timeline | None = None
    error: CaptoolkitError | None = None
    requested: int = 0
    recalled: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Cost | None = None
    is_kept: bool = False
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


class CaptionRun(RunResults):
    """The results of many sources, in the order in which they finish; iterate once.

    A context manager. Closing it cancels the run: no further request is sent, and `close` does not
    wait for answers in flight. Answers that arrive while the program runs are written to the
    ledger, where the next run finds them. After a cancellation the iteration raises
    `CancelledError`.

    Attributes:
        captioner: the captioner.
        is_paid: whether the ledger records the answers, because they may cost money.
        may_cost: whether the service is known to charge for its answers.
    """

    def __init__(self, run: AskingRun, preparers: PreparerPool) -> None:
        super().__init__(
            run,
            totals=run,
            end_preparing=preparers.close,
            abandon_preparing=functools.partial(preparers.close, wait_s=0.0),
        )
        self._preparers = preparers
        self._plans: tuple[Plan | CaptoolkitError | None, ...] | None = None
        self._has_begun = False

    def __next__(self) -> CaptionResult:
        """Return the next result.

        Raises:
            ServiceError: a fault ended the run, and recordings are left out; raised after the last
                result.
            CancelledError: the run was cancelled.
            UsageError: it has failed before.
            BaseException: `on_event` or the iterator of sources raised it.
        """
        if self._is_complete:
            raise StopIteration
        self._has_begun = True
        self._preparers.start()
        with self._ending_on_failure():
            result = self._next_result()
        if result is not None:
            return result
        self._is_complete = True
        self.close()
        error = self.error
        if self._preparers.is_cut_short and error is not None:
            raise error
        raise StopIteration

    @property
    def error(self) -> ServiceError | None:
        """The fault that ended the run, with the number of segments left so far; None if none did.

        It is raised after the last result if recordings are left out.
        """
        if self._run.error is None:
            return None
        preparers = self._preparers
        return self._run.final_error(preparers.left, is_least=preparers.has_unopened)

    @property
    def left(self) -> int:
        """The segments without a caption, as far as they are known, after `error`."""
        return self._preparers.left

    def plans(self) -> tuple[Plan | CaptoolkitError | None, ...]:
        """Open all sources and return the plan of each, or the error that it will have as a result.

        A source with a kept timeline has None. No segment is made and nothing is sent. All sources
        stay open, so this takes an iterable that ends, and memory for each plan.

        Raises:
            UsageError: the first result was requested before.
            CancelledError: the run was cancelled.
            BaseException: the iterator of sources raised it.
        """
        if self._plans is None:
            if self._has_begun:
                raise UsageError("the captioning has begun", fix="request the plans first")
            with self._ending_on_failure():
                recordings = self._preparers.open_all()
            self._plans = tuple(_plan_of(recording) for recording in recordings)
        return self._plans

    def cost_range(self) -> CostRange | None:
        """Return the range of costs of all plans, None if no price is known; as `plans`."""
        plans = [plan for plan in self.plans() if isinstance(plan, Plan)]
        ranges = [range_in(plan, self._run.service.price) for plan in plans]
        known = [one for one in ranges if one is not None]
        return total_range(known) if known and len(known) == len(ranges) else None

    def _next_result(self) -> CaptionResult | None:
        while (recording := self._preparers.next_ended()) is not None:
            try:
                result = self._result_of(recording)
            finally:
                self._preparers.release(recording)
            if result is not None:
                return result
        return None

    def _result_of(self, recording: RunRecording) -> CaptionResult | None:
        """Return the result; None if only the error of the whole run prevented a caption."""
        prepared, entries, error = recording.prepared, recording.entries, recording.error
        if recording.is_halted and entries is not None:
            self._preparers.count_left(entries.left)
        seconds = time.monotonic() - recording.begun_s
        if recording.kept is not None:
            return CaptionResult(
                index=recording.index,
                source=recording.source,
                path=recording.kept.source.path,
                timeline=recording.kept,
                is_kept=True,
                seconds=seconds,
            )
        if recording.is_halted and not (entries and entries.has_caption):
            self._preparers.is_cut_short = True
            return None
        source, index = recording.source, recording.index
        if prepared is None or entries is None:
            return CaptionResult(index=index, source=source, error=error, seconds=seconds)
        timeline = None
        if error is None or prepared.segments:
            try:
                if error is not None:
                    entries.add_failed_rest(error)
                timeline, error = entries.timeline(), None
            except CaptoolkitError as failure:  # the source is gone
                if failure is self._run.gate.error:
                    raise
                error = failure
        return CaptionResult(
            index=index,
            source=source,
            path=prepared.plan.info.path,
            timeline=timeline,
            error=error,
            requested=entries.requested,
            recalled=entries.recalled,
            usage=entries.usage,
            cost=entries.cost,
            seconds=seconds,
            warnings=entries.warnings,
        )


def _plan_of(recording: RunRecording) -> Plan | CaptoolkitError | None:
    if recording.error is not None or recording.kept is not None:
        return recording.error
    assert recording.prepared is not None
    return recording.prepared.plan
