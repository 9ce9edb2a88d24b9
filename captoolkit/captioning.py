"""The second verb: segments through a captioner, and their captions as one timeline.

Rules: a segment is asked about as soon as it is finished, while later ones are still being made; at
most `concurrency` are asked about at once; a segment that gets no caption becomes a marked hole and
the rest is kept; each segment ends as exactly one entry.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from captoolkit import catalogue
from captoolkit.audio.clip import ReadySegment
from captoolkit.captioners.base import Captioner, ways_to
from captoolkit.captioners.regions import region_of_url
from captoolkit.captioners.registry import open_captioner
from captoolkit.errors import CaptoolkitError, UsageError
from captoolkit.events import EntryReady, Event, OnEvent, ignore
from captoolkit.model import CaptionerInfo, Cost, Entry, Price, Span, Status, Target, Usage
from captoolkit.prepared import Prepared
from captoolkit.preparing import prepare
from captoolkit.timeline.stitch import stitch
from captoolkit.timeline.value import Timeline

if TYPE_CHECKING:
    from captoolkit.audio.source import Source

LOG = logging.getLogger("captoolkit")
LOCAL = "acoustic"  # the captioner that has one model, its own
AHEAD = 4  # segments prepared or asked about, for each request that may be under way
MILLION = 1_000_000


def caption(
    source: Source,
    *,
    captioner: str | Captioner = "acoustic",
    target: str | Target | None = None,
    model: str | None = None,
    region: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    prompt: str | None = None,
    system: str | None = None,
    concurrency: int = 4,
    on_event: OnEvent = ignore,
    **wishes: Any,
) -> Timeline:
    """Return what is to be heard in a recording, segment by segment, as one timeline.

    Args:
        source: as for `plan`.
        captioner: `acoustic` (measures, needs no key), `dashscope`, `openai`, or one of your own.
        target: the limits to keep; those of the model if None.
        model: the service's model; the target's if None, else the captioner's default.
        region: `singapore` or `beijing`: which of Model Studio's two hosts is asked.
        base_url: another host, ending as the SDKs' do; takes the place of `region`.
        api_key: the key; `DASHSCOPE_API_KEY` of the environment if None.
        prompt: what to ask about each segment, of a model that takes a prompt.
        system: what to tell the model beforehand, if it takes that.
        concurrency: how many segments are asked about at once.
        on_event: receives what `prepare` reports, and `EntryReady`.
        **wishes: the other keyword arguments of `plan`.

    Returns:
        One entry a segment, in time order. An entry whose status is `failed` has no caption and
        says why in `error`: asking about one segment failing does not lose the others.

    Raises:
        UsageError, InputError, ToolError, OutputError, LimitError: as `prepare`, while there is no
            segment yet.
        KeyMissingError: the service needs a key and there is none.
    """
    _refuse_nonsense(concurrency)
    asker = (
        open_asker(
            captioner,
            target=target,
            model=model,
            region=region,
            base_url=base_url,
            api_key=api_key,
            prompt=prompt,
            system=system,
        )
        if isinstance(captioner, str)
        else captioner
    )
    try:
        row = catalogue.limits_for(asker.info.model, target)
        price = _price(asker.info)
        ways = ways_to(asker)
        with prepare(source, on_event=on_event, target=row, ways=ways, **wishes) as prepared:
            entries = _ask_about_all(prepared, asker, concurrency, on_event)
            cost = _cost(price, entries)
            return stitch(
                source=prepared.source,
                captioner=asker.info,
                entries=entries,
                skipped=prepared.skipped,
                cost=cost,
            )
    finally:
        if asker is not captioner:
            asker.close()


def _refuse_nonsense(concurrency: int) -> None:
    if concurrency < 1:
        raise UsageError(f"concurrency={concurrency} must be at least 1")


def open_asker(
    captioner: str,
    *,
    target: str | Target | None = None,
    model: str | None = None,
    region: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    prompt: str | None = None,
    system: str | None = None,
) -> Captioner:
    """Return the captioner of that name, asking the target's model where no model is named.

    Raises:
        UsageError: the name is not known, or an option cannot be.
        KeyMissingError: the service needs a key and there is none.
    """
    if model is None and target is not None and captioner != LOCAL:
        model = catalogue.target(target).models[0]
    return open_captioner(
        captioner,
        model=model,
        region=region,
        base_url=base_url,
        api_key=api_key,
        prompt=prompt,
        system=system,
    )


async def acaption(source: Source, *, on_event: OnEvent = ignore, **options: Any) -> Timeline:
    """Return what `caption` returns without blocking the event loop.

    Cancelling ends the work: no child process, no temporary file and no further request is left
    when `CancelledError` arrives. `on_event` is called from another thread.
    """
    stop = threading.Event()

    def report(event: Event) -> None:
        if stop.is_set():
            raise _StoppedError
        on_event(event)

    work = asyncio.ensure_future(asyncio.to_thread(caption, source, on_event=report, **options))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


class _StoppedError(Exception):
    """Unwinds the thread of a call whose task was cancelled."""


# ------------------------------------------------------------------------------- asking


def _ask_about_all(
    prepared: Prepared, captioner: Captioner, concurrency: int, on_event: OnEvent
) -> list[Entry]:
    """Ask about each segment as it comes; return one entry for each stretch of the source."""
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="captoolkit-ask")
    asked: dict[Future[Entry], ReadySegment] = {}
    entries: list[Entry] = []

    def collect(done: Future[Entry]) -> None:
        prepared.discard(asked.pop(done))
        entries.append(done.result())
        on_event(EntryReady(path=prepared.plan.info.path, entry=entries[-1]))

    try:
        broken = None
        segments = iter(prepared)
        while (segment := _next(segments, prepared)) is not None:
            if isinstance(segment, CaptoolkitError):
                broken = segment
                break
            asked[pool.submit(_ask, captioner, segment)] = segment
            # Segments wait on the disk for their turn: not a night of them.
            crowded = len(asked) >= AHEAD * concurrency
            finished, _ = wait(asked, None if crowded else 0, return_when=FIRST_COMPLETED)
            for done in finished:
                collect(done)
        for done in as_completed(list(asked)):
            collect(done)
    except Exception:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    except BaseException:  # Ctrl-C does not wait for answers that may take minutes
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    if broken:
        entries.append(_hole_at_the_end(prepared, broken))
        on_event(EntryReady(path=prepared.plan.info.path, entry=entries[-1]))
    return entries


def _next(segments: Any, prepared: Prepared) -> ReadySegment | CaptoolkitError | None:
    """The next segment, None after the last, or why there is none although more should come.

    A failure before the first segment is the caller's to hear; later ones cost only what is left.
    """
    try:
        segment: ReadySegment | None = next(segments, None)
    except CaptoolkitError as error:
        if not prepared.segments:
            raise
        return error
    return segment


def _ask(captioner: Captioner, segment: ReadySegment) -> Entry:
    """The entry of one segment: its caption, or the hole and its reason. Runs in a thread."""
    try:
        said = captioner.caption(segment)
    except CaptoolkitError as error:
        return _hole(segment.index, segment.source_span, error)
    except Exception as error:  # a fault in one answer must not cost the others, which are paid for
        LOG.exception("the captioner %s failed on segment %d", captioner.info.name, segment.index)
        fault = CaptoolkitError(f"the captioner failed with {type(error).__name__}: {error}")
        return _hole(segment.index, segment.source_span, fault)
    return Entry(
        index=segment.index,
        source_span=segment.source_span,
        status=Status.OK,
        text=said.text,
        finish_reason=said.finish_reason,
        request_id=said.request_id,
        usage=said.usage,
    )


def _hole(index: int, span: Span, error: CaptoolkitError) -> Entry:
    return Entry(
        index=index,
        source_span=span,
        status=Status.FAILED,
        error=str(error),
        request_id=getattr(error, "request_id", None),
    )


def _hole_at_the_end(prepared: Prepared, error: CaptoolkitError) -> Entry:
    """What could not be prepared any more, from the last finished segment on."""
    track, last = prepared.plan.track, prepared.segments[-1]
    start = last.source_span.end_samples
    span = Span(
        start_samples=start,
        end_samples=max(start + 1, track.duration_samples),
        rate_hz=track.sample_rate_hz,
    )
    return _hole(last.index + 1, span, error)


# -------------------------------------------------------------------------------- money


def _cost(price: Price | None, entries: list[Entry]) -> Cost | None:
    """What the answers cost; None where no price or no count is known."""
    usage = sum((entry.usage for entry in entries), Usage())
    if price is None or usage.input_tokens is None:
        return None
    amount = price.input_per_million * usage.input_tokens
    amount += price.output_per_million * (usage.output_tokens or 0)
    return Cost(currency=price.currency, amount=(amount / MILLION).quantize(Decimal("0.000001")))


def _price(info: CaptionerInfo) -> Price | None:
    """The first price listed for the model in the region that was asked."""
    region = region_of_url(info.base_url or "")
    rows = catalogue.rows_of(info.model)
    prices = (price for row in rows for price in row.prices if price.region == region)
    return next(prices, None)
