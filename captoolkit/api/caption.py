"""The verbs `caption`, `captions`, `acaption` and `caption_many`: captions as timelines.

Rules: this module connects the parts; `dispatch/` does the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Unpack

from captoolkit.api.asking_run import KEYWORDS, OPTION_TYPES, CaptionOptions, open_run
from captoolkit.api.plan import PlanRequest, read_request
from captoolkit.api.prepare import open_prepared
from captoolkit.captioners.base import Captioner
from captoolkit.captioners.registry import DEFAULT_CAPTIONER
from captoolkit.dispatch.caption_run import CaptionRun
from captoolkit.dispatch.captions import Captions
from captoolkit.dispatch.preparers import PreparerPool
from captoolkit.dispatch.run import AskingRun
from captoolkit.errors import CancelledError, UsageError
from captoolkit.events import OnEvent, ignore
from captoolkit.model import Via
from captoolkit.pipeline.prepared import Prepared
from captoolkit.planning.options import option_values, parse_plan_options
from captoolkit.support.cancel import RunStop, StoppedError, ended_when
from captoolkit.support.keywords import documents, parse_jobs, refuse_unknown_names, require_type
from captoolkit.support.provenance import Provenance
from captoolkit.timeline.value import Timeline

if TYPE_CHECKING:
    from captoolkit.media.source import Source

ANY_URL = "https://host/a.wav"  # can be sent in every way: options are read before the sources are


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
        CancelledError: `stop` was set before the last entry.
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

    Cancelling ends the work at once: when `asyncio.CancelledError` arrives, no child process and no
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
    require_type("stop", options.get("stop"), threading.Event | None, "a threading.Event")
    stop = options["stop"] = RunStop.of(options.get("stop"))
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
        run.made_by = _provenance(run, options)
        try:
            with ended_when(run.stop.is_set):  # a plan may decode the whole recording
                prepared = _open_prepared(run, source, request, jobs)
        except StoppedError:
            raise CancelledError(
                "this captioning was cancelled while it was planned", fix="begin another one"
            ) from None
        opened.callback(prepared.close)
        run.refuse_small_budget(prepared.plan)
        opened.pop_all()  # closing the captions closes both
        return Captions(prepared, run)


@documents(*OPTION_TYPES)
def caption_many(
    sources: Iterable[Source],
    *,
    captioner: str | Captioner = DEFAULT_CAPTIONER,
    jobs: int | None = None,
    on_event: OnEvent = ignore,
    existing: Iterable[str | os.PathLike[str] | None] = (),
    overwrite: bool = False,
    **options: Unpack[CaptionOptions],
) -> CaptionRun:
    """Return the timelines of many recordings one after another, each when it is finished.

    All recordings share one run: `concurrency`, `max_cost`, the rate limits and `run_timeout_s`
    hold for all together. captoolkit prepares the next recordings while the captioner answers; at
    most four times `concurrency` prepared segments wait.

    ```python
    with caption_many(Path("talks").glob("*.mp3"), concurrency=16) as results:
        for result in results:
            if result.timeline is not None:
                save(result.timeline, f"{result.source}.srt")
            else:
                print(result.source, result.error)
    ```

    A later run keeps the timelines that an earlier one has finished: `existing` names their JSON
    files. A timeline with failed segments is not finished; its recording is captioned again.

    Args:
        sources: the recordings, each as for `plan`; an iterator is advanced as they are needed, on
            another thread. A source that fails does not affect the others.
        captioner: as for `caption`.
        jobs: how many recordings, and stretches of them, are prepared in parallel; None is one for
            each core.
        on_event: as for `caption`; it receives the events of all recordings, one at a time.
        existing: for each source the JSON timeline of an earlier run, which need not exist; None
            for a source without one. If the same options made it from the same source and no
            segment failed, the result is this timeline, and the source is neither prepared nor
            sent. A timeline that was made otherwise is the error `OutputExistsError` of its source.
        overwrite: caption a source again if its existing timeline was made otherwise.
        **options: `CaptionOptions`.

    Returns:
        A context manager that iterates as results, in the order in which they finish. Its `plans()`
        are known before the first request, for a question about the cost.

    Raises:
        UsageError, OutputError, KeyMissingError, TypeError: as `caption`, for options of the whole
            run. The errors of a source are in its result.
    """
    refuse_unknown_names("caption_many", options, KEYWORDS)
    is_one = isinstance(sources, str | bytes | os.PathLike)
    is_one = is_one or hasattr(sources, "read") or hasattr(sources, "raw_data")  # iterable, too
    if is_one or not isinstance(sources, Iterable):
        raise UsageError(
            f"sources={sources!r} must be a list or another iterable of sources",
            fix="pass [source], or use caption for a single one",
        )
    jobs = parse_jobs(jobs)
    with contextlib.ExitStack() as opened:
        run = opened.enter_context(open_run(captioner, on_event=on_event, **options))
        read_request(ANY_URL, options, target=run.service.target, ways=run.ways)
        run.made_by = _provenance(run, options)
        open_source = functools.partial(_open_source, options, run)
        preparers = PreparerPool(
            run,
            sources,
            open_source=open_source,
            jobs=jobs,
            existing=existing,
            is_redo=overwrite,
        )
        opened.pop_all()  # closing the result closes the run
        return CaptionRun(run, preparers)


def _provenance(run: AskingRun, options: CaptionOptions) -> Provenance:
    """Return how this run makes timelines: the options that decide them, and the captioner."""
    info, region = run.service.info, run.service.region
    parameters = dict(run.service.parameters)
    values = option_values(parse_plan_options(options))
    values |= {
        "target": run.service.target.name,
        "via": str(options.get("via", Via.BASE64)),
        "captioner": info.name,
        "model": info.model,
    }
    others = {
        "base_url": info.base_url,
        "region": region,
        "prompt": options.get("prompt"),
        "system": options.get("system"),
        "parameters": json.dumps(parameters, sort_keys=True) if parameters else None,
    }
    values |= {name: value for name, value in others.items() if value is not None}
    return Provenance(verb="caption", options=values)


def _open_source(options: CaptionOptions, run: AskingRun, source: Source, jobs: int) -> Prepared:
    request = read_request(source, options, target=run.service.target, ways=run.ways)
    return _open_prepared(run, source, request, jobs)


def _open_prepared(run: AskingRun, source: Source, request: PlanRequest, jobs: int) -> Prepared:
    return open_prepared(
        source,
        request,
        jobs=jobs,
        on_event=run.gate,
        measures_envelope=True,
        open_meter=run.open_meter,
    )
