"""Label Studio predictions: tasks with regions of a recording, their statuses and captions.

Each recording is a task; each entry is a region with the label `ok`, `failed` or `silent`, and a
caption in a text area of that region. The project needs a labelling configuration with these names,
such as `CONFIGURATION`. There are no comments. Sources: labelstud.io/guide/predictions,
labelstud.io/tags/audio.
"""

from __future__ import annotations

from itertools import groupby

from captoolkit.model import Entry, SourceInfo
from captoolkit.support import exact_json
from captoolkit.timeline.markers import Recordings
from captoolkit.timeline.value import Timeline
from captoolkit.timeline.wording import caption_text, one_line

CONFIGURATION = """\
<View>
  <Labels name="status" toName="audio">
    <Label value="ok"/><Label value="failed"/><Label value="silent"/>
  </Labels>
  <Audio name="audio" value="$audio"/>
  <TextArea name="caption" toName="audio" perRegion="true" editable="true"/>
</View>
"""


def render(timeline: Timeline) -> str:
    """Return the timeline as tasks with predictions."""
    recordings = Recordings(timeline)
    placed = [(*recordings.place_of(entry), entry) for entry in timeline.entries]
    model = one_line(f"{timeline.captioner.name} {timeline.captioner.model}")
    tasks = [
        {
            "data": {"audio": source.path},
            "predictions": [
                {
                    "model_version": model,
                    "result": [
                        result
                        for _, start_samples, entry in group
                        for result in _results(entry, source, start_samples)
                    ],
                }
            ],
        }
        for source, group in groupby(placed, key=lambda each: each[0])
    ]
    return exact_json.render(tasks)


def losses(timeline: Timeline) -> list[str]:
    """Return a sentence on the recording's place."""
    return ["Label Studio plays `data.audio` only as a URL or from its own storage: replace it."]


def _results(entry: Entry, source: SourceInfo, start_samples: int) -> list[dict[str, object]]:
    span = entry.source_span
    common: dict[str, object] = {
        "id": f"entry-{entry.index}",
        "to_name": "audio",
        "original_length": exact_json.seconds(source.duration_samples, source.sample_rate_hz),
    }
    times: dict[str, object] = {
        "start": exact_json.seconds(start_samples, span.rate_hz),
        "end": exact_json.seconds(start_samples + span.samples, span.rate_hz),
        "channel": 0,
    }
    return [
        {
            **common,
            "from_name": "status",
            "type": "labels",
            "value": {**times, "labels": [entry.status.value]},
        },
        {
            **common,
            "from_name": "caption",
            "type": "textarea",
            "value": {**times, "text": [caption_text(entry)]},
        },
    ]
