from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from captoolkit.emulator import compatible_protocol, refusals
from captoolkit.emulator.chat_request import Ask, Turn
from captoolkit.emulator.replies import Reply
from tests.emulator.test_native_protocol import answer

ASK = Ask(model="m", turns=(Turn(role="user", audios=("oss://a",)),), tells_usage=False)
# Model Studio, "Audio understanding (Qwen3-Omni-Captioner)", the page's sample answer.
USAGE = {
    "prompt_tokens": 160,
    "completion_tokens": 3,
    "total_tokens": 163,
    "prompt_tokens_details": {"audio_tokens": 152, "text_tokens": 8},
    "completion_tokens_details": {"text_tokens": 3},
}


def chunks_of(reply: Reply) -> list[dict[str, Any]]:
    """The documents of a stream, which must end in the word that ends one."""
    *parts, done = reply.parts
    assert done == b"data: [DONE]\n\n"
    assert all(part.startswith(b"data: {") and part.endswith(b"}\n\n") for part in parts)
    return [json.loads(part.removeprefix(b"data: ")) for part in parts]


def test_a_document_is_the_pages_sample() -> None:
    """Text as a string, and every key that the sample has."""
    (body,) = compatible_protocol.answer(answer(), ASK).parts
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


def test_a_stream_holds_deltas_and_no_usage_unasked() -> None:
    """The first delta names the role, the last has a reason, and `usage` is null in all."""
    chunks = chunks_of(compatible_protocol.answer(answer(), replace(ASK, streams=True)))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"content": "", "role": "assistant"}
    assert "".join(delta["content"] for delta in deltas) == "The audio ends."
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * 4 + ["stop"]
    assert {chunk["usage"] for chunk in chunks} == {None}


def test_usage_comes_in_a_chunk_of_its_own() -> None:
    """With `include_usage`, after the last delta: no choices, only what was counted."""
    ask = replace(ASK, streams=True, tells_usage=True)
    last = chunks_of(compatible_protocol.answer(answer(), ask))[-1]
    assert (last["choices"], last["usage"]) == ([], USAGE)


def test_a_refusal_is_an_error_object() -> None:
    """In snake case, and in one document even where a stream was asked for."""
    reply = compatible_protocol.refuse(refusals.unknown_model("x"), "r-1", True)
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
