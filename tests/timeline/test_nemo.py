"""NeMo manifests, read back with pyarrow, which reads them for Hugging Face Datasets."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pyarrow.json

from captoolkit.timeline import losses, render
from captoolkit.timeline.value import Timeline
from tests.support.captions import NASTY
from tests.support.timelines import TimelineOf


def test_each_line_is_a_stretch_with_its_text(timeline_of: TimelineOf) -> None:
    """A line has the keys that NeMo reads, in seconds; a failed entry has no text."""
    timeline = timeline_of("A dog.\n\nRain.", holes=("timed out",))
    lines = [json.loads(line) for line in render(timeline, "nemo").splitlines()]
    path = "/recordings/night in the harbour.flac"
    assert lines == [
        {
            "audio_filepath": path,
            "offset": 0.0,
            "duration": 1.0,
            "text": "A dog. Rain.",
            "status": "ok",
        },
        {"audio_filepath": path, "offset": 1.0, "duration": 1.0, "text": "", "status": "failed"},
    ]
    merged = timeline.merged(1, 2)
    assert merged.entries[0].text  # the caption of the first half, in a failed entry
    assert json.loads(render(merged, "nemo"))["text"] == ""
    assert losses(timeline, "nemo") == ["Lines without a text, which do not train a model: 1 of 2."]


def test_a_joined_timeline_names_the_recording_of_each_entry(timeline_of: TimelineOf) -> None:
    """An offset counts on the clock of the recording itself."""
    first, second = timeline_of("One."), timeline_of("Two.", "Three.")
    other = replace(second, source=replace(second.source, path="/recordings/b.wav"))
    joined = Timeline.joined([first, other.slice(1, from_zero=True)])
    lines = [json.loads(line) for line in render(joined, "nemo").splitlines()]
    assert [(one["audio_filepath"], one["offset"]) for one in lines] == [
        (first.source.path, 0.0),
        ("/recordings/b.wav", 1.0),
    ]


def test_pyarrow_reads_one_row_of_the_same_columns_for_each_line(timeline_of: TimelineOf) -> None:
    """Every line has the same columns and types, so that the manifest is one table."""
    text = render(timeline_of(*NASTY.values(), holes=("timed out",), silences=1), "nemo")
    table = pyarrow.json.read_json(io.BytesIO(text.encode()))
    assert {field.name: str(field.type) for field in table.schema} == {
        "audio_filepath": "string",
        "offset": "double",
        "duration": "double",
        "text": "string",
        "status": "string",
    }
    rows = table.to_pylist()
    assert [row["offset"] for row in rows] == list(range(len(NASTY) + 2))
    assert rows == [json.loads(line) for line in text.splitlines()]
