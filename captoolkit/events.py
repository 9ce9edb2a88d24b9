"""Events: the progress of long work, as values that captoolkit passes to `on_event`.

The library prints nothing; the caller shows the events or ignores them. captoolkit calls `on_event`
on its worker threads, one call at a time for each input. `on_event` must return quickly. An
exception that it raises ends the work and reaches the caller. `path` is the name of the input in
every event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from captoolkit.model import Cost, Encoding, Entry, Plan, Segment

__all__ = [
    "BatchProgressed",
    "EntryReady",
    "Event",
    "OnEvent",
    "Progressed",
    "Replaced",
    "RetryScheduled",
    "SegmentReady",
    "Started",
    "TextArrived",
    "Warned",
    "ignore",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The work on one input begins."""

    path: str
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """`done_s` of the `total_s` seconds of the input are prepared; `EntryReady` counts captions."""

    path: str
    done_s: float
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentReady:
    """A segment is finished: its file is written, read back and checked, or it has its caption."""

    path: str
    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A segment was larger than the limit and has been encoded again, as `encoding`."""

    path: str
    index: int
    encoding: Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReady:
    """A segment has its entry in the timeline: a caption, or the reason for a missing one.

    `recalled` is True if the answer came from the ledger: no request was sent and paid.
    """

    path: str
    entry: Entry
    recalled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextArrived:
    """The next piece of a segment's caption has arrived (with `stream=True`)."""

    path: str
    index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled:
    """A request failed with a transient error and will be repeated in `wait_s` seconds.

    The pieces that `TextArrived` has reported for this segment so far are void. `reason` is the
    problem of the error, without its fix: the repetition is the fix.
    """

    path: str
    index: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """The input has an irregularity that the user should know of; the work continues."""

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgressed:
    """The state of a batch, at most four times a second and at its end.

    Attributes:
        path: the place of the results.
        total: the number of recordings to do; None while the listing is still being read.
        done: the recordings of this run that are done, silent ones included.
        failed: the recordings of this run that failed, are quarantined, or have holes.
        kept: the recordings that an earlier run has done.
        running: the tasks that are running.
        waiting_segments: the segments that wait for an answer.
        done_s: the length of the sound of all recordings that are done.
        requested: the segments that were sent to the captioner; 0 for one that runs in the
            workers.
        recalled: the answers from the ledger.
        spent: the cost of the requests so far; None where it is not known.
        elapsed_s: the time since the start.
    """

    path: str
    total: int | None
    done: int
    failed: int
    kept: int
    running: int
    waiting_segments: int = 0
    done_s: float = 0.0
    requested: int = 0
    recalled: int = 0
    spent: Cost | None = None
    elapsed_s: float = 0.0


Event = (
    BatchProgressed
    | Started
    | Progressed
    | SegmentReady
    | Replaced
    | EntryReady
    | TextArrived
    | RetryScheduled
    | Warned
)
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Ignore an event: the default `on_event`."""
