"""Tests that the services' own SDKs work with the emulator, unchanged."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import dashscope
import openai
import pytest

import captoolkit
from captoolkit.emulator import Emulator
from captoolkit.emulator.chat import UNANSWERED
from tests.support.emulator_requests import CAPTIONER, QWEN_AUDIO, StartEmulator, beep, data_uri

KEY = "sk-rehearsal"
SPEECH = "austen-0870.wav"


@pytest.fixture
def clip(fixtures: Path) -> Path:
    """A clip with sound and silence."""
    return fixtures / "tones-and-silences.wav"


@pytest.fixture
def call(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call the `dashscope` SDK; only its host is changed."""
    monkeypatch.setattr(dashscope, "base_http_api_url", emulator.native_url)

    def ask(audio: str, *parts: dict[str, str], model: str = CAPTIONER, **options: Any) -> Any:
        messages = [{"role": "user", "content": [{"audio": audio}, *parts]}]
        return dashscope.MultiModalConversation.call(
            api_key=KEY, model=model, messages=messages, **options
        )

    return ask


@pytest.fixture
def client(emulator: Emulator) -> Any:
    """The `openai` SDK; only its host is changed."""
    with openai.OpenAI(base_url=emulator.compatible_url, api_key=KEY, max_retries=0) as client:
        yield client


def content(audio: str) -> Any:
    """Return a message as the captioner's page shows it for the `openai` SDK."""
    return [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": audio}}]}]


def text_of(response: Any) -> str:
    """Return the text of an answer or an event of the `dashscope` SDK."""
    parts = response.output.choices[0].message.content
    return str(parts[0]["text"]) if parts else ""


def expected(clip: Path) -> str:
    """Return the local captioner's description of a file, with its details."""
    (entry,) = captoolkit.caption(clip).entries
    return f"{entry.text}\n\n{entry.details}"


FIRST_AUDIO = "messages[0].content[0].input_audio"


def openai_asker(emulator: Emulator, model: str, *, key: str = KEY) -> tuple[Any, Any]:
    """Return a function that sends one part with the SDK, and one that encodes a file."""
    client = openai.OpenAI(base_url=emulator.compatible_url, api_key=key, max_retries=0)

    def ask(part: object, **parameters: Any) -> Any:
        messages: Any = [{"role": "user", "content": [part]}]
        return client.chat.completions.create(model=model, messages=messages, **parameters)

    return ask, lambda file: base64.b64encode(file.read_bytes()).decode()


def test_dashscope_sends_base64_text(call: Any, clip: Path) -> None:
    """The SDK finds text, usage, status and request id."""
    response = call(data_uri(clip.read_bytes()))
    assert (response.status_code, response.code) == (200, "")
    assert text_of(response) == expected(clip)
    usage = response.usage
    assert usage["input_tokens"] == sum(usage["input_tokens_details"].values())
    assert response.request_id


@pytest.mark.parametrize("incremental", [True, False])
def test_dashscope_streams(call: Any, clip: Path, incremental: bool) -> None:
    """Events hold the new text or all text so far; the last has the finish reason `stop`."""
    events = list(call(data_uri(clip.read_bytes()), stream=True, incremental_output=incremental))
    texts = [text_of(event) for event in events]
    assert ("".join(texts) if incremental else texts[-1]) == expected(clip)
    reasons = [event.output.choices[0].finish_reason for event in events]
    assert reasons == ["null"] * (len(events) - 1) + ["stop"]
    assert events[-1].usage["output_tokens"] > events[0].usage["output_tokens"] == 1


def test_dashscope_uploads_a_file(call: Any, clip: Path, tmp_path: Path) -> None:
    """The SDK's upload works, also with a space in the file's name."""
    named = tmp_path / "clip one é.wav"
    named.write_bytes(clip.read_bytes())
    response = call(f"file://{named}")
    assert response.status_code == 200, response
    assert text_of(response) == expected(clip)


def test_dashscope_calls_qwen_audio(call: Any, clip: Path) -> None:
    """The SDK uploads, prompts and merges the stream; Qwen-Audio's usage has its own fields."""
    question = {"text": "这段音频在说什么?"}
    events = list(
        call(f"file://{clip}", question, model=QWEN_AUDIO, stream=True, incremental_output=False)
    )
    assert text_of(events[-1]).startswith(UNANSWERED)
    usage = events[-1].usage
    assert usage["input_tokens"] == 9
    assert usage["audio_tokens"] > 0
    assert "total_tokens" not in usage


def test_dashscope_is_refused(call: Any) -> None:
    """The SDK finds code and message, streaming or not."""
    refused = call("data:;base64,")
    (event,) = call("data:;base64,", stream=True)
    for answer in (refused, event):
        assert (answer.status_code, answer.code) == (400, "InvalidParameter")
        assert answer.message.endswith("The audio is empty")
        assert answer.request_id


def test_dashscopes_newer_client_calls_streams_and_uploads(emulator: Emulator, clip: Path) -> None:
    """The SDK's second client sends other headers and another order of keys."""
    with dashscope.Client(api_key=KEY, base_url=emulator.native_url) as client:
        ask: Any = client.multimodal.chat.create
        audios = [data_uri(clip.read_bytes()), f"file://{clip}"]
        messages = [[{"role": "user", "content": [{"audio": audio}]}] for audio in audios]
        texts = [
            ask(model=CAPTIONER, messages=turns).choices[0].message.content for turns in messages
        ]
        events = list(ask(model=CAPTIONER, messages=messages[0], stream=True))
        deltas = [event.choices[0].delta.content or "" for event in events]
    assert [*texts, "".join(deltas)] == [expected(clip)] * 3


def test_openai_calls(client: Any, clip: Path) -> None:
    """The SDK finds the text as a string, and the usage with its details."""
    completion = client.chat.completions.create(
        model=CAPTIONER, messages=content(data_uri(clip.read_bytes()))
    )
    (choice,) = completion.choices
    assert (choice.message.content, choice.finish_reason) == (expected(clip), "stop")
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.audio_tokens == usage.prompt_tokens - 8


def test_openai_streams(client: Any, clip: Path) -> None:
    """The deltas make up the text; the usage follows without choices."""
    *chunks, last = client.chat.completions.create(
        model=CAPTIONER,
        messages=content(data_uri(clip.read_bytes())),
        stream=True,
        stream_options={"include_usage": True},
    )
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == expected(clip)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert (last.choices, last.usage.prompt_tokens_details.text_tokens) == ([], 8)


def test_openai_is_refused_and_throttled(start: StartEmulator) -> None:
    """The SDK raises its own exceptions with code and request id, and its own retry succeeds."""
    emulator = start(faults=["throttle=1"])
    with openai.OpenAI(base_url=emulator.compatible_url, api_key=KEY, max_retries=1) as client:
        completion = client.chat.completions.create(
            model=CAPTIONER, messages=content(data_uri(beep()))
        )
        assert completion.choices[0].message.content
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="nobody", messages=content("oss://a"))
    assert caught.value.code == "model_not_found"
    assert caught.value.request_id == emulator.requests[-1].request_id
    assert [request.status for request in emulator.requests] == [429, 200, 404]


def test_openai_lists_the_models(client: Any) -> None:
    """The list has the models of the compatible mode, and each has a page."""
    assert CAPTIONER in [model.id for model in client.models.list()]
    assert client.models.retrieve(CAPTIONER).id == CAPTIONER
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("nobody")


def test_openai_with_the_service_of_its_own(start: StartEmulator, clip: Path) -> None:
    """Like OpenAI, the audio is bare Base64, and refusals have its words, codes and parameters."""
    emulator = start(like="openai", key=KEY)
    ask, audio = openai_asker(emulator, "gpt-audio")
    part = {"type": "input_audio", "input_audio": {"data": audio(clip), "format": "wav"}}
    assert ask(part).choices[0].message.content.endswith(expected(clip))
    refused = [
        ({}, {"temperature": 3}, "decimal_above_max_value", "temperature"),
        ({}, {"max_tokens": 0}, "integer_below_min_value", "max_tokens"),
        ({}, {"max_tokens": 10**6}, "invalid_value", "max_tokens"),
        ({"format": "flac"}, {}, "invalid_value", "messages[0].content[0].input_audio.format"),
        ({"format": "mp3"}, {}, "unsupported_format", "messages"),
        ({"data": data_uri(b"RIFF")}, {}, "invalid_value", f"{FIRST_AUDIO}.data"),
        ({"format": None}, {}, "missing_required_parameter", f"{FIRST_AUDIO}.format"),
    ]
    for changes, parameters, code, param in refused:
        changed = {**part, "input_audio": {**part["input_audio"], **changes}}  # type: ignore[dict-item]
        with pytest.raises(openai.BadRequestError) as caught:
            ask(changed, **parameters)
        assert (caught.value.code, caught.value.param) == (code, param)
    other, _ = openai_asker(emulator, "gpt-audio", key="sk-other")
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided"):
        other(part)


def test_openai_with_a_self_hosted_vllm(start: StartEmulator, clip: Path) -> None:
    """Like vLLM, both forms of audio are taken, and no key is needed; its errors hold numbers."""
    ask, audio = openai_asker(start(like="vllm"), "Qwen/Qwen3-Omni-30B-A3B-Captioner")
    by_url = {"type": "audio_url", "audio_url": {"url": f"data:;base64,{audio(clip)}"}}
    bare = {"type": "input_audio", "input_audio": {"data": audio(clip), "format": "wav"}}
    texts = {ask(part).choices[0].message.content for part in (by_url, bare)}
    assert texts == {expected(clip)}
    prefixed = {"type": "audio_url", "audio_url": {"url": f"data:audio/wav,{audio(clip)}"}}
    for part, status, message in (
        (prefixed, 501, "Only base64 data URLs are supported for now."),
        ({"type": "audio", "audio": "x"}, 400, "validation errors for ValidatorIterator"),
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            ask(part)
        assert (caught.value.status_code, caught.value.code) == (status, str(status))
        assert message in caught.value.message


@pytest.mark.corpus
def test_both_sdks_say_the_same_of_a_real_recording(
    call: Any, client: Any, emulator: Emulator, corpus: Path
) -> None:
    """Two SDKs get one text for one recording; the journal has the hash of its bytes."""
    sound = (corpus / SPEECH).read_bytes()
    uri = data_uri(sound)
    native = text_of(call(uri))
    completion = client.chat.completions.create(model=CAPTIONER, messages=content(uri))
    assert native == completion.choices[0].message.content
    hashes = {request.audio_sha256 for request in emulator.requests}
    assert hashes == {hashlib.sha256(sound).hexdigest()}
