"""Timelines on the command line: one is read, and `-f` and `-o` decide where one is written.

Rules: wrong options and unwritable paths are refused before any work starts. Each file appears
whole or not at all.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypedDict

from captoolkit.cli.show import display_path, display_source, print_line, print_message
from captoolkit.errors import InputError, OutputError, OutputExistsError, UsageError
from captoolkit.support import files
from captoolkit.timeline import (
    FormatOptions,
    check,
    extension_of,
    format_of,
    load,
    losses,
    parse,
    render,
)
from captoolkit.timeline.formats import idle_options
from captoolkit.units import format_count

if TYPE_CHECKING:
    from captoolkit.timeline.value import Timeline

STANDARD_INPUT = STANDARD_OUTPUT = "-"
DEFAULT_FORMAT = "json"
PAGE = "html"
MOST_LOSSES = 20  # sentences on one format; a timeline may hold any number of notes


class PageOptions(TypedDict, total=False):
    """The options of `page` that the command line has; each needs an HTML page."""

    embed_audio: bool
    spectrogram: bool
    shareable: bool


class TimelineFiles:
    """The timeline files of all inputs, by the rules of `-f` and `-o`.

    Args:
        formats: names separated by commas; None: by the extension of `-o`, else JSON.
        out: the value of `-o`, None without it.
        inputs: the paths of the inputs, which are never replaced.
        stems: the beginning of the names of each input's files; may hold folders.
        overwrite: replace existing files, but never an input.
        timeline_folder: the folder of the timeline that is exported, where a recording that was
            moved together with it is looked for.
        skip_existing: allow the files of an earlier run that its JSON timeline proves.
        page: the options of HTML pages.
        options: the options of `render`.

    Raises:
        UsageError: a format is unknown, an option is for none of the formats, or `-o` cannot hold
            all files, or there is no JSON timeline to prove existing files.
    """

    def __init__(
        self,
        formats: str | None,
        out: str | None,
        *,
        inputs: Sequence[str],
        stems: Sequence[str],
        overwrite: bool,
        timeline_folder: Path | None = None,
        skip_existing: bool = False,
        page: PageOptions,
        options: FormatOptions,
    ) -> None:
        self._formats = _parse_formats(formats, out, is_single=len(inputs) == 1)
        _refuse_idle_options(self._formats, options, page)
        self._is_single_file = len(self._formats) == 1 and len(inputs) == 1
        if out is not None and not self._is_single_file:
            _refuse_a_single_file(out)
        if skip_existing:
            _refuse_unprovable(self._formats, out)
        if self._is_single_file and out is not None and not _is_folder(out):
            _warn_of_another_ending(self._formats[0], out)
        self._inputs = files.FileSet(inputs)
        self._stems = iter(stems)
        self._out = out
        self._overwrite = overwrite
        self._skip_existing = skip_existing
        self._timeline_folder = timeline_folder
        self._page = page
        self._options = options
        self._replaceable: set[Path] = set()  # without `overwrite`

    @property
    def rerun_option(self) -> str:
        """The option with which the same command does the rest; empty for standard output."""
        if self._out == STANDARD_OUTPUT:
            return ""
        return "--skip-existing" if DEFAULT_FORMAT in self._formats else "-y"

    @property
    def rerun_advice(self) -> str:
        """How the same command does the rest, such as `run it again with -y`."""
        return f"run it again with {self.rerun_option}" if self.rerun_option else "run it again"

    def next_paths(self) -> Mapping[str, Path | None]:
        """Return the path of each format of the next input; None is standard output.

        Raises:
            OutputExistsError: a file exists; with `skip_existing` only if the timeline next to it
                does not prove it. The JSON timeline itself is not read.
            OutputError: a file cannot be written, or is an input.
        """
        stem = next(self._stems)
        if self._out == STANDARD_OUTPUT:
            return {self._formats[0]: None}
        with files.writing(Path(self._out or ".")):
            paths = {form: self._path(stem, form) for form in self._formats}
        self._inputs.refuse(paths.values())
        if not self._overwrite and not self._skip_existing:
            files.refuse_existing(paths.values())
        elif not self._overwrite:
            self._refuse_unproven(paths)
        for path in paths.values():
            files.refuse_unwritable_file(path)
        return paths

    def _refuse_unproven(self, paths: Mapping[str, Path]) -> None:
        """Refuse existing files that differ from the existing JSON timeline in their format.

        A page takes time to make; it is compared only if it may be replaced.
        """
        own = paths[DEFAULT_FORMAT]
        existing = {form: path for form, path in paths.items() if path.exists() and path != own}
        if not own.exists():
            files.refuse_existing(existing.values())
            return
        self._replaceable |= {own, *existing.values()}
        try:
            timeline = load(own) if existing else None
        except InputError:  # the reason is reported with the timeline
            return
        for form, path in existing.items():
            assert timeline is not None
            if form == PAGE and not timeline.holes:
                continue
            if not self._is_alike(timeline, form, path):
                raise OutputExistsError(
                    f"{path} exists and is not {display_path(own)} in this format",
                    fix="choose another name or folder, or pass -y to replace it",
                    path=path,
                )

    def _is_alike(self, timeline: Timeline, form: str, path: Path) -> bool:
        with files.writing(path):
            return path.read_bytes() == self._text(timeline, form, path).encode()

    def complete(
        self, timeline: Timeline, paths: Mapping[str, Path | None]
    ) -> tuple[bool, Mapping[str, UsageError]]:
        """Write the files of a kept timeline that are missing.

        Returns whether there were any, and the same errors as `write`.
        """
        missing = {
            form: path
            for form, path in paths.items()
            if path is not None
            and form != DEFAULT_FORMAT
            and not (path.exists() and (form == PAGE or self._is_alike(timeline, form, path)))
        }
        return bool(missing), self.write(timeline, missing)

    def refuse_unembeddable(self, name: str) -> None:
        """Refuse a recording that `--embed-audio` cannot embed, before it is captioned.

        Raises:
            UsageError: it has too many bytes, or is not a file.
        """
        if self._page.get("embed_audio"):
            from captoolkit.api.page import refuse_unembeddable
            from captoolkit.media.source import is_web_url

            is_file = name != STANDARD_INPUT and not is_web_url(name)
            refuse_unembeddable(Path(name) if is_file else None)

    def write(
        self, timeline: Timeline, paths: Mapping[str, Path | None]
    ) -> Mapping[str, UsageError]:
        """Write a timeline to its paths, and print the losses of each format.

        The JSON timeline is written first: it proves the other files.

        Returns:
            The errors of the formats that cannot hold the timeline; their files are not written.

        Raises:
            UsageError: none of the formats can hold the timeline.
        """
        if PAGE in paths:
            from captoolkit.api.page import for_readers, with_envelope

            timeline = with_envelope(timeline)  # measured once for the page and the JSON
        first = sorted(paths.items(), key=lambda item: item[0] != DEFAULT_FORMAT)
        texts: dict[str, str] = {}
        refused: dict[str, UsageError] = {}
        for form, path in first:
            try:
                texts[form] = self._text(timeline, form, path)
            except UsageError as error:
                refused[form] = error
        if refused and not texts:
            raise next(iter(refused.values()))
        for form, text in texts.items():
            shown = (
                for_readers(timeline) if form == PAGE and self._page.get("shareable") else timeline
            )
            sentences = losses(shown, form, **self._options)
            for sentence in sentences[:MOST_LOSSES]:
                print_message(f"{form}: {sentence}")
            if len(sentences) > MOST_LOSSES:
                print_message(f"{form}: {len(sentences) - MOST_LOSSES:,} more notes like these")
            path = paths[form]
            if path is None:
                sys.stdout.buffer.write(text.encode())
                sys.stdout.buffer.flush()
            else:
                is_replaced = self._overwrite or path in self._replaceable
                files.write_whole(path, text, overwrite=is_replaced)
                if form == PAGE:
                    self._note_missing_recording(timeline, path.parent)
        return refused

    def _note_missing_recording(self, timeline: Timeline, folder: Path) -> None:
        """Print a note if a shareable page will not find its recording in its folder."""
        name = PurePath(timeline.source.path).name
        is_linked = self._page.get("shareable") and not self._page.get("embed_audio")
        if is_linked and not timeline.parts and not (folder / name).exists():
            print_message(
                f"{PAGE}: the page plays {name} from its own folder; copy it there, or take "
                "--embed-audio"
            )

    def _text(self, timeline: Timeline, form: str, path: Path | None) -> str:
        """Return the timeline in a format; a page refers to its recording from its own folder."""
        if form != PAGE:
            return render(timeline, form, **self._options)
        from captoolkit.api.page import page

        folder = path and path.parent
        if self._options.get("spread"):
            timeline = timeline.spread()
        return page(
            timeline,
            folder=folder,
            timeline_folder=self._timeline_folder,
            **self._page,
        )

    def _path(self, stem: str, form: str) -> Path:
        name = f"{stem}.{extension_of(form)}"
        if self._out is None:
            return Path.cwd() / name
        out = Path(os.path.abspath(self._out))  # noqa: PTH100 - keeps links as they are
        return out if self._is_single_file and not _is_folder(self._out) else out / name


def take_output(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the parameters of `shared.timeline_output` and of pages; return `TimelineFiles`' own.

    Returns:
        The arguments `formats`, `out`, `page` and `options` of `TimelineFiles`.
    """

    def take(names: Iterable[str]) -> dict[str, Any]:
        return {name: options.pop(name) for name in names if name in options}

    return {
        **take(("formats", "out")),
        "page": take(PageOptions.__annotations__),
        "options": take(FormatOptions.__annotations__),
    }


def _parse_formats(text: str | None, out: str | None, *, is_single: bool) -> list[str]:
    """Return the names of the formats of `-f`, else of the ending of `-o`, else JSON.

    Raises:
        UsageError: a name is empty, or the file of a single input has an unknown ending.
    """
    if text is not None and not text.strip():
        raise UsageError("-f is empty", fix="name a format, such as srt, or leave it out")
    if not text and out and is_single and _is_of_unknown_format(out):
        raise UsageError(
            f"the ending of {out} stands for no timeline format",
            fix="pass -f, such as -f srt; or end the name in / for a folder",
        )
    names = text or (out and format_of(out)) or DEFAULT_FORMAT
    if not all(name.strip() for name in names.split(",")):
        raise UsageError(
            f"-f {names} has a comma without a format", fix="write them as in -f json,srt"
        )
    return list(dict.fromkeys(name.strip().lower() for name in names.split(",")))


def _refuse_idle_options(formats: Sequence[str], options: FormatOptions, page: PageOptions) -> None:
    """Refuse an unknown format, and options that none of the formats has.

    Raises:
        UsageError: there is one.
    """
    for name in formats:
        check(name, **options)
    for option, takers in idle_options(formats, options).items():
        shown = f"--{'no-' * (option == 'csv_bom')}{option.replace('_', '-')}"
        raise UsageError(
            f"{shown} does nothing for {','.join(formats)}",
            fix=f"it is for {', '.join(takers)}; leave it out",
        )
    for option, is_set in page.items():
        if is_set and PAGE not in formats:
            raise UsageError(
                f"--{option.replace('_', '-')} needs an HTML page",
                fix="add -f html, or leave it out",
            )


def _refuse_unprovable(formats: Sequence[str], out: str | None) -> None:
    """Refuse `--skip-existing` without a JSON timeline in a file.

    Raises:
        UsageError: there will be none.
    """
    problem = "--skip-existing needs a JSON timeline, which records how it was made"
    if out == STANDARD_OUTPUT:
        raise UsageError(problem, fix="write it to a file")
    if DEFAULT_FORMAT not in formats:
        raise UsageError(problem, fix=f"pass -f {','.join([DEFAULT_FORMAT, *formats])}")


def _warn_of_another_ending(form: str, out: str) -> None:
    """Print a warning if `-o` names a file with the ending of another format than that of `-f`."""
    by_ending, own = format_of(out), f".{extension_of(form)}"
    # `x.json` suits `podcast-chapters`, whose own ending is `chapters.json`.
    if by_ending is None or own.endswith(f".{extension_of(by_ending)}"):
        return
    print_message(f"warning: {display_path(out)} holds {form} (-f {form}), not {by_ending}")


def _is_of_unknown_format(out: str) -> bool:
    """Return whether `-o` names a file with an ending that no format has."""
    return not os.path.lexists(out) and format_of(out) is None and not _is_folder(out)


def _refuse_a_single_file(out: str) -> None:
    """Refuse a value of `-o` that cannot be the folder of several files.

    Raises:
        UsageError: it is standard output, a file, or a new name with the ending of a format.
    """
    if out == STANDARD_OUTPUT:
        raise UsageError("-o - takes one input and one format", fix="name a folder for several")
    if Path(out).is_file():
        raise UsageError(f"{out} is a file", fix="several results need a folder")
    if format_of(out) is not None and not _is_folder(out):
        raise UsageError(
            f"{out} is the name of one file",
            fix="several results need a folder: end the name in / if it is one",
        )


def _is_folder(out: str) -> bool:
    """Return whether `-o` names a folder: one that exists, or a new name without an ending."""
    if os.path.lexists(out):
        return Path(out).is_dir()
    return out.endswith(("/", os.sep)) or not Path(out).suffix


def written_paths(
    paths: Mapping[str, Path | None], refused: Mapping[str, UsageError]
) -> dict[str, Path]:
    """Return the path of each format that was written to a file.

    Args:
        paths: the path of each format; None is standard output.
        refused: the errors of formats that were not written.
    """
    return {form: path for form, path in paths.items() if path and form not in refused}


def print_paths(paths: Iterable[Path]) -> None:
    """Print the paths of the files that were written."""
    for path in paths:
        print_line(display_path(path))


def raise_refused(refused: Mapping[str, UsageError]) -> None:
    """Raise for the first format that was not written.

    Raises:
        OutputError: there is one.
    """
    for form, error in refused.items():
        raise OutputError(f"{form} is not written: {error.problem}", fix=error.fix) from error


def read_timeline(name: str) -> Timeline:
    """Return the timeline in a file; `-` is standard input.

    Raises:
        InputError: the file cannot be read, or is not a timeline.
    """
    if name != STANDARD_INPUT:
        return load(name)
    try:
        return parse(sys.stdin.buffer.read().decode("utf-8"))
    except OSError as error:
        raise InputError(
            f"it cannot be read ({error.strerror})", fix="pipe a timeline into it", path=name
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            "it is not UTF-8 text", fix="give a timeline that captoolkit wrote", path=name
        ) from error


def note_holes(name: str, timeline: Timeline) -> None:
    """Print how many segments have no caption: readers of the new file see the errors instead."""
    if timeline.holes:
        print_message(
            f"warning: {display_source(name)}: {len(timeline.holes):,} of "
            f"{format_count(len(timeline.entries), 'segment')} without a caption; "
            "the new file shows the error of each instead"
        )


def rescue(timeline: Timeline) -> Path:
    """Write a timeline that cannot be written to its path into the temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="captoolkit-rescued-"))
    files.write_whole(folder / "timeline.json", render(timeline, "json"), overwrite=False)
    return folder / "timeline.json"
