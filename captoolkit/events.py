"""What long work reports while it runs: plain values, handed to the caller's `on_event`.

The library prints nothing and draws no bars; whoever calls decides what to show. `on_event` is
called from the threads that work, one call at a time for each input, and must return quickly; what
it raises ends the work and reaches the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from captoolkit.model import Encoding, Entry, Plan, Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Work on one input begins, by this plan."""

    path: str
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """`done_s` of `total_s` of the input have been read, and encoded where that is planned."""

    path: str
    done_s: float
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentReady:
    """A segment is finished, read back and checked."""

    path: str
    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A segment came out larger than the limit and was encoded anew, as `encoding`."""

    path: str
    index: int
    encoding: Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReady:
    """A segment has been captioned, or has failed.

    `recalled` is True where an earlier run had the answer, so that nothing was asked or paid.
    """

    path: str
    entry: Entry
    recalled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextArrived:
    """A piece of a segment's caption has come (with `stream=True`); it follows those before it."""

    path: str
    index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAgain:
    """A segment could not be captioned and will be asked about again, `wait_s` from now.

    What `TextArrived` brought of it so far is void.
    """

    path: str
    index: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something about the input that its user should know; the work goes on."""

    path: str
    message: str


Event = (
    Started | Progressed | SegmentReady | Replaced | EntryReady | TextArrived | AskedAgain | Warned
)
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Do nothing with an event: the default `on_event`."""
