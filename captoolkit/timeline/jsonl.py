"""JSON Lines: one JSON object per line and entry, for tools that read line by line.

Each object has the fields of an entry in the JSON format, after `source` and `sha256` of the
recording that its times belong to. Facts about the whole timeline are left out.
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
