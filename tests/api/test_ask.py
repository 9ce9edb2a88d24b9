"""Talking with a model about sound, against a real server that keeps what it is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import captoolkit
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import open_captioner
from captoolkit.errors import ServiceError, UsageError
from captoolkit.model import Usage

if TYPE_CHECKING:
    from tests.support.recorder import Recorder

KEY = "sk-test-0123456789abcdef"


def answering(recorder: Recorder, text: str) -> None:
    """Answer as Qwen-Audio does."""
    message = {"role": "assistant", "content": [{"text": text}]}
    recorder.answer(
        {
            "output": {"choices": [{"finish_reason": "stop", "message": message}]},
            "usage": {"audio_tokens": 85, "input_tokens": 33, "output_tokens": 10},
            "request_id": "r-1",
        }
    )


def conversation(recorder: Recorder, **options: Any) -> captoolkit.Conversation:
    """A conversation with the recorder."""
    return captoolkit.Conversation(base_url=f"{recorder.url}/api/v1", **{"api_key": KEY, **options})


def sent(recorder: Recorder) -> list[list[tuple[str, list[str], str | None]]]:
    """The messages of each request: role, kinds of parts, words."""
    return [
        [
            (
                one["role"],
                [kind for part in one["content"] for kind in part],
                next((part["text"] for part in one["content"] if "text" in part), None),
            )
            for one in seen.json["input"]["messages"]
        ]
        for seen in recorder.seen
    ]


def test_each_turn_is_heard_with_all_before_it(recorder: Recorder, fixtures: Path) -> None:
    """The sound and the answers are sent again with each question; the services keep nothing."""
    with conversation(recorder, system="Be brief.") as talk:
        answering(recorder, "Rain.")
        first = talk.ask("What is it?", audio=fixtures / "speech.amr")
        answering(recorder, "Hard.")
        second = talk.ask("How hard?")
    assert (first.text, second.text) == ("Rain.", "Hard.")
    assert first.usage == Usage(
        audio_tokens=85, text_tokens=33, input_tokens=118, output_tokens=10, total_tokens=128
    )
    beginning = [("system", ["text"], "Be brief."), ("user", ["audio", "text"], "What is it?")]
    assert sent(recorder) == [
        beginning,
        [*beginning, ("assistant", ["text"], "Rain."), ("user", ["text"], "How hard?")],
    ]
    bodies = [seen.json["input"]["messages"][1]["content"][0] for seen in recorder.seen]
    assert bodies[0] == bodies[1]
    assert [seen.json["model"] for seen in recorder.seen] == ["qwen-audio-turbo"] * 2


def test_the_sound_alone_is_a_question(recorder: Recorder, fixtures: Path) -> None:
    """In a voice chat nothing is written; a second sound may follow the first."""
    answering(recorder, "Certainly.")
    with conversation(recorder) as talk:
        talk.ask(audio=fixtures / "speech.amr")
        talk.ask(audio=(fixtures / "raw.aac").read_bytes())
    assert [[kinds for _, kinds, _ in request] for request in sent(recorder)] == [
        [["audio"]],
        [["audio"], ["text"], ["audio"]],
    ]


def test_an_answer_comes_piece_by_piece(recorder: Recorder, fixtures: Path) -> None:
    """`on_text` receives it as it comes, and the history holds it whole."""
    events = [
        {"output": {"choices": [{"message": {"content": [{"text": text}]}, "finish_reason": end}]}}
        for text, end in (("Heavy ", "null"), ("rain.", "stop"))
    ]
    recorder.stream(*(b"data:" + json.dumps(event).encode() + b"\n\n" for event in events))
    pieces: list[str] = []
    with conversation(recorder) as talk:
        talk.ask("What is it?", audio=fixtures / "speech.amr", on_text=pieces.append)
        assert pieces == ["Heavy ", "rain."]
        assert talk.messages[-1] == Message(role=Role.ASSISTANT, text="Heavy rain.")
    assert recorder.seen[0].headers["x-dashscope-sse"] == "enable"


def test_a_question_without_an_answer_leaves_no_trace(recorder: Recorder, fixtures: Path) -> None:
    """It can be asked again, and is then asked alone."""
    with conversation(recorder) as talk:
        recorder.answer({"code": "InternalError", "message": "later"}, status=500)
        with pytest.raises(ServiceError):
            talk.ask("What is it?", audio=fixtures / "speech.amr")
        assert talk.messages == []
        answering(recorder, "Rain.")
        talk.ask("What is it?", audio=fixtures / "speech.amr")
    assert sent(recorder)[0] == sent(recorder)[1]


def test_sound_is_made_to_fit(recorder: Recorder, fixtures: Path) -> None:
    """What the model does not take is prepared; what is too long is refused, unsent."""
    answering(recorder, "Tones.")
    with conversation(recorder) as talk:
        talk.ask("What is it?", audio=fixtures / "out-of-phase.flac")
        (seen,) = recorder.seen
        audio = seen.json["input"]["messages"][0]["content"][0]["audio"]
        assert audio.startswith("data:;base64,UklGR")  # RIFF
        with pytest.raises(UsageError, match="it lasts 43 s, and qwen-audio hears 30 s at a time"):
            talk.ask("And this?", audio=fixtures / "hammering-mandarin.flac")
    assert len(recorder.seen) == 1


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ({"text": "What is it?"}, "does not take a prompt"),
        ({}, "nothing to ask"),
        ({"text": ""}, "nothing to ask"),
    ],
)
def test_what_the_captioner_does_not_take_is_refused(
    recorder: Recorder, fixtures: Path, first: dict[str, Any], told: str
) -> None:
    """Before anything is sent, and before a sound is prepared."""
    with conversation(recorder, model="qwen3-omni-30b-a3b-captioner") as talk:
        audio = fixtures / "no-such-file.wav" if first.get("text") else None
        with pytest.raises(UsageError, match=told):
            talk.ask(**first, audio=audio)
    assert recorder.seen == []


def test_the_captioner_hears_one_sound_and_no_second_question(
    recorder: Recorder, fixtures: Path
) -> None:
    """One turn is what it takes."""
    answering(recorder, "Rain.")
    with conversation(recorder, model="qwen3-omni-30b-a3b-captioner") as talk:
        assert talk.ask(audio=fixtures / "speech.amr").text == "Rain."
        with pytest.raises(UsageError, match="does not take a second question"):
            talk.ask(audio=fixtures / "speech.amr")
    assert len(recorder.seen) == 1


def test_an_open_captioner_is_talked_with_and_stays_open(
    recorder: Recorder, fixtures: Path
) -> None:
    """Its owner closes it; its options are its own; one that cannot answer is refused."""
    answering(recorder, "Rain.")
    with open_captioner(
        "dashscope", base_url=f"{recorder.url}/api/v1", model="qwen-audio-turbo"
    ) as mine:
        with captoolkit.Conversation(mine) as talk:
            talk.ask("What is it?", audio=fixtures / "speech.amr")
        with captoolkit.Conversation(mine) as talk:
            talk.ask("And now?", audio=fixtures / "speech.amr")
        with pytest.raises(UsageError, match="model cannot be given to a captioner that is open"):
            captoolkit.Conversation(mine, model="x")
    with (
        open_captioner("acoustic") as local,
        pytest.raises(UsageError, match="the acoustic captioner cannot be asked questions"),
    ):
        captoolkit.Conversation(local)
    assert len(recorder.seen) == 2


def test_qwen_audio_is_asked_where_it_is() -> None:
    """The usual model is in Beijing; who names another asks where all models are asked."""
    hosts: list[tuple[dict[str, Any], str]] = [
        ({}, "dashscope.aliyuncs.com"),
        ({"region": "singapore"}, "dashscope-intl.aliyuncs.com"),
        ({"model": "qwen3-omni-30b-a3b-captioner"}, "dashscope-intl.aliyuncs.com"),
    ]
    for options, host in hosts:
        with captoolkit.Conversation(api_key=KEY, **options) as talk:
            assert f"https://{host}/api/v1" in repr(talk)


def test_a_conversation_over_the_other_protocol(recorder: Recorder, fixtures: Path) -> None:
    """Words are parts of a user's message and strings elsewhere."""
    choice = {"message": {"role": "assistant", "content": "Rain."}, "finish_reason": "stop"}
    recorder.answer({"choices": [choice], "id": "c-1"})
    base_url = f"{recorder.url}/v1"
    with captoolkit.Conversation(
        "openai", base_url=base_url, model="own", system="Be brief."
    ) as talk:
        talk.ask("What?", audio=fixtures / "speech.amr")
        talk.ask("How?")
    messages = recorder.seen[1].json["messages"]
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in messages[1]["content"]] == ["audio_url", "text"]
    assert messages[2:] == [
        {"role": "assistant", "content": "Rain."},
        {"role": "user", "content": [{"type": "text", "text": "How?"}]},
    ]
