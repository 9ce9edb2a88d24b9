"""The forecast, the state and the summary of a batch, in words."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from captoolkit.cli.show import (
    name_options,
    print_error,
    print_json,
    print_line,
    print_message,
    print_table,
)
from captoolkit.units import format_clock, format_count, format_length

if TYPE_CHECKING:
    from captoolkit.jobs.forecast import Forecast
    from captoolkit.jobs.results.recipe import Recipe
    from captoolkit.jobs.results.summary import BatchSummary, FailureReason, Tally

MOST_REASONS = 5  # that the summary shows
ROUNDED_S = 3600
CHANGED = "changed since they were done (--redo changed)"
FAILED_BEFORE = "failed in an earlier run (--retry-failed)"

LIMITS = {
    "cores": "the cores",
    "requests": "the requests a minute",
    "tokens": "the tokens a minute",
}


def print_forecast(verb: str, expected: Forecast, *, as_json: bool) -> None:
    """Write a forecast to standard output."""
    if not as_json:
        for line in forecast_lines(verb, expected):
            print_line(line)
        return
    print_json(
        "batch-forecast",
        {
            "verb": verb,
            "recordings": expected.inputs,
            "kept": expected.kept,
            "failed_before": expected.failed_before,
            "changed": expected.changed,
            "bytes": expected.size_bytes,
            "duration_s": round(expected.duration_s, 3),
            "sampled": expected.sampled,
            "requests": expected.requests,
            "input_tokens": expected.input_tokens,
            "cost": expected.cost and dataclasses.asdict(expected.cost),
            "times_s": {limit.value: round(s, 1) for limit, s in expected.times_s.items()},
            "binding": expected.binding.value,
        },
    )


def forecast_lines(verb: str, expected: Forecast) -> list[str]:
    """Return a forecast in words."""
    from captoolkit.cli.plan_command import describe_price
    from captoolkit.jobs.forecast import Limit
    from captoolkit.units import format_size

    about = f" (lengths estimated from {expected.sampled} of them)" if expected.sampled else ""
    kept = _join_counts(
        (expected.kept, "done already"),
        (expected.changed, CHANGED),
        (expected.failed_before, FAILED_BEFORE),
    )
    lines = [
        f"{verb}: {format_count(expected.inputs, 'recording')}, "
        f"{format_size(expected.size_bytes)}, "
        f"{describe_sound(expected.duration_s)} of sound{about}{kept and '; ' + kept}"
    ]
    if expected.requests:
        price = describe_price(expected.cost) if expected.cost else "the price is not known"
        is_known = expected.input_tokens is not None
        tokens = (
            format_count(expected.input_tokens or 0, "input token")
            if is_known
            else "tokens unknown"
        )
        lines.append(f"{format_count(expected.requests, 'request')}, {tokens}: {price}")
    if not expected.inputs:
        return lines
    for limit, time_s in sorted(expected.times_s.items(), key=lambda item: -item[1]):
        bound = "about" if limit is Limit.CORES else "at least"  # cores differ, rates do not
        lines.append(f"{bound} {_about(time_s)} by {LIMITS[limit.value]}")
    if expected.advice:
        lines.append(f"{LIMITS[expected.binding.value]} decide: {expected.advice}")
    return lines


def describe_sound(seconds: float) -> str:
    """Return a length of sound: as a clock shows it below one hour, in hours from there on."""
    return format_clock(seconds) if seconds < ROUNDED_S else f"{seconds / ROUNDED_S:,.2f} h"


def describe_segments(count: int, duration_s: float) -> str:
    """Return segments and their length; `batch probe` makes no segments."""
    segments = f"{format_count(count, 'segment')}, " if count else ""
    return f"{segments}{describe_sound(duration_s)} of sound"


def _about(seconds: float) -> str:
    """Return a time without needless digits."""
    return format_length(round(seconds) if seconds >= 1 else max(0.1, round(seconds, 1)))


def print_summary(summary: BatchSummary, *, retries: bool) -> None:
    """Print the summary to standard error, and the place of the results to standard output.

    A quiet run prints the counts and the reasons if recordings failed or are left.

    Args:
        summary: the end of the batch.
        retries: whether the run has tried recordings again that failed before.
    """
    counts = (
        (summary.done, "done"),
        (summary.silent, "silent"),
        (summary.kept, "kept from earlier runs"),
        (summary.failed, "failed"),
        (summary.quarantined, "quarantined"),
        (summary.holes, "with missing captions"),
        (summary.changed, CHANGED),
        (summary.failed_before, FAILED_BEFORE),
        (summary.left, "left"),
    )
    words = _join_counts(*counts) or "nothing to do"
    is_error = not summary.is_complete
    print_message(f"{summary.verb}: {words}", even_if_quiet=is_error)
    if summary.done:
        sound = describe_segments(summary.segments, summary.duration_s)
        print_message(f"{sound} in {_about(summary.elapsed_s)}")
    if summary.requested or summary.recalled:
        cost = summary.cost
        price = f", {cost.currency} {cost.amount:.4f}" if cost is not None else ""
        tokens = format_count(summary.usage.total_tokens or 0, "token")
        requests = format_count(summary.requested, "request")
        recalled = format_count(summary.recalled, "answer")
        print_message(f"{requests}, {recalled} from the ledger, {tokens}{price}")
    if summary.warned:
        print_message(describe_warned(summary.warned))
    for line in reason_lines(summary.reasons):
        print_message(line, even_if_quiet=is_error)
    if summary.error is not None:
        print_error(summary.error)
    if summary.is_stopped:
        print_message("the run was ended early")
    is_ended = summary.is_stopped or summary.error is not None
    if summary.is_capped:
        print_message("the budget is used up: run it again with a larger --max-cost")
    elif summary.left or summary.holes or is_ended:
        print_message("run the same command again to continue")
    elif summary.failed or summary.quarantined:
        print_message(_failed_text(summary, retries=retries))
    print_line(summary.out)


def status_fields(out: str, recipe: Recipe, tally: Tally) -> dict[str, Any]:
    """Return the state of a batch as the JSON document of `batch status`."""
    return {
        "out": out,
        "verb": recipe.verb,
        "options": dict(recipe.options),
        "recordings": {state.value: count for state, count in sorted(tally.statuses.items())},
        "warned": tally.warned,
        "segments": tally.segments,
        "duration_s": round(tally.duration_s, 6),
        "worker_s": round(tally.worker_s, 3),
        "reasons": [dataclasses.asdict(reason) for reason in tally.reasons],
    }


def print_status(recipe: Recipe, tally: Tally, *, names: Mapping[str, str]) -> None:
    """Print the options of a batch, and how many recordings have which state.

    Args:
        recipe: the options.
        tally: the sums of the rows.
        names: the options of the command line, by the library's keywords.
    """
    from captoolkit.jobs.results.recipe import show_value

    shown = [
        f"{names.get(name, name)} {show_value(name, value)}"
        for name, value in recipe.options.items()
    ]
    print_line(" ".join([recipe.verb, *shown]))
    if not tally.statuses:
        print_line("  no recording has a row yet: rows are written when a chunk of them ends")
        return
    rows = [(state.value, f"{count:,}") for state, count in sorted(tally.statuses.items())]
    print_table(rows, indent="  ")
    print_line(f"  {describe_segments(tally.segments, tally.duration_s)}")
    if tally.warned:
        print_line(f"  {describe_warned(tally.warned)}")
    for line in reason_lines(tally.reasons):
        print_line(line)


def _join_counts(*counts: tuple[int, str]) -> str:
    """Return the counts above zero with their words, such as "3 done, 1 failed"."""
    return ", ".join(f"{count:,} {what}" for count, what in counts if count)


def _failed_text(summary: BatchSummary, *, retries: bool) -> str:
    """Return a sentence on failed recordings; a run that has tried them again proposes no other."""
    if not retries:
        return "--retry-failed tries the failed ones again"
    return (
        f"they failed again: `captoolkit batch rows --failed {shlex.quote(summary.out)}` lists "
        "the reasons"
    )


def describe_warned(count: int) -> str:
    """Return the number of recordings with warnings in words."""
    return f"{format_count(count, 'recording')} with warnings (`batch rows` has the sentences)"


def reason_lines(reasons: Sequence[FailureReason]) -> list[str]:
    """Return the most frequent reasons of failures as lines."""
    lines = [
        f"  {reason.count:,} x {name_options(reason.error)} (such as {reason.example})"
        for reason in reasons[:MOST_REASONS]
    ]
    others = len(reasons) - MOST_REASONS
    return [*lines, f"  and {others:,} other reasons"] if others > 0 else lines
