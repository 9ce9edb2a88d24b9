"""Tests of the rows that are made from manifests and timelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.recording_rows import RowStatus
from captoolkit.jobs.results.result_rows import manifest_row, timeline_row
from tests.support.tones import write_tone

TALK = Input(
    id="a.wav",
    url="https://u:secret@h/a.wav?sig=secret",
    relative="a.wav",
    size_bytes=5,
    version="v",
)


@pytest.fixture
def manifest(tmp_path: Path) -> dict[str, Any]:
    """The manifest of a recording with two segments."""
    with captoolkit.prepare(write_tone(tmp_path / "a.wav", 1, seconds=2), segment="1s") as prepared:
        prepared.save(tmp_path / "out")
    return dict(json.loads((tmp_path / "out" / "a.manifest.json").read_text()))


def entry(status: str, **fields: Any) -> dict[str, Any]:
    """An entry of a timeline."""
    usage = {"input_tokens": None, "output_tokens": 7}
    times = {"start_s": 0.0, "end_s": 0.1 + 0.2}
    return {"status": status, "text": "", "error": None, "usage": usage, **times, **fields}


def timeline(*entries: dict[str, Any]) -> dict[str, Any]:
    """A timeline with these entries."""
    source = {"duration_s": 2, "sha256": "ab", "codec": "mp3", "sample_rate_hz": 8000}
    return {"source": {**source, "channels": 1}, "entries": entries}


def test_a_row_of_a_manifest_names_files_and_no_secrets(manifest: dict[str, Any]) -> None:
    """Files are named in OUT; the codec is that of the segments; the URL holds no key."""
    row = manifest_row(TALK, manifest, folder="talks/a")
    assert [each.file for each in row.segments] == ["talks/a/a.001.wav", "talks/a/a.002.wav"]
    assert (row.status, row.duration_s, row.sample_rate_hz) == (RowStatus.DONE, 2.0, 16000)
    assert (row.size_bytes, row.version) == (5, "v")
    assert "secret" not in row.url


def test_a_manifest_without_segments_is_silent(manifest: dict[str, Any]) -> None:
    """A recording whose sound was skipped is finished."""
    row = manifest_row(TALK, {**manifest, "segments": []}, folder="a")
    assert row.status is RowStatus.SILENT
    assert row.is_finished


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["ok", "silent"], RowStatus.DONE),
        (["silent"], RowStatus.SILENT),
        (["ok", "failed"], RowStatus.HOLES),
        ([], RowStatus.SILENT),
    ],
)
def test_one_failed_caption_is_a_hole(statuses: list[str], status: RowStatus) -> None:
    """The status of a row follows from those of its entries."""
    assert timeline_row(TALK, timeline(*map(entry, statuses))).status is status


def test_an_entry_becomes_a_segment_of_the_source() -> None:
    """Times have six decimals, counts that a service leaves out are left out, and so is no text."""
    done, failed = timeline_row(
        TALK, timeline(entry("ok", text="rain"), entry("failed", error="refused"))
    ).segments
    assert (done.text, done.usage, done.file) == ("rain", {"output_tokens": 7}, None)
    assert (done.end_s, done.duration_s) == (0.3, 0.3)
    assert (failed.text, failed.error) == (None, "refused")


@pytest.mark.parametrize("missing", ["source", "encoding", "segments"])
def test_a_document_of_another_kind_is_an_error(manifest: dict[str, Any], missing: str) -> None:
    """A field that is missing is no row with gaps."""
    del manifest[missing]
    with pytest.raises(KeyError):
        manifest_row(TALK, manifest, folder="a")
