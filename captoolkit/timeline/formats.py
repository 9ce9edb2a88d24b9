"""The formats known here, by name, and the two verbs that use them.

Rules: `FORMATS` is a plain dict that anyone may add to. A timeline out of order is refused here,
once, before any format sees it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from captoolkit.errors import UsageError
from captoolkit.timeline.base import Format
from captoolkit.timeline.stitch import refuse_disorder
from captoolkit.timeline.value import Timeline

FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format(
            name="json",
            extension="json",
            title="everything, exact to the sample; the one that can be read back",
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
            title="one page to look at, to search and to listen along with",
            module="captoolkit.timeline.html",
            has_cues=True,
        ),
        Format(
            name="csv",
            extension="csv",
            title="a table for spreadsheets (RFC 4180)",
            module="captoolkit.timeline.csv",
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
            options=("frame_rate",),
        ),
        Format(
            name="edl",
            extension="edl",
            title="CMX3600 EDL: timeline markers for DaVinci Resolve",
            module="captoolkit.timeline.edl",
            options=("frame_rate",),
        ),
    )
}


def render(timeline: Timeline, format_name: str, *, spread: bool = False, **options: Any) -> str:
    """Return the timeline as text, ready to be written as UTF-8.

    Args:
        timeline: what to write.
        format_name: one of the names in `FORMATS`.
        spread: lay the sentences of a segment over it in proportion, in formats that show one text
            after another; the times within a segment are then not measured, and the file says so
            where it can.
        **options: for the formats that take them: `frame_rate`, frames per second.

    Raises:
        UsageError: there is no such format or option, the entries are out of order, or the format
            cannot hold the timeline.
    """
    row, shown = _asked_for(timeline, format_name, spread=spread, options=options)
    return row.render(shown, options)


def check(format_name: str, **options: Any) -> None:
    """Raise now what `render` would raise for any timeline: call it before long work.

    Raises:
        UsageError: there is no such format or option, or it needs what is not there.
    """
    row = _format(format_name)
    _refuse_unknown(options)
    row.check(options)


def losses(
    timeline: Timeline, format_name: str, *, spread: bool = False, **options: Any
) -> list[str]:
    """Return what a file of this format would not hold, or what its times are, a sentence each.

    Takes what `render` takes, and raises the same.
    """
    row, shown = _asked_for(timeline, format_name, spread=spread, options=options)
    return [*shown.notes, *row.losses(shown, options)]


def _asked_for(
    timeline: Timeline, format_name: str, *, spread: bool, options: Mapping[str, Any]
) -> tuple[Format, Timeline]:
    row = _format(format_name)
    _refuse_unknown(options)
    refuse_disorder(timeline)
    return row, timeline.spread() if spread and row.has_cues else timeline


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    known = sorted({name for row in FORMATS.values() for name in row.options})
    for name in options:
        if name not in known:
            raise UsageError(f"{name!r} is no option of a format", fix=f"use {', '.join(known)}")


def parse(text: str) -> Timeline:
    """Return the timeline that was rendered as JSON: equal to the one that was written.

    Raises:
        InputError: the text is no timeline, or not one that this version reads.
    """
    from captoolkit.timeline import json  # here, because it loads msgspec

    return json.parse(text)


def extension_of(format_name: str) -> str:
    """Return what a file of this format is called after the dot.

    ```python
    >>> extension_of("srt")
    'srt'

    ```

    Raises:
        UsageError: there is no such format.
    """
    return _format(format_name).extension


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Return the format that a file's ending names, None where it names none.

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
        known = ", ".join(FORMATS)
        raise UsageError(f"{name!r} is not a timeline format", fix=f"use one of {known}") from None
