"""The verbs `caption`, `captions` and `acaption`: the captions of a recording as one timeline.

Rules: this module reads the options and connects the parts; `dispatch/` does the work. An invalid
option is found before the source is opened and before anything is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from captoolkit.api.plan import read_request
from captoolkit.api.prepare import open_prepared
from captoolkit.captioners.base import (
    Captioner,
    CaptionerOptions,
    PaidCaptioner,
    ServiceOptions,
    ways_to,
)
from captoolkit.captioners.registry import DEFAULT_CAPTIONER, open_captioner, service_of
from captoolkit.dispatch.asker import Ask, FreeAsker, PaidAsker
from captoolkit.dispatch.budget import Budget
from captoolkit.dispatch.captions import Captions
from captoolkit.dispatch.context import RunContext
from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.rate_limit import RATE_LIMITERS
from captoolkit.dispatch.retry import RetryPolicy
from captoolkit.dispatch.run import AskingRun
from captoolkit.errors import UsageError
from captoolkit.events import OnEvent, ignore
from captoolkit.pipeline.event_gate import EventGate
from captoolkit.planning.options import DeliveryOptions, PlanOptions, SegmentOptions
from captoolkit.services.service import Service
from captoolkit.support.cancel import CLOCK, CancelScope, Clock
from captoolkit.support.keywords import documents, parse_jobs, refuse_unknown_names, require_type
from captoolkit.timeline.value import Timeline

if TYPE_CHECKING:
    from captoolkit.media.source import Source


class CaptionOptions(PlanOptions, CaptionerOptions, total=False):
    """The keyword arguments of `caption`, `captions` and `acaption`: those of a run.

    Attributes:
        concurrency: how many requests run in parallel; 4 if it is not given.
        max_cost: the most that may be spent, such as `"0.50"`, in the currency of the region's
            prices; several calls may share one `Budget`. Segments beyond it become holes in the
            timeline. Answers from the ledger cost nothing.
        ledger: the SQLite file that keeps the answers of paid services; None is a file in the
            user's cache folder, `:memory:` keeps nothing.
        resume: take answers from the ledger (the default); False requests every caption again and
            keeps the new answers.
        stream: report captions piece by piece, as `TextArrived`; False if it is not given.
        retry_policy: how long a segment is retried after transient errors.
        run_timeout_s: the time after which no further request is sent; the segments that are left
            become holes.
        clock: the source of time.
        stop: cancels the run when it is set, as closing does.
    """

    concurrency: int
    max_cost: Budget | Decimal | float | str | None
    ledger: str | Path | None
    resume: bool
    stream: bool
    retry_policy: RetryPolicy | None
    run_timeout_s: float | None
    clock: Clock
    stop: threading.Event | None


OPTION_TYPES = (
    DeliveryOptions,
    SegmentOptions,
    PlanOptions,
    ServiceOptions,
    CaptionerOptions,
    CaptionOptions,
)
KEYWORDS = ("captioner", "jobs", "on_event", *CaptionOptions.__annotations__)
DEFAULT_CONCURRENCY = 4


@documents(*OPTION_TYPES)
def caption(
    source: Source,
    *,
    captioner: str | Captioner = DEFAULT_CAPTIONER,
    jobs: int | None = None,
    on_event: OnEvent = ignore,
    **options: Unpack[CaptionOptions],
) -> Timeline:
    """Return the captions of a recording, segment by segment, as one timeline.

    ```python
    timeline = caption("night.wav", captioner="dashscope", max_cost="0.50")
    ```

    Args:
        source: as for `plan`.
        captioner: `acoustic` (measures on this machine, needs no key), `dashscope`, `openai`, or a
            `Captioner` of your own, which stays open.
        jobs: how many stretches of the recording are prepared in parallel; None is one for each
            core.
        on_event: receives the events of `prepare`, and `EntryReady`, `TextArrived` and
            `RetryScheduled`.
        **options: `CaptionOptions`.

    Returns:
        One entry for each segment, in time order. An entry with the status `failed` has no caption
        and gives the reason in `error`. A failed segment does not affect the others, and the next
        call with the same ledger requests the failed ones only.

    Raises:
        UsageError: an option is invalid; it is found before the source is opened and before
            anything is sent.
        InputError, ToolError: as `plan`.
        OutputError: the ledger cannot be used, or the disk is full.
        KeyMissingError: the service needs a key and neither option nor environment has one.
        LimitError: as `prepare`, while there is no segment yet.
        ServiceError: the service refuses every request (the key, the account, the model), and
            there is no caption yet.
        TypeError: there is no option of that name.
    """
    refuse_unknown_names("caption", options, KEYWORDS)
    with captions(source, captioner=captioner, jobs=jobs, on_event=on_event, **options) as entries:
        return entries.timeline()


@documents(*OPTION_TYPES)
async def acaption(
    source: Source,
    *,
    captioner: str | Captioner = DEFAULT_CAPTIONER,
    jobs: int | None = None,
    on_event: OnEvent = ignore,
    **options: Unpack[CaptionOptions],
) -> Timeline:
    """Return the timeline that `caption` returns, without blocking the event loop.

    Cancelling ends the work at once: when `CancelledError` arrives, no child process and no
    temporary file is left, and no further request is sent. Requests under way are not waited for:
    an answer that still arrives while the program runs is written to the ledger.

    Args:
        source: as for `plan`.
        captioner: as for `caption`.
        jobs: as for `caption`.
        on_event: as for `caption`; it is called on other threads.
        **options: `CaptionOptions`.

    Raises:
        UsageError, InputError, ToolError, OutputError, KeyMissingError: as `caption`.
        LimitError, ServiceError, TypeError: as `caption`.
    """
    refuse_unknown_names("acaption", options, KEYWORDS)
    stop = options.pop("stop", None) or threading.Event()
    options["stop"] = stop
    call = asyncio.to_thread(
        caption, source, captioner=captioner, jobs=jobs, on_event=on_event, **options
    )
    work = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


@documents(*OPTION_TYPES)
def captions(
    source: Source,
    *,
    captioner: str | Captioner = DEFAULT_CAPTIONER,
    jobs: int | None = None,
    on_event: OnEvent = ignore,
    **options: Unpack[CaptionOptions],
) -> Captions:
    """Return the entries of a recording one after another, each when it is finished.

    ```python
    with captions("night.wav", segment="30s") as entries:
        for entry in entries:
            print(entry.index, entry.text)
        timeline = entries.timeline()
    ```

    Args:
        source: as for `plan`.
        captioner: as for `caption`.
        jobs: as for `caption`.
        on_event: as for `caption`.
        **options: `CaptionOptions`.

    Raises:
        UsageError, InputError, ToolError, OutputError, KeyMissingError, TypeError: as `caption`.
    """
    refuse_unknown_names("captions", options, KEYWORDS)
    jobs = parse_jobs(jobs)
    with contextlib.ExitStack() as opened:
        run = opened.enter_context(open_run(captioner, on_event=on_event, **options))
        request = read_request(source, options, target=run.service.target, ways=run.ways)
        prepared = open_prepared(source, request, jobs=jobs, on_event=run.gate)
        opened.callback(prepared.close)
        run.refuse_small_budget(prepared.plan)
        opened.pop_all()  # closing the captions closes both
        return Captions(prepared, run)


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
    settings = _read_run_options(options)
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
        asker_of: Callable[[str], Ask]
        if isinstance(opened, PaidCaptioner):
            _refuse_unknown_price(settings.budget, service)
            ledger = resources.enter_context(Ledger(options.get("ledger"), clock=settings.clock))
            context = settings.context(service, ledger)
            asker_of = functools.partial(_paid_asker, opened, context, gate)
        else:
            asker_of = functools.partial(_free_asker, opened)
        return AskingRun(
            asker_of,
            service=service,
            ways=ways_to(opened),
            concurrency=settings.concurrency,
            budget=settings.budget,
            is_paid=isinstance(opened, PaidCaptioner),
            gate=gate,
            stop=settings.stop,
            release=resources.pop_all().close,
        )


def _free_asker(captioner: Captioner, path: str) -> Ask:
    return FreeAsker(captioner).ask


def _paid_asker(captioner: PaidCaptioner, context: RunContext, gate: EventGate, path: str) -> Ask:
    return PaidAsker(captioner, context, path=path, gate=gate).ask


# ------------------------------------------------------------------------ read the options


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunOptions:
    """The options of a run, read."""

    concurrency: int
    budget: Budget | None
    resume: bool
    stream: bool
    retry_policy: RetryPolicy
    timeout_s: float
    clock: Clock
    stop: threading.Event

    def context(self, service: Service, ledger: Ledger) -> RunContext:
        """Return the context of a run that begins now."""
        deadline_s = self.clock.now_s() + self.timeout_s
        return RunContext(
            ledger=ledger,
            resume=self.resume,
            service=service,
            rate_limiter=RATE_LIMITERS.of(service, self.clock),
            budget=self.budget,
            retry_policy=self.retry_policy,
            scope=CancelScope(stop=self.stop, deadline_s=deadline_s, clock=self.clock),
            stream=self.stream,
            clock=self.clock,
        )


def _read_run_options(options: CaptionOptions) -> _RunOptions:
    """Return the options of a run.

    Raises:
        UsageError: one is invalid.
    """
    concurrency = options.get("concurrency", DEFAULT_CONCURRENCY)
    if isinstance(concurrency, bool) or not isinstance(concurrency, Integral) or concurrency < 1:
        raise UsageError(f"concurrency={concurrency!r} must be a whole number, at least 1")
    timeout_s = options.get("run_timeout_s")
    require_type("run_timeout_s", timeout_s, Real | None, "a number of seconds")
    if timeout_s is not None and not timeout_s >= 0:  # NaN is not
        raise UsageError(f"run_timeout_s={timeout_s} must be at least 0")
    policy, max_cost = options.get("retry_policy"), options.get("max_cost")
    require_type("retry_policy", policy, RetryPolicy | None, "a RetryPolicy")
    require_type("ledger", options.get("ledger"), str | Path | None, "a path")
    require_type("clock", options.get("clock", CLOCK), Clock, "a Clock")
    require_type("stop", options.get("stop"), threading.Event | None, "a threading.Event")
    for name in ("resume", "stream"):
        require_type(name, options.get(name, False), bool, "True or False")
    return _RunOptions(
        concurrency=int(concurrency),
        budget=max_cost if isinstance(max_cost, Budget | None) else Budget(max_cost),
        resume=options.get("resume", True),
        stream=options.get("stream", False),
        retry_policy=policy or RetryPolicy(),
        timeout_s=inf if timeout_s is None else timeout_s,
        clock=options.get("clock", CLOCK),
        stop=options.get("stop") or threading.Event(),
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
    return captioner


def _refuse_unknown_price(budget: Budget | None, service: Service) -> None:
    """Refuse a budget that cannot be kept because the prices are unknown."""
    if budget is not None and service.price is None:
        raise UsageError(
            f"max_cost={budget.cap} cannot be kept: what {service.info.model} costs at "
            f"{service.info.base_url} is not known",
            fix="leave max_cost out, or name the region whose prices apply (--region); "
            "`captoolkit targets NAME` shows the prices of a model",
        )
