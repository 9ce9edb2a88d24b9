"""Tests of the OpenAI-compatible protocol, server side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from captoolkit.emulator import compatible_protocol, refusals
from captoolkit.emulator.chat import ChatMessage, ChatRequest
from captoolkit.emulator.refusals import RefusedError
from captoolkit.emulator.replies import HttpReply
from tests.support.emulator_requests import three_token_answer

REQUEST = ChatRequest(
    model="m", messages=(ChatMessage(role="user", audios=("oss://a",)),), includes_usage=False
)
# Model Studio, "Audio understanding (Qwen3-Omni-Captioner)", the page's sample answer.
USAGE = {
    "prompt_tokens": 160,
    "completion_tokens": 3,
    "total_tokens": 163,
    "prompt_tokens_details": {"audio_tokens": 152, "text_tokens": 8},
    "completion_tokens_details": {"text_tokens": 3},
}


def chunks_of(reply: HttpReply) -> list[dict[str, Any]]:
    """Return the documents of a stream, which must end with `[DONE]`."""
    *parts, done = reply.parts
    assert done == b"data: [DONE]\n\n"
    assert all(part.startswith(b"data: {") and part.endswith(b"}\n\n") for part in parts)
    return [json.loads(part.removeprefix(b"data: ")) for part in parts]


def test_a_document_is_the_pages_sample() -> None:
    """The document has its text as a string, and every key of the sample."""
    (body,) = compatible_protocol.write_answer(three_token_answer(), REQUEST).parts
    assert json.loads(body) == {
        "choices": [
            {
                "message": {"content": "The audio ends.", "role": "assistant"},
                "finish_reason": "stop",
                "index": 0,
                "logprobs": None,
            }
        ],
        "object": "chat.completion",
        "usage": USAGE,
        "created": 1,
        "system_fingerprint": None,
        "model": "m",
        "id": "chatcmpl-r-1",
    }


def test_a_stream_has_usage_only_on_request() -> None:
    """The first delta has the role, the last the finish reason; `usage` is null in all."""
    chunks = chunks_of(
        compatible_protocol.write_answer(three_token_answer(), replace(REQUEST, streams=True))
    )
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"content": "", "role": "assistant"}
    assert "".join(delta["content"] for delta in deltas) == "The audio ends."
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * 4 + ["stop"]
    assert {chunk["usage"] for chunk in chunks} == {None}


def test_usage_is_a_separate_chunk() -> None:
    """With `include_usage`, a chunk without choices follows the last delta."""
    request = replace(REQUEST, streams=True, includes_usage=True)
    last = chunks_of(compatible_protocol.write_answer(three_token_answer(), request))[-1]
    assert (last["choices"], last["usage"]) == ([], USAGE)


def test_a_refusal_is_an_error_object() -> None:
    """The refusal is one document with a code in snake case, even in reply to a stream request."""
    reply = compatible_protocol.write_refusal(refusals.unknown_model("x"), "r-1", True)
    assert reply.status == 404
    assert json.loads(reply.parts[0]) == {
        "error": {
            "message": "The model `x` does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": None,
            "code": "model_not_found",
        },
        "request_id": "r-1",
    }


def test_a_field_requests_a_stream() -> None:
    """`"stream": true` requests a stream; without it the answer is a document."""
    document = {"model": "m", "messages": [{"role": "user", "content": "What?"}]}
    assert compatible_protocol.read_request({**document, "stream": True}, {}).streams
    assert not compatible_protocol.read_request(document, {}).streams


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": "data:;base64,AA=="},
        {"type": "input_audio"},
        {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}},
        {"text": "without a type"},
    ],
)
def test_a_malformed_part_of_a_chat_is_refused(part: Mapping[str, Any]) -> None:
    """The compatible protocol takes only `input_audio` with `data`, and `text`."""
    document = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    with pytest.raises(RefusedError, match="must be audio or text"):
        compatible_protocol.read_request(document, {})
