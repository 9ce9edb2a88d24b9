"""`captoolkit caption`: from files to timelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, FAILED, display_name, for_each, report
from captoolkit.cli.show import note, plural, say
from captoolkit.errors import UsageError

if TYPE_CHECKING:
    from captoolkit.timeline.value import Timeline


@click.command("caption", short_help=COMMANDS["caption"])
@options.files_argument
@options.output_options
@options.embed_option
@options.captioner_options
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    metavar="N",
    help="How many segments are asked about at once.",
)
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
    captioner: str,
    model: str | None,
    region: str | None,
    base_url: str | None,
    prompt: str | None,
    system: str | None,
    concurrency: int,
    overwrite: bool,
    debug: bool,
    **chosen: Any,
) -> int:
    """Caption each FILE and write its timeline.

    FILE is prepared for the target, each segment is asked about as soon as it is ready, and the
    captions are stitched into one timeline on FILE's own clock: one entry for each segment, so
    --segment 30s gives more of them than the 40 minutes that services allow. A segment that gets
    no caption is marked in the timeline, the rest is kept, and the exit status is 1.
    """
    from captoolkit.captioning import caption, open_asker
    from captoolkit.cli.progress import Bars
    from captoolkit.cli.writing import Outputs, rescue

    outputs = Outputs(
        formats,
        out,
        inputs=files,
        overwrite=overwrite,
        embed_audio=embed_audio,
        spread=spread,
        frame_rate=frame_rate,
    )
    asker = open_asker(
        captioner,
        target=chosen["target"],
        model=model,
        region=region,
        base_url=base_url,
        prompt=prompt,
        system=system,
    )
    holes = 0

    def make(name: str) -> None:
        nonlocal holes
        places = outputs.places()
        with Bars(name, captions=True) as bars:
            timeline = caption(
                name,
                captioner=asker,
                concurrency=concurrency,
                on_event=bars.show,
                **options.wishes(chosen),
            )
        try:
            outputs.write(timeline, places)
        except (OSError, UsageError):  # the disk is full, or a format cannot hold so much
            note(f"{name}: its timeline is kept in {rescue(timeline)}")
            raise
        for place in places.values():
            if place is not None:
                say(display_name(str(place)))
        _tell(name, timeline)
        holes += len(timeline.holes)

    with asker:
        status = for_each(files, make, debug=debug)
    return FAILED if holes else status


def _tell(name: str, timeline: Timeline) -> None:
    """What came of it, for the person: holes as errors, tokens and cost where there are any."""
    for hole in timeline.holes:
        report(f"{name}: segment {hole.index}: {hole.error}")
    for entry in timeline.entries:
        if entry.finish_reason == "length":
            note(f"warning: {name}: segment {entry.index}: the caption was cut off at its longest")
    used = timeline.usage.total_tokens
    if used is not None:
        cost = timeline.cost
        price = f", {cost.currency} {cost.amount}" if cost else ""
        note(f"{name}: {plural(len(timeline.entries), 'segment')}, {plural(used, 'token')}{price}")
