"""JSON Lines: one JSON object a line for each entry, for tools that read line by line.

Each has the fields that an entry of the JSON format has, and before them `source` and `sha256`: the
recording that its times are of. What is said of the timeline as a whole is not in it.
"""

from __future__ import annotations

from captoolkit.support import exact_json
from captoolkit.timeline.json import entry_fields
from captoolkit.timeline.value import Timeline


def render(timeline: Timeline) -> str:
    """Return the entries as JSON Lines."""
    source = {"source": timeline.source.path, "sha256": timeline.source.sha256}
    return "".join(
        exact_json.render_line(source | entry_fields(entry)) for entry in timeline.entries
    )
