"""Where `-f` and `-o` put a timeline: decided and refused before any work is done."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from captoolkit.cli.show import as_path, note
from captoolkit.errors import UsageError
from captoolkit.support import files
from captoolkit.timeline import (
    FORMATS,
    FormatOptions,
    check,
    extension_of,
    format_of,
    losses,
    render,
)

if TYPE_CHECKING:
    from captoolkit.model import MediaInfo
    from captoolkit.timeline.value import Timeline

STANDARD_OUTPUT = "-"
DEFAULT_FORMAT = "json"
PAGE = "html"


class Outputs:
    """The files of all inputs, by the rules of `-f` and `-o`.

    Args:
        formats: names with commas between them; None goes by the ending of `-o`, else `default`.
        out: what `-o` says, None without it.
        inputs: the files on the command line.
        overwrite: replace what is there; an input never is.
        embed_audio: put the recording into a page.
        **options: how, as `render` takes it: `spread`, `frame_rate`.

    Raises:
        UsageError: a format is unknown, or `-o` cannot hold them all.
    """

    def __init__(
        self,
        formats: str | None,
        out: str | None,
        *,
        inputs: Sequence[str],
        overwrite: bool,
        embed_audio: bool = False,
        **options: Unpack[FormatOptions],
    ) -> None:
        asked = formats or (out and format_of(out)) or DEFAULT_FORMAT
        self._formats = list(dict.fromkeys(name.strip().lower() for name in asked.split(",")))
        self._options = options
        for name in self._formats:
            check(name, **options)
        if options.get("spread") and not any(FORMATS[name].has_cues for name in self._formats):
            with_cues = ", ".join(row.name for row in FORMATS.values() if row.has_cues)
            raise UsageError(
                f"--spread does nothing for {asked}", fix=f"it is for {with_cues}; leave it out"
            )
        self._inputs = inputs
        self._overwrite = overwrite
        self._embed_audio = embed_audio
        if embed_audio and PAGE not in self._formats:
            raise UsageError("--embed-audio is for a page", fix="ask for one with -f html")
        self._single = len(self._formats) == 1 and len(inputs) == 1
        self._out = out
        if out == STANDARD_OUTPUT and not self._single:
            raise UsageError("-o - takes one input and one format", fix="name a folder for several")
        if out is not None and not self._single and Path(out).is_file():
            raise UsageError(f"{out} is a file", fix="several results need a folder")
        names = ["timeline" if name == "-" else name for name in inputs]
        self._stems = iter(files.distinct_stems(map(as_path, names)))

    def places(self) -> Mapping[str, Path | None]:
        """Return where each format of the next input goes; None is standard output.

        Raises:
            OutputExistsError: one is there already.
            OutputError: one could not be written, or would replace an input.
        """
        stem = next(self._stems)
        if self._out == STANDARD_OUTPUT:
            return {self._formats[0]: None}
        with files.writing(Path(self._out or ".")):
            places = {form: self._place(stem, form) for form in self._formats}
        files.refuse_inputs(places.values(), self._inputs)
        if not self._overwrite:
            files.refuse_existing(places.values())
        for place in places.values():
            files.refuse_unwritable_file(place)
        return places

    def refuse_unembeddable(self, info: MediaInfo) -> None:
        """Refuse a recording that is to be put into a page and cannot be, before it is captioned.

        Raises:
            UsageError: it has too many bytes, or is no file.
        """
        if self._embed_audio:
            from captoolkit.api import page as picturing

            picturing.refuse_unembeddable(info)

    def write(self, timeline: Timeline, places: Mapping[str, Path | None]) -> None:
        """Write a timeline to its places, each whole or not at all; say what one cannot hold.

        Nothing is written where one of the formats cannot hold the timeline at all.
        """
        texts = {form: self._text(timeline, form, place) for form, place in places.items()}
        for form, text in texts.items():
            for loss in losses(timeline, form, **self._options):
                note(f"{form}: {loss}")
            place = places[form]
            if place is None:
                sys.stdout.buffer.write(text.encode())
                sys.stdout.buffer.flush()
            else:
                files.write_whole(place, text, overwrite=self._overwrite)

    def _text(self, timeline: Timeline, form: str, place: Path | None) -> str:
        """The timeline in a format; a page shows its recording too, and finds it from its place."""
        if form != PAGE:
            return render(timeline, form, **self._options)
        from captoolkit.api.page import page

        folder = place and place.parent
        if self._options.get("spread"):
            timeline = timeline.spread()
        return page(timeline, folder=folder, embed_audio=self._embed_audio)

    def _place(self, stem: str, form: str) -> Path:
        name = f"{stem}.{extension_of(form)}"
        if self._out is None:
            return Path.cwd() / name
        out = Path(os.path.abspath(self._out))  # noqa: PTH100 - keeps links as they are
        ends_as_folder = self._out.endswith(("/", os.sep))
        return out if self._single and not out.is_dir() and not ends_as_folder else out / name


def rescue(timeline: Timeline) -> Path:
    """Write a timeline that cannot be written where it should be into the temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="captoolkit-rescued-"))
    files.write_whole(folder / "timeline.json", render(timeline, "json"), overwrite=False)
    return folder / "timeline.json"
