"""The formats known here, by name, and the two verbs that use them.

Rules: `FORMATS` is a plain dict that anyone may add to. A timeline out of order is refused here,
once, before any format sees it.
"""

from __future__ import annotations

from captoolkit.errors import UsageError
from captoolkit.model import Timeline
from captoolkit.timeline.base import Format
from captoolkit.timeline.stitch import find_fault

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
            name="srt",
            extension="srt",
            title="SubRip subtitles",
            module="captoolkit.timeline.srt",
        ),
        Format(
            name="vtt",
            extension="vtt",
            title="WebVTT subtitles",
            module="captoolkit.timeline.vtt",
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
    )
}


def render(timeline: Timeline, format_name: str) -> str:
    """Return the timeline as text, ready to be written as UTF-8.

    Raises:
        UsageError: there is no such format, or the entries are out of order.
    """
    fault = find_fault(timeline.entries, source=timeline.source)
    if fault:
        raise UsageError(fault, fix="let stitch() put the entries in order")
    return _format(format_name).render(timeline)


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


def _format(name: str) -> Format:
    try:
        return FORMATS[name]
    except KeyError:
        known = ", ".join(FORMATS)
        raise UsageError(f"{name!r} is not a timeline format", fix=f"use one of {known}") from None
