"""The verb `prepare`: hand out files that fit the target, made on demand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

from captoolkit.api.plan import PlanRequest, plan_recording, read_request
from captoolkit.api.recording import open_recording
from captoolkit.events import OnEvent, ignore
from captoolkit.model import Via
from captoolkit.pipeline.caption_meter import OpenCaptionMeter
from captoolkit.pipeline.prepared import Prepared
from captoolkit.planning.options import (
    DeliveryOptions,
    PlanOptions,
    SegmentOptions,
    option_values,
    parse_plan_options,
)
from captoolkit.services import catalogue
from captoolkit.support.keywords import documents, parse_jobs, refuse_unknown_names, require_type
from captoolkit.support.provenance import Provenance

if TYPE_CHECKING:
    from captoolkit.media.source import Source


@documents(DeliveryOptions, SegmentOptions, PlanOptions)
def prepare(
    source: Source,
    *,
    jobs: int | None = None,
    on_event: OnEvent = ignore,
    **options: Unpack[PlanOptions],
) -> Prepared:
    """Return the segments of a recording that fit its target, made on demand.

    ```python
    with prepare("talk.mkv") as prepared:
        for segment in prepared:
            send(segment.data_uri())
    ```

    or, to keep the files and their manifest: `prepare("talk.mkv").save("ready")`.

    Args:
        source: as for `plan`.
        jobs: how many stretches of a long recording are processed in parallel; None is one for
            each core.
        on_event: receives `Started`, `Progressed`, `SegmentReady`, `Replaced` and `Warned`, on the
            worker threads. An exception that it raises ends the work and reaches the caller. To
            pickle the result, it must be possible to pickle `on_event`: a function of a module
            can be pickled, a lambda cannot.
        **options: `PlanOptions`.

    Raises:
        UsageError, InputError, ToolError, TypeError: as `plan`; while iterating also LimitError
            and OutputError.
    """
    refuse_unknown_names("prepare", options, ("jobs", "on_event", *PlanOptions.__annotations__))
    jobs = parse_jobs(jobs)
    require_type("on_event", on_event, Callable, "a function of one event")
    request = read_request(source, options)
    provenance = prepare_provenance(**options)
    return open_prepared(source, request, jobs=jobs, on_event=on_event, provenance=provenance)


def prepare_provenance(**options: Unpack[PlanOptions]) -> Provenance:
    """Return how `prepare` makes files with these options; raises as `prepare`."""
    target = options.get("target")
    row = catalogue.target(catalogue.DEFAULT_TARGET if target is None else target)
    values = option_values(parse_plan_options(options))
    values |= {"target": row.name, "via": str(options.get("via", Via.BASE64))}
    return Provenance(verb="prepare", options=values)


def open_prepared(
    source: Source,
    request: PlanRequest,
    *,
    jobs: int,
    on_event: OnEvent,
    provenance: Provenance | None = None,
    measures_envelope: bool = False,
    open_meter: OpenCaptionMeter | None = None,
) -> Prepared:
    """Open a source, plan it, and return its segments, made on demand."""
    with contextlib.ExitStack() as stack:
        recording = stack.enter_context(open_recording(source, request.options))
        plan = plan_recording(recording, request)
        prepared = Prepared(
            plan,
            recording.source,
            jobs=jobs,
            on_event=on_event,
            provenance=provenance,
            measures_envelope=measures_envelope,
            open_meter=open_meter,
        )
        stack.pop_all()  # closing `prepared` closes the source
        return prepared
