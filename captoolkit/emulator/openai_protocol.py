"""OpenAI's chat completions, server side: bare Base64 with a format, and OpenAI's words. Pure.

Sources: OpenAI, API reference ("Create chat completion", "Retrieve a model") and error answers that
users of the service have published (read 2026-11-29). The emulator's own words are those for an
audio that is too long, too large, or not Base64 text: no published answer shows them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.chat import ChatRequest, ModelAnswer
from captoolkit.emulator.compatible_protocol import (
    LENGTHS,
    completion_reply,
    count_tokens,
    read_completion,
)
from captoolkit.emulator.parameter_ranges import ParameterRange
from captoolkit.emulator.refusals import Reason, Refusal, RefusedError
from captoolkit.emulator.replies import HttpReply, ServerProtocol, encode_json

FORMATS = ("wav", "mp3")
_BOUND = "Invalid '{name}': %s %s value. Expected a value %s, but got {value} instead."


def _range(name: str, least: float, most: float, *, is_whole: bool = False) -> ParameterRange:
    kind, expected = ("integer", "an integer") if is_whole else ("decimal", "a decimal")
    return ParameterRange(
        name=name,
        least=least,
        most=most,
        is_whole=is_whole,
        words=_BOUND % (kind, "above maximum", "<= {most}"),
        words_below=_BOUND % (kind, "below minimum", ">= {least}"),
        wrong_kind=f"Invalid type for '{{name}}': expected {expected}, but got {{kind}} instead.",
    )


RANGES = (
    *(_range(name, 1, 2**31 - 1, is_whole=True) for name in LENGTHS),
    _range("temperature", 0, 2),
    _range("top_p", 0, 1),
    _range("presence_penalty", -2, 2),
    _range("frequency_penalty", -2, 2),
    _range("n", 1, 128, is_whole=True),
    _range("seed", -(2**63), 2**63 - 1, is_whole=True),
)

# reason: message, code, param; `{name}` stands for a detail of the refusal. A reason that is not
# here cannot occur in this protocol, or keeps the emulator's own words.
WORDS: Mapping[Reason, tuple[str, str | None, str | None]] = {
    Reason.NO_KEY: (
        "You didn't provide an API key. You need to provide your API key in an Authorization "
        "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field "
        "(with blank username) if you're accessing the API from your browser and are prompted for "
        "a username and password. You can obtain an API key from "
        "https://platform.openai.com/account/api-keys.",
        None,
        None,
    ),
    Reason.BAD_KEY: (
        "Incorrect API key provided: ***. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        "invalid_api_key",
        None,
    ),
    Reason.NO_JSON: (
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't "
        "using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was "
        "sent was not valid JSON. If you have trouble figuring out how to fix this, please contact "
        "us through our help center at help.openai.com.)",
        None,
        None,
    ),
    Reason.NO_MODEL: ("you must provide a model parameter", None, None),
    Reason.NO_INPUT: (
        "Missing required parameter: 'messages'.",
        "missing_required_parameter",
        "messages",
    ),
    Reason.NO_SUCH_PATH: ("Invalid URL ({method} {url_path})", None, None),
    Reason.WRONG_METHOD: (
        "Not allowed to {method} on {url_path}. (HINT: Perhaps you meant to use a different HTTP "
        "method?)",
        "method_not_supported",
        None,
    ),
    Reason.FAILED: (
        "The server had an error while processing your request. Sorry about that!",
        None,
        None,
    ),
    Reason.UNKNOWN_MODEL: (
        "The model `{model}` does not exist or you do not have access to it.",
        "model_not_found",
        None,
    ),
    Reason.NO_AUDIO: (
        "This model requires that either input content or output modality contain audio.",
        "invalid_value",
        "model",
    ),
    Reason.UNKNOWN_PART: (
        "Invalid value: '{kind}'. Supported values are: 'text', 'image_url', 'input_audio', "
        "'refusal', 'audio', and 'file'.",
        "invalid_value",
        "{path}.type",
    ),
    Reason.INCOMPLETE_PART: (
        "Missing required parameter: '{path}'.",
        "missing_required_parameter",
        "{path}",
    ),
    Reason.UNKNOWN_VALUE: (
        "Invalid value: '{value}'. Supported values are: 'wav' and 'mp3'.",
        "invalid_value",
        "{path}",
    ),
    Reason.NO_BASE64: (
        "Invalid '{path}'. Expected a base64-encoded value, but got an invalid value.",
        "invalid_value",
        "{path}",
    ),
    **dict.fromkeys(
        (Reason.NOT_AUDIO, Reason.WRONG_FORMAT, Reason.EMPTY),
        ("This model does not support the format you provided.", "unsupported_format", "messages"),
    ),
    Reason.LONG_INPUT: (
        "This model's maximum context length is {most} tokens. However, your messages resulted in "
        "{tokens} tokens. Please reduce the length of the messages.",
        "context_length_exceeded",
        "messages",
    ),
    Reason.LONG_OUTPUT: (
        "{name} is too large: {tokens}. This model supports at most {most} completion tokens, "
        "whereas you provided {tokens}.",
        "invalid_value",
        "{name}",
    ),
    Reason.THROTTLED: (
        "Rate limit reached for requests. Please try again in 1s.",
        "rate_limit_exceeded",
        None,
    ),
    Reason.QUOTA_GONE: (
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
        None,
    ),
}
KINDS = {
    Reason.FAILED: "server_error",
    Reason.THROTTLED: "requests",
    Reason.QUOTA_GONE: "insufficient_quota",
}


def read_request(document: Mapping[str, Any], headers: Mapping[str, str]) -> ChatRequest:
    """Return the parsed request.

    Raises:
        RefusedError: the document is no request of this protocol.
    """
    return read_completion(document, ranges=RANGES, read_part=_read_part)


def _read_part(part: Mapping[str, Any], path: str) -> tuple[str, object]:
    """Return kind and value of a part; bare Base64 becomes a data URI."""
    kind = part.get("type")
    if kind == "text":
        return "text", part.get("text")
    if kind != "input_audio":
        return "", None
    audio = part.get("input_audio")
    audio = audio if isinstance(audio, dict) else {}
    for name in ("data", "format"):
        if not isinstance(audio.get(name), str):
            place = f"{path}.input_audio.{name}"
            raise RefusedError(refusals.INCOMPLETE_PART.about(path=place))
    data, form = audio["data"], audio["format"]
    if form not in FORMATS:
        place = f"{path}.input_audio.format"
        raise RefusedError(refusals.UNKNOWN_VALUE.about(path=place, value=form))
    try:
        head = base64.b64decode(data[:16], validate=True)
    except (binascii.Error, ValueError):
        place = f"{path}.input_audio.data"
        raise RefusedError(refusals.NO_BASE64.about(path=place)) from None
    if form != _format_of(head):
        raise RefusedError(refusals.WRONG_FORMAT)
    return "audio", f"data:;base64,{data}"


def _format_of(head: bytes) -> str | None:
    """Return the format that the first bytes of an audio file show.

    ```python
    >>> _format_of(b"RIFF....WAVE"), _format_of(b"ID3 "), _format_of(b"fLaC")
    ('wav', 'mp3', None)

    ```
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    is_mp3 = head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")
    return "mp3" if is_mp3 else None


def write_answer(answer: ModelAnswer, request: ChatRequest) -> HttpReply:
    """Return the answer as one document or as events."""
    failure = _failure(refusals.FAILED)
    if not request.streams:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "annotations": [],
        }
        choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
        whole = _document(answer, "chat.completion", [choice]) | {"usage": _usage(answer)}
        return completion_reply(whole, failure=failure)
    return completion_reply(_stream(answer, request), failure=failure)


def _stream(answer: ModelAnswer, request: ChatRequest) -> Iterator[dict[str, Any]]:
    has_usage = {"usage": None} if request.includes_usage else {}
    deltas: list[tuple[dict[str, Any], str | None]] = [
        ({"role": "assistant", "content": "", "refusal": None}, None),
        *(({"content": token}, None) for token in answer.tokens),
        ({}, answer.finish_reason),
    ]
    for delta, finish_reason in deltas:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        yield _document(answer, "chat.completion.chunk", [choice]) | has_usage
    if request.includes_usage:
        yield _document(answer, "chat.completion.chunk", []) | {"usage": _usage(answer)}


def _document(answer: ModelAnswer, kind: str, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.request_id}",
        "object": kind,
        "created": answer.created_s,
        "model": answer.model,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _usage(answer: ModelAnswer) -> dict[str, Any]:
    return {
        **count_tokens(answer),
        "prompt_tokens_details": {
            "cached_tokens": 0,
            "audio_tokens": answer.audio_tokens,
            "text_tokens": answer.text_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "text_tokens": len(answer.tokens),
        },
    }


def write_refusal(refusal: Refusal, request_id: str, streams: bool) -> HttpReply:
    """Return a refusal in OpenAI's words: one document, also for a stream."""
    return HttpReply(status=refusal.status, parts=(encode_json(_failure(refusal)),))


def _failure(refusal: Refusal) -> dict[str, Any]:
    kind = KINDS.get(refusal.reason, "invalid_request_error")
    if refusal.reason in (Reason.OUT_OF_RANGE, Reason.NO_NUMBER):
        error = {
            "message": refusal.details["message"],
            "type": kind,
            "param": refusal.details["name"],
            "code": _range_code(refusal),
        }
        return {"error": error}
    own = (refusal.message.removeprefix(refusals.ALGO), "invalid_value", None)
    message, code, param = WORDS.get(refusal.reason, own)
    details = _ShownDetails(refusal.details)
    error = {
        "message": message.format_map(details) if refusal.reason in WORDS else message,
        "type": kind,
        "param": None if param is None else param.format_map(details),
        "code": code,
    }
    return {"error": error}


def _range_code(refusal: Refusal) -> str:
    if refusal.reason is Reason.NO_NUMBER:
        return "invalid_type"
    kind = "integer" if refusal.details["is_whole"] else "decimal"
    return f"{kind}_{'below_min' if refusal.details['is_below'] else 'above_max'}_value"


class _ShownDetails(dict[str, object]):
    """The details of a refusal; one that is missing shows as `?`."""

    def __missing__(self, name: str) -> str:
        return "?"


def write_model(model: str, created_s: int) -> dict[str, Any]:
    """Return a model as OpenAI lists it."""
    return {"id": model, "object": "model", "created": created_s, "owned_by": "system"}


PROTOCOL = ServerProtocol(
    read=read_request, answer=write_answer, refuse=write_refusal, is_compatible=True
)
