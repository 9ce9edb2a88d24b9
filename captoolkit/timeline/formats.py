"""The table of timeline formats, and the functions that use it.

The recipe for a new format is in `timeline/base.py`.

Rules: `FORMATS` is a plain dict to which callers may add rows. `render` and `losses` refuse a
timeline out of order before they pass it to a format.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from captoolkit.errors import UsageError
from captoolkit.support.keywords import documents
from captoolkit.timeline.base import Format, FormatOptions
from captoolkit.timeline.order import refuse_disorder

if TYPE_CHECKING:
    from captoolkit.timeline.value import Timeline

FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format(
            name="json",
            extension="json",
            title="the whole timeline, exact to the sample; captoolkit reads it back",
            module="captoolkit.timeline.json",
        ),
        Format(
            name="jsonl",
            extension="jsonl",
            title="JSON Lines: one object for each entry",
            module="captoolkit.timeline.jsonl",
        ),
        Format(
            name="srt",
            extension="srt",
            title="SubRip subtitles",
            module="captoolkit.timeline.srt",
            has_cues=True,
        ),
        Format(
            name="vtt",
            extension="vtt",
            title="WebVTT subtitles",
            module="captoolkit.timeline.vtt",
            has_cues=True,
        ),
        Format(
            name="vtt-chapters",
            extension="chapters.vtt",
            title="WebVTT chapters, as players list them",
            module="captoolkit.timeline.vtt_chapters",
        ),
        Format(
            name="ass",
            extension="ass",
            title="Advanced SubStation Alpha subtitles",
            module="captoolkit.timeline.ass",
            has_cues=True,
        ),
        Format(
            name="txt",
            extension="txt",
            title="times and captions as plain text",
            module="captoolkit.timeline.text",
        ),
        Format(
            name="md",
            extension="md",
            title="a Markdown page with one section for each caption",
            module="captoolkit.timeline.markdown",
        ),
        Format(
            name="html",
            extension="html",
            title="one page to look at, to search and to play",
            module="captoolkit.timeline.html",
            has_cues=True,
        ),
        Format(
            name="csv",
            extension="csv",
            title="a table for spreadsheets (RFC 4180)",
            module="captoolkit.timeline.csv",
            options=("csv_bom",),
        ),
        Format(
            name="audacity",
            extension="labels.txt",
            title="a label track for Audacity",
            module="captoolkit.timeline.audacity",
            has_cues=True,
        ),
        Format(
            name="textgrid",
            extension="TextGrid",
            title="a tier for Praat",
            module="captoolkit.timeline.textgrid",
            has_cues=True,
        ),
        Format(
            name="ffmetadata",
            extension="ffmetadata",
            title="chapters for ffmpeg",
            module="captoolkit.timeline.ffmetadata",
        ),
        Format(
            name="otio",
            extension="otio",
            title="OpenTimelineIO: a clip with markers",
            module="captoolkit.timeline.otio",
        ),
        Format(
            name="fcpxml",
            extension="fcpxml",
            title="Final Cut Pro XML: a clip with markers, also for DaVinci Resolve",
            module="captoolkit.timeline.fcpxml",
            options=("frame_rate", "drop_frame"),
        ),
        Format(
            name="edl",
            extension="edl",
            title="CMX3600 EDL: timeline markers for DaVinci Resolve",
            module="captoolkit.timeline.edl",
            options=("frame_rate", "drop_frame"),
        ),
        Format(
            name="ttml",
            extension="ttml",
            title="TTML subtitles for broadcasters (EBU-TT-D, IMSC 1)",
            module="captoolkit.timeline.ttml",
            has_cues=True,
        ),
        Format(
            name="lrc",
            extension="lrc",
            title="timed lines, as players show lyrics",
            module="captoolkit.timeline.lrc",
            has_cues=True,
        ),
        Format(
            name="podcast-chapters",
            extension="chapters.json",
            title="Podcasting 2.0 chapters",
            module="captoolkit.timeline.podcast_chapters",
        ),
        Format(
            name="youtube",
            extension="youtube.txt",
            title="chapters for a video's description on YouTube",
            module="captoolkit.timeline.youtube",
        ),
        Format(
            name="eaf",
            extension="eaf",
            title="a tier for ELAN",
            module="captoolkit.timeline.eaf",
            has_cues=True,
        ),
        Format(
            name="label-studio",
            extension="labelstudio.json",
            title="Label Studio: tasks with predictions",
            module="captoolkit.timeline.label_studio",
        ),
        Format(
            name="nemo",
            extension="nemo.jsonl",
            title="a NeMo manifest: one line for each stretch of sound",
            module="captoolkit.timeline.nemo",
        ),
    )
}


@documents(FormatOptions)
def render(timeline: Timeline, format_name: str, **options: Unpack[FormatOptions]) -> str:
    """Return the timeline as text, to be encoded as UTF-8.

    A format ignores the options that only other formats have.

    Args:
        timeline: the timeline to write.
        format_name: one of the names in `FORMATS`.
        **options: `FormatOptions`.

    Raises:
        UsageError: no format has that name, no format has that option, the entries are out of
            order, or the format cannot hold the timeline.
    """
    return render_for("render", timeline, format_name, options)


def render_for(verb: str, timeline: Timeline, format_name: str, options: Mapping[str, Any]) -> str:
    """Return the same text as `render`; errors name the function `verb` that the caller called."""
    row, shown = _row_and_timeline(verb, timeline, format_name, options)
    return row.render(shown, options)


def losses(timeline: Timeline, format_name: str, **options: Unpack[FormatOptions]) -> list[str]:
    """Return what a file of this format lacks, and how exact its times are, one sentence each.

    Takes the arguments of `render` and raises the same errors.
    """
    row, shown = _row_and_timeline("losses", timeline, format_name, options)
    return [*shown.notes, *row.losses(shown, options)]


def check(format_name: str, **options: Unpack[FormatOptions]) -> None:
    """Raise the errors that `render` would raise for any timeline: call it before long work.

    Raises:
        UsageError: no format has that name, no format has that option, or the format needs a
            package that is not installed.
    """
    row = _format(format_name)
    _refuse_unknown("check", options)
    row.check(options)


def idle_options(names: Iterable[str], options: FormatOptions) -> dict[str, list[str]]:
    """Return the options that none of the formats has, each with the names of those that have it.

    An option that states its default is not idle.
    """
    idle = {}
    for option, value in options.items():
        takers = [
            row.name
            for row in FORMATS.values()
            if (row.has_cues if option == "spread" else option in row.options)
        ]
        is_given = value is False if option == "csv_bom" else value not in (None, False)
        if is_given and not set(takers) & set(names):
            idle[option] = takers
    return idle


def _row_and_timeline(
    verb: str, timeline: Timeline, format_name: str, options: Mapping[str, Any]
) -> tuple[Format, Timeline]:
    """The format's row, and the timeline as the format shows it; refuses unusable arguments."""
    row = _format(format_name)
    _refuse_unknown(verb, options)
    refuse_disorder(timeline)
    return row, timeline.spread() if options.get("spread") and row.has_cues else timeline


def _refuse_unknown(verb: str, options: Mapping[str, Any]) -> None:
    names = sorted({"spread"}.union(*(row.options for row in FORMATS.values())))
    for name in options:
        if name not in names:
            raise UsageError(f"{verb}() takes no option {name!r}", fix=f"use {', '.join(names)}")


def parse(text: str) -> Timeline:
    """Return the timeline that was rendered as JSON, equal to the original.

    Raises:
        InputError: the text is no timeline, or one that this version cannot read.
    """
    from captoolkit.timeline import json  # imported here because it loads msgspec

    return json.parse(text)


def extension_of(format_name: str) -> str:
    """Return the ending of a format's files, without the first dot.

    ```python
    >>> extension_of("srt")
    'srt'

    ```

    Raises:
        UsageError: no format has that name.
    """
    return _format(format_name).extension


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Return the name of the format that a file's ending stands for, None if it is no format's.

    ```python
    >>> format_of("out/talk.vtt"), format_of("talk.chapters.vtt"), format_of("talk")
    ('vtt', 'vtt-chapters', None)

    ```
    """
    name = Path(path).name.lower()
    endings = {f".{row.extension.lower()}": row.name for row in FORMATS.values()}
    return next(
        (endings[end] for end in sorted(endings, key=len, reverse=True) if name.endswith(end)), None
    )


def _format(name: str) -> Format:
    try:
        return FORMATS[name]
    except KeyError:
        names = ", ".join(FORMATS)
        raise UsageError(f"{name!r} is not a timeline format", fix=f"use one of {names}") from None
