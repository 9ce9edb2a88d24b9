"""A NeMo manifest: JSON Lines with a stretch of a recording and its text, to train on or to test.

Each entry is a line with `audio_filepath`, `offset` and `duration` in seconds, and its text on one
line. A timeline of several recordings names the recording of each entry. The text of a failed or
silent entry is empty, and the extra field `status` states why; NeMo ignores extra fields. Source:
docs.nvidia.com/nemo-framework, ASR, Datasets.
"""

from __future__ import annotations

from captoolkit.model import Entry, Status
from captoolkit.support import exact_json
from captoolkit.timeline.markers import Recordings
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import one_line


def render(timeline: Timeline) -> str:
    """Return the timeline as a manifest."""
    recordings = Recordings(timeline)
    return "".join(_line(entry, recordings) for entry in timeline.entries)


def losses(timeline: Timeline) -> list[str]:
    """Return a sentence on the entries without a text."""
    empty = sum(not _text(entry) for entry in timeline.entries)
    if not empty:
        return []
    return [
        f"Lines without a text, which do not train a model: {empty} of {len(timeline.entries)}."
    ]


def _line(entry: Entry, recordings: Recordings) -> str:
    source, start_samples = recordings.place_of(entry)
    span = entry.source_span
    return exact_json.render_line(
        {
            "audio_filepath": source.path,
            "offset": exact_json.seconds(start_samples, span.rate_hz),
            "duration": exact_json.seconds(span.samples, span.rate_hz),
            "text": _text(entry),
            "status": entry.status.value,
        }
    )


def _text(entry: Entry) -> str:
    """The text to train on; a failed entry may hold a part of its text after `merged`."""
    return one_line(entry.text) if entry.status is Status.OK else ""
