"""Tests of the further formats of the timelines in OUT."""

from __future__ import annotations

from pathlib import Path

import pytest
import srt

import captoolkit
from captoolkit.errors import UsageError
from captoolkit.jobs.batch_options import further_formats
from captoolkit.jobs.results.timeline_formats import FurtherFormats
from captoolkit.jobs.stores.object_store import open_store
from tests.support.timelines import hours_of
from tests.support.tones import write_tones


def test_a_batch_writes_each_timeline_in_the_formats_of_its_recipe(tmp_path: Path) -> None:
    """The subtitles of each recording are next to its timeline; others are another recipe."""
    write_tones(tmp_path / "in", 2, seconds=2)
    out = tmp_path / "out"

    def run(*formats: str) -> captoolkit.BatchSummary:
        return captoolkit.batch(
            "caption", [tmp_path / "in"], out=out, cluster="none", formats=formats
        )

    assert run("srt", "json", "csv").done == 2
    timeline = captoolkit.load(out / "t000" / "t000.timeline.json")
    (cue,) = srt.parse((out / "t000" / "t000.srt").read_text("utf-8"))
    assert cue.end.total_seconds() == 2
    assert (out / "t001" / "t001.csv").exists()
    assert timeline.entries[0].text is not None
    assert run("csv", "srt").kept == 2
    with pytest.raises(UsageError, match="`formats` is csv,srt there and srt here"):
        run("srt")


def test_a_format_that_cannot_hold_a_timeline_is_a_warning(tmp_path: Path) -> None:
    """The other formats are written, and the warning names the missing one with its reason."""
    store = open_store(str(tmp_path))
    warnings = FurtherFormats(names=("edl", "srt")).write(
        store, hours_of(25), name="a/a.timeline.json"
    )
    assert len(warnings) == 1
    assert warnings[0].startswith("edl was not written: ")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["a.srt"]


def test_a_page_and_unknown_formats_are_refused_before_any_work() -> None:
    """A batch has no recording beside its results that a page could play."""
    with pytest.raises(UsageError, match="captoolkit export"):
        further_formats(["srt", "html"], {})
    with pytest.raises(UsageError, match="'sub' is not a timeline format"):
        further_formats(["sub"], {})
    assert further_formats([" VTT", "json", "srt", "srt"], {}) == ["srt", "vtt"]
