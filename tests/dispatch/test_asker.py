from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from captoolkit.captioners.base import Clip, OnText
from captoolkit.dispatch.asker import FreeAsker, PaidAsker
from captoolkit.dispatch.budget import Budget
from captoolkit.dispatch.circuit_breaker import CircuitBreaker
from captoolkit.dispatch.context import RunContext
from captoolkit.dispatch.ledger import IN_MEMORY, Ledger
from captoolkit.dispatch.rate_limit import RateLimiter
from captoolkit.errors import CaptoolkitError, ServiceError
from captoolkit.events import Event, RetryScheduled, TextArrived
from captoolkit.model import Caption, Status
from captoolkit.pipeline.event_gate import EventGate
from captoolkit.services.regions import endpoint_of
from captoolkit.services.service import resolve_service
from captoolkit.support.cancel import CancelScope, StoppedError
from tests.support.captioning import InstantClock, OwnCaptioner, segment

SINGAPORE = "https://dashscope-intl.aliyuncs.com/api/v1"
BUSY = ServiceError("busy", status_code=503, request_id="r-7")
KEY = ServiceError("no such key", status_code=401)


def answer(clip: Clip) -> str:
    """A caption that names its file."""
    return f"heard {clip.path.name}"


def raising(*errors: Exception) -> Callable[[Clip], str]:
    """An answer that comes after some errors."""
    left = list(errors)

    def answer_after(clip: Clip) -> str:
        if left:
            raise left.pop(0)
        return answer(clip)

    return answer_after


class Run:
    """A run of its own: its context, its events and its ledger."""

    def __init__(self, *, budget: Budget | None = None, stream: bool = False) -> None:
        self.events: list[Event] = []
        self.clock = InstantClock()
        self.scope = CancelScope(clock=self.clock)
        self.breaker = CircuitBreaker(self.scope)
        self.ledger = Ledger(IN_MEMORY, clock=self.clock)
        self.budget = budget
        self.stream = stream

    def asker(self, captioner: OwnCaptioner, on_event: Callable[[Event], None]) -> PaidAsker:
        """An asker of that captioner in this run."""
        context = RunContext(
            ledger=self.ledger,
            service=resolve_service(captioner.info, endpoint_of(SINGAPORE)),
            rate_limiter=RateLimiter(clock=self.clock),
            budget=self.budget,
            breaker=self.breaker,
            stream=self.stream,
        )
        gate = EventGate(on_event, self.scope.stop)
        return PaidAsker(captioner, context, path="night.wav", gate=gate)


@pytest.fixture
def run() -> Iterator[Run]:
    """A run without a budget."""
    made = Run()
    yield made
    made.ledger.close()


def free_asker(captioner: OwnCaptioner) -> FreeAsker:
    """An asker of that captioner in a run of its own."""
    return FreeAsker(captioner, CircuitBreaker(CancelScope()))


class BareTextCaptioner(OwnCaptioner):
    """A captioner that returns a text instead of a `Caption`."""

    def caption(self, clip: Clip, *, on_text: OnText | None = None) -> Caption:
        """Return the wrong type."""
        return "only a text"  # type: ignore[return-value]


def test_a_free_captioner_is_asked_once(tmp_path: Path) -> None:
    """Its answer is the entry; an error becomes a failed entry without a retry."""
    good = free_asker(OwnCaptioner(answer)).ask(segment(tmp_path))
    assert (good.entry.status, good.entry.text) == (Status.OK, "heard night.001.wav")
    assert (good.requested, good.recalled, good.error) == (True, False, None)
    captioner = OwnCaptioner(raising(BUSY))
    bad = free_asker(captioner).ask(segment(tmp_path))
    assert (bad.entry.status, bad.entry.error, bad.error) == (Status.FAILED, "busy", BUSY)
    assert bad.entry.request_id == "r-7"
    assert captioner.asked == 1


def test_a_bug_of_a_captioner_fails_one_segment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Any exception becomes an error of that segment, and the log has the traceback."""
    outcome = free_asker(OwnCaptioner(raising(ZeroDivisionError("oops")))).ask(segment(tmp_path))
    assert outcome.entry.error == "the captioner failed with ZeroDivisionError: oops"
    assert "ZeroDivisionError" in caplog.text
    outcome = free_asker(BareTextCaptioner(answer)).ask(segment(tmp_path))
    assert "TypeError: caption() returned str, not Caption" in str(outcome.entry.error)
    caplog.clear()


def test_a_cancelled_run_does_not_blame_its_captioner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The files of a cancelled run are removed under the captioner; the log has no traceback."""
    scope = CancelScope()

    def read_too_late(clip: Clip) -> str:
        scope.stop.set()
        raise FileNotFoundError(clip.path)

    FreeAsker(OwnCaptioner(read_too_late), CircuitBreaker(scope)).ask(segment(tmp_path))
    assert caplog.text == ""


def test_an_answer_is_recorded_and_recalled(run: Run, tmp_path: Path) -> None:
    """The second time the ledger answers and no request is sent."""
    captioner = OwnCaptioner(answer)
    asker = run.asker(captioner, run.events.append)
    first, second = asker.ask(segment(tmp_path)), asker.ask(segment(tmp_path))
    assert first.entry == second.entry
    assert first.entry.usage.predicted_input_tokens is not None
    assert (first.requested, first.recalled) == (True, False)
    assert (second.requested, second.recalled) == (False, True)
    assert captioner.asked == 1


def test_a_transient_error_is_retried(run: Run, tmp_path: Path) -> None:
    """The event names the segment, the wait and the reason; then the answer counts."""
    captioner = OwnCaptioner(raising(BUSY, BUSY))
    outcome = run.asker(captioner, run.events.append).ask(segment(tmp_path, 4))
    assert outcome.entry.text == "heard night.004.wav"
    assert captioner.asked == 3
    retries = [event for event in run.events if isinstance(event, RetryScheduled)]
    assert [(event.path, event.index, event.reason) for event in retries] == [
        ("night.wav", 4, "busy")
    ] * 2
    assert run.clock.waits_s == [event.wait_s for event in retries]


def test_a_lasting_error_becomes_a_failed_entry_that_says_how_often(
    run: Run, tmp_path: Path
) -> None:
    """The ledger records the failure, and the next run sends the request again."""
    busy = ServiceError("busy", status_code=503, request_id="r-7")
    outcome = run.asker(OwnCaptioner(raising(*[busy] * 9)), run.events.append).ask(
        segment(tmp_path)
    )
    assert outcome.entry.error == "busy (tried 5 times)"
    (record,) = run.ledger.records()
    assert (record.state, record.request_id) == ("failed", "r-7")
    again = run.asker(OwnCaptioner(answer), run.events.append).ask(segment(tmp_path))
    assert again.entry.status is Status.OK


@pytest.mark.parametrize(
    ("retry_after_s", "pause"), [(121.5, "121.5 s"), (1e200, "more than a day")]
)
def test_a_pause_that_is_too_long_is_in_the_error(
    run: Run, tmp_path: Path, retry_after_s: float, pause: str
) -> None:
    """The segment is not retried; a pause of any length takes a few words."""
    slow = ServiceError("slow", status_code=429, retry_after_s=retry_after_s)
    outcome = run.asker(OwnCaptioner(raising(slow)), run.events.append).ask(segment(tmp_path))
    assert outcome.entry.error == f"slow (the service asks for a pause of {pause})"


def test_an_error_that_all_would_meet_halts_the_run(run: Run, tmp_path: Path) -> None:
    """After an invalid key no other segment is sent; each failed entry has the reason."""
    captioner = OwnCaptioner(raising(KEY))
    asker = run.asker(captioner, run.events.append)
    asker.ask(segment(tmp_path, 1))
    other = asker.ask(segment(tmp_path, 2))
    assert captioner.asked == 1
    assert not other.requested
    assert other.error is not None
    assert other.error.__cause__ is KEY


def test_the_budget_pays_the_real_cost(tmp_path: Path) -> None:
    """The worst case is reserved before the request and replaced by the cost of the answer."""
    budget = Budget("1.00")
    run = Run(budget=budget)
    run.asker(OwnCaptioner(answer), run.events.append).ask(segment(tmp_path))
    assert Decimal(0) < budget.spent < Decimal("0.01")
    assert budget._reserved == 0
    run.ledger.close()


def test_a_request_that_was_not_sent_costs_nothing(tmp_path: Path) -> None:
    """A request that waits for its turn while another one ends the run is not billed."""
    budget = Budget("1.00")
    run = Run(budget=budget)
    asker = run.asker(OwnCaptioner(answer), run.events.append)
    limiter = asker._context.rate_limiter
    limiter.throttled(5)
    unread = ServiceError("unreadable answer", status_code=200)  # it may be billed
    run.clock.wait = lambda stop, seconds: run.scope.halt(unread)  # type: ignore[method-assign]
    outcome = asker.ask(segment(tmp_path))
    assert (outcome.requested, budget.spent, budget._reserved) == (False, Decimal(0), Decimal(0))
    run.ledger.close()


def test_a_cancelled_run_raises_and_records_it(run: Run, tmp_path: Path) -> None:
    """A request that was begun is not left open in the ledger."""

    def cancel(clip: Clip) -> str:
        run.scope.stop.set()
        raise BUSY

    with pytest.raises(StoppedError):
        run.asker(OwnCaptioner(cancel), run.events.append).ask(segment(tmp_path))
    (record,) = run.ledger.records()
    assert (record.state, record.error) == ("failed", "the run was cancelled")


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), CaptoolkitError("mine")])
def test_an_answer_outlives_an_exception_of_the_caller(tmp_path: Path, error: Exception) -> None:
    """`on_event` fails while text arrives: the answer is recorded, then the exception is raised."""
    run = Run(stream=True)

    def on_event(event: Event) -> None:
        assert isinstance(event, TextArrived)
        raise error

    with pytest.raises(type(error)) as caught:
        run.asker(OwnCaptioner(answer), on_event).ask(segment(tmp_path))
    assert caught.value is error
    (record,) = run.ledger.records()
    assert (record.state, record.text) == ("answered", "heard night.001.wav")
    run.ledger.close()
