"""Tests of the forecast and the summary of a batch."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import captoolkit
from captoolkit.cli.batch_summary import print_summary
from captoolkit.emulator import Emulator
from tests.support.command_line import Run
from tests.support.tones import write_tones


def test_a_failed_recording_is_exit_status_1(run: Run, tmp_path: Path) -> None:
    """The reason is shown once with the number of recordings, and the way to try them again."""
    write_tones(tmp_path / "in", 1)
    for name in ("bad.wav", "worse.wav"):
        (tmp_path / "in" / name).write_bytes(b"no media")
    argv = ("batch", "probe", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "none")
    first = run(*argv)
    assert first.status == 1
    assert first.err.splitlines()[0] == "probe: 1 done, 2 failed"
    assert re.match(r"0:0\d of sound in ", first.err.splitlines()[1])
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


def test_the_forecast_is_that_of_the_batch_in_out(run: Run, tmp_path: Path) -> None:
    """It counts finished and failed recordings, and refuses the OUT of other options."""
    write_tones(tmp_path / "in", 1)
    (tmp_path / "in" / "bad.wav").write_bytes(b"no media")
    argv = ("batch", "prepare", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "none")
    assert run(*argv).status == 1
    again = run(*argv, "--dry-run")
    assert again.out == (
        "prepare: 0 recordings, 0 B, 0:00 of sound; 1 done already, "
        "1 failed in an earlier run (--retry-failed)\n"
    )
    assert json.loads(run(*argv, "--dry-run", "--json").out)["failed_before"] == 1
    refused = run(*argv, "--dry-run", "--segment", "2s")
    assert (refused.status, refused.out) == (2, "")
    assert "holds the results of other options: --segment is not given there" in refused.err


def test_a_used_up_budget_has_one_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A larger limit, and not the same command too."""
    write_tones(tmp_path / "in", 1)
    made = captoolkit.batch("probe", [tmp_path / "in"], out=tmp_path / "out", cluster="none")
    print_summary(replace(made, is_capped=True, holes=1), retries=False)
    advice = capsys.readouterr().err.splitlines()[2:]
    assert advice == ["the budget is used up: run it again with a larger --max-cost"]
