"""`captoolkit view`: a timeline as a page in the browser."""

from __future__ import annotations

import os
from pathlib import Path

import click

from captoolkit.cli import basic_options as basic
from captoolkit.cli import shared_options as shared
from captoolkit.cli.app import COMMANDS, run_each
from captoolkit.cli.option_types import FilePlace, complete_path
from captoolkit.cli.show import display_path, print_line, print_message

MAX_NAME = 50  # characters of the timeline's name in the page's: at most 200 of 255 bytes


@click.command("view", short_help=COMMANDS["view"])
@click.argument("timeline", metavar="TIMELINE.json", shell_complete=complete_path)
@click.option(
    "-o",
    "out",
    metavar="FILE.html",
    type=FilePlace(path_type=Path),
    help="Write the page to this file.  [default: a file in the cache, replaced by the next view]",
)
@click.option(
    "--open/--no-open",
    "opens",
    default=True,
    help="Open the page in the browser, or only write it.",
)
@shared.embed_audio
@shared.spectrogram
@shared.shareable
@basic.overwrite
@basic.quiet
@basic.debug
def command(
    timeline: str,
    out: Path | None,
    opens: bool,
    embed_audio: bool,
    spectrogram: bool,
    shareable: bool,
    overwrite: bool,
    debug: bool,
) -> int:
    """Show the timeline in TIMELINE.json as a page in the browser; - reads standard input.

    The page shows the waveform and plays the recording, if it is still at its path or was moved
    together with TIMELINE.json. Prints the path of the page.
    """
    from captoolkit.api.page import page
    from captoolkit.cli.timeline_files import STANDARD_INPUT, read_timeline
    from captoolkit.support import files

    def show(name: str) -> None:
        path = out.absolute() if out else _cache_path(name)
        replaces = overwrite or out is None
        files.FileSet([name]).refuse([path])
        if not replaces:
            files.refuse_existing([path])
        files.refuse_unwritable_file(path)
        text = page(
            read_timeline(name),
            folder=path.parent if out else None,
            timeline_folder=None if name == STANDARD_INPUT else Path(name).parent,
            embed_audio=embed_audio,
            spectrogram=spectrogram,
            shareable=shareable,
        )
        if path.suffix.lower() not in ("", ".html", ".htm"):
            print_message(f"warning: {display_path(path)} holds HTML in spite of its ending")
        files.write_whole(path, text, overwrite=replaces)
        print_line(display_path(path))
        if opens:
            _open(path)

    return run_each([timeline], show, debug=debug)


def _cache_path(name: str) -> Path:
    """Return the path of a timeline's page in the cache: always the same for one timeline."""
    import hashlib

    import platformdirs

    stem = "timeline" if name == "-" else Path(name).stem
    digest = hashlib.sha256(os.fsencode(Path(name).absolute())).hexdigest()[:12]
    folder = Path(platformdirs.user_cache_dir("captoolkit", appauthor=False))
    return folder / "pages" / f"{stem[:MAX_NAME]}-{digest}.html"


def _open(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.as_uri()):
        print_message("no browser was found; open the page by its path")
