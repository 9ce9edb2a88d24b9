"""The verb `batch`: a verb over any number of recordings, on one machine or many.

Rules: this module connects the parts. An invalid option is found before the listing is read, before
a worker starts and before anything is sent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from captoolkit.captioners.base import Captioner
from captoolkit.captioners.registry import DEFAULT_CAPTIONER
from captoolkit.dispatch.ledger import IN_MEMORY, Ledger
from captoolkit.dispatch.run import LAST_ANSWERS_S
from captoolkit.errors import CaptoolkitError, KeyMissingError, UsageError
from captoolkit.events import OnEvent, Warned, ignore
from captoolkit.jobs.asking import Asking
from captoolkit.jobs.batch_options import (
    KEYWORDS,
    OPTION_TYPES,
    BatchOptions,
    BatchSettings,
    BatchVerb,
    open_asking,
    read_settings,
    recipe_of,
)
from captoolkit.jobs.chunk_queue import ChunkQueue
from captoolkit.jobs.clusters import open_engine, refuse_unknown_cluster
from captoolkit.jobs.driver import Driver, new_run_id
from captoolkit.jobs.forecast import Forecast, forecast
from captoolkit.jobs.lease import Lease
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recipe import ResultLayout, open_job, refuse_other_job
from captoolkit.jobs.results.recording_rows import RowIndex, read_rows
from captoolkit.jobs.results.summary import BatchSummary
from captoolkit.jobs.results.timeline_formats import FurtherFormats
from captoolkit.jobs.stores.base_store import Store
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.planning.options import (
    PlanOptions,
    parse_plan_options,
)
from captoolkit.support import staging_folders
from captoolkit.support.cancel import TICK_S, RunStop
from captoolkit.support.keywords import documents, refuse_unknown_names, require_type

if TYPE_CHECKING:
    from captoolkit.jobs.clusters import Cluster

LEDGER_COPY = ".captoolkit/ledger-{run}.sqlite3"
NO_KEY = "none"  # stands for the missing key in a forecast, which sends nothing


@documents(*OPTION_TYPES)
def batch(
    verb: BatchVerb,
    inputs: Iterable[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    cluster: Cluster = "local",
    captioner: str | Captioner = DEFAULT_CAPTIONER,
    on_event: OnEvent = ignore,
    **options: Unpack[BatchOptions],
) -> BatchSummary:
    """Probe, prepare, split or caption any number of recordings, on one machine or many.

    Each recording gets a row in `out`, which holds the whole state: the same call again does the
    rest. A script that calls this with workers on this machine needs the line
    `if __name__ == "__main__":` above the call, because each worker imports the script.

    ```python
    summary = batch("prepare", ["s3://talks/2026/**/*.wav"], out="s3://talks-ready", segment="30s")
    print(summary.done, summary.reasons)
    ```

    Args:
        verb: `probe`, `prepare`, `split` or `caption`.
        inputs: files, folders, URLs and patterns of URLs (`s3://bucket/**/*.wav`), and manifests
            (`.jsonl`, `.jsonl.gz`, `.csv`, `.parquet`).
        out: the folder or URL of the results.
        cluster: `local` (a process for each core), `local:N`, `none` (this process), the address of
            a Dask scheduler (`tcp://host:8786`), its scheduler file, or a `distributed.Client`.
        captioner: as for `caption`.
        on_event: receives `BatchProgressed` and `Warned`, and the events of captions that this
            process requests.
        **options: `BatchOptions`.

    Raises:
        UsageError: an option is invalid, a name stands for no recording, or `out` holds the
            results of other options.
        InputError: a listing or `out` cannot be read.
        OutputError: `out` cannot be written.
        KeyMissingError, ServiceError: as `caption`.
        CaptoolkitError: the cluster is gone, or another run asks about the same recordings.
        TypeError: there is no option of that name.
    """
    refuse_unknown_names("batch", options, KEYWORDS)
    require_type("on_event", on_event, Callable, "a function of one event")
    refuse_unknown_cluster(cluster)
    settings = read_settings(verb, options, captioner=captioner)
    names = _names_of(inputs)
    store = open_store(os.fspath(out))
    run_id = new_run_id()
    stop = RunStop.of(options.get("stop"))
    with contextlib.ExitStack() as resources:
        run = None
        if verb == "caption" and not settings.driver.asks_on_worker:
            run = resources.enter_context(open_asking(captioner, options, stop, on_event))
        recipe = recipe_of(verb, options, captioner=captioner, run=run)
        settings.refuse_missing(names, out=store.url)
        refuse_other_job(store, recipe)
        asking = None
        if run is not None:
            # Before the rows are read: recordings that another run is finishing have none yet.
            lease = resources.enter_context(Lease(store, run_id))
            asking = Asking(store, run, lease, formats=FurtherFormats.of(recipe.options))
            resources.callback(_end_asking, asking, store, run_id, options, on_event)
        chunks = resources.enter_context(_open_chunks(verb, settings, names, store, recipe.layout))
        has_chunks = chunks.has_chunks()  # a fault of the listing leaves no job behind
        open_job(store, recipe)
        if store.staging_parent is not None:
            staging_folders.sweep(store.staging_parent)  # also if there is nothing left to do
        wanted = cluster if has_chunks else "none"  # no worker starts for nothing
        engine = resources.enter_context(
            open_engine(wanted, memory_bytes=options.get("worker_memory"))
        )
        driver = Driver(
            store=store,
            recipe=recipe,
            run_id=run_id,
            engine=engine,
            chunks=chunks,
            settings=settings.driver,
            asking=asking,
            on_event=on_event,
            stop=stop,
        )
        try:
            return driver.run()
        except BaseException:
            stop.set()  # answers in flight are not waited for
            raise


def _names_of(inputs: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return the inputs as texts; a single text would be taken letter for letter.

    Raises:
        UsageError: `inputs` is a single path, or no iterable.
    """
    if isinstance(inputs, str | bytes | os.PathLike) or not isinstance(inputs, Iterable):
        raise UsageError(
            f"inputs={inputs!r} must be a list or another iterable of paths and URLs",
            fix="pass [input] for a single one",
        )
    return [os.fspath(each) for each in inputs]


def forecast_batch(
    verb: BatchVerb,
    inputs: Iterable[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    workers: int,
    needs_key: bool = True,
    captioner: str | Captioner = DEFAULT_CAPTIONER,
    **options: Unpack[BatchOptions],
) -> Forecast:
    """Return the forecast of a batch; write nothing and ask nothing.

    Args:
        verb: as for `batch`.
        inputs: as for `batch`.
        out: as for `batch`; recordings that it has already are not counted.
        workers: the number of workers.
        needs_key: refuse a service whose key is missing, as the batch itself does.
        captioner: as for `batch`.
        **options: `BatchOptions`.

    Raises:
        UsageError, InputError: as `batch`.
        KeyMissingError: as `batch`, only with `needs_key`.
    """
    settings = read_settings(verb, options, captioner=captioner)
    names = [os.fspath(each) for each in inputs]
    store = open_store(os.fspath(out))
    with contextlib.ExitStack() as resources:
        run = None
        if verb == "caption" and not settings.driver.asks_on_worker:
            asking_options = cast("BatchOptions", {**options, "ledger": IN_MEMORY})
            try:
                run = open_asking(captioner, asking_options, threading.Event())
            except KeyMissingError:
                if needs_key:
                    raise
                asking_options["api_key"] = NO_KEY
                run = open_asking(captioner, asking_options, threading.Event())
            resources.enter_context(run)
        recipe = recipe_of(verb, options, captioner=captioner, run=run)
        settings.refuse_missing(names, out=store.url)
        refuse_other_job(store, recipe)
        chunks = resources.enter_context(_open_chunks(verb, settings, names, store, recipe.layout))
        is_asked = run is not None
        own = parse_plan_options(cast("PlanOptions", options)) if verb != "probe" else None
        return dataclasses.replace(
            forecast(
                _inputs_of(chunks),
                "prepare" if is_asked else verb,
                cores=workers,
                service=run.service if run is not None else None,
                segment_s=own.segment_s if own else None,
                max_segment_s=own.max_segment_s if own else None,
            ),
            base_url=(run.service.info.base_url or "") if run is not None else "",
            needs_confirmation=run is not None and run.needs_confirmation,
            kept=settings.selection.kept,
            failed_before=settings.selection.failed_before,
            changed=settings.selection.changed,
        )


def _open_chunks(
    verb: BatchVerb, settings: BatchSettings, names: list[str], store: Store, layout: ResultLayout
) -> ChunkQueue:
    """Return the chunks of the recordings that are left to do."""
    return ChunkQueue(
        settings.listing(names, out=store.url),
        verb,
        index=RowIndex(read_rows(store)),
        selection=settings.selection,
        layout=layout,
        shard=settings.shard if layout is ResultLayout.TAR else None,
    )


def _inputs_of(chunks: ChunkQueue) -> Iterator[Input]:
    while not chunks.is_empty:
        chunk = chunks.take(timeout_s=TICK_S)
        yield from chunk.inputs if chunk is not None else ()


def _end_asking(
    asking: Asking, store: Store, run_id: str, options: BatchOptions, on_event: OnEvent
) -> None:
    """End the run of asking, and copy the answers that it has added to the ledger into OUT."""
    run = asking.run
    if run.stop.is_set():
        run.close()
    else:
        run.finish(wait_s=LAST_ANSWERS_S)
    run.stop.set()
    asking.close()
    if not run.is_paid or str(options.get("ledger")) == IN_MEMORY or not run.requested:
        return
    try:
        with tempfile.TemporaryDirectory(prefix="captoolkit-") as folder:
            copy = Path(folder) / "ledger.sqlite3"
            with Ledger(options.get("ledger")) as ledger:
                ledger.backup(copy)
            with Ledger(copy) as copied:
                copied.prune(time.monotonic() - asking.begun_s)
            store.write(LEDGER_COPY.format(run=run_id), copy)
    except CaptoolkitError as error:
        on_event(Warned(path=store.url, message=f"the ledger was not copied: {error}"))
