"""Tests of `captoolkit embed`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from captoolkit.media import probe_by_ffmpeg
from tests.support.command_line import Run


@pytest.fixture
def timeline(run: Run, fixtures: Path, tmp_path: Path) -> Path:
    """A timeline of the fixture video's first sound track."""
    path = tmp_path / "two.json"
    assert run("caption", fixtures / "two-languages.mp4", "-o", path).status == 0
    return path


def test_it_prints_the_new_file_and_its_content(
    run: Run, fixtures: Path, timeline: Path, tmp_path: Path
) -> None:
    """The path goes to standard output; the content and its changes to standard error."""
    out = tmp_path / "out" / "two.mkv"
    ran = run("embed", fixtures / "two-languages.mp4", timeline, "-o", out)
    assert (ran.status, ran.out) == (0, f"{out}\n")
    assert "1 chapter, subtitles as subrip" in ran.err
    assert [stream.kind for stream in probe_by_ffmpeg.probe_streams(out).streams] == [
        "Video",
        "Audio",
        "Audio",
        "Subtitle",
    ]
    assert probe_by_ffmpeg.probe_streams(out).has_chapters


def test_the_timeline_can_be_standard_input_and_the_media_not(
    run: Run, fixtures: Path, timeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`caption ... -f json -o - | embed talk.mp4 - -o talk.mkv` works."""
    film = fixtures / "two-languages.mp4"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(timeline.read_bytes())))
    assert run("embed", film, "-", "-o", tmp_path / "piped.mkv").status == 0
    ran = run("embed", "-", timeline, "-o", tmp_path / "no.mkv")
    assert (ran.status, ran.err) == (2, "error: MEDIA cannot be standard input; name a file\n")


def test_an_existing_file_is_replaced_only_with_y(
    run: Run, fixtures: Path, timeline: Path, tmp_path: Path
) -> None:
    """Without `-y` the existing file stays."""
    out = tmp_path / "two.mp4"
    out.write_bytes(b"kept")
    argv = ("embed", fixtures / "two-languages.mp4", timeline, "-o", out)
    assert run(*argv).status == 1
    assert out.read_bytes() == b"kept"
    assert run(*argv, "-y").status == 0
    assert len(out.read_bytes()) > 1000


@pytest.mark.parametrize(
    ("media", "line", "out", "status", "problem"),
    [
        ("none.mp4", "two.json", "o.mp4", 1, "none.mp4: no such file"),
        ("two-languages.mp4", "none.json", "o.mp4", 1, "none.json: no such file"),
        ("two-languages.mp4", "two.json", "o.wav", 2, "'.wav' is no container"),
        ("two-languages.mp4", "two.json", "o.mp3", 1, ".mp3 files cannot hold the streams"),
        ("two-languages.mp4", "two.json", "two.json", 1, "is an input and is not replaced"),
        ("not-media.wav", "two.json", "o.mka", 1, "not a media file"),
    ],
)
def test_each_refusal_is_one_error_line(
    media: str,
    line: str,
    out: str,
    status: int,
    problem: str,
    run: Run,
    fixtures: Path,
    timeline: Path,
    tmp_path: Path,
) -> None:
    """The line names the file, the problem and the fix; no file is left."""
    before = timeline.read_bytes()
    argv = (fixtures / media, tmp_path / line, "-o", tmp_path / out, "-y")
    ran = run("embed", *argv)
    assert (ran.status, len(ran.err.splitlines())) == (status, 1), ran.err
    assert problem in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["two.json"]
    assert timeline.read_bytes() == before
