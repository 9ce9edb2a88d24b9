r"""The interface of a timeline format, and the recipe for adding one.

A format is a pure function `Timeline -> str` that uses no files, no clock and no network. The text
it returns is encoded as UTF-8, has `\n` line ends, and ends with one.

How to add a format, in five steps:

1. Write `timeline/NAME.py` with `render(timeline: Timeline) -> str`. Take the times from
   `cues.cues` and the words from `wording.paragraphs`: these show failed and silent entries, keep
   cues in order, and remove control characters. Only the format's own escaping is left to write.
   Write `timeline.notes` as comments if the format has them.
2. Name in the module's docstring the content that the format cannot carry, and its replacement. If
   that depends on the timeline, add `losses(timeline: Timeline) -> list[str]`: one sentence for
   each loss. Raise `UsageError` for a timeline that the format cannot hold at all. Never cut text
   silently. Add `check()` for a fault that exists before the timeline does (an invalid option, a
   missing package), so that the error comes before hours of captioning.
3. Add one row to `FORMATS` in `timeline/formats.py`. The module is imported on first use, so a
   slow import costs nothing until someone selects the format. Add the format's own options, if it
   has any, to `FormatOptions` below.
4. Add an independent reader to `READERS` in `tests/timeline/test_formats.py`: the table of
   difficult captions there then runs through the new format too. The text may hold no control
   character but the line end and those that `OWN_CONTROLS` there allows.
5. Run `scripts/make_reference.py`, which adds the format to the help texts of the documentation
   and to the table in `docs/guides/timeline-formats.md`. Name its reader in the second table there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from captoolkit.timeline.value import Timeline


class FormatOptions(TypedDict, total=False):
    """The keyword options of `render`, `losses` and `save`.

    Attributes:
        spread: give each sentence of a caption its own cue, in formats that show one text after
            another. A cue's time is proportional to the length of its sentence; captoolkit has not
            measured it, and the file notes that if the format has comments.
        frame_rate: frames per second of the editing program, for formats that count frames: 23.976,
            24, 25, 29.97, 30, 48, 50, 59.94 or 60; 25 if None.
        drop_frame: count drop-frame timecode, which follows the clock at 29.97 and 59.94 frames per
            second; False if None.
        csv_bom: begin a CSV file with a byte order mark, which Excel needs; True if None.
    """

    spread: bool
    frame_rate: Fraction | float | str | None
    drop_frame: bool | None
    csv_bom: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One row of `FORMATS`.

    Attributes:
        name: the name that callers use (`-f srt`).
        extension: the ending of its files, without the first dot.
        title: a few words for a list of formats.
        module: the module with its `render`, imported on first use.
        has_cues: the format shows one text after another, so that `spread` applies.
        options: the names of the options that its `render`, `losses` and `check` take.
    """

    name: str
    extension: str
    title: str
    module: str
    has_cues: bool = False
    options: tuple[str, ...] = ()

    def render(self, timeline: Timeline, options: Mapping[str, Any]) -> str:
        """Return the timeline as text of this format."""
        text: str = import_module(self.module).render(timeline, **self._own(options))
        return text

    def losses(self, timeline: Timeline, options: Mapping[str, Any]) -> list[str]:
        """Return the losses of this timeline in this format, one sentence each."""
        module = import_module(self.module)
        if not hasattr(module, "losses"):
            return []
        sentences: list[str] = module.losses(timeline, **self._own(options))
        return sentences

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise `UsageError` if no timeline could be written with these options."""
        module = import_module(self.module)
        if hasattr(module, "check"):
            module.check(**self._own(options))

    def _own(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: options[name] for name in self.options if options.get(name) is not None}
