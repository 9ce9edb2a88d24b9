"""The second verb: segments through a captioner, and their captions as one timeline.

Rules: this is the front; the work is done in `dispatch/`. Whatever can be wrong with what was asked
for is found before anything is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from decimal import Decimal
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captoolkit.api.prepare import prepare
from captoolkit.captioners.base import Captioner, PaidCaptioner, ways_to
from captoolkit.captioners.registry import DEFAULT_CAPTIONER, open_captioner, service_of
from captoolkit.dispatch.asker import FreeAsker, PaidAsker
from captoolkit.dispatch.budget import Budget, refuse_too_small, worst_case
from captoolkit.dispatch.context import RunContext
from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.rate_limit import RATE_LIMITERS
from captoolkit.dispatch.retry import RetryPolicy
from captoolkit.dispatch.run import Captions, Telling
from captoolkit.errors import UsageError
from captoolkit.events import OnEvent, ignore
from captoolkit.model import Plan, Target
from captoolkit.services.service import Service
from captoolkit.support.cancel import CLOCK, CancelScope, Clock
from captoolkit.timeline.value import Timeline

if TYPE_CHECKING:
    from captoolkit.media.source import Source


def captions(
    source: Source,
    *,
    captioner: str | Captioner = DEFAULT_CAPTIONER,
    target: str | Target | None = None,
    model: str | None = None,
    region: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    prompt: str | None = None,
    system: str | None = None,
    concurrency: int = 4,
    max_cost: Budget | Decimal | float | str | None = None,
    ledger: str | Path | None = None,
    resume: bool = True,
    stream: bool = False,
    retry_policy: RetryPolicy | None = None,
    run_timeout_s: float | None = None,
    on_event: OnEvent = ignore,
    clock: Clock = CLOCK,
    stop: threading.Event | None = None,
    **options: Any,
) -> Captions:
    """Return the entries of a recording to iterate over, each as soon as it is finished.

    ```python
    with captions("night.wav", segment="30s") as entries:
        for entry in entries:
            print(entry.index, entry.text)
        timeline = entries.timeline()
    ```

    Args:
        source: as for `plan`.
        captioner: `acoustic` (measures, needs no key), `dashscope`, `openai`, or one of your own.
        target: the limits to keep; those of the model if None.
        model: the service's model; the target's if None, else the captioner's default.
        region: `singapore` or `beijing`: which of Model Studio's two hosts is asked, the one that
            the model's row names if None; beside a `base_url`, whose prices hold there (its rates
            hold at Model Studio's own hosts only).
        base_url: another host, ending as the SDKs' do; takes the place of `region`.
        api_key: the key; `DASHSCOPE_API_KEY` of the environment if None.
        prompt: what to ask about each segment, of a model that takes a prompt.
        system: what to tell the model beforehand, if it takes that.
        concurrency: how many segments are asked about at once.
        max_cost: the most that may be spent, in the currency in which the region's prices are
            listed; pass one `Budget` to several calls to share it. What it does not reach for
            becomes holes, and answers from the ledger cost nothing.
        ledger: the SQLite file of what has been answered; one in the user's cache folder if None,
            `:memory:` to keep nothing. Captioners that cost nothing are not written down.
        resume: take the answers that are there; False asks anew, and keeps the new answers.
        stream: report text as it comes (`TextArrived`).
        retry_policy: how long a segment is asked about again after faults that may pass.
        run_timeout_s: after so long nothing more is asked, and what is left becomes holes.
        on_event: receives what `prepare` reports, `EntryReady`, `TextArrived` and `AskedAgain`.
        clock: where time comes from.
        stop: cancels when it is set, as closing does.
        **options: the other keyword arguments of `plan`.

    Raises:
        UsageError: what was asked for cannot be; nothing has been sent.
        InputError, ToolError: as `plan`.
        OutputError: the ledger cannot be used.
        KeyMissingError: the service needs a key and there is none.
    """
    if concurrency < 1:
        raise UsageError(f"concurrency={concurrency} must be at least 1")
    cap = max_cost if isinstance(max_cost, Budget | None) else Budget(max_cost)
    stop = stop or threading.Event()
    tell = Telling(on_event, stop)
    with contextlib.ExitStack() as resources:
        asked = captioner
        if isinstance(asked, str):
            asked = open_captioner(
                asked,
                target=target,
                model=model,
                region=region,
                base_url=base_url,
                api_key=api_key,
                prompt=prompt,
                system=system,
            )
            resources.callback(asked.close)
        service = service_of(asked, target=target, region=region)
        service.require_known_limits()
        ways = ways_to(asked)
        prepared = prepare(source, on_event=tell, target=service.target, ways=ways, **options)
        resources.callback(prepared.close)
        ask = FreeAsker(asked).ask
        if isinstance(asked, PaidCaptioner):
            _refuse_cap(cap, prepared.plan, service)
            context = RunContext(
                ledger=resources.enter_context(Ledger(ledger, clock=clock)),
                resume=resume,
                service=service,
                rate_limiter=RATE_LIMITERS.of(service, clock),
                budget=cap,
                retry_policy=retry_policy or RetryPolicy(),
                scope=CancelScope(
                    stop=stop,
                    deadline_s=clock.now_s() + (inf if run_timeout_s is None else run_timeout_s),
                    clock=clock,
                ),
                stream=stream,
                clock=clock,
            )
            ask = PaidAsker(asked, context, path=prepared.plan.info.path, tell=tell).ask
        return Captions(
            prepared,
            service=service,
            ask=ask,
            concurrency=concurrency,
            is_paid=isinstance(asked, PaidCaptioner),
            tell=tell,
            stop=stop,
            release=resources.pop_all().close,
        )


def caption(source: Source, **options: Any) -> Timeline:
    """Return what is to be heard in a recording, segment by segment, as one timeline.

    ```python
    timeline = caption("night.wav", captioner="dashscope", max_cost="0.50")
    ```

    Args:
        source: as for `plan`.
        **options: the keyword arguments of `captions` and of `plan`.

    Returns:
        One entry a segment, in time order. An entry whose status is `failed` has no caption and
        says why in `error`: asking about one segment failing does not lose the others, and the next
        call with the same ledger asks about the failed ones only.

    Raises:
        UsageError, InputError, ToolError, OutputError, KeyMissingError: as `captions`.
        LimitError: as `prepare`, while there is no segment yet.
        ServiceError: the service refuses whatever is asked (the key, the account, the model), and
            there is no caption yet.
    """
    with captions(source, **options) as entries:
        return entries.timeline()


async def acaption(source: Source, **options: Any) -> Timeline:
    """Return what `caption` returns without blocking the event loop.

    Cancelling ends the work at once: when `CancelledError` arrives no child process and no
    temporary file is left, and nothing more is asked. Requests under way are left to themselves:
    an answer that still comes while the program runs is written to the ledger. `on_event` is called
    from other threads.
    """
    stop = options.pop("stop", None) or threading.Event()
    work = asyncio.ensure_future(asyncio.to_thread(caption, source, stop=stop, **options))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


def _refuse_cap(cap: Budget | None, plan: Plan, service: Service) -> None:
    """Refuse a cap that cannot be kept, or that no request keeps, before anything is sent."""
    if cap is None:
        return
    price, info = service.price, service.info
    if price is None:
        raise UsageError(
            f"max_cost={cap.cap} cannot be kept: what {info.model} costs at {info.base_url} is not "
            "known",
            fix="leave it out; or give its row a price, and name the region (--region)",
        )
    lengths = {Fraction(span.samples, span.rate_hz) for span in plan.spans}
    refuse_too_small(cap, [worst_case(service.target, price, length) for length in lengths], price)
