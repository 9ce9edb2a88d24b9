"""What is asked of a service, and what of it is refused before anything is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from captoolkit.captioners.base import (
    ConversationalCaptioner,
    HasTransports,
    PaidCaptioner,
    ways_to,
)
from captoolkit.captioners.messages import Message, Role, check_messages
from captoolkit.captioners.registry import open_captioner
from captoolkit.errors import UsageError
from captoolkit.model import Via
from captoolkit.services import catalogue

if TYPE_CHECKING:
    from tests.support.recorder import Recorder

KEY = "sk-test-0123456789abcdef"
SOUND = Message(role=Role.USER, audio="data:;base64,AA==")
ASKED = Message(role=Role.USER, audio="data:;base64,AA==", text="What is it?")
SAID = Message(role=Role.ASSISTANT, text="Rain.")
WORDS = Message(role=Role.USER, text="How hard?")
BEFORE = Message(role=Role.SYSTEM, text="Be brief.")


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([ASKED], "does not take a prompt"),
        ([BEFORE, SOUND], "does not take a system message"),
        ([SOUND, SAID, SOUND], "does not take a second question"),
        ([WORDS], "does not take a prompt"),
        ([], "nothing to ask"),
        ([Message(role=Role.USER)], "nothing to ask"),
    ],
)
@pytest.mark.parametrize("target", ["qwen3-omni-captioner", "vllm"])
def test_the_captioners_nature_is_respected(
    messages: list[Message], told: str, target: str
) -> None:
    """It takes one sound, no words, one turn; and says so in one line."""
    with pytest.raises(UsageError, match=told) as caught:
        check_messages(messages, catalogue.target(target))
    assert str(caught.value).isprintable()


def test_one_sound_is_one_sound() -> None:
    """Two sounds in one request are more than the captioner's page allows."""
    row = catalogue.target("qwen3-omni-captioner")
    check_messages([SOUND], row)
    talker = catalogue.target("qwen-audio")
    check_messages([BEFORE, ASKED, SAID, WORDS], talker)
    check_messages([SOUND, SAID, SOUND], talker)
    check_messages([BEFORE, ASKED, SAID, WORDS], None)


def opened(name: str = "dashscope", **options: Any) -> Any:
    """A captioner of Model Studio."""
    return open_captioner(name, **{"api_key": KEY, **options})


@pytest.mark.parametrize("option", ["prompt", "system"])
@pytest.mark.parametrize("name", ["dashscope", "openai"])
def test_what_a_model_does_not_take_is_refused_when_opening(name: str, option: str) -> None:
    """Nobody waits for a recording to be prepared to hear of it."""
    with pytest.raises(UsageError, match="qwen3-omni-30b-a3b-captioner does not take"):
        opened(name, **{option: "Say more."})
    opened(model="qwen-audio-turbo", **{option: "Say more."}).close()
    opened(name, model="somebody's own", **{option: "Say more."}).close()


def test_the_recipe_is_all_that_is_asked_beside_the_sound() -> None:
    """The same question at any of Model Studio's hosts has one recipe; another has another."""
    recipes = [
        opened(model="qwen-audio-turbo", **options).recipe
        for options in (
            {},
            {"region": "beijing"},
            {"base_url": "https://w1.cn-beijing.maas.aliyuncs.com/api/v1"},
            {"api_key": "sk-another-0123456789"},
            {"prompt": ""},
        )
    ]
    assert len(set(recipes)) == 1
    assert KEY not in recipes[0]
    others = [
        opened(model="qwen-audio-turbo-latest").recipe,
        opened(model="qwen-audio-turbo", prompt="What?").recipe,
        opened(model="qwen-audio-turbo", system="What?").recipe,
        opened(model="qwen-audio-turbo", base_url="http://127.0.0.1:9/api/v1").recipe,
        opened("openai", model="qwen-audio-turbo", base_url="http://127.0.0.1:9/v1").recipe,
    ]
    assert len({recipes[0], *others}) == 6
    asked = json.loads(recipes[0])
    assert recipes[0] == json.dumps(asked, sort_keys=True, separators=(",", ":"))
    assert asked == {
        "protocol": "dashscope",
        "base_url": "model-studio",
        "model": "qwen-audio-turbo",
        "prompt": None,
        "system": None,
        "parameters": {},
    }


def test_a_service_is_paid_reached_and_talked_with() -> None:
    """It keeps the three promises of `base.py`; the local captioner makes none of them."""
    with opened() as service, open_captioner("acoustic") as local:
        for promise in (PaidCaptioner, HasTransports, ConversationalCaptioner):
            assert isinstance(service, promise)
            assert not isinstance(local, promise)
        assert ways_to(service) == set(Via)
        assert ways_to(local) == {Via.BASE64}


def test_prompt_and_system_message_are_said_with_each_clip(recorder: Recorder, clip: Any) -> None:
    """Every segment is asked the same."""
    message = {"role": "assistant", "content": [{"text": "Rain."}]}
    recorder.answer({"output": {"choices": [{"finish_reason": "stop", "message": message}]}})
    base_url = f"{recorder.url}/api/v1"
    with opened(
        base_url=base_url, model="qwen-audio-turbo", prompt="What?", system="Be brief."
    ) as captioner:
        captioner.caption(clip)
        captioner.caption(clip)
    for seen in recorder.seen:
        assert seen.json["input"]["messages"] == [
            {"role": "system", "content": [{"text": "Be brief."}]},
            {"role": "user", "content": [{"audio": clip.data_uri()}, {"text": "What?"}]},
        ]
