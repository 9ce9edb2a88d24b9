from __future__ import annotations

import dataclasses
from math import inf

import pytest

from captoolkit.dispatch.circuit_breaker import CircuitBreaker
from captoolkit.dispatch.context import RunContext
from captoolkit.dispatch.ledger import IN_MEMORY, Ledger
from captoolkit.dispatch.rate_limit import RateLimiter
from captoolkit.dispatch.retry import RetryPolicy
from captoolkit.services.service import resolve_service
from captoolkit.support.cancel import CLOCK, CancelScope
from tests.support.captioning import INFO


def test_a_context_has_no_limits_by_default() -> None:
    """No budget, no deadline, no streaming; stored answers are used, and nothing can change."""
    scope = CancelScope()
    with Ledger(IN_MEMORY) as ledger:
        context = RunContext(
            ledger=ledger,
            service=resolve_service(INFO, None),
            rate_limiter=RateLimiter(),
            breaker=CircuitBreaker(scope),
        )
    assert (context.resume, context.budget, context.stream) == (True, None, False)
    assert context.retry_policy == RetryPolicy()
    assert context.scope.deadline_s == inf
    assert context.scope.clock is CLOCK
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.resume = False  # type: ignore[misc]
