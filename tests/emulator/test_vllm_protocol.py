"""Tests of vLLM's protocol; the sentences are those of vLLM 0.32.0."""

from __future__ import annotations

import json
from typing import Any

import pytest

from captoolkit.emulator import refusals, vllm_protocol
from captoolkit.emulator.chat import ChatRequest
from captoolkit.emulator.refusals import Reason, RefusedError
from tests.support.emulator_requests import three_token_answer


def read(*parts: object, **more: object) -> ChatRequest:
    """Read a request with one user message."""
    document = {"messages": [{"role": "user", "content": list(parts)}], **more}
    return vllm_protocol.read_request(document, {})


def test_both_forms_of_audio_become_references() -> None:
    """A model may be left out."""
    request = read(
        {"type": "audio_url", "audio_url": {"url": "http://127.0.0.1/a.wav"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "text", "text": "What?"},
    )
    assert request.model == ""
    assert request.audios == ("http://127.0.0.1/a.wav", "data:audio/wav;base64,UklGRg==")
    assert request.question == "What?"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "UklGRg=="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "flac"}},
        {"type": "audio_url"},
        {"type": "video"},
    ],
)
def test_other_shapes_are_refused(part: dict[str, Any]) -> None:
    """As vLLM does, with the number of shapes that the part has not."""
    with pytest.raises(RefusedError) as caught:
        read(part)
    reply = vllm_protocol.write_refusal(caught.value.refusal, "r-1", False)
    count = 7 if part["type"] == "input_audio" else 8
    assert f"{count} validation errors for ValidatorIterator" in reply.parts[0].decode()


def error_of(refusal: refusals.Refusal) -> Any:
    """Return the error in the reply to a refusal."""
    return json.loads(vllm_protocol.write_refusal(refusal, "r-1", False).parts[0])["error"]


def test_words_are_those_of_vllm() -> None:
    """Type, code and parameter are vLLM's as well."""
    assert error_of(refusals.too_long(601.0, 600.0, 16_000)) == {
        "message": "Audio exceeds maximum allowed duration of 600s (file contains 601.0s at "
        "16000Hz). Set VLLM_MAX_AUDIO_DECODE_DURATION_S to increase this limit.",
        "type": "BadRequestError",
        "param": None,
        "code": 400,
    }
    missing = refusals.NO_DOWNLOAD.about(url="http://h:1/a/b.wav", status=404)
    assert error_of(missing)["message"].endswith("value=http://h:1<path>)")
    assert error_of(missing)["code"] == 422
    assert error_of(refusals.NO_DOWNLOAD.about(url="http://h:1/a.wav"))["code"] == 500
    assert error_of(refusals.BAD_KEY) == "Unauthorized"
    assert refusals.BAD_KEY.reason is Reason.BAD_KEY


def test_a_stream_ends_with_the_reason_in_its_last_text() -> None:
    """The usage follows only if the client wants it."""
    for wants in (True, False):
        request = read(stream=True, stream_options={"include_usage": wants})
        reply = vllm_protocol.write_answer(three_token_answer(), request)
        *events, done = [part.removeprefix(b"data: ") for part in reply.parts]
        documents = [json.loads(event) for event in events]
        assert done == b"[DONE]\n\n"
        assert len(documents) == 4 + wants
        assert documents[3]["choices"][0]["finish_reason"] == "stop"
        assert ("usage" in documents[-1]) == wants
