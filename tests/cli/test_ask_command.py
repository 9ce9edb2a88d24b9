"""Tests of `captoolkit ask`."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from captoolkit.services import catalogue
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
        (("speech.amr", "", "B", "--model", "qwen3-omni-30b-a3b-captioner"), 1, "InvalidApiKey"),
        (("hammering-mandarin.flac", "What?"), 2, "hears 30 s at a time"),
        (("missing.wav", "What?"), 1, "no such file"),
        (("speech.amr", "What?", "--via", "url"), 2, "--via url: the source is no URL"),
        (("speech.amr", "What?", "--target", "nonsense"), 2, "not known"),
        (("speech.amr", "What?"), 1, "InvalidApiKey"),
        ((), 2, "there is nothing to ask"),
    ],
)
def test_bad_input_is_one_error_line(
    run: Run, fixtures: Path, recorder: Recorder, argv: tuple[str, ...], status: int, expected: str
) -> None:
    """Wrong usage is refused before a request; a service's refusal keeps its wording."""
    recorder.answer({"code": "InvalidApiKey", "message": "no"}, status=401)
    arguments = [fixtures / argv[0], *argv[1:]] if argv else []
    ran = run("ask", *arguments, "--base-url", f"{recorder.url}/api/v1")
    assert (ran.status, ran.out) == (status, "")
    assert expected in ran.err
    assert len(ran.err.splitlines()) == 1
    assert bool(recorder.seen) == (expected == "InvalidApiKey")


def test_a_question_without_a_file_needs_no_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The missing file is named, also where the key is missing as well."""
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    ran = run("ask", "What is it?")
    message = "error: What is it?: no such file; give a FILE, and a QUESTION about it\n"
    assert (ran.status, ran.err) == (1, message)
    ran = run("ask", "s3://key:secret@talks/a.wav", "What is it?")
    assert ran.err.startswith("error: s3://talks/a.wav: no such file, and s3: URLs are not supp")
    assert "secret" not in ran.err


def test_a_broken_answer_is_not_written(
    run: Run, fixtures: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe gets whole answers only; the question is asked again, and the error has one line."""
    monkeypatch.setattr("captoolkit.support.cancel.Clock.wait", lambda *arguments: None)
    recorder.stream(*NATIVE_EVENTS[:2], ending="cut")
    ran = run("ask", fixtures / "speech.amr", "What?", "--base-url", f"{recorder.url}/api/v1")
    assert (ran.status, ran.out) == (1, "")
    *retries, error = ran.err.splitlines()
    assert all(line.startswith("the question is sent again: ") for line in retries)
    assert len(retries) == len(recorder.seen) - 1 > 0
    assert error.startswith("error: ")
    assert "broke off" in error


def test_a_conversation_is_continued(
    run: Run, fixtures: Path, recorder: Recorder, tmp_path: Path
) -> None:
    """The file is written after each answer; the second command needs no FILE and no options."""
    recorder.stream(*NATIVE_EVENTS)
    talk = tmp_path / "talk.json"
    place = ("--base-url", f"{recorder.url}/api/v1", "--system", "Be brief.")
    began = run("ask", "--continue", talk, fixtures / "speech.amr", "What is it?", *place)
    assert began.status == 0, began.err
    saved = json.loads(talk.read_text())
    assert [turn["question"] for turn in saved["turns"]] == ["What is it?"]
    other = run("ask", "--continue", talk, "How hard?", "--captioner", "openai")
    assert other.status == 2
    assert "is with --captioner dashscope; leave out --captioner" in other.err
    went_on = run("ask", "--continue", talk, "How hard?", "Since when?")
    assert (went_on.status, went_on.err) == (0, "2 answers, 256 tokens\n")
    roles = [one["role"] for one in recorder.seen[-1].json["input"]["messages"]]
    assert roles == ["system", *["user", "assistant"] * 2, "user"]
    same = run("ask", "--continue", talk, fixtures / "speech.amr", "And now?")
    assert same.status == 0, same.err
    audios = [
        "audio" in part
        for one in recorder.seen[-1].json["input"]["messages"]
        for part in one["content"]
    ]
    assert audios.count(True) == 1
    assert list(tmp_path.iterdir()) == [talk]


def test_a_misspelled_file_is_no_question(
    run: Run, fixtures: Path, recorder: Recorder, tmp_path: Path
) -> None:
    """A continued conversation refuses a file name without a file, and sends nothing."""
    recorder.stream(*NATIVE_EVENTS)
    talk = tmp_path / "talk.json"
    begun = run(
        "ask", "--continue", talk, fixtures / "speech.amr", "What?",
        "--base-url", f"{recorder.url}/api/v1",
    )  # fmt: skip
    assert begun.status == 0, begun.err
    ran = run("ask", "--continue", talk, tmp_path / "speach.amr", "And this?")
    assert (ran.status, ran.out) == (1, "")
    assert "no such file" in ran.err
    assert len(recorder.seen) == 1
    long = "What do you hear in it? " * 20
    asked = run("ask", "--continue", talk, long)
    assert (asked.status, len(recorder.seen)) == (0, 2), asked.err


def test_a_second_file_is_no_question(run: Run, fixtures: Path, recorder: Recorder) -> None:
    """`ask *.wav "What?"` would pay for answers about names."""
    first, second = fixtures / "speech.amr", fixtures / "raw.aac"
    ran = run("ask", first, second, "What?", "--base-url", f"{recorder.url}/api/v1")
    assert (ran.status, ran.out, recorder.seen) == (2, "", [])
    assert ran.err.startswith(f"error: {second} is a file, and a QUESTION is a text; ask about one")


def test_a_dash_is_the_sound_on_standard_input(
    run: Run, fixtures: Path, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further questions are about the same sound; a conversation cannot record its place."""
    recorder.stream(*NATIVE_EVENTS)
    sound = (fixtures / "speech.amr").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sound)))
    argv = ("ask", "-", "What is it?", "How loud?", "--base-url", f"{recorder.url}/api/v1")
    refused = run(*argv, "--continue", tmp_path / "talk.json")
    assert (refused.status, recorder.seen) == (2, [])
    assert "--continue records the place of FILE, and - has none" in refused.err
    ran = run(*argv)
    assert ran.status == 0, ran.err
    assert len(recorder.seen) == 2


def test_the_target_names_the_captioner(run: Run, fixtures: Path, recorder: Recorder) -> None:
    """A target that speaks chat completions only is asked in them without --captioner."""
    recorder.answer({"error": {"message": "no"}}, status=400)
    place = ("--base-url", f"{recorder.url}/v1")
    for target in ("openai", "transformers"):
        run("ask", fixtures / "speech.amr", "What?", "--target", target, "--model", "m", *place)
        assert recorder.seen[-1].path == "/v1/chat/completions"


def test_a_repeated_question_costs_nothing(run: Run, fixtures: Path, recorder: Recorder) -> None:
    """The answer is written from the ledger, and the last line says so."""
    recorder.stream(*NATIVE_EVENTS)
    place = ("--base-url", f"{recorder.url}/api/v1")
    for _ in range(2):
        ran = run("ask", fixtures / "speech.amr", "What is it?", *place)
    assert ran.out == "这段音频'\n"
    assert ran.err == "1 answer (1 from the ledger), 0 tokens\n"
    assert len(recorder.seen) == 1
    run("ask", fixtures / "speech.amr", "What is it?", "--no-resume", *place)
    assert len(recorder.seen) == 2


def test_each_captioner_has_a_question_model_of_its_own_protocol(
    run: Run, fixtures: Path, recorder: Recorder
) -> None:
    """Without --model the request names a model that the captioner's protocol has."""
    recorder.answer({"error": {"message": "no"}}, status=400)
    for captioner, base_path, model in (
        ("dashscope", "/api/v1", "qwen-audio-turbo"),
        ("openai", "/compatible-mode/v1", "qwen3.8-omni-flash"),
    ):
        place = ("--base-url", f"{recorder.url}{base_path}")
        run("ask", fixtures / "speech.amr", "What?", "--captioner", captioner, *place)
        assert recorder.seen[-1].json["model"] == model
        rows = catalogue.rows_of(model)
        assert rows
        assert all(captioner in row.protocols and row.prompt for row in rows)


def test_a_model_without_questions_names_the_models_that_answer(
    run: Run, fixtures: Path, recorder: Recorder
) -> None:
    """A target that describes sound and takes no question is refused before a request.

    A server of one's own has none of the models of the services: the advice names the option.
    """
    place = ("--base-url", f"{recorder.url}/v1")
    services = "take a model that answers questions: qwen-audio-turbo-latest, "
    own = "take a model that answers questions (--model)\n"
    for target, advice in (
        ("vllm", own),
        ("sglang", own),
        ("qwen3-omni-captioner", services),
        ("acoustic", services),
    ):
        ran = run("ask", fixtures / "speech.amr", "What?", "--target", target, *place)
        assert ran.status == 2
        assert advice in ran.err
    assert not recorder.seen
