"""Tests of `captoolkit batch`: exit statuses, summary, forecast, status and rows."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

import captoolkit
from captoolkit.emulator import Emulator
from captoolkit.timeline import render
from tests.support.command_line import Run, run_on_terminal, start_captoolkit, wait_for
from tests.support.tones import write_tones


def test_a_batch_says_what_is_done_and_where(run: Run, tmp_path: Path) -> None:
    """The place of the results is data, the summary is a message; the second run keeps all."""
    write_tones(tmp_path / "in", 3)
    argv = ("batch", "prepare", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "none")
    first = run(*argv)
    assert (first.status, first.out) == (0, f"{tmp_path / 'out'}\n")
    assert first.err.splitlines()[0] == "prepare: 3 done"
    assert first.err.splitlines()[1].startswith("3 segments, 0:0")
    second = run(*argv)
    assert (second.status, second.err) == (0, "prepare: 3 kept from earlier runs\n")


def test_another_recipe_is_exit_status_2(run: Run, tmp_path: Path) -> None:
    """The line names the option that differs."""
    write_tones(tmp_path / "in", 1)
    argv = ("batch", "prepare", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "none")
    assert run(*argv).status == 0
    other = run(*argv, "--segment", "5s")
    assert other.status == 2
    assert other.err.count("\n") == 1
    assert "--segment is not given there and 5s here" in other.err


def test_a_place_without_a_batch_has_no_status(run: Run, tmp_path: Path) -> None:
    """One line says so."""
    status = run("batch", "status", tmp_path)
    assert status.status == 1
    assert status.err.startswith("error: ")
    assert status.err.count("\n") == 1


def test_a_batch_without_rows_says_when_they_are_written(run: Run, tmp_path: Path) -> None:
    """A batch that was killed in its first chunk shows no zeros that look like a result."""
    write_tones(tmp_path / "in", 1, seconds=1)
    run("batch", "probe", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "none")
    for path in (tmp_path / "out/.captoolkit/rows").iterdir():
        path.unlink()
    shown = run("batch", "status", tmp_path / "out")
    assert shown.status == 0
    assert shown.out.splitlines()[1:] == [
        "  no recording has a row yet: rows are written when a chunk of them ends"
    ]


def test_a_paid_batch_asks_for_confirmation_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `--yes` nothing is sent before the answer."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-any")
    write_tones(tmp_path / "in", 1, seconds=2)
    with Emulator() as emulator:
        argv = (
            *("batch", "caption", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "none"),
            *("--captioner", "dashscope", "--base-url", emulator.native_url),
            *("--region", "singapore", "--ledger", tmp_path / "ledger.sqlite3"),
        )
        status, screen = run_on_terminal(*argv, typed=b"n\n")
        assert status == 1
        assert f"Send at most 1 request to {emulator.native_url}?" in screen
        assert "error: no request was sent; answer yes, or pass --yes" in screen
        assert not emulator.requests
        status, screen = run_on_terminal(*argv, "--yes")
        assert status == 0, screen
        assert "caption: 1 done" in screen
        status, screen = run_on_terminal(*argv)
        assert (status, "Send at most" in screen) == (0, False)
        assert len(emulator.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("again_s", [None, 0.1], ids=["once", "twice"])
def test_an_interrupt_leaves_nothing(tmp_path: Path, again_s: float | None) -> None:
    """Ctrl-C, which a terminal sends to all processes: status 130, one or two lines, no files."""
    write_tones(tmp_path / "in", 400)
    argv = ("batch", "prepare", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "local:1")
    left = tmp_path / "temporary"
    left.mkdir()
    environment = {**os.environ, "TMPDIR": str(left)}
    with start_captoolkit(*argv, env=environment, start_new_session=True) as process:
        wait_for(lambda: any((tmp_path / "out").rglob("*.manifest.json")))
        os.killpg(process.pid, signal.SIGINT)
        if again_s is not None:
            time.sleep(again_s)
            os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    *done, last = errors.splitlines()
    assert last == "error: interrupted; unfinished files are removed"
    assert all("of this run are done" in line for line in done if line), errors
    assert not list(left.iterdir())


def test_the_status_of_a_folder_without_a_batch(run: Run, tmp_path: Path) -> None:
    """The error names the folder and its remedy."""
    (tmp_path / "out").mkdir()
    result = run("batch", "status", tmp_path / "out")
    assert result.status != 0
    assert "out holds no batch; pass the folder" in result.err


@pytest.mark.parametrize("option", ["--cluster=none", "--dry-run"])
def test_a_named_input_that_does_not_exist(run: Run, tmp_path: Path, option: str) -> None:
    """A typo is wrong usage, and OUT is not created."""
    result = run("batch", "prepare", tmp_path / "tlak.wav", "-o", tmp_path / "out", option)
    assert result.status == 2
    assert "tlak.wav does not exist" in result.err
    assert not (tmp_path / "out").exists()


def test_a_pattern_without_a_match_makes_nothing(run: Run, tmp_path: Path) -> None:
    """Other inputs do not begin either: a mistake in a name is found before hours of work."""
    write_tones(tmp_path / "in", 1)
    pattern = tmp_path / "in" / "*.nix"
    failed = run("batch", "prepare", tmp_path / "in", pattern, "-o", tmp_path / "out")
    assert (failed.status, failed.out) == (2, "")
    assert failed.err == f"error: {pattern} matches no file; check the pattern\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("verb", "confirms"), [("caption", True), ("prepare", False)])
def test_a_batch_has_no_y(run: Run, tmp_path: Path, verb: str, confirms: bool) -> None:
    """`-y` replaces files elsewhere: the line names the options that do so here, or confirm."""
    failed = run("batch", verb, tmp_path, "-o", tmp_path / "out", "-y")
    assert failed.status == 2
    assert "--redo all" in failed.err
    assert ("--yes" in failed.err) is confirms


@pytest.mark.parametrize(
    "words", ["--jobs 3", "--stream", "--report rows", "--skip-existing", "--embed-audio"]
)
def test_an_option_of_the_plain_command_is_refused_with_the_reason(
    run: Run, tmp_path: Path, words: str
) -> None:
    """The line names the option, why a batch lacks it, and what to do."""
    failed = run("batch", "caption", tmp_path, "-o", tmp_path / "out", *words.split())
    assert failed.status == 2
    assert re.fullmatch(rf"error: a batch has no {words.split()[0]}: .+; .+\n", failed.err)


def test_a_batch_writes_cues_and_timecode_as_the_options_name_them(
    run: Run, tmp_path: Path
) -> None:
    """`--frame-rate` and `--spread` are those of `caption`, also where workers caption."""
    write_tones(tmp_path / "in", 1)
    argv = ("batch", "caption", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "none")
    options = ("-f", "srt,edl", "--spread", "--frame-rate", "50", "--no-resume")
    assert run(*argv, *options).status == 0
    loaded = captoolkit.load(tmp_path / "out" / "t000" / "t000.timeline.json")
    made = (tmp_path / "out" / "t000" / "t000.edl").read_text()
    assert made == render(loaded, "edl", frame_rate=50)
    text = (tmp_path / "out" / "t000" / "t000.srt").read_text()
    assert text == render(loaded, "srt", spread=True)
    assert run(*argv, "-f", "srt,edl").status == 2


def test_quiet_prints_errors_only(run: Run, tmp_path: Path) -> None:
    """The place of the results is data, and stays; the summary is a message."""
    write_tones(tmp_path / "in", 1)
    argv = ("batch", "probe", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "none")
    ran = run(*argv, "-q")
    assert (ran.status, ran.out, ran.err) == (0, f"{tmp_path / 'out'}\n", "")
    assert "probe: 1 kept" in run(*argv).err
    (tmp_path / "in" / "bad.wav").write_bytes(b"no media")
    failed = run(*argv, "-q")
    assert failed.status == 1
    counts, reason = failed.err.splitlines()
    assert counts == "probe: 1 kept from earlier runs, 1 failed"
    assert "not a media file" in reason
