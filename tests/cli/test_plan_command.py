"""Tests of `captoolkit plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Run, screen_of_terminal


def test_it_shows_the_plan_and_writes_nothing(
    run: Run, fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments, encoding, tokens and price are printed; no file appears."""
    monkeypatch.chdir(tmp_path)
    ran = run("plan", fixtures / "hammering-mandarin.flac", "--segment", "15s")
    assert ran.status == 0
    assert "encode, 3 segments" in ran.out
    assert "16-bit WAV, 16 kHz mono" in ran.out
    assert "564 input tokens in 3 requests" in ran.out
    assert "singapore: USD 0.00" in ran.out
    assert list(tmp_path.iterdir()) == []


def test_several_files_end_in_their_total(run: Run, fixtures: Path) -> None:
    """The tokens and prices are sums; one file, and JSON, have no total."""
    files = (fixtures / "speech.amr", fixtures / "raw.aac")
    plans = json.loads(run("plan", *files, "--json").out)["files"]
    tokens = sum(plan["tokens"]["input"] for plan in plans)
    most = sum(plan["costs"][0]["most"] for plan in plans)
    out = run("plan", *files).out
    total = out.partition("\n2 files: ")[2].splitlines()
    assert total[0].startswith(f"{tokens} input tokens in 2 requests to qwen3-omni-captioner")
    assert f"{most:.4f} at most" in total[1]
    assert "files:" not in run("plan", files[0]).out


@pytest.mark.parametrize(
    ("options", "action", "last"),
    [
        ("--captioner acoustic", "pass-through", "segment 1  0:00.000 - 0:43.000"),
        ("--captioner dashscope", "encode", "beijing: CNY 0.0086 for the input"),
        ("--captioner openai --model gpt-audio", "encode", "1 request to openai, whose tokens"),
    ],
)
def test_a_captioner_decides_limits_and_prices(
    run: Run,
    fixtures: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    action: str,
    last: str,
) -> None:
    """No key is needed; the local captioner takes a FLAC, and has neither tokens nor prices."""
    for variable in ("DASHSCOPE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    ran = run("plan", fixtures / "hammering-mandarin.flac", *options.split())
    assert f": {action}, 1 segment" in ran.out, ran.err
    assert ran.out.splitlines()[-1].strip().startswith(last)


def test_a_terminal_gets_sentences_in_lines_of_its_width(fixtures: Path) -> None:
    """No word is divided at the edge; a file or a pipe gets each sentence in one line."""
    screen = screen_of_terminal("plan", fixtures / "hammering-mandarin.flac", columns=60)
    assert "  It is flac; qwen3-omni-captioner takes 3gp, aac, amr, mp3," in screen
    assert "    wav." in screen


def test_a_long_plan_lists_the_first_segments(run: Run, fixtures: Path) -> None:
    """Eight segments are listed, and the others are counted."""
    out = run("plan", fixtures / "hammering-mandarin.flac", "--segment", "1s").out
    segments = int(out.partition("encode, ")[2].split()[0])
    assert segments > 40
    assert "segment 8 " in out
    assert "segment 9 " not in out
    assert f"  and {segments - 8} more\n" in out


def test_json_has_exact_times(run: Run, fixtures: Path) -> None:
    """The segments of the JSON plan tile the 43 seconds of the recording."""
    ran = run("plan", fixtures / "hammering-mandarin.flac", "--segment", "15s", "--json")
    (plan,) = json.loads(ran.out)["files"]
    edges = [(one["start_s"], one["end_s"]) for one in plan["segments"]]
    assert edges[0][0] == 0
    assert edges[-1][1] == 43
    assert [end for _, end in edges[:-1]] == [start for start, _ in edges[1:]]
    assert plan["tokens"] == {"audio": 540, "input": 564}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--target", "nobody"), "--target nobody"),
        (("--segment", "soon"), "'soon' is not a duration"),
        (("--bitrate", "quick"), "'quick' is not a bit rate"),
        (("--format", "flac"), "flac"),
        (("--format", "mp3", "--bitrate", "17k"), "--bitrate 17000"),
        (("--via", "pigeon"), "pigeon"),
        (("--model", "gpt-audio"), "--model 'gpt-audio' needs a captioner"),
        (("--captioner", "acoustic", "--model", "x"), "leave out --model"),
        (("--max-segment", "0"), "'0' is not a duration"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_wrong_usage_is_status_2(
    run: Run, fixtures: Path, options: tuple[str, ...], word: str
) -> None:
    """The error names the value, and no plan is printed."""
    ran = run("plan", fixtures / "tones-and-silences.wav", *options)
    assert ran.status == 2
    assert word in ran.err
    assert ran.out == ""


def test_a_length_of_silence_needs_an_equals_sign(
    run: Run, fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A length after a space is refused, unless it is a file."""
    source = fixtures / "tones-and-silences.wav"
    ran = run("plan", "--skip-silence", "5s", source)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "error: 5s: no such file; for a length write --skip-silence=5s\n"
    assert run("plan", "--skip-silence=5s", source).status == 0
    monkeypatch.chdir(tmp_path)
    (tmp_path / "5s").write_bytes(source.read_bytes())
    assert run("plan", "--skip-silence", "5s").status == 0
