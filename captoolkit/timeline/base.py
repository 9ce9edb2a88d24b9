r"""What every timeline format is, and how to add one.

A format is a pure function `Timeline -> str`: no files, no clock, no network. The text it returns
is meant for UTF-8, has `\n` for line ends, and ends with one.

How to add a format, in four steps:

1. Write `timeline/NAME.py` with `render(timeline: Timeline) -> str`. Take the times from
   `cues.cues` and the words from `wording.paragraphs`: they make holes and silences visible, keep
   cues in order, and let no control character through. What is left is your format's own escaping.
   Write `timeline.notes` where the format has comments.
2. Say in the module's docstring what the format cannot carry and what is written instead. What that
   means for one timeline, `losses(timeline: Timeline) -> list[str]` tells its user; what cannot be
   written at all is a `UsageError`. Nothing is cut silently. What can be known before there is a
   timeline (an option that cannot be, a package that is missing) belongs into `check()`, so that
   nobody captions for hours and then hears of it.
3. Add one row to `FORMATS` in `timeline/formats.py`. The module is imported when first used, so
   a heavy import in it costs nothing to those who do not ask for it.
4. Add a reader, written by somebody else, to `READERS` in `tests/timeline/test_formats.py`: the
   table of nasty captions there then runs through your format too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from captoolkit.timeline.value import Timeline


class Writer(Protocol):
    """What the module of a format provides."""

    def render(self, timeline: Timeline, **options: Any) -> str:
        """Return the timeline as text of this format."""
        ...


class CarefulWriter(Writer, Protocol):
    """What the module of a format provides that cannot hold everything."""

    def losses(self, timeline: Timeline, **options: Any) -> list[str]:
        """Return what a reader of the file will miss or meet, a sentence each."""
        ...


class DemandingWriter(Writer, Protocol):
    """What the module of a format provides that cannot be written everywhere."""

    def check(self, **options: Any) -> None:
        """Raise `UsageError` where no timeline could be written with these options."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to write a timeline.

    Attributes:
        name: what a caller asks for (`-f srt`).
        extension: what a file of it is called after the dot.
        title: what it is, in a few words for a list of formats.
        module: where its `render` lives, imported when first needed.
        has_cues: it shows one text after another, so that sentences may be spread over a segment.
        options: the names of the options that its `render` and `losses` take.
    """

    name: str
    extension: str
    title: str
    module: str
    has_cues: bool = False
    options: tuple[str, ...] = ()

    def render(self, timeline: Timeline, options: Mapping[str, Any]) -> str:
        """Return the timeline as text of this format."""
        writer: Writer = import_module(self.module)
        return writer.render(timeline, **self._own(options))

    def losses(self, timeline: Timeline, options: Mapping[str, Any]) -> list[str]:
        """Return what this format cannot hold of the timeline, a sentence each."""
        writer: CarefulWriter = import_module(self.module)
        if not hasattr(writer, "losses"):
            return []
        return writer.losses(timeline, **self._own(options))

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise `UsageError` where no timeline could be written with these options."""
        writer: DemandingWriter = import_module(self.module)
        if hasattr(writer, "check"):
            writer.check(**self._own(options))

    def _own(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: options[name] for name in self.options if options.get(name) is not None}
