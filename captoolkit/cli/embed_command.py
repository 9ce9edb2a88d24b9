"""`captoolkit embed`: a timeline inside its media file."""

from __future__ import annotations

from pathlib import Path

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, run_each
from captoolkit.cli.option_types import FilePlace, complete_path
from captoolkit.cli.show import display_path, print_line, print_message
from captoolkit.errors import UsageError
from captoolkit.support import files
from captoolkit.units import format_count


@click.command("embed", short_help=COMMANDS["embed"])
@click.argument("media", metavar="MEDIA", shell_complete=complete_path)
@click.argument("timeline", metavar="TIMELINE.json", shell_complete=complete_path)
@click.option(
    "-o",
    "out",
    required=True,
    metavar="FILE",
    type=FilePlace(),
    shell_complete=complete_path,
    help="Write this file. Its extension sets the container: mp4, m4v, mov, m4a, m4b, mkv, mka and "
    "webm hold subtitles and chapters; mp3 holds chapters.",
)
@click.option(
    "--language",
    metavar="CODE",
    help="The language of the captions as players list it, in three letters (ISO 639-2): eng, zho, "
    "deu.",
)
@shared.spread
@basic.overwrite
@basic.quiet
@basic.debug
def command(
    media: str,
    timeline: str,
    out: str,
    language: str | None,
    spread: bool,
    overwrite: bool,
    debug: bool,
) -> int:
    """Write a copy of MEDIA with the timeline as a subtitle track and as chapters.

    Everything else in MEDIA is copied without change, including tags and cover art. Existing
    chapters are replaced; subtitles are added. Subtitle tracks that the new container holds only in
    another form are converted. captoolkit reads the new file back before it appears, and lists
    the parts that it lacks. - as TIMELINE.json reads standard input.
    """
    from captoolkit.api.embed import embed
    from captoolkit.cli.timeline_files import STANDARD_INPUT, note_holes, read_timeline
    from captoolkit.timeline import Timeline

    if media == STANDARD_INPUT:
        raise UsageError("MEDIA cannot be standard input", fix="name a file")
    loaded: list[Timeline] = []

    def write(name: str) -> None:
        files.FileSet([timeline]).refuse([Path(out)])
        made = embed(
            name, loaded[0], out=out, overwrite=overwrite, spread=spread, language=language
        )
        print_line(display_path(made.path))
        track = f", subtitles as {made.subtitles}" if made.subtitles else ""
        print_message(f"{name}: {format_count(made.chapters, 'chapter')}{track}")
        for note in made.notes:
            print_message(f"{name}: {note}")
        note_holes(timeline, loaded[0])

    status = run_each([timeline], lambda name: loaded.append(read_timeline(name)), debug=debug)
    return status or run_each([media], write, debug=debug)
