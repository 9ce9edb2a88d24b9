from __future__ import annotations

import json

from captoolkit.timeline import render
from tests.support.timelines import TimelineOf


def test_each_line_is_an_entry_of_the_json_format_with_its_recording(
    timeline_of: TimelineOf,
) -> None:
    """A line has the recording's path and hash, and then the fields of the entry."""
    timeline = timeline_of("One.\n\nTwo.", silences=1)
    entries = json.loads(render(timeline, "json"))["entries"]
    recording = {"source": timeline.source.path, "sha256": timeline.source.sha256}
    lines = render(timeline, "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == [recording | entry for entry in entries]
    assert list(json.loads(lines[0]))[:3] == ["source", "sha256", "index"]
