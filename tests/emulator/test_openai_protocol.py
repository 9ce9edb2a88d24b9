"""Tests of OpenAI's protocol; the SDK reads its refusals in `test_sdks.py`."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from captoolkit.emulator import openai_protocol, refusals
from captoolkit.emulator.chat import ChatRequest
from captoolkit.emulator.refusals import Reason, RefusedError
from tests.support.emulator_requests import beep, three_token_answer

WAV = base64.b64encode(beep(0.1)).decode()


def read(*parts: object, **more: object) -> ChatRequest:
    """Read a request with one user message."""
    document = {"model": "m", "messages": [{"role": "user", "content": list(parts)}], **more}
    return openai_protocol.read_request(document, {})


def test_bare_base64_becomes_a_data_uri() -> None:
    """The format must be the file's own."""
    part = {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
    assert read(part).audios == (f"data:;base64,{WAV}",)
    tagged = base64.b64encode(b"ID3\x04" + bytes(20)).decode()
    part = {"type": "input_audio", "input_audio": {"data": tagged, "format": "mp3"}}
    assert read(part).audios == (f"data:;base64,{tagged}",)


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        ({"data": WAV}, Reason.INCOMPLETE_PART),
        ({"format": "wav"}, Reason.INCOMPLETE_PART),
        ({"data": WAV, "format": "flac"}, Reason.UNKNOWN_VALUE),
        ({"data": f"data:;base64,{WAV}", "format": "wav"}, Reason.NO_BASE64),
        ({"data": "https://example.com/a.wav", "format": "wav"}, Reason.NO_BASE64),
        ({"data": WAV, "format": "mp3"}, Reason.WRONG_FORMAT),
    ],
)
def test_other_audio_is_refused(audio: dict[str, Any], reason: Reason) -> None:
    """A data URI and a URL are no Base64 text."""
    with pytest.raises(RefusedError) as caught:
        read({"type": "input_audio", "input_audio": audio})
    assert caught.value.refusal.reason is reason


def test_unknown_part_is_refused_with_its_place() -> None:
    """OpenAI names the index of message and part."""
    with pytest.raises(RefusedError) as caught:
        read({"type": "text", "text": "a"}, {"type": "audio_url", "audio_url": {"url": "x"}})
    reply = openai_protocol.write_refusal(caught.value.refusal, "r-1", False)
    error = json.loads(reply.parts[0])["error"]
    assert error["param"] == "messages[0].content[1].type"
    assert error["message"].startswith("Invalid value: 'audio_url'. Supported values are: 'text'")


def test_a_refusal_shows_no_key() -> None:
    """OpenAI shows a part of the key; the emulator shows none."""
    reply = openai_protocol.write_refusal(refusals.BAD_KEY, "r-1", False)
    assert json.loads(reply.parts[0])["error"]["code"] == "invalid_api_key"


def test_the_answer_has_openais_fields() -> None:
    """Usage has details of audio; a stream ends with an empty delta."""
    whole = json.loads(openai_protocol.write_answer(three_token_answer(), read()).parts[0])
    assert whole["choices"][0]["message"]["content"] == "The audio ends."
    assert whole["usage"]["prompt_tokens_details"]["audio_tokens"] == 152
    streamed = openai_protocol.write_answer(three_token_answer(), read(stream=True))
    *events, done = [part.removeprefix(b"data: ") for part in streamed.parts]
    last = json.loads(events[-1])["choices"][0]
    assert (last["delta"], last["finish_reason"], done) == ({}, "stop", b"[DONE]\n\n")
