"""`captoolkit embed`: a timeline inside its media file."""

from __future__ import annotations

from pathlib import Path

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, display_name, for_each
from captoolkit.cli.show import note, plural, say
from captoolkit.support import files


@click.command("embed", short_help=COMMANDS["embed"])
@click.argument("media", metavar="MEDIA")
@click.argument("timeline", metavar="TIMELINE.json")
@click.option(
    "-o",
    "out",
    required=True,
    metavar="FILE",
    help="The file to be made. Its ending says what it is: mp4, m4v, mov, m4a, m4b, mkv, mka and "
    "webm hold subtitles and chapters; mp3 holds chapters.",
)
@options.spread_option
@options.overwrite_option
@options.debug_option
def command(media: str, timeline: str, out: str, spread: bool, overwrite: bool, debug: bool) -> int:
    """Write MEDIA with the timeline inside, as a subtitle track and as chapters.

    Everything else in MEDIA is copied as it is, tags and cover art too; MEDIA is only read.
    Chapters that it has are replaced, subtitles are added.
    """
    from captoolkit.api.embed import embed
    from captoolkit.timeline import Timeline, load

    lines: list[Timeline] = []

    def put(name: str) -> None:
        files.refuse_inputs([Path(out)], [timeline])
        made = embed(name, lines[0], out, overwrite=overwrite, spread=spread)
        say(display_name(str(made.path)))
        track = f", subtitles as {made.subtitles}" if made.subtitles else ""
        note(f"{name}: {plural(made.chapters, 'chapter')}{track}")
        for remark in made.notes:
            note(f"{name}: {remark}")

    unread = for_each([timeline], lambda name: lines.append(load(name)), debug=debug)
    return unread or for_each([media], put, debug=debug)
