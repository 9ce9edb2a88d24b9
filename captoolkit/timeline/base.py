r"""What every timeline format is, and how to add one.

A format is a pure function `Timeline -> str`: no files, no clock, no network. The text it returns
is meant for UTF-8, has `\n` for line ends, and ends with one.

How to add a format, in four steps:

1. Write `timeline/NAME.py` with `render(timeline: Timeline) -> str`. Take the times from
   `cues.cues` and the words from `wording.paragraphs`: they make holes and silences visible, keep
   cues in order, and let no control character through. What is left is your format's own escaping.
2. Say in the module's docstring what the format cannot carry and what is written instead.
3. Add one row to `FORMATS` in `timeline/registry.py`. The module is imported when first used, so
   a heavy import in it costs nothing to those who do not ask for it.
4. Add a reader, written by somebody else, to `READERS` in `tests/timeline/test_formats.py`: the
   table of nasty captions there then runs through your format too.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from captoolkit.model import Timeline


class Writer(Protocol):
    """What the module of a format provides."""

    def render(self, timeline: Timeline) -> str:
        """Return the timeline as text of this format."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to write a timeline.

    Attributes:
        name: what a caller asks for (`-f srt`).
        extension: what a file of it is called after the dot.
        title: what it is, in a few words for a list of formats.
        module: where its `render` lives, imported when first needed.
    """

    name: str
    extension: str
    title: str
    module: str

    def render(self, timeline: Timeline) -> str:
        """Return the timeline as text of this format."""
        return cast(Writer, import_module(self.module)).render(timeline)
