"""Caption one segment: from the ledger if it has the answer, otherwise by requests with retries.

Rules: the order is ledger, upload, budget, rate limiter, request. The ledger records the outcome
before any event reports it, so a failing `on_event` loses no answer. An asker raises
nothing but cancellations and the caller's own exceptions: a segment without a caption becomes a
failed entry with the reason. The circuit breaker ends the run after an error that all other
segments would meet (an invalid key), or that many segments in a row have met.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from captoolkit.captioners.base import (
    Captioner,
    ConversationalCaptioner,
    OnText,
    PaidCaptioner,
    is_paid,
)
from captoolkit.captioners.failures import RetryKind, rule_for
from captoolkit.dispatch.budget import amount_of, predict_usage, worst_case
from captoolkit.dispatch.circuit_breaker import CircuitBreaker
from captoolkit.dispatch.context import RunContext
from captoolkit.dispatch.ledger import Question
from captoolkit.dispatch.retry import Attempts
from captoolkit.errors import CaptoolkitError, OutputError, ServiceError
from captoolkit.events import Event, RetryScheduled, TextArrived, Warned
from captoolkit.model import Caption, Entry, Span, Status, Via
from captoolkit.pipeline.event_gate import EventGate
from captoolkit.pipeline.segment import ReadySegment
from captoolkit.support.cancel import CancelScope, StoppedError

LOG = logging.getLogger("captoolkit")
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one segment.

    Attributes:
        entry: the entry of the timeline.
        requested: whether a request was sent to the captioner.
        recalled: whether the ledger had the answer, so that no request was sent.
        error: why there is no caption; None for a caption.
    """

    entry: Entry
    requested: bool = False
    recalled: bool = False
    error: CaptoolkitError | None = None


Ask = Callable[[ReadySegment], Outcome]


class FreeAsker:
    """Asks a captioner that charges nothing: once, without retries and without the ledger."""

    def __init__(self, captioner: Captioner, breaker: CircuitBreaker) -> None:
        self._captioner = captioner
        self._breaker = breaker

    def ask(self, segment: ReadySegment) -> Outcome:
        """Return the outcome of a segment.

        Raises:
            StoppedError: the run was cancelled.
        """
        try:
            self._breaker.scope.check()
        except CaptoolkitError as error:
            return failed(segment.index, segment.source_span, error)
        try:
            caption = _caption(self._captioner, segment, None, self._breaker.scope)
        except CaptoolkitError as error:
            self._breaker.failed(error)
            return failed(segment.index, segment.source_span, error, requested=True)
        self._breaker.answered()
        return Outcome(entry=_entry(segment, caption), requested=True)


class PaidAsker:
    """Asks a captioner that may charge for its answers, within the context of a run."""

    def __init__(
        self, captioner: PaidCaptioner, context: RunContext, *, path: str, gate: EventGate
    ) -> None:
        self._captioner = captioner
        self._context = context
        self._path = path
        self._gate = gate

    def ask(self, segment: ReadySegment) -> Outcome:
        """Return the outcome of a segment.

        Raises:
            StoppedError: the run was cancelled before there was an outcome.
            BaseException: the caller's `on_event` raised it.
        """
        try:
            return self._recall_or_request(segment)
        except _CallbackError as error:
            raise error.cause from None

    def _recall_or_request(self, segment: ReadySegment) -> Outcome:
        """Return the outcome from the ledger or from the captioner, and record it."""
        question = Question.about(segment.sha256, self._captioner)
        ledger, context = self._context.ledger, self._context
        try:
            answer = ledger.claim(question, context.scope, resume=context.resume)
        except CaptoolkitError as error:
            return failed(segment.index, segment.source_span, error)
        if answer is not None:
            return Outcome(entry=self._counted_entry(segment, answer), recalled=True)
        now_s = context.scope.clock.now_s()
        until_s = min(context.scope.deadline_s, now_s + context.retry_policy.segment_s)
        attempts = Attempts(context.retry_policy, deadline_s=until_s)
        try:
            caption = self._request_with_retries(segment, attempts)
        except CaptoolkitError as error:
            context.breaker.failed(error)
            request_id = getattr(error, "request_id", None)
            self._record(partial(ledger.fail, question, str(error), request_id=request_id))
            return failed(segment.index, segment.source_span, error, requested=attempts.begun > 0)
        except BaseException:
            self._record(partial(ledger.fail, question, "the run was cancelled"))
            raise
        finally:
            context.breaker.end_retries(attempts)
        self._record(partial(ledger.answer, question, caption))
        self._raise_callback_error()
        return Outcome(entry=self._counted_entry(segment, caption), requested=True)

    def _counted_entry(self, segment: ReadySegment, caption: Caption) -> Entry:
        """Return the entry of a caption with the predicted input tokens in its usage."""
        expected = predict_usage(self._context.service.target, segment.source_span.exact_s)
        usage = replace(caption.usage, predicted_input_tokens=expected.input_tokens)
        return _entry(segment, replace(caption, usage=usage))

    def _request_with_retries(self, segment: ReadySegment, attempts: Attempts) -> Caption:
        """Return the caption; retry errors as the policy allows."""
        context = self._context
        while True:
            context.scope.check()
            self._raise_callback_error()
            try:
                segment = self._upload_if_needed(segment)
                return self._request(segment, attempts)
            except ServiceError as error:
                self._raise_callback_error()
                if error.__cause__ is not None and error.__cause__ is context.scope.halted:
                    raise  # not sent: another segment has ended the run
                most = context.breaker.most_attempts(error)
                wait_s = attempts.wait_after(error, now_s=context.scope.clock.now_s(), most=most)
                self._warn_others(error, wait_s)
                if (
                    wait_s is None
                    or context.scope.halted is not None
                    or not context.breaker.may_retry(error, attempts)
                ):
                    raise _with_attempts(error, attempts.begun) from None
                self._wait(segment, error, wait_s)

    def _warn_others(self, error: ServiceError, wait_s: float | None) -> None:
        """Halt or slow down the other requests of the run if they would meet the same error."""
        retry = rule_for(error).retry
        if retry is RetryKind.HALT:
            self._context.breaker.halt(error)
        if retry is RetryKind.SLOWER:
            longest_s = self._context.retry_policy.longest_retry_after_s
            requested_s = min(error.retry_after_s or 0.0, longest_s)
            self._context.rate_limiter.throttled(
                requested_s if wait_s is None else wait_s, ledger=self._context.ledger
            )

    def _wait(self, segment: ReadySegment, error: ServiceError, wait_s: float) -> None:
        """Wait before the next attempt; after throttling the rate limiter waits instead."""
        LOG.info("segment %d is retried in %.1f s: %s", segment.index, wait_s, error)
        self._emit(
            RetryScheduled(
                path=self._path, index=segment.index, wait_s=wait_s, reason=error.problem
            )
        )
        if rule_for(error).retry is not RetryKind.SLOWER:
            self._context.scope.wait(wait_s)

    def _upload_if_needed(self, segment: ReadySegment) -> ReadySegment:
        """Return the segment with the URL of its upload; an upload costs nothing."""
        if segment.via is not Via.UPLOAD or not isinstance(
            self._captioner, ConversationalCaptioner
        ):
            return segment
        return replace(segment, via=Via.URL, url=self._captioner.audio_reference(segment))

    def _request(self, segment: ReadySegment, attempts: Attempts) -> Caption:
        """Return the caption of one request, sent when budget and rate limiter allow it."""
        context, service = self._context, self._context.service
        duration_s = segment.source_span.exact_s
        expected = predict_usage(service.target, duration_s)
        worst = None
        if context.budget is not None and service.price is not None:
            worst = worst_case(service.target, service.price, duration_s)
            context.budget.reserve(worst, context.scope)
        spent: Decimal | None = Decimal(0)
        limiter, output_tokens, caption = context.rate_limiter, 0, None
        longest = service.target.limit("max_output_tokens")
        try:
            output_tokens = limiter.turn(
                expected.input_tokens or 0,
                context.scope,
                most_output_tokens=None if longest is None else int(longest),
                ledger=context.ledger,
            )
            spent = None  # unless the answer gives the real cost
            attempts.begun += 1
            caption = _caption(
                self._captioner, segment, self._on_text(segment), self._context.scope
            )
            spent = amount_of(caption.usage, service.price)
        except ServiceError as error:
            # `spent` is 0 for a request that was not sent, because another one has ended the run.
            spent = spent if rule_for(error).may_be_billed else Decimal(0)
            raise
        finally:
            if context.budget is not None and worst is not None:
                context.budget.settle(worst, spent)
            if caption is None:
                limiter.failed(output_tokens, ledger=context.ledger)
        context.breaker.answered()
        counted = caption.usage.output_tokens
        limiter.answered(
            output_tokens if counted is None else counted, output_tokens, ledger=context.ledger
        )
        return caption

    def _on_text(self, segment: ReadySegment) -> OnText | None:
        """Return the function that emits text as it arrives; None without `stream`."""
        if not self._context.stream:
            return None

        def text_arrived(text: str) -> None:
            # The answer is paid for and is read to its end, even if the caller has ended the run.
            with contextlib.suppress(StoppedError, _CallbackError):
                self._emit(TextArrived(path=self._path, index=segment.index, text=text))

        return text_arrived

    def _emit(self, event: Event) -> None:
        """Emit an event; an exception of `on_event` passes all handlers of captioner errors."""
        try:
            self._gate(event)
        except StoppedError:
            raise
        except BaseException as error:
            raise _CallbackError(error) from error

    def _raise_callback_error(self) -> None:
        """Raise the exception of the caller's `on_event`, if there was one: it ends the run."""
        if self._gate.error is not None:
            raise _CallbackError(self._gate.error) from self._gate.error

    def _record(self, write: Callable[[], None]) -> None:
        """Write to the ledger; if the ledger fails, warn and keep the answer."""
        try:
            write()
        except OutputError as error:
            with contextlib.suppress(StoppedError):
                self._emit(Warned(path=self._path, message=str(error)))


def failed(index: int, span: Span, error: CaptoolkitError, *, requested: bool = False) -> Outcome:
    """Return the outcome of a segment without a caption."""
    entry = Entry(
        index=index,
        source_span=span,
        status=Status.FAILED,
        error=str(error),
        request_id=getattr(error, "request_id", None),
    )
    return Outcome(entry=entry, requested=requested, error=error)


def _entry(segment: ReadySegment, caption: Caption) -> Entry:
    return Entry(
        index=segment.index,
        source_span=segment.source_span,
        status=Status.OK,
        text=caption.text,
        details=caption.details,
        finish_reason=caption.finish_reason,
        request_id=caption.request_id,
        usage=caption.usage,
    )


class _CallbackError(BaseException):
    """Carries an exception of `on_event` past the handlers of captioner errors."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def _caption(
    captioner: Captioner, segment: ReadySegment, on_text: OnText | None, scope: CancelScope
) -> Caption:
    """Return the caption; turn a bug of the captioner into an error of this segment alone."""
    try:
        caption: object
        if segment.captioned is not None:
            if isinstance(segment.captioned, Exception):
                raise segment.captioned
            caption = segment.captioned
        elif on_text is not None and is_paid(captioner):
            caption = captioner.caption(segment, on_text=on_text)
        else:
            caption = captioner.caption(segment)
        if not isinstance(caption, Caption):
            raise TypeError(f"caption() returned {type(caption).__name__}, not Caption")
        return caption
    except (CaptoolkitError, StoppedError):
        raise
    except Exception as error:
        if not scope.stop.is_set():  # a cancelled run removes the files of its segments
            name = captioner.info.name
            LOG.exception("the captioner %s failed on segment %d", name, segment.index)
        raise CaptoolkitError(
            f"the captioner failed with {type(error).__name__}: {error}"
        ) from error


def _with_attempts(error: ServiceError, attempts: int) -> ServiceError:
    """Return the last error; its problem contains the number of attempts."""
    notes = [f"tried {attempts} times"] if attempts > 1 else []
    if error.retry_after_s:
        is_long = error.retry_after_s > DAY_S
        pause = "more than a day" if is_long else f"{error.retry_after_s:g} s"
        notes.append(f"the service asks for a pause of {pause}")
    if notes:
        error.problem = f"{error.problem} ({', '.join(notes)})"
    return error
