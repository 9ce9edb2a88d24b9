"""A captioner that asks a service: its options, its recipe, its messages."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from captoolkit.captioners.base import (
    ConversationalCaptioner,
    HasTransports,
    PaidCaptioner,
    ways_to,
)
from captoolkit.captioners.registry import open_captioner
from captoolkit.dispatch.budget import worst_case
from captoolkit.errors import ConnectionFailure, ServiceConnectionError, UsageError
from captoolkit.model import Via
from captoolkit.services.rows import DEFAULT_PROMPT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clips import BytesClip
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
        "prompt": DEFAULT_PROMPT,
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


def test_a_model_that_takes_a_question_is_asked_for_a_description(
    recorder: Recorder, clip: Any
) -> None:
    """Without a question, Qwen-Audio would reply to the speech (voice chat)."""
    recorder.answer({"choices": [{"message": {"content": "Rain."}, "finish_reason": "stop"}]})
    base_url = f"{recorder.url}/api/v1"
    for model in ("qwen-audio-turbo-latest", "qwen-audio-turbo", "qwen3-omni-30b-a3b-captioner"):
        with opened(base_url=base_url, model=model) as captioner:
            captioner.caption(clip)
    sent = [seen.json["input"]["messages"][0]["content"] for seen in recorder.seen]
    sound = {"audio": clip.data_uri()}
    assert sent == [[sound, {"text": DEFAULT_PROMPT}]] * 2 + [[sound]]


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


# --------------------------------------------------------------- requests of the targets' rows


def asked_at(recorder: Recorder, clip: BytesClip, tmp_path: Path, **options: Any) -> Any:
    """Return the request that a captioner sends for a clip."""
    file = tmp_path / "clip.wav"
    file.write_bytes(clip.content)
    recorder.answer({"choices": [{"message": {"content": "Rain."}, "finish_reason": "stop"}]})
    options.setdefault("base_url", f"{recorder.url}/v1")
    with open_captioner("openai", **options) as captioner:
        assert captioner.caption(replace(clip, file=file)).text == "Rain."
    return recorder.seen[-1]


def test_a_request_to_openai_has_prompt_key_and_format(
    recorder: Recorder, clip: BytesClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row states the prompt and the variable of the key; the option replaces the prompt."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-not-for-this-server")
    seen = asked_at(recorder, clip, tmp_path, target="openai", max_tokens=300, temperature=0.5)
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    sound, words = seen.json["messages"][0]["content"]
    assert sound["input_audio"]["format"] == "wav"
    assert words["text"].startswith("Describe this recording")
    assert (seen.json["max_completion_tokens"], seen.json["temperature"]) == (300, 0.5)
    seen = asked_at(recorder, clip, tmp_path, target="openai", prompt="Which bird?")
    assert seen.json["messages"][0]["content"][1]["text"] == "Which bird?"


def test_a_request_to_azure_has_its_header_and_its_version(
    recorder: Recorder, clip: BytesClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key stands alone in `api-key`; the version is sent where the base URL states one."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    base_url = f"{recorder.url}/openai/deployments/listen"
    version = "?api-version=2025-01-01-preview"
    seen = asked_at(recorder, clip, tmp_path, target="azure", base_url=base_url + version)
    assert seen.path == f"/openai/deployments/listen/chat/completions{version}"
    assert seen.headers["api-key"] == KEY
    assert "authorization" not in seen.headers
    assert asked_at(recorder, clip, tmp_path, target="azure").path == "/v1/chat/completions"


def test_a_request_to_qwen_omni_is_a_stream(
    recorder: Recorder, clip: BytesClip, tmp_path: Path
) -> None:
    """The row says what the body has, and that only streams are answered."""
    seen = asked_at(recorder, clip, tmp_path, target="qwen-omni", workspace="llm-1")
    assert seen.json["stream"] is True
    assert seen.json["modalities"] == ["text"]
    assert seen.json["enable_thinking"] is False
    sound = seen.json["messages"][0]["content"][0]["input_audio"]
    assert sound["data"].startswith("data:;base64,")
    assert sound["format"] == "wav"
    assert seen.headers["x-dashscope-workspace"] == "llm-1"


def test_parameters_are_a_part_of_the_recipe_and_the_way_of_sending_is_not() -> None:
    """Another parameter is another question; a dialect, a timeout or a workspace is not."""
    options: dict[str, Any] = {"model": "own", "base_url": "http://127.0.0.1:9/v1"}
    plain = opened("openai", **options).recipe
    assert opened("openai", **options, max_tokens=5).recipe != plain
    assert opened("openai", **options, parameters={"top_k": 1}).recipe != plain
    for sending in ({"dialect": "openai"}, {"timeout": "1h"}, {"workspace": "w"}):
        assert opened("openai", **options, **sending).recipe == plain


def test_a_dialect_replaces_that_of_the_row() -> None:
    """A LiteLLM proxy in front of Model Studio needs another one than its row states."""
    options: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v1", "model": "own"}
    assert opened("openai", target="litellm", **options).ways == {Via.BASE64}
    other = opened("openai", target="litellm", dialect="model-studio", **options)
    assert Via.URL in other.ways
    with pytest.raises(UsageError, match="dialect='whisper' is not known; take model-studio"):
        opened("openai", dialect="whisper", **options)
    with pytest.raises(UsageError, match="dialect=openai is for chat completions"):
        opened("dashscope", dialect="openai")


def test_a_lower_limit_of_the_answer_lowers_the_worst_case() -> None:
    """The budget reserves the price of the longest answer, and of the prompt's text."""
    base: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v1", "region": "global"}
    price, worst = None, []
    for options in ({}, {"max_tokens": 500}, {"max_tokens": 500, "prompt": "What?"}):
        service = opened("openai", target="gemini", **base, **options).service
        price = service.price
        assert price is not None
        worst.append(worst_case(service.target, price, Fraction(30)))
    assert worst[0] > Decimal("0.24")
    texts, longer_file = 5 + 64, 17
    tokens = 960 + texts + longer_file
    assert worst[2] == (Decimal("0.75") * tokens + Decimal("3.75") * 500) / 1_000_000
    assert worst[2] < worst[1] < Decimal("0.004")


def test_a_timeout_bounds_a_request(recorder: Recorder, clip: BytesClip) -> None:
    """A server that sends nothing is left after the time that the option states."""
    recorder.hang()
    base_url = f"{recorder.url}/v1"
    with (
        open_captioner("openai", model="own", base_url=base_url, timeout="200ms") as captioner,
        pytest.raises(ServiceConnectionError) as caught,
    ):
        captioner.caption(clip)
    assert caught.value.kind in {ConnectionFailure.SILENT, ConnectionFailure.TOO_LATE}
