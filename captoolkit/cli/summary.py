"""The short table that `captoolkit caption` ends with.

Rules: tokens and cost are those of what was asked now, as on the service's bill; those of a
timeline's answers, whenever they were asked for, are in the timeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from captoolkit.cli.app import display_name
from captoolkit.cli.show import columns, note

if TYPE_CHECKING:
    from captoolkit.model import Cost, Usage
    from captoolkit.timeline.value import Timeline

HEAD = ("file", "segments", "asked", "from the ledger", "holes", "tokens", "cost", "written to")
UNKNOWN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recap:
    """What came of one file.

    Attributes:
        asked: how many segments were asked about now.
        recalled: how many answers were in the ledger; they cost nothing.
        usage: what the service counted for what was asked now.
        cost: of that; None where no price is known.
        places: where its timeline is; None is standard output.
    """

    name: str
    timeline: Timeline
    asked: int
    recalled: int
    usage: Usage
    cost: Cost | None
    places: tuple[Path | None, ...]


def say_recap(recaps: Sequence[Recap]) -> None:
    """Write the table to standard error; nothing where nothing was done."""
    if not recaps:
        return
    rows = [HEAD, *map(_row, recaps)]
    if len(recaps) > 1:
        rows.append(_total(recaps))
    for line in columns(rows):
        note(line)


def _row(recap: Recap) -> tuple[str, ...]:
    cost = recap.cost
    return (
        recap.name,
        *map(_number, _counts(recap)),
        _number(recap.usage.total_tokens),
        f"{cost.currency} {cost.amount}" if cost else UNKNOWN,
        _places(recap.places),
    )


def _total(recaps: Sequence[Recap]) -> tuple[str, ...]:
    counts = map(sum, zip(*map(_counts, recaps), strict=True))
    tokens = [recap.usage.total_tokens for recap in recaps]
    known = [number for number in tokens if number is not None]
    costs = [recap.cost for recap in recaps if recap.cost]
    amount = sum((cost.amount for cost in costs), Decimal(0))
    return (
        "together",
        *map(_number, counts),
        _number(sum(known) if known else None),
        f"{costs[0].currency} {amount}" if costs else UNKNOWN,
        "",
    )


def _counts(recap: Recap) -> tuple[int, int, int, int]:
    """How many segments there are, were asked about, were in the ledger, and have no caption."""
    from captoolkit.model import Status

    entries = recap.timeline.entries
    segments = sum(entry.status is not Status.SILENT for entry in entries)
    return segments, recap.asked, recap.recalled, len(recap.timeline.holes)


def _number(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count:,}"


def _places(places: tuple[Path | None, ...]) -> str:
    """The file, or of several the folder that they are in."""
    files = [place for place in places if place is not None]
    if not files:
        return "standard output"
    if len(files) == 1:
        return display_name(str(files[0]))
    return display_name(str(files[0].parent)) + "/"
