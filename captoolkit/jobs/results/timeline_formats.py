"""Further formats of a timeline in OUT, such as subtitles.

Rules: they are written before the timeline, which marks a recording as complete: after a kill they
are written again. A format that cannot hold a timeline costs a warning, and no other format.
"""

from __future__ import annotations

from collections.abc import Iterable

from captoolkit.errors import UsageError
from captoolkit.jobs.results.result_names import format_name
from captoolkit.jobs.stores.base_store import Store
from captoolkit.timeline import extension_of, render
from captoolkit.timeline.value import Timeline


def write_formats(
    store: Store, timeline: Timeline, formats: Iterable[str], *, name: str
) -> list[str]:
    """Write a timeline in further formats next to its JSON; return warnings about missing ones.

    Args:
        store: OUT.
        timeline: the timeline.
        formats: names of formats, checked.
        name: the name of the timeline as JSON in OUT.

    Raises:
        OutputError: OUT cannot be written.
    """
    warnings = []
    for each in formats:
        try:
            text = render(timeline, each)
        except UsageError as error:
            warnings.append(f"{each} was not written: {error.problem}")
            continue
        store.write(format_name(name, extension_of(each)), text.encode())
    return warnings
