"""`captoolkit split`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_prepare_command import wait_for
from tests.support.processes import children_of
from tests.support.sound import noise, write_wav


def test_it_writes_pieces_and_a_manifest(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """The pieces' names go to standard output; the manifest says what was done."""
    ran = run("split", fixtures / "hammering-mandarin.flac", "--segment", "15s", "-o", tmp_path)
    assert (ran.status, ran.err) == (0, "")
    names = [Path(line).name for line in ran.out.splitlines()]
    assert names == [f"hammering-mandarin.00{n}.flac" for n in (1, 2, 3)]
    told = json.loads((tmp_path / "hammering-mandarin.manifest.json").read_text())
    assert [one["file"] for one in told["segments"]] == names
    assert told["encoding"]["codec"] == "flac"


def test_json_lists_the_manifests(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`--json` prints one document with all manifests."""
    ran = run("split", fixtures / "raw.aac", fixtures / "speech.amr", "-o", tmp_path, "--json")
    told = json.loads(ran.out)
    assert told["format"] == "captoolkit.split/1"
    assert [one["action"] for one in told["files"]] == ["pass-through", "pass-through"]


def test_a_file_without_chapters_fails_alone(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """It is one line on standard error and exit status 1; nothing is written for it."""
    ran = run("split", fixtures / "speech.amr", "--at", "chapters", "-o", tmp_path)
    assert ran.status == 1
    assert ran.err.endswith("speech.amr: it has no chapters; split it without --at chapters\n")
    assert len(ran.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_without_y(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """A second run is refused; with -y it replaces the first, and what that left over."""
    argv = ("split", fixtures / "hammering-mandarin.flac", "-o", tmp_path)
    assert run(*argv, "--parts", "3").status == 0
    assert "exists; choose another folder, or pass -y" in run(*argv, "--parts", "2").err
    assert run(*argv, "--parts", "2", "-y").status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "hammering-mandarin.001.flac",
        "hammering-mandarin.002.flac",
        "hammering-mandarin.manifest.json",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_leaves_nothing_behind(tmp_path: Path) -> None:
    """A polite kill in the middle ends with 130, one line, no partial file and no child process."""
    minute = noise(60, rate_hz=48_000)
    source = write_wav(tmp_path / "long.wav", *[minute] * 40, rate_hz=48_000, subtype="PCM_24")
    out = tmp_path / "out"
    argv = [sys.executable, "-m", "captoolkit", "split", str(source), "-o", str(out)]
    argv += ["--parts", "4"]
    program = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: any(out.glob(".captoolkit-*/long.001.wav")))
    children = children_of(program.pid)
    program.send_signal(signal.SIGTERM)
    told = program.communicate(timeout=60)
    assert program.returncode == 130
    assert told[0] == ""
    assert "error: interrupted" in told[1]
    assert list(out.iterdir()) == []
    for child in children:  # whoever inherits a child that was ended may take a moment to reap it
        wait_for(lambda child=child: not Path(f"/proc/{child}").exists())
