"""Conversations about sound, against a real server that records its requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import captoolkit
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import open_captioner
from captoolkit.errors import CaptoolkitError, InputError, ServiceError, UsageError
from captoolkit.events import Event, RetryScheduled
from captoolkit.model import Usage
from captoolkit.net.client import Client
from tests.support.captioning import InstantClock

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
    """Return a conversation with the recorder."""
    settings = {"api_key": KEY, "clock": InstantClock(), "base_url": f"{recorder.url}/api/v1"}
    return captoolkit.Conversation(**{**settings, **options})


def sent(recorder: Recorder) -> list[list[tuple[str, list[str], str | None]]]:
    """Return the messages of each request: role, types of the parts, text."""
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


def test_each_request_holds_all_earlier_turns(recorder: Recorder, fixtures: Path) -> None:
    """Each question is sent with the sound and all earlier turns; the services keep no history."""
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
    """In a voice chat there is no text; a second sound may follow the first."""
    answering(recorder, "Certainly.")
    with conversation(recorder) as talk:
        talk.ask(audio=fixtures / "speech.amr")
        talk.ask(audio=(fixtures / "raw.aac").read_bytes())
    assert [[kinds for _, kinds, _ in request] for request in sent(recorder)] == [
        [["audio"]],
        [["audio"], ["text"], ["audio"]],
    ]


def test_an_answer_comes_piece_by_piece(recorder: Recorder, fixtures: Path) -> None:
    """`on_text` receives the pieces, and the history holds the whole answer."""
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


def test_failed_question_is_not_recorded(recorder: Recorder, fixtures: Path) -> None:
    """A failed question can be repeated, and the failed turn is not sent."""
    with conversation(recorder) as talk:
        recorder.answer({"code": "InvalidParameter", "message": "no"}, status=400)
        with pytest.raises(ServiceError):
            talk.ask("What is it?", audio=fixtures / "speech.amr")
        assert talk.messages == []
        answering(recorder, "Rain.")
        talk.ask("What is it?", audio=fixtures / "speech.amr")
    assert sent(recorder)[0] == sent(recorder)[1]


def test_sound_is_made_to_fit(recorder: Recorder, fixtures: Path) -> None:
    """A sound that does not fit is prepared; one that is too long is refused and not sent."""
    answering(recorder, "Tones.")
    with conversation(recorder) as talk:
        talk.ask("What is it?", audio=fixtures / "out-of-phase.flac")
        (seen,) = recorder.seen
        audio = seen.json["input"]["messages"][0]["content"][0]["audio"]
        assert audio.startswith("data:;base64,UklGR")  # RIFF
        with pytest.raises(UsageError, match="it lasts 43 s, and qwen-audio-stable hears 30 s"):
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
def test_question_that_the_model_cannot_take_is_refused(
    recorder: Recorder, fixtures: Path, first: dict[str, Any], told: str
) -> None:
    """The error comes before a request is sent and before a sound is prepared."""
    with conversation(recorder, model="qwen3-omni-30b-a3b-captioner") as talk:
        audio = fixtures / "no-such-file.wav" if first.get("text") else None
        with pytest.raises(UsageError, match=told):
            talk.ask(**first, audio=audio)
    assert recorder.seen == []


def test_captioner_model_takes_one_turn(recorder: Recorder, fixtures: Path) -> None:
    """The captioner model takes one turn."""
    answering(recorder, "Rain.")
    with conversation(recorder, model="qwen3-omni-30b-a3b-captioner") as talk:
        assert talk.ask(audio=fixtures / "speech.amr").text == "Rain."
        with pytest.raises(UsageError, match="does not take a second question"):
            talk.ask(audio=fixtures / "speech.amr")
    assert len(recorder.seen) == 1


def test_open_captioner_stays_open(recorder: Recorder, fixtures: Path) -> None:
    """An open captioner stays open and takes no options; it must answer questions."""
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


def test_refused_conversation_closes_its_captioner(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option that is found invalid after the captioner is open leaves no connection open."""
    closed: list[str] = []
    monkeypatch.setattr(Client, "close", lambda client: closed.append(client.base_url))
    with pytest.raises(UsageError, match="via=pigeon is not a way"):
        conversation(recorder, via="pigeon")
    assert closed == [f"{recorder.url}/api/v1"]


def test_default_model_has_its_own_region() -> None:
    """The default model is in Beijing; another model is requested in its own region."""
    hosts: list[tuple[dict[str, Any], str]] = [
        ({}, "dashscope.aliyuncs.com"),
        ({"region": "singapore"}, "dashscope-intl.aliyuncs.com"),
        ({"model": "qwen3-omni-30b-a3b-captioner"}, "dashscope-intl.aliyuncs.com"),
    ]
    for options, host in hosts:
        with captoolkit.Conversation(api_key=KEY, **options) as talk:
            assert f"https://{host}/api/v1" in repr(talk)


def test_a_conversation_over_the_other_protocol(recorder: Recorder, fixtures: Path) -> None:
    """Text is a part of a user's message, and a string in the other messages."""
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


# ------------------------------------------------------------------------ ledger, retries, budget


def test_repeated_question_is_answered_from_the_ledger(recorder: Recorder, fixtures: Path) -> None:
    """The same questions about the same sound are not sent twice; another order is another one."""
    answering(recorder, "Rain.")
    for _ in range(2):
        with conversation(recorder) as talk:
            first = talk.ask("What is it?", audio=fixtures / "speech.amr")
            second = talk.ask("How hard?")
            assert (first.text, second.text) == ("Rain.", "Rain.")
            numbers = (talk.requested, talk.recalled, talk.usage.total_tokens)
    assert numbers == (0, 2, None)
    assert len(recorder.seen) == 2
    with conversation(recorder) as talk:
        talk.ask("How hard?", audio=fixtures / "speech.amr")
    with conversation(recorder, resume=False) as talk:
        talk.ask("How hard?", audio=fixtures / "speech.amr")
        assert (talk.requested, talk.usage.total_tokens) == (1, 128)
    assert len(recorder.seen) == 4


def test_transient_error_is_retried(recorder: Recorder, fixtures: Path) -> None:
    """A throttled question is sent again, and an event announces it."""
    recorder.answer({"code": "Throttling", "message": "slow"}, status=429)
    events: list[Event] = []

    def recover(event: Event) -> None:
        events.append(event)
        answering(recorder, "Rain.")

    with conversation(recorder, on_event=recover) as talk:
        assert talk.ask("What is it?", audio=fixtures / "speech.amr").text == "Rain."
    assert [type(event) for event in events] == [RetryScheduled]
    assert len(recorder.seen) == 2


def test_invalid_key_fails_one_question_and_not_the_next(
    recorder: Recorder, fixtures: Path
) -> None:
    """A conversation can go on after an error that ends a captioning run."""
    recorder.answer({"code": "InvalidApiKey", "message": "no"}, status=401)
    with conversation(recorder) as talk:
        with pytest.raises(ServiceError, match="InvalidApiKey"):
            talk.ask("What is it?", audio=fixtures / "speech.amr")
        answering(recorder, "Rain.")
        assert talk.ask("What is it?", audio=fixtures / "speech.amr").text == "Rain."


def test_budget_counts_all_turns(recorder: Recorder, fixtures: Path) -> None:
    """A question that may cost more than the rest of the budget is not sent."""
    answering(recorder, "Rain.")
    options = {"model": "qwen3-omni-30b-a3b-captioner", "region": "singapore"}
    with conversation(recorder, max_cost="0.2", **options) as talk:
        talk.ask(audio=fixtures / "speech.amr")
        assert talk.cost is not None
        assert 0 < talk.cost.amount < 0.01
    with (
        conversation(recorder, max_cost="0.1", **options) as talk,
        pytest.raises(CaptoolkitError, match="not sent"),
    ):
        talk.ask(audio=fixtures / "raw.aac")
    assert len(recorder.seen) == 1
    with pytest.raises(UsageError, match=r"max_cost=1 cannot be kept.* in a target of your own"):
        conversation(recorder, max_cost=1)


# ------------------------------------------------------------------------------- save and resume


def test_saved_conversation_goes_on(recorder: Recorder, fixtures: Path, tmp_path: Path) -> None:
    """The file holds no key and no sound; the next question is sent with everything before it."""
    answering(recorder, "Rain.")
    file = tmp_path / "talk.json"
    with conversation(recorder, system="Be brief.", region="singapore") as talk:
        talk.ask("What is it?", audio=fixtures / "speech.amr")
        talk.save(file)
    text = file.read_text()
    assert KEY not in text
    assert "base64," not in text
    assert json.loads(text)["options"] == {"region": "singapore", "system": "Be brief."}
    answering(recorder, "Hard.")
    with captoolkit.Conversation.load(file, api_key=KEY, clock=InstantClock()) as talk:
        assert talk.to_json() == text
        assert talk.ask("How hard?").text == "Hard."
        assert [message.text for message in talk.messages][2:] == ["How hard?", "Hard."]
        assert talk.usage.total_tokens == 256
        talk.save(file)
    first, second = recorder.seen
    assert second.json["input"]["messages"][:2] == first.json["input"]["messages"]
    assert len(json.loads(file.read_text())["turns"]) == 2
    assert list(tmp_path.iterdir()) == [file]
    file.write_text(json.dumps(json.loads(file.read_text()), sort_keys=True))
    talk.save(file)
    other = tmp_path / "other.json"
    other.write_text('{"format": "captoolkit.timeline/1"}')
    with pytest.raises(captoolkit.OutputExistsError, match=r"other\.json exists and is no conv"):
        talk.save(other)


def test_saved_conversation_keeps_its_parameters_and_its_address(
    recorder: Recorder, fixtures: Path
) -> None:
    """The next question is sent with the same limit, sampling and query as the first."""
    message = {"role": "assistant", "content": "Rain."}
    recorder.answer({"choices": [{"finish_reason": "stop", "message": message}]})
    options = {"max_tokens": 50, "temperature": 0.5, "seed": 7, "timeout": ("30s", "60s")}
    place = f"{recorder.url}/openai/v1?api-version=2025-01-01-preview"
    with conversation(
        recorder, captioner="openai", target="azure", base_url=place, **options
    ) as talk:
        talk.ask("What is it?", audio=fixtures / "no-xing.mp3")
        text = talk.to_json()
    with captoolkit.Conversation.from_json(text, api_key=KEY, clock=InstantClock()) as talk:
        assert talk.to_json() == text
        talk.ask("How hard?")
    first, second = recorder.seen
    assert second.path == first.path == "/openai/v1/chat/completions?api-version=2025-01-01-preview"
    for name in ("max_completion_tokens", "temperature", "seed"):
        assert second.json[name] == first.json[name]


def test_changed_or_missing_sound_is_noticed(
    recorder: Recorder, fixtures: Path, tmp_path: Path
) -> None:
    """The answers of a saved conversation are about the bytes that the file had."""
    answering(recorder, "Rain.")
    sound = tmp_path / "sound.amr"
    sound.write_bytes((fixtures / "speech.amr").read_bytes())
    with conversation(recorder) as talk:
        talk.ask("What is it?", audio=sound)
        document = talk.to_json()
    sound.write_bytes((fixtures / "raw.aac").read_bytes())
    turns = json.loads(document)["turns"]
    without_hash = document.replace(turns[0]["audio"]["sha256"], "")
    for changed in (document, without_hash):
        with pytest.raises(InputError, match="has changed since the conversation was saved"):
            captoolkit.Conversation.from_json(changed)
    sound.unlink()
    with pytest.raises(InputError, match="is gone"):
        captoolkit.Conversation.from_json(document)


def test_sound_in_memory_cannot_be_saved(recorder: Recorder, fixtures: Path) -> None:
    """Nothing can refer to it later."""
    answering(recorder, "Rain.")
    with conversation(recorder) as talk:
        talk.ask("What is it?", audio=(fixtures / "speech.amr").read_bytes())
        assert talk.messages[0].audio == "in memory"
        with pytest.raises(UsageError, match="in memory"):
            talk.to_json()
