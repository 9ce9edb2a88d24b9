"""One segment, one entry: what is known is not asked, what failed is asked again, within bounds.

Rules: the order is ledger, upload, money, turn, question; whatever comes of it is written down
before anybody hears of it, even if the caller's `on_event` fails meanwhile. Asking about one
segment never raises but to stop: a segment without a caption is a hole that says why. What would go
wrong for every segment (a key that is none) stops the rest.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from captoolkit.captioners.base import Captioner, ConversationalCaptioner, OnText, PaidCaptioner
from captoolkit.captioners.failures import RetryKind, rule_for
from captoolkit.dispatch.budget import amount_of, predicted, worst_case
from captoolkit.dispatch.context import RunContext
from captoolkit.dispatch.ledger import Question
from captoolkit.dispatch.retry import Tries
from captoolkit.errors import CaptoolkitError, OutputError, ServiceError
from captoolkit.events import Event, RetryScheduled, TextArrived, Warned
from captoolkit.model import Caption, Entry, Span, Status, Via
from captoolkit.pipeline.event_gate import EventGate
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.support.cancel import StoppedError

LOG = logging.getLogger("captoolkit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of one segment.

    Attributes:
        asked: whether anything was sent to the captioner.
        recalled: whether the answer was in the ledger, so that nothing was asked.
        fault: the error that ended it, None for a caption.
    """

    entry: Entry
    asked: bool = False
    recalled: bool = False
    fault: CaptoolkitError | None = None


Ask = Callable[[ReadySegment], Answered]


class FreeAsker:
    """Asks a captioner that costs nothing: once, and nothing is written down."""

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner

    def ask(self, segment: ReadySegment) -> Answered:
        """Return the entry of a segment."""
        try:
            said = _said(self._captioner, segment, None)
        except CaptoolkitError as error:
            return hole(segment.index, segment.source_span, error, asked=True)
        return Answered(entry=_entry(segment, said), asked=True)


class PaidAsker:
    """Asks a captioner whose answers cost something, by the terms of a run."""

    def __init__(
        self,
        captioner: PaidCaptioner,
        context: RunContext,
        *,
        path: str,
        gate: EventGate,
    ) -> None:
        self._captioner = captioner
        self._context = context
        self._path = path
        self._gate = gate

    def ask(self, segment: ReadySegment) -> Answered:
        """Return the entry of a segment.

        Raises:
            StoppedError: the run was cancelled before there was one.
            BaseException: what the caller's `on_event` raised.
        """
        try:
            return self._answered(segment)
        except _CallbackError as error:
            raise error.cause from None

    def _answered(self, segment: ReadySegment) -> Answered:
        """The entry, from the ledger or from the captioner; whatever comes of it is noted."""
        question = Question.about(segment.sha256, self._captioner)
        ledger, context = self._context.ledger, self._context
        try:
            known = ledger.claim(question, context.scope, resume=context.resume)
        except CaptoolkitError as error:
            return hole(segment.index, segment.source_span, error)
        if known is not None:
            return Answered(entry=self._entry(segment, known), recalled=True)
        now_s = context.clock.now_s()
        until_s = min(context.scope.deadline_s, now_s + context.retry_policy.segment_s)
        tries = Tries(context.retry_policy, deadline_s=until_s)
        try:
            said = self._asked_until_answered(segment, tries)
        except CaptoolkitError as error:
            request_id = getattr(error, "request_id", None)
            self._write_down(partial(ledger.fail, question, str(error), request_id=request_id))
            return hole(segment.index, segment.source_span, error, asked=tries.begun > 0)
        except BaseException:
            self._write_down(partial(ledger.fail, question, "the run was cancelled"))
            raise
        self._write_down(partial(ledger.answer, question, said))
        self._refuse_broken()
        return Answered(entry=self._entry(segment, said), asked=True)

    def _entry(self, segment: ReadySegment, said: Caption) -> Entry:
        """The entry of a caption, what it was counted as beside what was expected."""
        expected = predicted(self._context.service.target, segment.source_span.exact_s)
        usage = replace(said.usage, predicted_input_tokens=expected.input_tokens)
        return _entry(segment, replace(said, usage=usage))

    def _asked_until_answered(self, segment: ReadySegment, tries: Tries) -> Caption:
        """The caption, asking again where the policy says so."""
        context = self._context
        while True:
            context.scope.check()
            try:
                segment = self._brought(segment)
                return self._asked(segment, tries)
            except ServiceError as error:
                self._refuse_broken()
                wait_s = tries.wait_after(error, now_s=context.clock.now_s())
                self._heed(error, wait_s)
                if wait_s is None:
                    raise _tired(error, tries.begun) from None
                self._wait(segment, error, wait_s)

    def _heed(self, error: ServiceError, wait_s: float | None) -> None:
        """Let an error count for the others whose questions would meet with the same."""
        again = rule_for(error).retry
        if again is RetryKind.HALT:
            self._context.scope.halt(error)
        if again is RetryKind.SLOWER:
            longest_s = self._context.retry_policy.longest_retry_after_s
            asked_s = min(error.retry_after_s or 0.0, longest_s)
            self._context.rate_limiter.throttled(asked_s if wait_s is None else wait_s)

    def _wait(self, segment: ReadySegment, error: ServiceError, wait_s: float) -> None:
        """Let time pass before the next try; what is throttled waits for its turn instead."""
        LOG.info("segment %d is asked about again in %.1f s: %s", segment.index, wait_s, error)
        self._hand_on(
            RetryScheduled(path=self._path, index=segment.index, wait_s=wait_s, reason=str(error))
        )
        if rule_for(error).retry is not RetryKind.SLOWER:
            self._context.scope.wait(wait_s)

    def _brought(self, segment: ReadySegment) -> ReadySegment:
        """The segment where it can be asked about: an upload is no question, and costs nothing."""
        if segment.via is not Via.UPLOAD or not isinstance(
            self._captioner, ConversationalCaptioner
        ):
            return segment
        return replace(segment, via=Via.URL, url=self._captioner.reference(segment))

    def _asked(self, segment: ReadySegment, tries: Tries) -> Caption:
        """The caption of one request, when there is money for it and it is its turn."""
        context, service = self._context, self._context.service
        duration_s = segment.source_span.exact_s
        expected = predicted(service.target, duration_s)
        worst = Decimal(0)
        if context.budget is not None and service.price is not None:
            worst = worst_case(service.target, service.price, duration_s)
            context.budget.reserve(worst, context.scope)
        spent = Decimal(0)
        try:
            context.rate_limiter.turn(expected.input_tokens or 0, context.scope)
            spent = worst  # until it is known better
            tries.begun += 1
            said = _said(self._captioner, segment, self._on_text(segment))
            amount = amount_of(said.usage, service.price)
            spent = worst if amount is None else amount
        except ServiceError as error:
            spent = worst if rule_for(error).may_be_billed else Decimal(0)
            raise
        finally:
            if context.budget is not None:
                context.budget.settle(worst, spent)
        context.rate_limiter.answered(said.usage.output_tokens or 0)
        return said

    def _on_text(self, segment: ReadySegment) -> OnText | None:
        """What hands text on as it comes, None where nobody wants it."""
        if not self._context.stream:
            return None

        def text_arrived(text: str) -> None:
            # Whether or not anybody wants to hear more, the answer is paid for and read on.
            with contextlib.suppress(StoppedError, _CallbackError):
                self._hand_on(TextArrived(path=self._path, index=segment.index, text=text))

        return text_arrived

    def _hand_on(self, event: Event) -> None:
        """Tell the caller, past whatever would take the caller's error for the captioner's."""
        try:
            self._gate(event)
        except StoppedError:
            raise
        except BaseException as error:
            raise _CallbackError(error) from error

    def _refuse_broken(self) -> None:
        """Raise what the caller's `on_event` has raised: the run is over for it."""
        if self._gate.error is not None:
            raise _CallbackError(self._gate.error) from self._gate.error

    def _write_down(self, entry: Callable[[], None]) -> None:
        """Write to the ledger; a ledger that fails must not cost an answer that is here."""
        try:
            entry()
        except OutputError as error:
            with contextlib.suppress(StoppedError):
                self._hand_on(Warned(path=self._path, message=str(error)))


def hole(index: int, span: Span, fault: CaptoolkitError, *, asked: bool = False) -> Answered:
    """Return the entry of a segment that has no caption, with the reason."""
    entry = Entry(
        index=index,
        source_span=span,
        status=Status.FAILED,
        error=str(fault),
        request_id=getattr(fault, "request_id", None),
    )
    return Answered(entry=entry, asked=asked, fault=fault)


def _entry(segment: ReadySegment, said: Caption) -> Entry:
    return Entry(
        index=segment.index,
        source_span=segment.source_span,
        status=Status.OK,
        text=said.text,
        finish_reason=said.finish_reason,
        request_id=said.request_id,
        usage=said.usage,
    )


class _CallbackError(BaseException):
    """Carries what `on_event` raised past everybody who handles errors of captioners."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def _said(captioner: Captioner, segment: ReadySegment, on_text: OnText | None) -> Caption:
    """What a captioner says; a fault in it must not cost the others, which are paid for."""
    try:
        if on_text is not None and isinstance(captioner, PaidCaptioner):
            return captioner.caption(segment, on_text=on_text)
        return captioner.caption(segment)
    except CaptoolkitError:
        raise
    except Exception as error:
        LOG.exception("the captioner %s failed on segment %d", captioner.info.name, segment.index)
        raise CaptoolkitError(
            f"the captioner failed with {type(error).__name__}: {error}"
        ) from error


def _tired(error: ServiceError, times: int) -> ServiceError:
    """The last error, saying how often it was tried."""
    told = [f"asked {times} times"] if times > 1 else []
    if error.retry_after_s:
        told.append(f"the service wants to be left alone for {error.retry_after_s:g} s")
    if told:
        error.problem = f"{error.problem} ({', '.join(told)})"
    return error
