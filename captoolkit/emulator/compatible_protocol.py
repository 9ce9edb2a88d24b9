"""Model Studio's OpenAI-compatible mode, server side. Pure.

Source: Model Studio, "Audio understanding (Qwen3-Omni-Captioner)".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.chat import ChatRequest, ModelAnswer, PartReader, read_messages
from captoolkit.emulator.native_protocol import SAMPLING_RANGES
from captoolkit.emulator.parameter_ranges import ParameterRange, check_parameters
from captoolkit.emulator.refusals import Reason, Refusal, RefusedError
from captoolkit.emulator.replies import EVENTS, HttpReply, ServerProtocol, encode_json

DONE = b"data: [DONE]\n\n"
LENGTHS = ("max_completion_tokens", "max_tokens")
# Words that differ from the native protocol's, as users of the service have published them.
WORDS = {
    Reason.BAD_KEY: "Incorrect API key provided. For details, see: "
    "https://www.alibabacloud.com/help/en/model-studio/error-code#apikey-error"
}
# Model Studio, error code page, "400-invalid_request_error-invalid_value".
RANGES = (
    *SAMPLING_RANGES,
    replace(SAMPLING_RANGES[0], name="max_completion_tokens"),
    ParameterRange(
        name="seed",
        least=0,
        most=2**31 - 1,
        is_whole=True,
        words="{value} is greater than the maximum of {most} - 'seed'",
        words_below="{value} is lesser than the minimum of {least} - 'seed'",
        wrong_kind="'seed' must be Integer",
    ),
)


def read_request(document: Mapping[str, Any], headers: Mapping[str, str]) -> ChatRequest:
    """Return the parsed request.

    Raises:
        RefusedError: the document is no request of this protocol.
    """
    return read_completion(document, ranges=RANGES, read_part=_read_part)


def read_completion(
    document: Mapping[str, Any],
    *,
    ranges: Iterable[ParameterRange],
    read_part: PartReader,
    needs_model: bool = True,
) -> ChatRequest:
    """Return a request for a chat completion of any service that speaks OpenAI's protocol.

    Args:
        document: the request.
        ranges: the ranges of the service's parameters.
        read_part: reads one part of a message, as the service's dialect has it.
        needs_model: refuse a request that names no model; otherwise its model is empty.

    Raises:
        RefusedError: the document is no such request.
    """
    model = document.get("model") or ""
    if not isinstance(model, str) or (needs_model and not model):
        raise RefusedError(refusals.NO_MODEL)
    options = document.get("stream_options")
    includes_usage = isinstance(options, dict) and options.get("include_usage") is True
    check_parameters(document, ranges)
    counts = [(document[name], name) for name in LENGTHS if document.get(name) is not None]
    max_tokens, max_tokens_name = min(counts, default=(None, LENGTHS[1]))
    return ChatRequest(
        model=model,
        messages=read_messages(document.get("messages"), read_part),
        streams=document.get("stream") is True,
        includes_usage=includes_usage,
        max_tokens=max_tokens,
        max_tokens_name=max_tokens_name,
    )


def completion_reply(
    content: Mapping[str, Any] | Iterator[dict[str, Any]], *, failure: Mapping[str, Any]
) -> HttpReply:
    """Return the reply with a document, or with the documents of a stream as events.

    Args:
        content: the document, or an iterator of those of a stream.
        failure: the document that reports an error although the status is 200.
    """
    if isinstance(content, Mapping):
        return HttpReply(status=200, parts=(encode_json(content),), failure=encode_json(failure))
    return HttpReply(
        status=200,
        parts=(*map(_event, content), DONE),
        media_type=EVENTS,
        streams=True,
        failure=_event(failure),
    )


def _read_part(part: Mapping[str, Any], path: str) -> tuple[str, object]:
    """Return kind and value of a part; its `type` names the key of the value."""
    if part.get("type") == "input_audio":
        audio = part.get("input_audio")
        return "audio", audio.get("data") if isinstance(audio, dict) else None
    return ("text", part.get("text")) if part.get("type") == "text" else ("", None)


def write_answer(answer: ModelAnswer, request: ChatRequest) -> HttpReply:
    """Return the answer as one document or as events."""
    failure = _failure(refusals.FAILED, answer.request_id)
    if request.streams:
        return completion_reply(_stream(answer, request), failure=failure)
    message = {"content": answer.text, "role": "assistant"}
    choice = {"message": message, **_ending(answer.finish_reason)}
    whole = _document(answer, "chat.completion", [choice], _usage(answer))
    return completion_reply(whole, failure=failure)


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


def count_tokens(answer: ModelAnswer) -> dict[str, int]:
    """Return the counts of tokens that each server of this protocol states."""
    input_tokens, output_tokens = answer.audio_tokens + answer.text_tokens, len(answer.tokens)
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }


def _usage(answer: ModelAnswer) -> dict[str, Any]:
    return {
        **count_tokens(answer),
        "prompt_tokens_details": {
            "audio_tokens": answer.audio_tokens,
            "text_tokens": answer.text_tokens,
        },
        "completion_tokens_details": {"text_tokens": len(answer.tokens)},
    }


def _failure(refusal: Refusal, request_id: str) -> dict[str, Any]:
    error = {
        "message": WORDS.get(refusal.reason, refusal.message),
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
