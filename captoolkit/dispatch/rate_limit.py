"""When the next request may be sent: at the rate a service allows, and slower after throttling.

Rules: one `RateLimiter` for each endpoint and model, shared by all runs of the process, because
services count per account and model. Services enforce their limits by the second as well as by the
minute (Model Studio, "Rate limits"), so requests are spaced and not sent in bursts. The first
requests are spaced more widely, because Model Studio throttles rates that "increased too quickly".
A throttled request pauses all threads and halves the rate; answers bring the rate back.
"""

from __future__ import annotations

import threading

from captoolkit.services.service import Service
from captoolkit.support.cancel import CLOCK, CancelScope, Clock

RAMP = 2.0  # the first distance between requests, as a multiple of the distance the limit demands
RAMP_STEP = 0.5  # each answer multiplies the distance by this
RECOVERY_STEP = 0.8  # the same after throttling, more carefully
THROTTLED_S = 0.5  # the least distance after throttling, where no limit is known
WIDEST_S = 60.0
CLOSE_S = 0.01  # shorter distances count as none


class RateLimiter:
    """Spaces the requests to one endpoint and model; safe to use from several threads.

    Args:
        requests_per_minute: the service's limit, None if unknown.
        tokens_per_minute: the limit on input and output tokens together, None if unknown.
        clock: the clock.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self._clock = clock
        self._closest_s = 60 / requests_per_minute if requests_per_minute else 0.0
        self._s_per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._guard = threading.Lock()
        self._distance_s = RAMP * self._closest_s
        self._step = RAMP_STEP
        self._request_free_s = self._tokens_free_s = self._paused_until_s = clock.now_s()

    def turn(self, tokens: int, scope: CancelScope) -> None:
        """Wait until a request with that many input tokens may be sent.

        Raises:
            StoppedError, CaptoolkitError: the scope ends before that.
        """
        start_s = self._book(tokens, scope)
        while True:
            scope.wait(start_s - self._clock.now_s())
            if start_s >= self._paused_until_s:
                return
            start_s = self._book(0, scope)  # throttled meanwhile: book again

    def answered(self, output_tokens: int) -> None:
        """Count the tokens of an answer, and increase the rate."""
        with self._guard:
            self._tokens_free_s += output_tokens * self._s_per_token
            closer_s = self._distance_s * self._step
            self._distance_s = max(self._closest_s, closer_s if closer_s > CLOSE_S else 0.0)

    def throttled(self, wait_s: float) -> None:
        """Pause all requests for `wait_s`, then continue at half the rate."""
        with self._guard:
            now_s = self._clock.now_s()
            if now_s >= self._paused_until_s:  # throttled requests of one moment count once
                self._distance_s = min(WIDEST_S, max(2 * self._distance_s, THROTTLED_S))
                self._step = RECOVERY_STEP
            self._paused_until_s = max(self._paused_until_s, now_s + wait_s)

    def _book(self, tokens: int, scope: CancelScope) -> float:
        """Reserve the next free moment and return it, unless the scope ends before it."""
        with self._guard:
            now_s = self._clock.now_s()
            start_s = max(
                now_s,
                self._request_free_s,
                self._tokens_free_s,
                self._paused_until_s,
            )
            scope.check(start_s - now_s)
            self._request_free_s = start_s + self._distance_s
            self._tokens_free_s = max(start_s, self._tokens_free_s) + tokens * self._s_per_token
            return start_s


class RateLimiters:
    """All rate limiters of the process, by endpoint, model and limits."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: dict[tuple[object, ...], RateLimiter] = {}

    def of(self, service: Service, clock: Clock = CLOCK) -> RateLimiter:
        """Return the rate limiter that all requests to a service's model share, by one clock."""
        key = (
            service.place,
            service.region,
            service.info.model,
            service.requests_per_minute,
            service.tokens_per_minute,
            clock,
        )
        with self._guard:
            if key not in self._known:
                self._known[key] = RateLimiter(
                    requests_per_minute=service.requests_per_minute,
                    tokens_per_minute=service.tokens_per_minute,
                    clock=clock,
                )
            return self._known[key]


RATE_LIMITERS = RateLimiters()
