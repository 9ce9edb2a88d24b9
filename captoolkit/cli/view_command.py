"""`captoolkit view`: a timeline as a page in the browser."""

from __future__ import annotations

import os
from pathlib import Path

import click

from captoolkit.cli import options
from captoolkit.cli.app import COMMANDS, display_name, for_each
from captoolkit.cli.show import note, say

MOST_NAME = 50  # characters of the timeline's name in the page's: 200 of the 255 bytes there are


@click.command("view", short_help=COMMANDS["view"])
@click.argument("timeline", metavar="TIMELINE.json")
@click.option(
    "-o",
    "out",
    metavar="FILE.html",
    type=click.Path(path_type=Path),
    help="Keep the page there.  [default: in the cache, replaced when it is viewed again]",
)
@click.option("--open/--no-open", "opens", default=True, help="Open it in the browser, or not.")
@options.embed_option
@options.overwrite_option
@options.debug_option
def command(
    timeline: str, out: Path | None, opens: bool, embed_audio: bool, overwrite: bool, debug: bool
) -> int:
    """Show the timeline in TIMELINE.json as a page in the browser (- reads standard input).

    The page shows the waveform and plays the recording, if that is still where it was. Prints where
    the page is.
    """

    def show(name: str) -> None:
        place = _written(name, out, embed_audio=embed_audio, overwrite=overwrite)
        say(display_name(str(place)))
        if opens:
            _open(place)

    return for_each([timeline], show, debug=debug)


def _written(name: str, out: Path | None, *, embed_audio: bool, overwrite: bool) -> Path:
    """Write the page of a timeline and return where it is."""
    from captoolkit.api.page import page
    from captoolkit.cli.export_command import read_timeline
    from captoolkit.support import files

    place = _place_in_cache(name) if out is None else out.absolute()
    files.refuse_inputs([place], [name])
    replaces = overwrite or out is None
    if not replaces:
        files.refuse_existing([place])
    text = page(read_timeline(name), folder=place.parent, embed_audio=embed_audio)
    files.write_whole(place, text, overwrite=replaces)
    return place


def _place_in_cache(name: str) -> Path:
    """Where the page of a timeline is kept: one place for each, so that none pile up."""
    import hashlib

    import platformdirs

    stem = "timeline" if name == "-" else Path(name).stem
    known = hashlib.sha256(os.fsencode(Path(name).absolute())).hexdigest()[:12]
    folder = Path(platformdirs.user_cache_dir("captoolkit", appauthor=False))
    return folder / "pages" / f"{stem[:MOST_NAME]}-{known}.html"


def _open(place: Path) -> None:
    import webbrowser

    if not webbrowser.open(place.as_uri()):
        note("no browser was found here; open the page by its name")
