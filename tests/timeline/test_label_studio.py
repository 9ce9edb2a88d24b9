from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import jsonschema

from captoolkit.timeline import render
from captoolkit.timeline.label_studio import CONFIGURATION
from captoolkit.timeline.value import Timeline
from tests.support.timelines import TimelineOf

# The form of labelstud.io/guide/predictions, for regions of sound.
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["data", "predictions"],
        "properties": {
            "data": {"type": "object", "required": ["audio"]},
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["result"],
                    "properties": {
                        "model_version": {"type": "string"},
                        "result": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["id", "from_name", "to_name", "type", "value"],
                            },
                        },
                    },
                },
            },
        },
    },
}


def test_each_region_has_a_label_and_a_caption(timeline_of: TimelineOf) -> None:
    """Both results of an entry have one identifier, and names of the configuration."""
    tasks = json.loads(render(timeline_of("Rain.", holes=("x",)), "label-studio"))
    jsonschema.validate(tasks, SCHEMA)
    (task,) = tasks
    results = task["predictions"][0]["result"]
    assert [(one["id"], one["from_name"], one["value"]["start"]) for one in results] == [
        ("entry-1", "status", 0.0),
        ("entry-1", "caption", 0.0),
        ("entry-2", "status", 1.0),
        ("entry-2", "caption", 1.0),
    ]
    view = ET.fromstring(CONFIGURATION)
    names = {one.attrib["name"] for one in view if "name" in one.attrib}
    assert {one["from_name"] for one in results} | {"audio"} == names
    labels = {one.attrib["value"] for one in view.iter("Label")}
    assert {one["value"]["labels"][0] for one in results if one["type"] == "labels"} <= labels


def test_each_recording_of_a_joined_timeline_is_a_task(timeline_of: TimelineOf) -> None:
    """Regions count on the recording's own clock."""
    first, second = timeline_of("One.", "Two."), timeline_of("Three.")
    other = replace(second, source=replace(second.source, path="/recordings/b.wav"))
    tasks = json.loads(render(Timeline.joined([first, other]), "label-studio"))
    assert [task["data"]["audio"] for task in tasks] == [first.source.path, "/recordings/b.wav"]
    value = tasks[1]["predictions"][0]["result"][0]["value"]
    assert (value["start"], value["end"]) == (0.0, 1.0)
