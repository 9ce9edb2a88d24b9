"""Tests of `captoolkit split`."""

from __future__ import annotations

import json
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.command_line import Run, start_captoolkit, wait_for
from tests.support.processes import children_of, has_ended
from tests.support.sound import noise, write_wav


def test_it_writes_pieces_and_a_manifest(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """The pieces' paths go to standard output; the manifest lists them."""
    ran = run("split", fixtures / "hammering-mandarin.flac", "--segment", "15s", "-o", tmp_path)
    assert (ran.status, ran.err) == (0, "")
    names = [Path(line).name for line in ran.out.splitlines()]
    assert names == [f"hammering-mandarin.00{n}.flac" for n in (1, 2, 3)]
    document = json.loads((tmp_path / "hammering-mandarin.manifest.json").read_text())
    assert [one["file"] for one in document["segments"]] == names
    assert document["encoding"]["codec"] == "flac"


def test_a_dry_run_shows_the_pieces_and_writes_none(
    run: Run, fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lengths and reasons are printed, without a service; only a picture is written."""
    monkeypatch.chdir(tmp_path)
    argv = ("split", fixtures / "hammering-mandarin.flac", "--parts", "2", "--dry-run")
    ran = run(*argv)
    assert (ran.status, list(tmp_path.iterdir())) == (0, [])
    assert "hammering-mandarin.flac: encode, 2 segments\n" in ran.out
    assert "\n  segment 1  0:00.000 - 0:21" in ran.out
    assert "token" not in ran.out
    (plan,) = json.loads(run(*argv, "--json").out)["files"]
    assert (plan["target"], len(plan["segments"])) == (None, 2)
    assert run(*argv, "--picture", "cuts.svg").status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["cuts.svg"]
    assert "Missing option '-o'" in run(*argv[:-1]).err


def test_json_lists_the_manifests(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`--json` prints one document with all manifests."""
    ran = run("split", fixtures / "raw.aac", fixtures / "speech.amr", "-o", tmp_path, "--json")
    document = json.loads(ran.out)
    assert document["format"] == "captoolkit.split/1"
    assert [one["action"] for one in document["files"]] == ["pass-through", "pass-through"]


def test_a_file_without_chapters_fails_alone(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """The failure is one error line with status 1; nothing is written."""
    ran = run("split", fixtures / "speech.amr", "--at", "chapters", "-o", tmp_path)
    assert ran.status == 1
    assert ran.err.endswith("speech.amr: it has no chapters; split it without --at chapters\n")
    assert len(ran.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_without_y(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """A second run is refused; with `-y` it replaces all files of the first."""
    argv = ("split", fixtures / "hammering-mandarin.flac", "-o", tmp_path)
    assert run(*argv, "--parts", "3").status == 0
    assert "exists; choose another name or folder, or pass -y" in run(*argv, "--parts", "2").err
    assert run(*argv, "--parts", "2", "-y").status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "hammering-mandarin.001.flac",
        "hammering-mandarin.002.flac",
        "hammering-mandarin.manifest.json",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGTERM ends the run with 130, one line, no partial file and no child process."""
    minute = noise(60, rate_hz=48_000)
    source = write_wav(tmp_path / "long.wav", *[minute] * 40, rate_hz=48_000, subtype="PCM_24")
    out = tmp_path / "out"
    program = start_captoolkit("split", source, "-o", out, "--parts", "4")
    wait_for(lambda: any(out.glob(".captoolkit-*/long.001.wav")))
    children = children_of(program.pid)
    program.send_signal(signal.SIGTERM)
    out_text, err_text = program.communicate(timeout=60)
    assert program.returncode == 130
    assert out_text == ""
    assert "error: interrupted" in err_text
    assert not out.exists()
    for child in children:  # the parent that inherits an ended child may need a moment to reap it
        wait_for(partial(has_ended, child))
