"""Model Studio's own protocol (DashScope), server side. Pure.

Sources: Model Studio, "Audio understanding (Qwen3-Omni-Captioner)" and "Audio understanding
(Qwen-Audio)"; the latter page's sample shows the framing of a stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.chat import ChatRequest, ModelAnswer, read_messages
from captoolkit.emulator.parameter_ranges import ParameterRange, check_parameters
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.emulator.replies import EVENTS, HttpReply, ServerProtocol, encode_json

STREAM_HEADER = "x-dashscope-sse"
# Model Studio, error code page: the ranges, and the words of the refusals.
SAMPLING_RANGES = (
    ParameterRange(
        name="max_tokens",
        least=1,
        most=2**31 - 1,
        is_whole=True,
        words="Range of max_tokens should be [1, {most}]",
        wrong_kind="'max_tokens' must be Integer",
    ),
    ParameterRange(
        name="temperature",
        least=0,
        most=2,
        excludes_most=True,
        words="Temperature should be in [0.0, 2.0)",
        wrong_kind="'temperature' must be Float",
    ),
    ParameterRange(
        name="top_p",
        least=0,
        most=1,
        excludes_least=True,
        words="Range of top_p should be (0.0, 1.0]",
        wrong_kind="'top_p' must be Float",
    ),
    ParameterRange(
        name="top_k",
        least=0,
        is_whole=True,
        words="Parameter top_k be greater than or equal to 0",
        wrong_kind="'top_k' must be Integer",
    ),
    ParameterRange(
        name="repetition_penalty",
        least=0,
        excludes_least=True,
        words="Repetition_penalty should be greater than 0.0",
        wrong_kind="'repetition_penalty' must be Float",
    ),
    ParameterRange(
        name="presence_penalty",
        least=-2,
        most=2,
        words="Presence_penalty should be in [-2.0, 2.0]",
        wrong_kind="'presence_penalty' must be Float",
    ),
    ParameterRange(
        name="n",
        least=1,
        most=4,
        is_whole=True,
        words="Range of n should be [1, 4]",
        wrong_kind="'n' must be Integer",
    ),
)
SEED = ParameterRange(
    name="seed",
    least=0,
    most=2**63 - 1,
    is_whole=True,
    words="Range of seed should be [0, {most}]",
    wrong_kind="'seed' must be Integer",
)

RUNNING = "null"  # the finish reason of every event but the last: a string


def read_request(document: Mapping[str, Any], headers: Mapping[str, str]) -> ChatRequest:
    """Return the parsed request.

    `parameters` may be missing, as in the pages' samples; if present, it must be an object.

    Raises:
        RefusedError: the document is no request of this protocol.
    """
    model = document.get("model")
    if not isinstance(model, str) or not model:
        raise RefusedError(refusals.NO_MODEL)
    given = document.get("input")
    if not isinstance(given, dict):
        raise RefusedError(refusals.NO_INPUT)
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RefusedError(refusals.NO_PARAMETERS)
    check_parameters(parameters, (*SAMPLING_RANGES, SEED))
    return ChatRequest(
        model=model,
        messages=read_messages(given.get("messages"), _read_part),
        streams=headers.get(STREAM_HEADER) == "enable",
        incremental=parameters.get("incremental_output") is True,
        max_tokens=parameters.get("max_tokens"),
    )


def _read_part(part: Mapping[str, Any], path: str) -> tuple[str, object]:
    """Return kind and value of a part: an object with one key, which is its kind."""
    return next(iter(part.items())) if len(part) == 1 else ("", None)


def write_answer(answer: ModelAnswer, request: ChatRequest) -> HttpReply:
    """Return the answer as one document or as events."""
    failure = _failure(refusals.FAILED, answer.request_id)
    if not request.streams:
        body = _document(answer, answer.text, answer.finish_reason, len(answer.tokens))
        return HttpReply(status=200, parts=(encode_json(body),), failure=encode_json(failure))
    documents = list(_stream(answer, incremental=request.incremental))
    events = (_event(i, "result", 200, body) for i, body in enumerate(documents, start=1))
    return HttpReply(
        status=200,
        parts=tuple(events),
        media_type=EVENTS,
        streams=True,
        failure=_event(len(documents), "error", refusals.FAILED.status, failure),
    )


def write_refusal(refusal: Refusal, request_id: str, streams: bool) -> HttpReply:
    """Return a refusal; the model's own refusal of a stream is sent as an event."""
    body = _failure(refusal, request_id)
    if streams and refusal.by_model:
        event = _event(1, "error", refusal.status, body)
        return HttpReply(status=refusal.status, parts=(event,), media_type=EVENTS)
    return HttpReply(status=refusal.status, parts=(encode_json(body),))


def _stream(answer: ModelAnswer, *, incremental: bool) -> Iterator[dict[str, Any]]:
    """Yield the documents of a stream; as in the page's sample, one in the middle holds no text."""
    total = len(answer.tokens)
    for count, token in enumerate(answer.tokens, start=1):
        text = token if incremental else "".join(answer.tokens[:count])
        yield _document(answer, text, RUNNING, count)
        if count == (total + 1) // 2:
            yield _document(answer, "", RUNNING, count)
    yield _document(answer, "" if incremental else answer.text, answer.finish_reason, total)


def _document(
    answer: ModelAnswer, text: str, finish_reason: str, output_tokens: int
) -> dict[str, Any]:
    message = {"content": [{"text": text}] if text else [], "role": "assistant"}
    return {
        "output": {"choices": [{"message": message, "finish_reason": finish_reason}]},
        "usage": _usage(answer, output_tokens),
        "request_id": answer.request_id,
    }


def _usage(answer: ModelAnswer, output_tokens: int) -> dict[str, Any]:
    if answer.audio_apart:
        return {
            "audio_tokens": answer.audio_tokens,
            "output_tokens": output_tokens,
            "input_tokens": answer.text_tokens,
        }
    input_tokens = answer.audio_tokens + answer.text_tokens
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "input_tokens_details": {
            "audio_tokens": answer.audio_tokens,
            "text_tokens": answer.text_tokens,
        },
        "output_tokens_details": {"text_tokens": output_tokens},
    }


def _failure(refusal: Refusal, request_id: str) -> dict[str, str]:
    return {"code": refusal.code, "message": refusal.message, "request_id": request_id}


def _event(number: int, kind: str, status: int, body: Mapping[str, Any]) -> bytes:
    """Return one event; no space follows the colons."""
    head = f"id:{number}\nevent:{kind}\n:HTTP_STATUS/{status}\ndata:"
    return head.encode() + encode_json(body) + b"\n\n"


PROTOCOL = ServerProtocol(
    read=read_request, answer=write_answer, refuse=write_refusal, is_compatible=False
)
