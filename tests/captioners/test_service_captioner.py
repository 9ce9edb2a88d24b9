"""A captioner that asks a service: its options, its recipe, its messages."""

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
from captoolkit.captioners.registry import open_captioner
from captoolkit.errors import UsageError
from captoolkit.model import Via

if TYPE_CHECKING:
    from tests.support.recorder import Recorder

KEY = "sk-test-0123456789abcdef"


def opened(name: str = "dashscope", **options: Any) -> Any:
    """Return a captioner of Model Studio."""
    return open_captioner(name, **{"api_key": KEY, **options})


@pytest.mark.parametrize("option", ["prompt", "system"])
@pytest.mark.parametrize("name", ["dashscope", "openai"])
def test_a_prompt_that_the_model_does_not_take_is_refused_when_opening(
    name: str, option: str
) -> None:
    """The refusal precedes the preparation of a recording."""
    with pytest.raises(UsageError, match="qwen3-omni-30b-a3b-captioner does not take"):
        opened(name, **{option: "Say more."})
    opened(model="qwen-audio-turbo", **{option: "Say more."}).close()
    opened(name, model="a model of one's own", **{option: "Say more."}).close()


def test_the_recipe_is_everything_in_a_request_but_the_sound() -> None:
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


def test_a_service_captioner_has_the_members_of_all_protocols() -> None:
    """It has the members of the protocols in `base.py`; the local captioner has none of them."""
    with opened() as service, open_captioner("acoustic") as local:
        for protocol in (PaidCaptioner, HasTransports, ConversationalCaptioner):
            assert isinstance(service, protocol)
            assert not isinstance(local, protocol)
        assert ways_to(service) == set(Via)
        assert ways_to(local) == {Via.BASE64}


def test_prompt_and_system_message_are_sent_with_each_clip(recorder: Recorder, clip: Any) -> None:
    """The request for every segment asks the same question."""
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
