"""Further formats of a timeline in OUT, such as subtitles.

Rules: they are written before the timeline, which marks a recording as complete: after a kill they
are written again. A format that cannot hold a timeline costs a warning, and no other format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from captoolkit.errors import UsageError
from captoolkit.jobs.results.result_names import format_name
from captoolkit.jobs.stores.base_store import Store
from captoolkit.timeline import FormatOptions, extension_of, render
from captoolkit.timeline.value import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherFormats:
    """The formats in which a batch writes each timeline in addition to JSON.

    Attributes:
        names: the formats, checked.
        options: the options of `render`.
    """

    names: tuple[str, ...] = ()
    options: FormatOptions = field(default_factory=FormatOptions)

    @classmethod
    def of(cls, recipe_options: Mapping[str, Any]) -> Self:
        """Return the formats that the options of a recipe name."""
        names = FormatOptions.__annotations__
        options = {name: value for name, value in recipe_options.items() if name in names}
        return cls(
            names=tuple(recipe_options.get("formats", ())), options=cast("FormatOptions", options)
        )

    def write(self, store: Store, timeline: Timeline, *, name: str) -> list[str]:
        """Write a timeline in each format next to its JSON; return warnings about missing ones.

        Args:
            store: OUT.
            timeline: the timeline.
            name: the name of the timeline as JSON in OUT.

        Raises:
            OutputError: OUT cannot be written.
        """
        warnings = []
        for each in self.names:
            try:
                text = render(timeline, each, **self.options)
            except UsageError as error:
                warnings.append(f"{each} was not written: {error.problem}")
                continue
            store.write(format_name(name, extension_of(each)), text.encode())
        return warnings
