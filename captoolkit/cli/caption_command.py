"""`captoolkit caption`: from files to timelines."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, FAILED, display_name, for_each, report, request_note
from captoolkit.cli.show import note, plural, say, shown
from captoolkit.cli.summary import Recap, say_recap
from captoolkit.errors import CaptoolkitError, UsageError

if TYPE_CHECKING:
    from captoolkit.cli.live_text import Streamed
    from captoolkit.cli.progress import Bars
    from captoolkit.cli.timeline_output import Outputs
    from captoolkit.dispatch.run import Captions
    from captoolkit.timeline.value import Timeline

WHO = ("target", "model", "region", "base_url", "prompt", "system")
HOW = ("captioner", "region", "concurrency", "max_cost", "ledger", "stream")


@click.command("caption", short_help=COMMANDS["caption"])
@options.files_argument
@options.output_options
@options.embed_option
@options.captioner_options
@options.asking_options
@options.preparing_options(target=None)
@options.overwrite_option
@options.debug_option
def command(
    files: tuple[str, ...],
    formats: str | None,
    out: str | None,
    spread: bool,
    frame_rate: str | None,
    embed_audio: bool,
    overwrite: bool,
    debug: bool,
    **chosen: Any,
) -> int:
    """Caption each FILE and write its timeline.

    FILE is prepared for the target, each segment is asked about as soon as it is ready, and the
    captions are stitched into one timeline on FILE's own clock: one entry for each segment, so
    --segment 30s gives more of them than the 40 minutes that services allow. A segment that gets
    no caption is marked in the timeline, the rest is kept, and the exit status is 1.

    What a service answers is kept in a ledger: running the same again asks, and pays, only for what
    has no answer yet. On a terminal the price is told and agreed to first; --yes skips that.
    """
    from captoolkit.captioners.base import PaidCaptioner
    from captoolkit.captioners.registry import open_captioner
    from captoolkit.cli.timeline_output import Outputs
    from captoolkit.dispatch.budget import Budget

    outputs = Outputs(
        formats,
        out,
        inputs=files,
        overwrite=overwrite,
        embed_audio=embed_audio,
        spread=spread,
        frame_rate=frame_rate,
    )
    if chosen["max_cost"] is not None:  # one for all files
        chosen["max_cost"] = Budget(chosen["max_cost"])
    asker = open_captioner(chosen["captioner"], **{name: chosen[name] for name in WHO})
    recaps: list[Recap] = []
    with asker:
        chosen["captioner"] = asker
        try:
            status = for_each(
                files, lambda name: recaps.append(_caption(name, outputs, chosen)), debug=debug
            )
        except KeyboardInterrupt:
            if isinstance(asker, PaidCaptioner):
                note("The answers so far are in the ledger: the same again goes on from there.")
            raise
    say_recap(recaps)
    return FAILED if any(recap.timeline.holes for recap in recaps) else status


def _caption(name: str, outputs: Outputs, chosen: dict[str, Any]) -> Recap:
    """Caption one file, write its timeline and say what went wrong."""
    from captoolkit.api.caption import captions
    from captoolkit.cli.timeline_output import rescue

    places = outputs.places()
    screen = _screen(name, stream=chosen["stream"])
    how = {option: chosen[option] for option in HOW} | {"resume": not chosen["anew"]}
    with captions(name, on_event=screen.show, **how, **options.options(chosen)) as entries:
        outputs.refuse_unembeddable(entries.plan.info)
        if entries.is_paid:
            _agree(name, entries, agreed=chosen["agreed"], anew=chosen["anew"])
        with screen:
            timeline = entries.timeline()
    try:
        outputs.write(timeline, places)
    except (OSError, UsageError):  # the disk is full, or a format cannot hold so much
        note(f"{name}: its timeline is kept in {rescue(timeline)}")
        raise
    for place in places.values():
        if place is not None:
            say(display_name(str(place)))
    _tell_faults(name, timeline)
    return Recap(
        name=shown(name),
        timeline=timeline,
        asked=entries.asked,
        recalled=entries.recalled,
        usage=entries.usage,
        cost=entries.cost,
        places=tuple(places.values()),
    )


def _screen(name: str, *, stream: bool) -> Bars | Streamed:
    """What is seen while it works: text as it comes, or bars."""
    from captoolkit.cli.live_text import Streamed
    from captoolkit.cli.progress import Bars

    return Streamed(name) if stream else Bars(name, captions=True)


def _agree(name: str, entries: Captions, *, agreed: bool, anew: bool) -> None:
    """Say what asking will cost at most and, on a terminal, have it agreed to.

    Raises:
        CaptoolkitError: it was not.
    """
    from captoolkit.cli.plan_command import price, tokens

    cost = entries.cost_range
    told = price(cost) if cost else "The price is not known here"
    known = "" if anew else "; answers in the ledger cost nothing"
    note(f"{shown(name)}: {tokens(entries.plan)} {told}{known}.")
    if entries.may_cost and not agreed and sys.stdin.isatty() and sys.stderr.isatty():
        requests = plural(len(entries.plan.spans), "request")
        many = requests if anew else f"at most {requests}"  # which are known shows as they are made
        if not click.confirm(f"Send {many} to {entries.captioner.base_url}?", err=True):
            raise CaptoolkitError("nothing was asked", fix="say yes, or pass --yes")


def _tell_faults(name: str, timeline: Timeline) -> None:
    """Tell what got no caption, and which captions are not whole."""
    for error, alike in groupby(timeline.holes, key=lambda hole: hole.error):
        holes = list(alike)
        numbers = f"segment {holes[0].index}"
        if len(holes) > 1:
            numbers = f"segments {holes[0].index} to {holes[-1].index}, {len(holes)} of them"
        request_id = next((hole.request_id for hole in holes if hole.request_id), None)
        report(f"{shown(name)}: {numbers}: {error}{request_note(request_id)}")
    for entry in timeline.entries:
        if entry.finish_reason == "length":
            note(
                f"warning: {shown(name)}: segment {entry.index}: the caption was cut off at its "
                "longest"
            )
