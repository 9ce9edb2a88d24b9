"""The run of asking that the options of `caption` describe.

Rules: an invalid option is found before a source is opened and before anything is sent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from numbers import Real
from pathlib import Path
from typing import TypedDict, Unpack, cast

from captoolkit.captioners.base import (
    Captioner,
    CaptionerOptions,
    PaidCaptioner,
    ServiceOptions,
    is_paid,
    meter_of,
    ways_to,
)
from captoolkit.captioners.registry import open_captioner, service_of
from captoolkit.dispatch.asker import Ask, FreeAsker, PaidAsker
from captoolkit.dispatch.budget import Budget
from captoolkit.dispatch.circuit_breaker import GIVE_UP_AFTER, CircuitBreaker
from captoolkit.dispatch.context import RunContext
from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.rate_limit import RATE_LIMITERS
from captoolkit.dispatch.retry import RetryPolicy
from captoolkit.dispatch.run import AskingRun
from captoolkit.errors import UsageError
from captoolkit.events import OnEvent, ignore
from captoolkit.model import CaptionerInfo
from captoolkit.pipeline.event_gate import EventGate
from captoolkit.planning.options import DeliveryOptions, PlanOptions, SegmentOptions
from captoolkit.services.service import Service
from captoolkit.support.cancel import CLOCK, CancelScope, Clock, RunStop
from captoolkit.support.keywords import parse_count, require_type


class AskingOptions(TypedDict, total=False):
    """The keyword arguments of everything that asks a service: `caption` and `Conversation`.

    Attributes:
        max_cost: the most that may be spent, such as `"0.50"`, in the currency of the region's
            prices; several calls may share one `Budget`. Requests beyond it are not sent: the
            timeline has a hole there, and a question raises. Answers from the ledger cost nothing.
        ledger: the SQLite file that keeps the answers of paid services; None is a file in the
            user's cache folder, `:memory:` keeps nothing.
        resume: take answers from the ledger (the default); False requests every answer again and
            keeps the new ones.
        retry_policy: how long a request is retried after transient errors.
        clock: the source of time.
        stop: cancels the run when it is set, as closing does; captoolkit never sets it.
    """

    max_cost: Budget | Decimal | float | str | None
    ledger: str | Path | None
    resume: bool
    retry_policy: RetryPolicy | None
    clock: Clock
    stop: threading.Event | None


class CaptionOptions(PlanOptions, CaptionerOptions, AskingOptions, total=False):
    """The keyword arguments of `caption`, `captions`, `acaption`, `caption_many`: those of a run.

    Attributes:
        concurrency: how many requests run in parallel; 4 if it is not given.
        give_up_after: end the run when so many segments in a row fail with one kind of error and
            nothing is answered between them; 8 if it is not given, 0 never gives up. An error that
            every request would meet (an invalid key, no credit) ends it at once.
        stream: report captions piece by piece, as `TextArrived`; False if it is not given.
        run_timeout_s: the time after which no further request is sent; the segments that are left
            become holes.
    """

    concurrency: int
    give_up_after: int
    stream: bool
    run_timeout_s: float | None


OPTION_TYPES = (
    DeliveryOptions,
    SegmentOptions,
    PlanOptions,
    ServiceOptions,
    CaptionerOptions,
    AskingOptions,
    CaptionOptions,
)
KEYWORDS = ("captioner", "jobs", "on_event", *CaptionOptions.__annotations__)
DEFAULT_CONCURRENCY = 4


def open_run(
    captioner: str | Captioner,
    *,
    on_event: OnEvent = ignore,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    **options: Unpack[CaptionOptions],
) -> AskingRun:
    """Return a run of asking that many recordings may share.

    The options of segments and delivery are those of the preparation; the run ignores them.

    Args:
        captioner: as for `caption`.
        on_event: receives the events of all recordings, one at a time.
        requests_per_minute: the rate limit; None for that of the service.
        tokens_per_minute: the limit on input and output tokens; None for that of the service.
        **options: `CaptionOptions`.

    Raises:
        UsageError, KeyMissingError: as `caption`.
        OutputError: the ledger cannot be used.
    """
    settings = read_run_options(options)
    require_type("on_event", on_event, Callable, "a function of one event")
    gate = EventGate(on_event, settings.stop)
    with contextlib.ExitStack() as resources:
        opened = _open_captioner(captioner, options, resources)
        service = service_of(opened, target=options.get("target"), region=options.get("region"))
        service.require_known_limits()
        service = dataclasses.replace(
            service,
            requests_per_minute=requests_per_minute or service.requests_per_minute,
            tokens_per_minute=tokens_per_minute or service.tokens_per_minute,
        )
        breaker = settings.breaker()
        ledger: Ledger | None = None
        asker_of: Callable[[str], Ask]
        if is_paid(opened):
            refuse_unknown_price(settings.budget, service)
            ledger = resources.enter_context(Ledger(options.get("ledger"), clock=settings.clock))
            context = settings.context(service, ledger, breaker)
            asker_of = functools.partial(_paid_asker, opened, context, gate)
        else:
            asker_of = functools.partial(_free_asker, FreeAsker(opened, breaker))
        return AskingRun(
            asker_of,
            service=service,
            ways=ways_to(opened),
            open_meter=meter_of(opened) if ledger is None else None,
            concurrency=settings.concurrency,
            budget=settings.budget,
            ledger=ledger,
            breaker=breaker,
            gate=gate,
            release=resources.pop_all().close,
        )


def _free_asker(asker: FreeAsker, path: str) -> Ask:
    return asker.ask


def _paid_asker(captioner: PaidCaptioner, context: RunContext, gate: EventGate, path: str) -> Ask:
    return PaidAsker(captioner, context, path=path, gate=gate).ask


# ------------------------------------------------------------------------ read the options


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a run, read."""

    concurrency: int
    budget: Budget | None
    resume: bool
    stream: bool
    retry_policy: RetryPolicy
    give_up_after: int
    timeout_s: float
    clock: Clock
    stop: threading.Event

    def breaker(self) -> CircuitBreaker:
        """Return the circuit breaker of a run that begins now, with its scope."""
        deadline_s = self.clock.now_s() + self.timeout_s
        scope = CancelScope(stop=self.stop, deadline_s=deadline_s, clock=self.clock)
        return CircuitBreaker(scope, give_up_after=self.give_up_after)

    def context(
        self, service: Service, ledger: Ledger, breaker: CircuitBreaker | None = None
    ) -> RunContext:
        """Return the context of a run, which begins now unless it has a breaker already."""
        breaker = breaker or self.breaker()
        return RunContext(
            ledger=ledger,
            resume=self.resume,
            service=service,
            rate_limiter=RATE_LIMITERS.of(service, self.clock),
            budget=self.budget,
            retry_policy=self.retry_policy,
            breaker=breaker,
            stream=self.stream,
        )


def read_run_options(options: CaptionOptions) -> RunOptions:
    """Return the options of a run.

    Raises:
        UsageError: one is invalid.
    """
    concurrency = parse_count("concurrency", options.get("concurrency", DEFAULT_CONCURRENCY))
    give_up_after = parse_count(
        "give_up_after",
        options.get("give_up_after", GIVE_UP_AFTER),
        least=0,
        fix="0 never gives up",
    )
    timeout_s = options.get("run_timeout_s")
    require_type("run_timeout_s", timeout_s, Real | None, "a number of seconds")
    if timeout_s is not None and not timeout_s >= 0:  # NaN is not
        raise UsageError(f"run_timeout_s={timeout_s} must be at least 0")
    policy, max_cost = options.get("retry_policy"), options.get("max_cost")
    require_type("retry_policy", policy, RetryPolicy | None, "a RetryPolicy")
    ledger = options.get("ledger")
    require_type("ledger", ledger, str | Path | None, "a path")
    if ledger is not None and (not Path(ledger).name or "\0" in str(ledger)):
        raise UsageError(
            f"ledger={str(ledger)!r} is no name of a file",
            fix="pass one, or leave it out for the file in the cache folder",
        )
    require_type("clock", options.get("clock", CLOCK), Clock, "a Clock")
    require_type("stop", options.get("stop"), threading.Event | None, "a threading.Event")
    for name in ("resume", "stream"):
        require_type(name, options.get(name, False), bool, "True or False")
    return RunOptions(
        concurrency=concurrency,
        budget=max_cost if isinstance(max_cost, Budget | None) else Budget(max_cost),
        resume=options.get("resume", True),
        stream=options.get("stream", False),
        retry_policy=policy or RetryPolicy(),
        give_up_after=give_up_after,
        timeout_s=inf if timeout_s is None else timeout_s,
        clock=options.get("clock", CLOCK),
        stop=RunStop.of(options.get("stop")),
    )


def _open_captioner(
    captioner: str | Captioner, options: CaptionOptions, resources: contextlib.ExitStack
) -> Captioner:
    """Return the captioner; one that is opened here is closed with `resources`."""
    if isinstance(captioner, str):
        own = {name: options.get(name) for name in CaptionerOptions.__annotations__}
        opened = open_captioner(
            captioner, target=options.get("target"), **cast("CaptionerOptions", own)
        )
        resources.callback(opened.close)
        return opened
    if not callable(getattr(captioner, "caption", None)):
        raise UsageError(
            f"captioner={captioner!r} is no captioner", fix="pass a name, or a Captioner"
        )
    if not isinstance(getattr(captioner, "info", None), CaptionerInfo):
        raise UsageError(
            f"captioner={captioner!r} has no name and no model",
            fix="give it the attribute info, a CaptionerInfo",
        )
    return captioner


def refuse_unknown_price(budget: Budget | None, service: Service) -> None:
    """Refuse a budget that cannot be kept because the prices are unknown."""
    if budget is not None and service.price is None:
        is_priced = service.info.model in service.target.models
        known = {price.region for price in service.target.prices if is_priced}
        regions = f"region={' or region='.join(sorted(known))}"
        remedy = f"name the region whose prices apply ({regions})"
        if not known:
            remedy = "state its prices in a target of your own"
        raise UsageError(
            f"max_cost={budget.cap} cannot be kept: the price of {service.info.model} at "
            f"{service.info.base_url} is not known",
            fix=f"run without this limit, or {remedy}; "
            "`captoolkit targets NAME` shows the prices of a model",
        )
