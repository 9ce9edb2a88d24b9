"""Tests of `captoolkit batch`: exit statuses, summary, forecast, status and rows."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from captoolkit.emulator import Emulator
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


def test_a_failed_recording_is_exit_status_1(run: Run, tmp_path: Path) -> None:
    """The reason is shown once with the number of recordings, and the way to try them again."""
    write_tones(tmp_path / "in", 1)
    for name in ("bad.wav", "worse.wav"):
        (tmp_path / "in" / name).write_bytes(b"no media")
    argv = ("batch", "probe", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "none")
    first = run(*argv)
    assert first.status == 1
    assert first.err.splitlines()[0] == "probe: 1 done, 2 failed"
    assert "2 x not a media file" in first.err
    assert "--retry-failed" in first.err
    again = run(*argv, "--retry-failed")
    assert again.status == 1
    assert again.err.splitlines()[-1].startswith("they failed again: `captoolkit batch rows --fail")
    status = run("batch", "status", tmp_path / "out")
    assert [line.split() for line in status.out.splitlines()[1:3]] == [
        ["done", "1"],
        ["failed", "2"],
    ]
    document = json.loads(run("batch", "status", tmp_path / "out", "--json").out)
    assert document["recordings"] == {"done": 1, "failed": 2}
    rows = run("batch", "rows", tmp_path / "out", "--failed").out.splitlines()
    assert {json.loads(line)["id"] for line in rows} == {"bad.wav", "worse.wav"}


def test_recordings_with_warnings_are_counted(run: Run, tmp_path: Path) -> None:
    """The summary and the status show how many there are, and the rows hold the sentences."""
    path, _ = write_tones(tmp_path / "in", 2)
    path.write_bytes(path.read_bytes()[:-1000])
    argv = (tmp_path / "in", "-o", tmp_path / "out")
    made = run("batch", "prepare", *argv, "--cluster", "none")
    assert "1 recording with warnings" in made.err
    assert "1 recording with warnings" in run("batch", "status", tmp_path / "out").out
    assert json.loads(run("batch", "status", tmp_path / "out", "--json").out)["warned"] == 1
    rows = map(json.loads, run("batch", "rows", tmp_path / "out").out.splitlines())
    warnings = {row["id"]: row.get("warnings", "") for row in rows}
    assert "that its header promises are missing." in warnings["t000.wav"]
    assert not warnings["t001.wav"]
    for verb in ("prepare", "split", "caption", "probe"):
        out = () if verb == "probe" else ("-o", tmp_path / verb)
        report = tmp_path / f"{verb}.jsonl"
        assert run(verb, path, *out, "--report", report).status == 0
        assert len(json.loads(report.read_text("utf-8"))["warnings"]) == 1


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


def test_the_forecast_says_what_binds(run: Run, tmp_path: Path) -> None:
    """Recordings, hours, requests, tokens, price, and the advice; nothing is written."""
    (tmp_path / "list.jsonl").write_text(
        "".join(
            json.dumps({"audio_filepath": f"/data/{number}.wav", "duration": 3600}) + "\n"
            for number in range(60)
        )
    )
    with Emulator() as emulator:
        argv = (
            *("batch", "caption", tmp_path / "list.jsonl", "-o", tmp_path / "out", "--dry-run"),
            *("--captioner", "dashscope", "--base-url", emulator.native_url),
            *("--region", "singapore", "--segment", "30s", "--rpm", "60", "--tpm", "100000"),
        )
        shown = run(*argv)
        document = json.loads(run(*argv, "--json").out)
        assert not emulator.requests
    assert shown.status == 0
    lines = shown.out.splitlines()
    assert lines[0].startswith("caption: 60 recordings, ")
    assert "60.00 h of sound" in lines[0]
    assert lines[1].startswith("7,200 requests, ")
    assert lines[-1].startswith("the requests a minute decide: longer segments make it faster")
    assert document["binding"] == "requests"
    assert document["times_s"]["requests"] == 7200.0
    assert not (tmp_path / "out").exists()


def test_the_forecast_of_a_service_needs_no_key(run: Run, tmp_path: Path) -> None:
    """A dry run sends nothing, so it shows the price without a key; the batch itself needs one."""
    write_tones(tmp_path / "in", 1, seconds=2)
    argv = ("batch", "caption", tmp_path / "in", "-o", tmp_path / "out", "--captioner", "dashscope")
    shown = run(*argv, "--dry-run")
    assert (shown.status, shown.err) == (0, "")
    assert "1 request, " in shown.out
    assert "about 0.1 s by the cores" in run(*argv[:5], "--cluster", "none", "--dry-run").out
    refused = run(*argv, "--cluster", "none")
    assert refused.status == 1
    assert "DASHSCOPE_API_KEY is not set" in refused.err


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
        assert "Send at most 1 request?" in screen
        assert not emulator.requests
        status, screen = run_on_terminal(*argv, "--yes")
        assert status == 0, screen
        assert "caption: 1 done" in screen
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
