"""Tests of `captoolkit emulate`."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import httpx
import pytest

from captoolkit.emulator import Emulator
from captoolkit.emulator.fault_injection import FaultKind
from tests.support.command_line import Run, emulating
from tests.support.emulator_requests import HEADERS, NATIVE_PATH, beep, data_uri, native_body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves both protocols, writes the log, ends without an error, and leaves no file."""
    log = tmp_path / "asked.jsonl"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with emulating("--log", str(log), "--fault", "hang=1") as (process, url):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/api/v1{NATIVE_PATH}", json={}, headers=HEADERS, timeout=0.5)
        body = native_body({"audio": data_uri(beep())})
        asked = httpx.post(f"{url}/api/v1{NATIVE_PATH}", json=body, headers=HEADERS, timeout=60)
        assert asked.status_code == 200
        models = httpx.get(f"{url}/compatible-mode/v1/models", headers=HEADERS)
        assert models.status_code == 200
        assert len([path for path in temporary.iterdir() if path.is_dir()]) == 1
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert err == "listening until interrupted (Ctrl-C)\n"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["status"] for line in lines] == [None, 200, 200]
    assert {*lines[0]} == {"path", "model", "audio_sha256", "status", "request_id", "fault"}
    assert list(temporary.iterdir()) == []


def test_captioners_work_with_the_emulator(
    run: Run, tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`caption --base-url` with the emulator gives the text of `--captioner acoustic`."""
    clip = fixtures / "tones-and-silences.wav"
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-rehearsal")
    with Emulator() as emulator:
        for captioner, url in (
            ("dashscope", emulator.native_url),
            ("openai", emulator.compatible_url),
        ):
            out = tmp_path / f"{captioner}.txt"
            asked = run("caption", clip, "--captioner", captioner, "--base-url", url, "-o", out)
            assert asked.status == 0, asked.err
    local = tmp_path / "local.txt"
    run("caption", clip, "-o", local)
    texts = {(tmp_path / f"{name}.txt").read_text() for name in ("dashscope", "openai", "local")}
    assert len(texts) == 1


def test_captions_are_the_same_like_every_service(
    run: Run, tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captoolkit's own client speaks each dialect to the emulator; a wrong key stops it."""
    clip = fixtures / "tones-and-silences.wav"
    texts = set()
    for like, model in (("vllm", "Qwen/Qwen3-Omni-30B-A3B-Captioner"), ("openai", "gpt-audio")):
        with Emulator(like=like, key="sk-rehearsal") as emulator:
            place = ("--captioner", "openai", "--base-url", emulator.compatible_url)
            server = (*place, "--model", model, "-o", "-", "-f", "txt")
            variable = f"{like.upper()}_API_KEY"
            monkeypatch.setenv(variable, "sk-rehearsal")
            asked = run("caption", clip, *server)
            assert asked.status == 0, asked.err
            texts.add(asked.out.partition("Very loud")[2])
            monkeypatch.setenv(variable, "sk-wrong")
            assert "401" in run("caption", clip, *server, "--no-resume").err
    assert len(texts) == 1


def test_wrong_usage_is_one_error_line(run: Run, tmp_path: Path) -> None:
    """So are an unknown fault, a port in use, and a log in a missing folder."""
    unknown = run("emulate", "--fault", "nonsense")
    assert unknown.status == 2
    assert unknown.err.startswith("error: --fault nonsense is not known; known are throttle")
    with Emulator() as emulator:
        taken = run("emulate", "--port", emulator.port)
    assert (taken.status, taken.out) == (2, "")
    assert "choose another" in taken.err
    nowhere = run("emulate", "--log", tmp_path / "none" / "log")
    assert (nowhere.status, nowhere.out) == (1, "")
    assert "cannot be written" in nowhere.err


def test_the_help_lists_every_kind_of_fault(run: Run) -> None:
    """Each kind has one line with its meaning."""
    shown = run("emulate", "--help").out.splitlines()
    for kind in FaultKind:
        assert any(line.split()[:1] == [str(kind)] for line in shown), kind
