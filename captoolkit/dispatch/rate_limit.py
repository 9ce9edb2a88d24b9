"""When the next request may be sent: at the rate a service allows, and slower after throttling.

Rules: services count per account and model, so all processes of the machine that use one ledger
share the state of a rate limit through it; all runs of a process share it in any case. Services
enforce their limits by the second as well as by the minute (Model Studio, "Rate limits"), so
requests are spaced and not sent in bursts. The first requests are spaced more widely, because Model
Studio throttles rates that "increased too quickly". A throttled request pauses all requests and
halves the rate; answers and time bring the rate back. The tokens of an answer count when its
request is sent, as many as recent answers had; the answer corrects the number.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.rate_state import EPOCH, RateLimits, RateState
from captoolkit.errors import OutputError
from captoolkit.services.service import Service
from captoolkit.support.cancel import CLOCK, TICK_S, CancelScope, Clock
from captoolkit.support.forked import call_in_fork

LOG = logging.getLogger("captoolkit")
EARLY_S = 0.0001  # a turn that is due within this is due now
Result = TypeVar("Result")


class RateLimiter:
    """Spaces the requests to one endpoint and model; safe to use from several threads.

    Args:
        name: names the service and model in a ledger.
        requests_per_minute: the service's limit, None if unknown.
        tokens_per_minute: the limit on input and output tokens together, None if unknown.
        clock: the clock.
    """

    def __init__(
        self,
        name: str = "",
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self._name = name
        self._clock = clock
        self._limits = RateLimits(
            closest_s=60 / requests_per_minute if requests_per_minute else 0.0,
            s_per_token=60 / tokens_per_minute if tokens_per_minute else 0.0,
        )
        self._turnstile = threading.Lock()  # held by the thread whose turn is next
        self._guard = threading.Lock()
        self._state = RateState()
        self._source: object = None  # the ledger that `_state` was last read from

    def turn(
        self,
        tokens: int,
        scope: CancelScope,
        *,
        most_output_tokens: int | None = None,
        ledger: Ledger | None = None,
    ) -> int:
        """Wait until a request may be sent, and count it.

        Args:
            tokens: the input tokens of the request.
            scope: ends the wait.
            most_output_tokens: the longest answer that the request allows; None if unknown.
            ledger: shares the rate with other processes.

        Returns:
            The number of output tokens that it counts, for `answered` or `failed`.

        Raises:
            StoppedError, CaptoolkitError: the scope ends before that.
        """
        if not self._limits.are_known and self._read(ledger).is_plain:
            return 0
        while not self._turnstile.acquire(timeout=TICK_S):
            scope.check()
        try:
            while True:
                wait_s, output_tokens = self._take(tokens, most_output_tokens, ledger)
                if not wait_s:
                    return output_tokens
                scope.wait(wait_s)
        finally:
            self._turnstile.release()

    def answered(
        self, output_tokens: int, expected: int = 0, *, ledger: Ledger | None = None
    ) -> None:
        """Count the tokens of an answer instead of the expected ones, and increase the rate."""
        limits = self._limits
        if not limits.are_known and self._state.is_plain:
            return

        def change(state: RateState) -> tuple[RateState, None]:
            state = state.answered(output_tokens, limits, self._now_s())
            return state.counted(output_tokens - expected, limits), None

        self._change(change, ledger)

    def failed(self, expected: int, *, ledger: Ledger | None = None) -> None:
        """Uncount the expected tokens of an answer that did not come."""
        if expected and self._limits.s_per_token:
            self._change(lambda state: (state.counted(-expected, self._limits), None), ledger)

    def throttled(self, wait_s: float, *, ledger: Ledger | None = None) -> None:
        """Pause all requests for `wait_s`, then continue at half the rate."""
        self._change(
            lambda state: (state.throttled(wait_s, self._limits, self._now_s()), None), ledger
        )

    def _now_s(self) -> float:
        return (self._clock.today() - EPOCH).total_seconds()

    def _take(self, tokens: int, most: int | None, ledger: Ledger | None) -> tuple[float, int]:
        """Return the wait for the next turn, or 0 and the expected tokens of the answer."""

        def change(state: RateState) -> tuple[RateState, tuple[float, int]]:
            now_s = self._now_s()
            wait_s = state.wait_s(now_s)
            if wait_s > EARLY_S:
                return state, (wait_s, 0)
            expected = state.expected_output(most) if self._limits.s_per_token else 0
            return state.sent(tokens + expected, self._limits, now_s), (0.0, expected)

        return self._change(change, ledger)

    def _read(self, ledger: Ledger | None) -> RateState:
        """Return the state without a change."""
        if ledger is not None and ledger.is_shared:
            try:
                with self._guard:
                    source, text = self._source, ledger.read_rate(self._name)
                    state = self._state_in(ledger, text)
                    if source != ledger.path:  # the next change writes the state there
                        self._source = source
                        return state
                    self._state = state
            except OutputError as error:
                _warn(error)
        return self._state

    def _change(
        self, change: Callable[[RateState], tuple[RateState, Result]], ledger: Ledger | None
    ) -> Result:
        """Replace the state; if the ledger cannot be written, that of this process alone."""
        with self._guard:
            if ledger is not None and ledger.is_shared:
                results: list[Result] = []

                def replace(text: str | None) -> str:
                    before = self._state_in(ledger, text)
                    self._state, result = change(before)
                    results.append(result)
                    return text if text and self._state == before else self._state.to_json()

                try:
                    ledger.change_rate(self._name, replace)
                except OutputError as error:
                    _warn(error)
                if results:
                    return results[0]
            self._state, result = change(self._state)
            return result

    def _state_in(self, ledger: Ledger, text: str | None) -> RateState:
        """Return the state in a ledger, with that of this process if it is new there."""
        state = RateState.from_json(text) if text else RateState()
        if self._source != ledger.path:
            self._source, state = ledger.path, state.merged(self._state)
        return state


class RateLimiters:
    """All rate limiters of the process, by endpoint, model and limits."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop all rate limiters; in a forked process a thread of the parent may hold each."""
        self._guard = threading.Lock()
        self._known: dict[tuple[object, ...], RateLimiter] = {}

    def of(self, service: Service, clock: Clock = CLOCK) -> RateLimiter:
        """Return the rate limiter that all requests to a service's model share, by one clock."""
        names = [service.place, service.region or "", service.info.model]
        limits = (service.requests_per_minute, service.tokens_per_minute)
        key = (*names, *limits, clock)
        with self._guard:
            if key not in self._known:
                self._known[key] = RateLimiter(
                    json.dumps(names),
                    requests_per_minute=limits[0],
                    tokens_per_minute=limits[1],
                    clock=clock,
                )
            return self._known[key]


def _warn(error: OutputError) -> None:
    LOG.warning("the rate is not shared with other processes: %s", error)


RATE_LIMITERS = RateLimiters()
call_in_fork(RATE_LIMITERS.forget)
