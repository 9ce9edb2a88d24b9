"""Tests of `captoolkit export`."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from captoolkit.model import Status
from captoolkit.timeline import FORMATS, load, save
from tests.support.command_line import Run


@pytest.fixture
def timeline(run: Run, fixtures: Path, tmp_path: Path) -> Path:
    """A timeline as `caption` wrote it."""
    path = tmp_path / "speech.json"
    assert run("caption", fixtures / "speech.amr", "-o", path).status == 0
    return path


def test_each_format_equals_that_of_caption(
    run: Run, fixtures: Path, timeline: Path, tmp_path: Path
) -> None:
    """A timeline loses nothing in JSON."""
    direct, exported = tmp_path / "direct", tmp_path / "exported"
    formats = ",".join(FORMATS)
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
def test_a_file_without_a_timeline_is_refused(run: Run, tmp_path: Path, content: bytes) -> None:
    """The error names the file, and nothing is written."""
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    ran = run("export", path, "-f", "srt", "-o", tmp_path / "bad.srt")
    assert ran.status == 1
    assert ran.err.startswith(f"error: {path}: ")
    assert not (tmp_path / "bad.srt").exists()


def test_a_missing_file_is_one_error_line(run: Run, tmp_path: Path) -> None:
    """The status is 1."""
    ran = run("export", tmp_path / "none.json", "-f", "srt")
    assert (ran.status, len(ran.err.splitlines())) == (1, 1)


def test_the_extension_sets_the_format(run: Run, timeline: Path, tmp_path: Path) -> None:
    """Extensions with two parts work too, in upper or lower case."""
    for name, begins in [
        ("a.chapters.vtt", "WEBVTT"),
        ("a.textgrid", "File type"),
        ("a.edl", "TIT"),
    ]:
        assert run("export", timeline, "-o", tmp_path / name).status == 0
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


def test_a_format_that_contradicts_the_extension_is_a_warning(
    run: Run, timeline: Path, tmp_path: Path
) -> None:
    """`-f` decides, as for ffmpeg; an extension of no format, or of the same one, is no news."""
    for name, form, warning in [
        ("a.srt", "vtt", f"warning: {tmp_path / 'a.srt'} holds vtt (-f vtt), not srt\n"),
        ("a.vtt", "vtt", ""),
        ("a.sub", "vtt", ""),
        ("b.vtt", "vtt-chapters", ""),
    ]:
        ran = run("export", timeline, "-f", form, "-o", tmp_path / name)
        assert (ran.status, ran.err) == (0, warning)
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("WEBVTT")


def test_losses_are_printed_on_standard_error(run: Run, timeline: Path) -> None:
    """The file is written, and each loss is a line with the format's name."""
    ran = run("export", timeline, "-f", "edl", "--frame-rate", "29.97", "-o", "-")
    assert ran.status == 0
    assert "edl: Times are rounded to frames of a timeline at 29.97 frames a second." in ran.err
    assert ran.out.startswith("TITLE: speech, 29.97 fps\n")
    assert run("export", timeline, "-f", "edl", "-o", "-", "-q").err == ""


def test_segments_without_a_caption_are_a_warning(
    run: Run, timeline: Path, fixtures: Path, tmp_path: Path
) -> None:
    """`export` and `embed` warn that readers see errors in their place."""
    whole = load(timeline)
    (entry,) = whole.entries
    hole = replace(entry, status=Status.FAILED, text="", details="", error="timed out")
    save(replace(whole, entries=(hole,)), timeline, overwrite=True)
    warning = (
        f"warning: {timeline}: 1 of 1 segment without a caption; the new file shows the error of "
        "each instead\n"
    )
    exported = run("export", timeline, "-f", "srt", "-o", "-")
    assert (exported.err, "[no caption: timed out]" in exported.out) == (warning, True)
    embedded = run("embed", fixtures / "speech.amr", timeline, "-o", tmp_path / "speech.mka")
    assert (embedded.status, embedded.err.endswith(warning)) == (0, True)


def test_spread_times_are_marked_as_estimates(run: Run, timeline: Path) -> None:
    """The file has a comment, and standard error a line."""
    written = load(timeline)
    entries = tuple(replace(entry, text="Rain. A dog barks.") for entry in written.entries)
    save(replace(written, entries=entries), timeline, overwrite=True)
    plain = run("export", timeline, "-f", "vtt", "-o", "-")
    spread = run("export", timeline, "-f", "vtt", "--spread", "-o", "-")
    assert spread.out.count("-->") > plain.out.count("-->")
    assert "NOTE The sentences" in spread.out
    assert "vtt: The sentences of each segment share its time in proportion" in spread.err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["-f", "json", "--spread"], "--spread does nothing for json"),
        (
            ["-f", "srt", "--frame-rate", "25"],
            "--frame-rate does nothing for srt; it is for",
        ),
        (["-f", "srt", "--drop-frame"], "--drop-frame does nothing for srt"),
        (["-f", "srt,edl", "--no-csv-bom"], "--no-csv-bom does nothing for srt,edl; it is for csv"),
        (["-f", ""], "-f is empty; name a format"),
        (["-f", "edl", "--frame-rate", "31"], "--frame-rate 31 is not"),
        (["-f", "docx"], "'docx' is not a timeline format"),
    ],
)
def test_wrong_usage_is_one_error_line(
    options: list[str], problem: str, run: Run, timeline: Path, tmp_path: Path
) -> None:
    """The status is 2, and nothing is written."""
    ran = run("export", timeline, *options, "-o", tmp_path / "out")
    assert (ran.status, len(ran.err.splitlines())) == (2, 1)
    assert problem in ran.err
    assert not (tmp_path / "out").exists()
    bare = run("export", timeline)  # a copy as JSON is nothing that a user wants
    assert (bare.status, bare.out) == (2, "")
    assert bare.err.startswith("error: no format is given; pass -f, such as -f srt, or -o with an")


def test_if_one_format_fails_the_others_are_written(
    run: Run, timeline: Path, tmp_path: Path
) -> None:
    """An EDL ends at 24 hours; the subtitles of the same run are written, and the status is 1."""
    late = tmp_path / "late.json"
    save(load(timeline).shifted("23h"), late)
    ran = run("export", late, "-f", "srt,edl,vtt", "-o", tmp_path / "out")
    assert (ran.status, len(ran.out.splitlines()), len(ran.err.splitlines())) == (1, 2, 1)
    assert ran.err.startswith(f"error: {late}: edl is not written: entry 1 ends at 23:00:")
    assert "use otio or fcpxml" in ran.err
    assert sorted(path.name for path in tmp_path.glob("out/*")) == ["late.srt", "late.vtt"]
    assert run("export", late, "-f", "edl", "-o", tmp_path / "out").status == 2


def test_a_byte_order_mark_is_for_excel(run: Run, timeline: Path) -> None:
    """A CSV file begins with one, unless `--no-csv-bom` is passed."""
    assert run("export", timeline, "-f", "csv", "-o", "-").out.startswith("\ufeffindex,")
    ran = run("export", timeline, "-f", "csv", "--no-csv-bom", "-o", "-")
    assert ran.out.startswith("index,")


def test_a_manifest_is_recognized(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """The error is specific: the file is a manifest and not a timeline."""
    assert run("prepare", fixtures / "speech.amr", "-o", tmp_path).status == 0
    ran = run("export", tmp_path / "speech.manifest.json", "-f", "srt", "-o", "-")
    assert ran.status == 1
    assert "this is a manifest of prepared files" in ran.err
