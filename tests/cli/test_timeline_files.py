"""Tests of timelines on the command line: the rules of `-f`, `-o` and `--embed-audio`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from captoolkit.timeline import load, save
from tests.support.command_line import Run
from tests.support.sound import silence, write_wav


@pytest.fixture
def timeline(run: Run, fixtures: Path, tmp_path: Path) -> Path:
    """A timeline as `caption` wrote it."""
    path = tmp_path / "speech.json"
    assert run("caption", fixtures / "hammering-mandarin.flac", "-o", path).status == 0
    return path


def test_export_and_caption_write_pages(
    run: Run, timeline: Path, fixtures: Path, tmp_path: Path
) -> None:
    """A page has the waveform and refers to the recording; `--embed-audio` embeds it."""
    path = tmp_path / "exported.html"
    assert run("export", timeline, "-o", path).status == 0
    page = path.read_text(encoding="utf-8")
    assert '"loudness": "' in page
    source = fixtures / "hammering-mandarin.flac"
    assert f'"{source.as_uri()}"' in page
    captioned = tmp_path / "captioned.html"
    ran = run("caption", source, "-o", captioned, "--embed-audio", "--segment", "15s")
    assert ran.status == 0
    assert 'src="data:audio/flac;base64,' in captioned.read_text(encoding="utf-8")
    refused = run("export", timeline, "-f", "srt", "--embed-audio")
    assert (refused.status, "-f html" in refused.err) == (2, True)


def test_export_prints_a_few_of_many_notes(run: Run, timeline: Path, tmp_path: Path) -> None:
    """A timeline with thousands of notes does not fill the terminal."""
    whole = load(timeline)
    notes = tuple(f"remark {number}." for number in range(2000))
    save(replace(whole, notes=notes), tmp_path / "many.json")
    ran = run("export", tmp_path / "many.json", "-o", tmp_path / "many.csv")
    assert ran.err.splitlines()[-1] == "csv: 1,980 more notes like these"
    assert len(ran.err.splitlines()) == 21


def test_a_page_to_publish_has_no_paths(run: Run, timeline: Path, tmp_path: Path) -> None:
    """`--shareable` needs a page, and the page names no folder."""
    path = tmp_path / "shared.html"
    ran = run("export", timeline, "-o", path, "--shareable")
    assert ran.status == 0
    name = Path(load(timeline).source.path).name
    note = f"html: the page plays {name} from its own folder; copy it there, or take --embed-audio"
    assert ran.err.splitlines()[-1] == note
    page = path.read_text(encoding="utf-8")
    assert '"loudness": "' in page
    assert "file:///" not in page
    (tmp_path / name).touch()
    assert note not in run("export", timeline, "-o", path, "--shareable", "-y").err
    refused = run("export", timeline, "-f", "srt", "--shareable")
    assert (refused.status, "--shareable needs an HTML page" in refused.err) == (2, True)


def test_a_recording_that_is_too_large_to_embed_is_refused_first(run: Run, tmp_path: Path) -> None:
    """A recording of more than 20 MB is refused before it is captioned."""
    rate_hz = 48_000
    large = write_wav(tmp_path / "large.wav", silence(220, rate_hz=rate_hz), rate_hz=rate_hz)
    result = run("caption", large, "--embed-audio", "-f", "html", "-o", tmp_path / "a.html")
    assert result.status == 2
    assert "at most 20.00 MB go into a page" in result.err
    assert "kept in" not in result.err
    assert not (tmp_path / "a.html").exists()


def test_an_unwritable_path_is_refused_before_the_work(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """So are a folder with the file's name, a folder without write access, and a long name."""
    (tmp_path / "speech.json").mkdir()
    closed = [Path("/proc/a.json")] if Path("/proc/self").is_dir() else []
    for out in (tmp_path, tmp_path / ("x" * 300), *closed):
        result = run("caption", fixtures / "speech.amr", "-y", "-o", out)
        assert result.status == 1
        assert "cannot be written" in result.err
        assert "kept in" not in result.err
