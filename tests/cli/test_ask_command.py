"""Tests of `captoolkit ask`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Run
from tests.support.model_studio import NATIVE_EVENTS, native_event
from tests.support.recorder import Recorder


def test_each_question_is_a_turn(
    run: Run, fixtures: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers go to standard output, with a blank line between; the totals to standard error."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-test-0123456789")
    recorder.stream(*NATIVE_EVENTS)
    place = ("--base-url", f"{recorder.url}/api/v1", "--system", "Be brief.")
    ran = run("ask", fixtures / "speech.amr", "What is it?", "How hard?", *place)
    assert (ran.status, ran.out) == (0, "这段音频'\n\n这段音频'\n")
    assert ran.err == "2 answers, 256 tokens\n"
    first, second = (seen.json["input"]["messages"] for seen in recorder.seen)
    assert [one["role"] for one in first] == ["system", "user"]
    assert [one["role"] for one in second] == ["system", "user", "assistant", "user"]
    assert second[2]["content"] == [{"text": "这段音频'"}]
    assert {seen.json["model"] for seen in recorder.seen} == {"qwen-audio-turbo"}


def test_without_a_question_the_sound_is_the_question(
    run: Run, fixtures: Path, recorder: Recorder
) -> None:
    """For voice chat the message holds only the audio."""
    recorder.stream(*NATIVE_EVENTS)
    ran = run("ask", fixtures / "speech.amr", "--base-url", f"{recorder.url}/api/v1")
    assert ran.out == "这段音频'\n"
    (message,) = recorder.seen[0].json["input"]["messages"]
    assert [list(part) for part in message["content"]] == [["audio"]]


def test_control_characters_of_an_answer_are_replaced(
    run: Run, fixtures: Path, recorder: Recorder
) -> None:
    """Line breaks stay; characters that a terminal obeys become `?`."""
    recorder.stream(native_event("one\n\x1b[31mtwo\u202e"), native_event(None, finish="length"))
    ran = run("ask", fixtures / "speech.amr", "What?", "--base-url", f"{recorder.url}/api/v1")
    assert ran.out == "one\n?[31mtwo?\n"
    assert "length limit" in ran.err


@pytest.mark.parametrize(
    ("argv", "status", "expected"),
    [
        (("speech.amr", "A", "B", "--model", "qwen3-omni-30b-a3b-captioner"), 2, "not take a"),
        (("speech.amr", "", "B", "--model", "qwen3-omni-30b-a3b-captioner"), 1, "Throttling"),
        (("hammering-mandarin.flac", "What?"), 2, "hears 30 s at a time"),
        (("missing.wav", "What?"), 1, "no such file"),
        (("speech.amr", "What?", "--via", "url"), 2, "via=url"),
        (("speech.amr", "What?", "--target", "nonsense"), 2, "not known"),
        (("speech.amr", "What?"), 1, "Throttling"),
    ],
)
def test_bad_input_is_one_error_line(
    run: Run, fixtures: Path, recorder: Recorder, argv: tuple[str, ...], status: int, expected: str
) -> None:
    """Wrong usage is refused before a request; a service's refusal keeps its wording."""
    recorder.answer({"code": "Throttling", "message": "slow"}, status=429)
    name, *rest = argv
    ran = run("ask", fixtures / name, *rest, "--base-url", f"{recorder.url}/api/v1")
    assert (ran.status, ran.out) == (status, "")
    assert expected in ran.err
    assert len(ran.err.splitlines()) == 1
    assert bool(recorder.seen) == (expected == "Throttling")


def test_a_broken_answer_ends_its_line(run: Run, fixtures: Path, recorder: Recorder) -> None:
    """The text so far is shown, and the error has its own line."""
    recorder.stream(*NATIVE_EVENTS[:2], ending="cut")
    ran = run("ask", fixtures / "speech.amr", "What?", "--base-url", f"{recorder.url}/api/v1")
    assert (ran.status, ran.out) == (1, "这段音频\n")
    assert ran.err.startswith("error: ")
    assert "broke off" in ran.err
