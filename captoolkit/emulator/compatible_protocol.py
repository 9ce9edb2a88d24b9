"""Model Studio's OpenAI-compatible mode, server side. Pure.

Source: Model Studio, "Audio understanding (Qwen3-Omni-Captioner)".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.chat import ChatRequest, ModelAnswer, read_count, read_messages
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.emulator.replies import EVENTS, HttpReply, ServerProtocol, encode_json

DONE = b"data: [DONE]\n\n"


def read_request(document: Mapping[str, Any], headers: Mapping[str, str]) -> ChatRequest:
    """Return the parsed request.

    Raises:
        RefusedError: the document is no request of this protocol.
    """
    model = document.get("model")
    if not isinstance(model, str) or not model:
        raise RefusedError(refusals.NO_MODEL)
    options = document.get("stream_options")
    includes_usage = isinstance(options, dict) and options.get("include_usage") is True
    limits = ("max_completion_tokens", "max_tokens")
    counts = [count for name in limits if (count := read_count(document, name)) is not None]
    return ChatRequest(
        model=model,
        messages=read_messages(document.get("messages"), _read_part),
        streams=document.get("stream") is True,
        includes_usage=includes_usage,
        max_tokens=min(counts, default=None),
    )


def _read_part(part: Mapping[str, Any]) -> tuple[str, object]:
    """Return kind and value of a part; its `type` names the key of the value."""
    if part.get("type") == "input_audio":
        audio = part.get("input_audio")
        return "audio", audio.get("data") if isinstance(audio, dict) else None
    return ("text", part.get("text")) if part.get("type") == "text" else ("", None)


def write_answer(answer: ModelAnswer, request: ChatRequest) -> HttpReply:
    """Return the answer as one document or as events."""
    failure = _failure(refusals.FAILED, answer.request_id)
    if not request.streams:
        message = {"content": answer.text, "role": "assistant"}
        choice = {"message": message, **_ending(answer.finish_reason)}
        body = _document(answer, "chat.completion", [choice], _usage(answer))
        return HttpReply(status=200, parts=(encode_json(body),), failure=encode_json(failure))
    return HttpReply(
        status=200,
        parts=(*map(_event, _stream(answer, request)), DONE),
        media_type=EVENTS,
        streams=True,
        failure=_event(failure),
    )


def write_refusal(refusal: Refusal, request_id: str, streams: bool) -> HttpReply:
    """Return a refusal: one document, even in reply to a request for a stream."""
    return HttpReply(status=refusal.status, parts=(encode_json(_failure(refusal, request_id)),))


def _stream(answer: ModelAnswer, request: ChatRequest) -> Iterator[dict[str, Any]]:
    deltas = [
        {"content": "", "role": "assistant"},
        *({"content": token} for token in answer.tokens),
    ]
    for delta in deltas:
        yield _chunk(answer, [{"delta": delta, **_ending(None)}])
    yield _chunk(answer, [{"delta": {"content": ""}, **_ending(answer.finish_reason)}])
    if request.includes_usage:
        yield _chunk(answer, [], usage=_usage(answer))


def _chunk(answer: ModelAnswer, choices: list[Any], usage: Any = None) -> dict[str, Any]:
    return _document(answer, "chat.completion.chunk", choices, usage)


def _ending(finish_reason: str | None) -> dict[str, Any]:
    return {"finish_reason": finish_reason, "index": 0, "logprobs": None}


def _document(answer: ModelAnswer, kind: str, choices: list[Any], usage: Any) -> dict[str, Any]:
    return {
        "choices": choices,
        "object": kind,
        "usage": usage,
        "created": answer.created_s,
        "system_fingerprint": None,
        "model": answer.model,
        "id": f"chatcmpl-{answer.request_id}",
    }


def _usage(answer: ModelAnswer) -> dict[str, Any]:
    input_tokens, output_tokens = answer.audio_tokens + answer.text_tokens, len(answer.tokens)
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {
            "audio_tokens": answer.audio_tokens,
            "text_tokens": answer.text_tokens,
        },
        "completion_tokens_details": {"text_tokens": output_tokens},
    }


def _failure(refusal: Refusal, request_id: str) -> dict[str, Any]:
    error = {
        "message": refusal.message,
        "type": refusal.kind,
        "param": None,
        "code": refusal.compatible_code,
    }
    return {"error": error, "request_id": request_id}


def _event(body: Mapping[str, Any]) -> bytes:
    """Return one event; a space follows the colon."""
    return b"data: " + encode_json(body) + b"\n\n"


PROTOCOL = ServerProtocol(
    read=read_request, answer=write_answer, refuse=write_refusal, is_compatible=True
)
