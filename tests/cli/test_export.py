"""`captoolkit export`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def timeline(run: Run, fixtures: Path, tmp_path: Path) -> Path:
    """A timeline as `caption` wrote it."""
    path = tmp_path / "speech.json"
    assert run("caption", fixtures / "speech.amr", "-o", path).status == 0
    return path


def test_each_format_is_what_caption_would_have_written(
    run: Run, fixtures: Path, timeline: Path, tmp_path: Path
) -> None:
    """Nothing is lost on the way through JSON."""
    direct, exported = tmp_path / "direct", tmp_path / "exported"
    formats = "srt,vtt,txt,md,json"
    assert run("caption", fixtures / "speech.amr", "-f", formats, "-o", direct).status == 0
    assert run("export", timeline, "-f", formats, "-o", exported).status == 0
    for path in direct.iterdir():
        assert (exported / path.name).read_bytes() == path.read_bytes()


def test_a_dash_reads_standard_input(
    run: Run, timeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`export - -f srt -o -` is a filter."""
    stdin = io.TextIOWrapper(io.BytesIO(timeline.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    ran = run("export", "-", "-f", "srt", "-o", "-")
    assert ran.status == 0
    assert ran.out.startswith("1\n00:00:00,000")


@pytest.mark.parametrize("content", [b"{}", b"not json", b"\xff\xfe", b""], ids=repr)
def test_what_is_no_timeline_is_refused(run: Run, tmp_path: Path, content: bytes) -> None:
    """The file is named and nothing is written."""
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    ran = run("export", path, "-f", "srt", "-o", tmp_path / "bad.srt")
    assert ran.status == 1
    assert ran.err.startswith(f"error: {path}: ")
    assert not (tmp_path / "bad.srt").exists()


def test_a_missing_file_is_one_line(run: Run, tmp_path: Path) -> None:
    """So is a timeline that is not there."""
    ran = run("export", tmp_path / "none.json", "-f", "srt")
    assert (ran.status, len(ran.err.splitlines())) == (1, 1)
