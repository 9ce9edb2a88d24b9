"""Tests of the timelines that an earlier run left."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import captoolkit
from captoolkit.dispatch.run_recording import find_finished
from captoolkit.errors import OutputExistsError
from captoolkit.model import Status
from captoolkit.timeline import Timeline


@pytest.fixture
def timeline(fixtures: Path) -> Timeline:
    """The captions of a recording."""
    return captoolkit.caption(fixtures / "speech.amr", segment="2s")


def test_only_a_finished_timeline_of_the_same_run_is_kept(
    timeline: Timeline, fixtures: Path, tmp_path: Path
) -> None:
    """A failed segment makes a timeline unfinished; edits and other options are refused."""
    path, source = tmp_path / "a.json", fixtures / "speech.amr"
    assert timeline.made_by is not None
    assert find_finished(path, timeline.made_by, source) is None
    captoolkit.save(timeline, path)
    assert find_finished(path, timeline.made_by, source) == timeline

    first, *others = timeline.entries
    failed = dataclasses.replace(first, status=Status.FAILED, text="", error="no answer")
    holes = dataclasses.replace(timeline, entries=(failed, *others))
    captoolkit.save(holes, path, overwrite=True)
    assert find_finished(path, timeline.made_by, source) is None

    refused = [
        (timeline, fixtures / "raw.aac", f"was made from {source}"),
        (timeline.merged(1, 2), source, "does not record the options that it was made with"),
        (captoolkit.caption(source), source, "was made with no segment, not with segment=2"),
    ]
    for other, recording, reason in refused:
        captoolkit.save(other, path, overwrite=True)
        with pytest.raises(OutputExistsError, match=re.escape(reason)):
            find_finished(path, timeline.made_by, recording)
    path.write_text("a shopping list", encoding="utf-8")
    with pytest.raises(OutputExistsError, match="is no timeline"):
        find_finished(path, timeline.made_by, source)


def test_captions_that_a_person_changed_are_not_replaced(
    timeline: Timeline, fixtures: Path, tmp_path: Path
) -> None:
    """With a failed segment such a timeline is refused; without one it is kept."""
    source, path = Path(timeline.source.path), tmp_path / "t.json"
    assert timeline.made_by is not None
    first, *others = timeline.entries
    edited = dataclasses.replace(first, text="By hand.", is_edited=True)
    captoolkit.save(dataclasses.replace(timeline, entries=(edited, *others)), path)
    kept = find_finished(path, timeline.made_by, source)
    assert kept is not None
    assert kept.entries[0].text == "By hand."
    failed = dataclasses.replace(others[-1], status=Status.FAILED, text="", error="x")
    entries = (edited, *others[:-1], failed)
    captoolkit.save(dataclasses.replace(timeline, entries=entries), path, overwrite=True)
    with pytest.raises(OutputExistsError, match="a person changed"):
        find_finished(path, timeline.made_by, source)
