"""The table that `captoolkit caption` prints at its end: segments, tokens and cost of this run.

A captioner on this machine has no ledger, tokens or cost, and its table no columns for them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from captoolkit.cli.show import aligned, display_path, print_message
from captoolkit.units import format_count

if TYPE_CHECKING:
    from captoolkit.dispatch.caption_run import CaptionResult
    from captoolkit.timeline.value import Timeline

MAX_ROWS = 20  # files in the table; of more files it has those with failed segments
TABLE_HEAD = (
    "file",
    "segments",
    "requested",
    "from the ledger",
    "failed",
    "tokens",
    "cost",
    "written to",
)
SERVICE_COLUMNS = frozenset({"from the ledger", "tokens", "cost"})
UNKNOWN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSummary:
    """The figures of one file: numbers of this run, without the timeline that they are taken from.

    Attributes:
        name: the name of the file for display.
        counts: the numbers of segments: all, requested, from the ledger, without a caption.
        tokens: the tokens that the service counted in this run; None if it counts none.
        cost: the amount and its currency in this run; None if no price is known.
        paths: the paths of the timeline; None is standard output.
    """

    name: str
    counts: tuple[int, int, int, int]
    tokens: int | None
    cost: tuple[Decimal, str] | None
    paths: tuple[Path | None, ...]

    @classmethod
    def of(
        cls, name: str, result: CaptionResult, timeline: Timeline, paths: Sequence[Path | None]
    ) -> FileSummary:
        """Return the figures of a result."""
        from captoolkit.model import Status

        segments = sum(entry.status is not Status.SILENT for entry in timeline.entries)
        cost = result.cost
        return cls(
            name=name,
            counts=(segments, result.requested, result.recalled, len(timeline.holes)),
            tokens=result.usage.total_tokens,
            cost=(cost.amount, cost.currency) if cost else None,
            paths=tuple(paths),
        )

    @property
    def is_of_service(self) -> bool:
        """Whether a service or the ledger gave some of the answers, as far as it is known."""
        return self.counts[2] > 0 or self.tokens is not None or self.cost is not None

    @property
    def failed(self) -> int:
        """The number of segments without a caption."""
        return self.counts[3]


def print_summary(summaries: Sequence[FileSummary]) -> None:
    """Write the table to standard error, unless no file was captioned."""
    if not summaries:
        return
    shown = list(summaries)
    if len(shown) > MAX_ROWS:
        shown = [summary for summary in summaries if summary.failed][:MAX_ROWS]
    rows = [TABLE_HEAD, *map(_row, shown)]
    if len(summaries) > 1:
        rows.append(_total(summaries))
    if not any(summary.is_of_service for summary in summaries):
        kept = [name not in SERVICE_COLUMNS for name in TABLE_HEAD]
        rows = [tuple(itertools.compress(row, kept)) for row in rows]
    for line in aligned(rows):
        print_message(line)
    hidden = sum(bool(summary.failed) for summary in summaries) - len(shown)
    if len(summaries) > MAX_ROWS and hidden > 0:
        print_message(f"{format_count(hidden, 'more file')} with failed segments")


def _row(summary: FileSummary) -> tuple[str, ...]:
    return (
        summary.name,
        *map(_number, summary.counts),
        _number(summary.tokens),
        f"{summary.cost[1]} {summary.cost[0]}" if summary.cost else UNKNOWN,
        _folder_or_file(summary.paths),
    )


def _total(summaries: Sequence[FileSummary]) -> tuple[str, ...]:
    counts = map(sum, zip(*(summary.counts for summary in summaries), strict=True))
    tokens = [summary.tokens for summary in summaries if summary.tokens is not None]
    costs = [summary.cost for summary in summaries if summary.cost]
    amount = sum((amount for amount, _ in costs), Decimal(0))
    return (
        "total" if len(summaries) <= MAX_ROWS else format_count(len(summaries), "file"),
        *map(_number, counts),
        _number(sum(tokens) if tokens else None),
        f"{costs[0][1]} {amount}" if costs else UNKNOWN,
        _common_folder(summaries),
    )


def _common_folder(summaries: Sequence[FileSummary]) -> str:
    """Return the folder of all files if they are many and in one; empty otherwise."""
    folders = {path.parent for each in summaries for path in each.paths if path is not None}
    is_one = len(summaries) > MAX_ROWS and len(folders) == 1
    return f"{display_path(folders.pop())}/" if is_one else ""


def _number(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count:,}"


def _folder_or_file(paths: tuple[Path | None, ...]) -> str:
    """Return the file, or the folder of several files."""
    files = [path for path in paths if path is not None]
    if not files:
        return "standard output"
    if len(files) == 1:
        return display_path(files[0])
    return display_path(files[0].parent) + "/"
