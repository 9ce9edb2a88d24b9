"""What one run keeps to: who is asked at which rates and prices, and how far to go."""

from __future__ import annotations

from dataclasses import dataclass, field

from captoolkit.dispatch.budget import Budget
from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.rate_limit import RateLimiter
from captoolkit.dispatch.retry import RetryPolicy
from captoolkit.model import CaptionerInfo, Price, Target
from captoolkit.support.cancel import CLOCK, CancelScope, Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Who is asked, and on what conditions.

    Attributes:
        target: the limits that are kept.
        price: in the region that is asked, None where nobody says.
        rate_limiter: shared with all others who ask that model there.
        may_cost: whether it is a service that charges for its answers, as far as is known.
    """

    info: CaptionerInfo
    target: Target
    price: Price | None
    rate_limiter: RateLimiter
    may_cost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What a run keeps to while it asks a captioner whose answers cost something.

    Attributes:
        ledger: what has been asked and answered.
        resume: whether the answers in it will do.
        budget: the cap on what is spent; None for none.
        scope: how long the run goes on.
        stream: whether text is reported as it comes.
    """

    ledger: Ledger
    resume: bool = True
    service: Service
    budget: Budget | None = None
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    scope: CancelScope
    stream: bool = False
    clock: Clock = CLOCK
