"""What one run keeps to: who is asked at which rates and prices, and how far to go."""

from __future__ import annotations

from dataclasses import dataclass, field

from captoolkit.dispatch.budget import Budget
from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.rate_limit import RateLimiter
from captoolkit.dispatch.retry import RetryPolicy
from captoolkit.services.service import Service
from captoolkit.support.cancel import CLOCK, CancelScope, Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What a run keeps to while it asks a captioner whose answers cost something.

    Attributes:
        service: the service, resolved: its limits and prices.
        rate_limiter: shared with all other requests to that model there.
        ledger: what has been asked and answered.
        resume: whether the answers in it will do.
        budget: the cap on what is spent; None for none.
        scope: how long the run goes on.
        stream: whether text is reported as it comes.
    """

    ledger: Ledger
    resume: bool = True
    service: Service
    rate_limiter: RateLimiter
    budget: Budget | None = None
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    scope: CancelScope
    stream: bool = False
    clock: Clock = CLOCK
