"""Tests of the bars on a terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import captoolkit
from captoolkit.cli.progress import InputsProgress
from captoolkit.events import Event, SegmentReady
from captoolkit.jobs.listing.inputs import find_inputs
from tests.support.command_line import run_on_terminal, screen_of_terminal
from tests.support.sound import silence, tone, write_wav


def test_many_files_have_one_bar(fixtures: Path, tmp_path: Path) -> None:
    """The bar counts the files; data goes to its file, and an error appears above the bar."""
    good = [fixtures / name for name in ("speech.amr", "raw.aac", "hammering-mandarin.flac")]
    names = tmp_path / "names"
    _, screen = run_on_terminal(
        "prepare", *good, tmp_path / "none.wav", "-o", tmp_path / "out", stdout=names
    )
    assert "of 4 files" in screen
    assert "4 of 4 files" in screen
    assert "none.wav: no such file" in screen
    made = names.read_text(encoding="utf-8").splitlines()
    assert [Path(name).name.split(".")[0] for name in made] == [path.stem for path in good]


def test_results_and_errors_stand_above_the_bar(fixtures: Path, tmp_path: Path) -> None:
    """On a terminal each name has a line of its own, and no part of a bar stays."""
    source = fixtures / "speech.amr"
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.amr").write_bytes(source.read_bytes())
    (folder / "broken.amr").write_bytes(b"no sound")
    out = tmp_path / "out"
    lines = screen_of_terminal("prepare", folder, "-o", out, "-v", columns=300)
    assert [line for line in lines if line.endswith(".001.amr")] == [
        str(out / f"{number}.001.amr") for number in range(6)
    ]
    starts = tuple(map(str, (out, folder, "error: ", "6 made, 1 failed;", "  1 failed:")))
    assert all(line.startswith(starts) for line in lines)
    assert len(lines) == 6 + 6 + 1 + 2  # names, details of -v, the error, the summary


def drawn(bars: InputsProgress, events: list[Event]) -> list[float]:
    """Return the position of the bar after each event."""
    reached = []
    assert bars._progress is not None
    with bars.following(bars._inputs[0]) as on_event:
        for event in events:
            on_event(event)
            reached.append(bars._progress.tasks[0].completed)
    return reached


def test_a_bar_never_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar shows how much all threads have read, and not the ends of ready segments."""
    part = [tone(9, rate_hz=8_000), silence(1, rate_hz=8_000)]
    source = write_wav(tmp_path / "long.wav", *part * 18, rate_hz=8_000)
    events: list[Event] = []
    with captoolkit.prepare(source, segment=10, jobs=2, on_event=events.append) as work:
        list(work)
    pty = pytest.importorskip("pty", reason="this platform has no pseudo-terminals")
    controller, terminal_fd = pty.openpty()
    with os.fdopen(terminal_fd, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with InputsProgress(find_inputs([str(source)])) as bars:
            reached = drawn(bars, events)
        monkeypatch.undo()
    os.close(controller)
    assert any(isinstance(event, SegmentReady) for event in events)
    assert reached == sorted(reached)
    assert reached[-1] == pytest.approx(180)


def test_the_bar_of_a_copied_file_is_full(fixtures: Path, tmp_path: Path) -> None:
    """The file is not decoded, and its bar is full at the end."""
    names = tmp_path / "names"
    _, screen = run_on_terminal(
        "prepare", fixtures / "speech.amr", "-o", tmp_path / "out", stdout=names
    )
    assert "100%" in screen


def test_one_file_has_a_bar_of_its_own(fixtures: Path, tmp_path: Path) -> None:
    """The bar has the file's name and is full at the end."""
    names = tmp_path / "names"
    source = fixtures / "hammering-mandarin.flac"
    _, screen = run_on_terminal("prepare", source, "-o", tmp_path / "out", stdout=names)
    assert "hammering-mandarin.flac" in screen
    assert "100%" in screen
    assert len(names.read_text(encoding="utf-8").splitlines()) == 1
