"""The bars, as a terminal shows them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import captoolkit
from captoolkit.cli.progress import Bars
from captoolkit.events import Event, SegmentReady
from tests.support.sound import silence, tone, write_wav

if sys.platform == "win32":
    pytest.skip("no terminals to be had", allow_module_level=True)

import pty

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(*words: object, stdout: Path) -> str:
    """What the program shows when its messages go to a terminal and its data to a file."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    argv = [sys.executable, "-m", "captoolkit", *map(str, words)]
    with stdout.open("wb") as data:
        program = subprocess.Popen(argv, stdout=data, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += (block := os.read(ours, 1 << 16))
        except OSError:  # Linux says so that the other end has closed
            break
        if not block:
            break
    os.close(ours)
    program.wait()
    return CONTROL.sub("", shown.decode())


def test_many_files_have_one_bar(fixtures: Path, tmp_path: Path) -> None:
    """It counts the files; data goes where it was sent, and an error stands above the bar."""
    good = [fixtures / name for name in ("speech.amr", "raw.aac", "hammering-mandarin.flac")]
    names = tmp_path / "names"
    shown = on_a_terminal(
        "prepare", *good, tmp_path / "none.wav", "-o", tmp_path / "out", stdout=names
    )
    assert "of 4 files" in shown
    assert "4 of 4 files" in shown
    assert "none.wav: no such file" in shown
    made = names.read_text(encoding="utf-8").splitlines()
    assert [Path(name).name.split(".")[0] for name in made] == [path.stem for path in good]


def drawn(bars: Bars, event: Event) -> float:
    """How far the bar is when it has taken in an event."""
    bars.show(event)
    assert bars._progress is not None
    return bars._progress.tasks[0].completed


def test_a_bar_never_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts what all who work have read, not where the segment ends that is ready."""
    part = [tone(9, rate_hz=8_000), silence(1, rate_hz=8_000)]
    source = write_wav(tmp_path / "long.wav", *part * 18, rate_hz=8_000)
    events: list[Event] = []
    with captoolkit.prepare(source, segment=10, jobs=2, on_event=events.append) as work:
        list(work)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with Bars("long.wav") as bars:
            reached = [drawn(bars, event) for event in events]
        monkeypatch.undo()
    os.close(ours)
    assert any(isinstance(event, SegmentReady) for event in events)
    assert reached == sorted(reached)
    assert reached[-1] == pytest.approx(180)


def test_what_passes_through_runs_to_its_end_too(fixtures: Path, tmp_path: Path) -> None:
    """Nothing is decoded, and the bar is full when the file is there."""
    names = tmp_path / "names"
    shown = on_a_terminal("prepare", fixtures / "speech.amr", "-o", tmp_path / "out", stdout=names)
    assert "100%" in shown


def test_one_file_has_a_bar_of_its_own(fixtures: Path, tmp_path: Path) -> None:
    """It is named, and runs to its end."""
    names = tmp_path / "names"
    source = fixtures / "hammering-mandarin.flac"
    shown = on_a_terminal("prepare", source, "-o", tmp_path / "out", stdout=names)
    assert "hammering-mandarin.flac" in shown
    assert "100%" in shown
    assert len(names.read_text(encoding="utf-8").splitlines()) == 1
