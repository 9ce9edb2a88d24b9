"""The context of one run: the service, its rate limiter and price, and the limits of the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from captoolkit.dispatch.budget import Budget
from captoolkit.dispatch.circuit_breaker import CircuitBreaker
from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.rate_limit import RateLimiter
from captoolkit.dispatch.retry import RetryPolicy
from captoolkit.services.service import Service
from captoolkit.support.cancel import CancelScope


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """Shared by all requests of a run to a captioner that may charge for its answers.

    Attributes:
        ledger: records every request and answer.
        resume: take answers from the ledger.
        service: the resolved service with its limits and prices.
        rate_limiter: shared with all other requests of this process to that model there.
        budget: the limit on the cost; None for no limit.
        retry_policy: how often and how long to retry a segment.
        breaker: ends the scope of the run when nothing is answered.
        stream: emit text as it arrives.
    """

    ledger: Ledger
    resume: bool = True
    service: Service
    rate_limiter: RateLimiter
    budget: Budget | None = None
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: CircuitBreaker
    stream: bool = False

    @property
    def scope(self) -> CancelScope:
        """The scope of the run, with its clock."""
        return self.breaker.scope
