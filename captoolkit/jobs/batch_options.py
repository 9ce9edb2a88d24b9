"""The options of a batch: their types and meanings, and how they are read.

Rules: reading opens no recording and starts no worker. A recipe holds the options that decide the
results, without those that have their default value; the others may differ between runs on one OUT.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from pathlib import Path
from typing import Any, Literal, cast

from captoolkit.api.asking_run import CaptionOptions, open_run
from captoolkit.api.plan import read_request
from captoolkit.captioners.base import (
    SENDING_OPTIONS,
    Captioner,
    CaptionerOptions,
    ServiceOptions,
)
from captoolkit.captioners.registry import CAPTIONERS, DEFAULT_CAPTIONER, find_service, row_of
from captoolkit.dispatch.budget import Budget, refuse_too_small, worst_case
from captoolkit.dispatch.circuit_breaker import GIVE_UP_AFTER
from captoolkit.dispatch.run import AskingRun
from captoolkit.errors import UsageError
from captoolkit.events import OnEvent, ignore
from captoolkit.jobs.chunk_queue import Redo, Selection
from captoolkit.jobs.driver import DriverSettings
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.listings import list_inputs, refuse_missing
from captoolkit.jobs.listing.shards import parse_shard, slurm_shard
from captoolkit.jobs.results.recipe import Recipe, deciding_options
from captoolkit.planning.options import (
    DeliveryOptions,
    Length,
    PlanOptions,
    SegmentOptions,
    SplitOptions,
)
from captoolkit.support.keywords import parse_count, parse_option, require_type
from captoolkit.timeline import FormatOptions, check
from captoolkit.timeline.formats import idle_options
from captoolkit.units import parse_duration

BatchVerb = Literal["probe", "prepare", "split", "caption"]


class BatchOptions(PlanOptions, SplitOptions, CaptionerOptions, FormatOptions, total=False):
    """The keyword arguments of `batch` beyond those of its verb.

    Attributes:
        include: patterns of the files that a search takes, such as `*.wav`.
        exclude: patterns of files and folders that a search leaves out.
        files_from: a file that lists further names, one a line; `-` is standard input.
        is_null_separated: the names in `files_from` end in NUL instead of a line break.
        column: the column of manifests that holds the path or URL; None finds it by its name.
        limit: the number of recordings after which the listing ends.
        shard: `I/N`: only shard I of N, from 0; None takes it from the variables of a SLURM job
            array, if there is one.
        layout: `files` (the default), or `tar` for WebDataset.
        identity: `version` (the default) takes a recording for the same if size and etag or time
            of change are the same; `content` reads it and compares its hash.
        redo: `changed` makes the results of changed recordings again, `all` those of all.
        retry_failed: try recordings again that failed or are quarantined.
        tries: how often a recording may end its worker, or take too long, before it is quarantined;
            2 if it is not given.
        file_timeout: the longest time for one recording on a worker, an hour if it is not given.
        worker_memory: the most memory of each worker on this machine, in bytes.
        max_failures: end the run after more failures than this.
        asks_on: `driver` (the default): this process asks the service. `workers`: each worker asks,
            which is refused where answers cost money.
        formats: formats of each timeline beside JSON, such as `("srt", "vtt")`; not `html`.
        requests_per_minute: the rate limit; None for that of the service.
        tokens_per_minute: the limit on input and output tokens; None for that of the service.
        concurrency: as for `caption`.
        max_cost: as for `caption`.
        give_up_after: as for `caption`, over all recordings. With `asks_on="workers"` each worker
            counts for itself, any faults in a row, and the batch ends with the first that gives up.
        ledger: as for `caption`.
        resume: as for `caption`; False does not change which recordings are done again.
        stop: ends the run when it is set.
    """

    include: Sequence[str]
    exclude: Sequence[str]
    files_from: str | None
    is_null_separated: bool
    column: str | None
    limit: int | None
    shard: str | None
    layout: Literal["files", "tar"]
    identity: Literal["version", "content"]
    redo: Literal["none", "changed", "all"]
    retry_failed: bool
    tries: int
    file_timeout: Length
    worker_memory: int | None
    max_failures: int | None
    asks_on: Literal["driver", "workers"]
    formats: Sequence[str]
    requests_per_minute: float | None
    tokens_per_minute: float | None
    concurrency: int
    max_cost: Budget | Decimal | float | str | None
    give_up_after: int
    ledger: str | Path | None
    resume: bool
    stop: threading.Event | None


OPTION_TYPES = (
    DeliveryOptions,
    SegmentOptions,
    PlanOptions,
    SplitOptions,
    ServiceOptions,
    CaptionerOptions,
    FormatOptions,
    BatchOptions,
)
KEYWORDS = ("out", "cluster", "captioner", "on_event", *BatchOptions.__annotations__)
OF_VERB: Mapping[str, frozenset[str]] = {
    "probe": frozenset(),
    "prepare": frozenset(PlanOptions.__annotations__),
    "split": frozenset(SplitOptions.__annotations__),
    "caption": frozenset(
        [
            *PlanOptions.__annotations__,
            *CaptionerOptions.__annotations__,
            *FormatOptions.__annotations__,
            "formats",
        ]
    ),
}
OF_VERBS = frozenset().union(*OF_VERB.values())
RUN_OPTIONS = ("concurrency", "max_cost", "give_up_after", "ledger", "resume", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """The options of a batch that do not belong to its verb, read.

    Attributes:
        driver: how faults are treated.
        selection: which recordings with a row are done again.
        shard: I and N.
    """

    driver: DriverSettings
    selection: Selection
    shard: tuple[int, int] | None
    listing_options: Mapping[str, Any]

    def listing(self, names: Sequence[str], *, out: str | None = None) -> Iterable[Input]:
        """Return the listing of the recordings; those in `out` are results."""
        return list_inputs(names, out=out, **self.listing_options)

    def refuse_missing(self, names: Sequence[str], *, out: str) -> None:
        """Refuse names that stand for no recording, as `listings.refuse_missing`."""
        patterns = {name: self.listing_options[name] for name in ("include", "exclude")}
        refuse_missing(names, out=out, **patterns)


def read_settings(
    verb: str, options: BatchOptions, *, captioner: str | Captioner = DEFAULT_CAPTIONER
) -> BatchSettings:
    """Return the options of a batch that do not belong to its verb, read and checked.

    Raises:
        UsageError: one is invalid, or belongs to another verb.
    """
    _refuse_invalid(verb, options)
    timeout_s = float(
        parse_option("file_timeout", parse_duration, options.get("file_timeout", 3600))
    )
    shard = options.get("shard")
    parsed = parse_shard(shard) if shard is not None else slurm_shard(os.environ)
    is_tar = options.get("layout") == "tar"
    asks_on_worker = verb != "caption" or _asks_on_worker(captioner, options)
    is_served = asks_on_worker and options.get("asks_on") == "workers" and _is_service(captioner)
    redo = Redo(options.get("redo", Redo.NONE))
    return BatchSettings(
        driver=DriverSettings(
            tries=options.get("tries", 2),
            file_timeout_s=timeout_s,
            max_failures=options.get("max_failures"),
            asks_on_worker=asks_on_worker,
            is_redo=redo is Redo.ALL,
            retry_failed=options.get("retry_failed", False),
            give_up_after=options.get("give_up_after", GIVE_UP_AFTER) if is_served else None,
        ),
        selection=Selection(
            redo=redo,
            retry_failed=options.get("retry_failed", False),
            verifies_content=options.get("identity") == "content",
        ),
        shard=parsed,
        listing_options={
            "include": options.get("include", ()),
            "exclude": options.get("exclude", ()),
            "files_from": options.get("files_from"),
            "is_null_separated": options.get("is_null_separated", False),
            "column": options.get("column"),
            "limit": options.get("limit"),
            "shard": None if is_tar else parsed,
        },
    )


def _refuse_invalid(verb: str, options: BatchOptions) -> None:
    """Refuse an option with a value of the wrong kind, or of another verb."""
    if verb not in OF_VERB:
        raise UsageError(f"verb={verb} is not known", fix=f"take {', '.join(OF_VERB)}")
    for name, value in options.items():
        if name in OF_VERBS - OF_VERB[verb] and value is not None:
            raise UsageError(f"batch {verb} takes no {name}", fix="leave it out")
    for name, choices in (
        ("redo", tuple(Redo)),
        ("identity", ("version", "content")),
        ("asks_on", ("driver", "workers")),
    ):
        if options.get(name, choices[0]) not in choices:
            raise UsageError(
                f"{name}={options[name]!r} is not known",  # type: ignore[literal-required]
                fix=f"take {', '.join(choices)}",
            )
    require_type("shard", options.get("shard"), str | None, "a text such as 0/3")
    require_type("stop", options.get("stop"), threading.Event | None, "a threading.Event")
    for name, least in (("limit", 1), ("tries", 1), ("max_failures", 0), ("worker_memory", 1)):
        if (value := options.get(name)) is not None:
            parse_count(name, value, least=least)
    for name in ("include", "exclude"):  # a text is a sequence of letters, and `*` is one of them
        require_type(name, options.get(name), list | tuple | None, "a list of patterns")
    for name in ("requests_per_minute", "tokens_per_minute"):
        value = options.get(name)
        require_type(name, value, Real | None, "a number")
        if value is not None and not cast("float", value) > 0:
            raise UsageError(f"{name}={value} must be more than 0")


def _asks_on_worker(captioner: str | Captioner, options: BatchOptions) -> bool:
    """Return whether workers ask the captioner: a local one, or one that costs nothing.

    Raises:
        UsageError: the caller wants workers to ask where answers may cost money.
    """
    if not isinstance(captioner, str):
        return False
    if not _is_service(captioner):
        return True
    if options.get("asks_on", "driver") == "driver":
        return False
    with open_asking(captioner, options, threading.Event()) as run:
        if run.may_cost or options.get("max_cost") is not None:
            raise UsageError(
                "asks_on='workers' is for servers that cost nothing: only one process can keep a "
                "budget and pay for each answer once",
                fix="leave it out",
            )
    return True


def _is_service(captioner: str | Captioner) -> bool:
    return not isinstance(captioner, str) or row_of(captioner).interface is not None


def further_formats(names: Sequence[str], options: FormatOptions) -> list[str]:
    """Return the formats of a timeline beside JSON, in one order for all orders of `names`.

    Raises:
        UsageError: one is unknown, cannot be written here, or needs the recording.
    """
    require_type("formats", names, list | tuple, "a list of names")
    wanted = sorted({name.strip().lower() for name in names} - {"json"})
    if "html" in wanted:
        raise UsageError(
            "a batch writes no pages: a page plays the recording, and OUT holds none",
            fix="pass -f html to `captoolkit export` with the timelines that need a page",
        )
    for name in wanted:
        check(name, **options)
    for name, takers in idle_options(["json", *wanted], options).items():
        raise UsageError(
            f"`{name}` does nothing for {','.join(['json', *wanted])}",
            fix=f"it is for {', '.join(name for name in takers if name != 'html')}; leave it out",
        )
    return wanted


def open_asking(
    captioner: str | Captioner,
    options: BatchOptions,
    stop: threading.Event,
    on_event: OnEvent = ignore,
) -> AskingRun:
    """Return the run that asks about the segments of a batch.

    Raises:
        UsageError, KeyMissingError, OutputError: as `batch`.
    """
    names = ("target", *CaptionerOptions.__annotations__, *RUN_OPTIONS)
    own = {name: options[name] for name in names if name in options}  # type: ignore[literal-required]
    max_cost = options.get("max_cost")
    budget = max_cost if isinstance(max_cost, Budget | None) else Budget(max_cost)
    run = open_run(
        captioner,
        on_event=on_event,
        requests_per_minute=options.get("requests_per_minute"),
        tokens_per_minute=options.get("tokens_per_minute"),
        **cast("CaptionOptions", own | {"stop": stop, "max_cost": budget}),
    )
    service = run.service
    if budget is not None and service.price is not None:
        try:
            least = worst_case(service.target, service.price, Fraction(1))
            refuse_too_small(budget, [least], service.price)
        except UsageError:
            run.close()
            raise
    return run


def recipe_of(
    verb: str,
    options: BatchOptions,
    *,
    captioner: str | Captioner = DEFAULT_CAPTIONER,
    run: AskingRun | None = None,
) -> Recipe:
    """Return the recipe of a batch: everything but the recordings that decides its results.

    Raises:
        UsageError: an option is invalid, or is none of the verb.
    """
    require_type("target", options.get("target"), str | None, "the name of a target")
    own: dict[str, Any] = {name: options[name] for name in OF_VERB[verb] & options.keys()}  # type: ignore[literal-required]
    format_options = {name: own[name] for name in FormatOptions.__annotations__ if name in own}
    own["formats"] = further_formats(
        options.get("formats", ()), cast("FormatOptions", format_options)
    )
    own = deciding_options(verb, own)
    if verb == "caption":
        own["captioner"] = captioner if isinstance(captioner, str) else captioner.info.name
    sending = {name: own.pop(name) for name in SENDING_OPTIONS & own.keys()}
    if not options.get("resume", True):
        sending["resume"] = False
    if run is not None:
        own["target"] = run.service.target.name
        own["model"] = run.service.info.model
        _remove_defaults_of_service(own)
    if verb in ("prepare", "caption"):
        request = cast("PlanOptions", {n: own[n] for n in OF_VERB["prepare"] if n in own})
        ways = run.ways if run is not None else None
        read_request("recording.wav", request, ways=ways)
    return Recipe.of(verb, own, layout=options.get("layout", "files"), sending=sending)


def _remove_defaults_of_service(own: dict[str, Any]) -> None:
    """Remove the options that state the defaults of the captioner's service."""
    if own["captioner"] not in CAPTIONERS:
        return
    service = find_service(own["captioner"], target=own["target"], model=own["model"])
    defaults = {
        "region": service.region,
        "base_url": service.info.base_url,
        "prompt": service.default_prompt,
    }
    for name, value in defaults.items():
        if name in own and own[name] == value:
            del own[name]
