"""vLLM's chat completions, server side: `audio_url`, `input_audio`, and vLLM's words. Pure.

Source: answers of vLLM 0.32.0 itself (`scripts/try_servers.py` asks a real one the same questions).
vLLM reports a part of a wrong shape with one sentence for each shape that it knows; the emulator
gives the first. Like vLLM, it takes text, system messages and several turns for every model.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from captoolkit.emulator import refusals
from captoolkit.emulator.chat import DATA_SCHEME, ChatRequest, ModelAnswer
from captoolkit.emulator.compatible_protocol import (
    completion_reply,
    count_tokens,
    read_completion,
)
from captoolkit.emulator.parameter_ranges import ParameterRange
from captoolkit.emulator.refusals import Reason, Refusal, RefusedError
from captoolkit.emulator.replies import HttpReply, ServerProtocol, encode_json

FORMATS = ("wav", "mp3")
_NO_NUMBER = (
    "1 validation error:\n  {{'type': '%s_parsing', 'loc': 'body.{name}', 'msg': 'Input should be "
    "a valid %s, unable to parse string as %s', 'input': '{value}'}}"
)
WHOLE = _NO_NUMBER % ("int", "integer", "an integer")
DECIMAL = _NO_NUMBER % ("float", "number", "a number")
MIB = 2**20

RANGES = (
    *(
        ParameterRange(
            name=name,
            least=1,
            is_whole=True,
            words="max_tokens must be at least 1, got {value}. "
            "(parameter=max_tokens, value={value})",
            wrong_kind=WHOLE,
        )
        for name in ("max_tokens", "max_completion_tokens")
    ),
    ParameterRange(
        name="temperature",
        least=0,
        most=2,
        words="temperature must be in [0, 2], got {value:.1f}. "
        "(parameter=temperature, value={value:.1f})",
        words_below="temperature must be non-negative, got {value:.1f}. "
        "(parameter=temperature, value={value:.1f})",
        wrong_kind=DECIMAL,
    ),
    ParameterRange(
        name="top_p",
        least=0,
        most=1,
        excludes_least=True,
        words="top_p must be in (0, 1], got {value:.1f}. (parameter=top_p, value={value:.1f})",
        wrong_kind=DECIMAL,
    ),
    ParameterRange(
        name="presence_penalty",
        least=-2,
        most=2,
        words="presence_penalty must be in [-2, 2], got {value:.1f}.",
        wrong_kind=DECIMAL,
    ),
    ParameterRange(
        name="frequency_penalty",
        least=-2,
        most=2,
        words="frequency_penalty must be in [-2, 2], got {value:.1f}.",
        wrong_kind=DECIMAL,
    ),
    ParameterRange(
        name="top_k",
        least=-1,
        is_whole=True,
        words="top_k must be 0 (disable), or at least 1, got {value}.",
        wrong_kind=WHOLE,
    ),
    ParameterRange(
        name="n",
        least=1,
        is_whole=True,
        words="n must be at least 1, got {value}.",
        wrong_kind=WHOLE,
    ),
    ParameterRange(
        name="seed",
        least=-(2**63),
        most=2**63 - 1,
        is_whole=True,
        words="1 validation error:\n  {{'type': 'less_than_equal', 'loc': 'body.seed', 'msg': "
        "'Input should be less than or equal to {most}', 'input': {value}}}",
        words_below="1 validation error:\n  {{'type': 'greater_than_equal', 'loc': 'body.seed', "
        "'msg': 'Input should be greater than or equal to {least}', 'input': {value}}}",
        wrong_kind=WHOLE,
    ),
)

_NOT_AUDIO = (
    "Invalid or corrupted audio data. Ensure the input is a valid audio or video file (e.g. a "
    "complete WAV, MP3, or MP4)."
)
_WRONG_SHAPE = (
    "{errors} validation errors for ValidatorIterator\n0.ChatCompletionContentPartTextParam.type\n"
    "  Input should be 'text' [type=literal_error, input_value='{kind}', input_type=str]\n"
    "    For further information visit https://errors.pydantic.dev/2.14/v/literal_error"
)
# reason: status, type, param, message; `{name}` stands for a detail of the refusal.
WORDS: Mapping[Reason, tuple[int, str, str | None, str]] = {
    Reason.NO_JSON: (
        400,
        "Bad Request",
        "body.1",
        "1 validation error:\n  {{'type': 'json_invalid', 'loc': 'body.1', 'msg': 'JSON decode "
        "error', 'input': '<dict of 0 items>'}}",
    ),
    Reason.NO_INPUT: (
        400,
        "Bad Request",
        "body.messages",
        "1 validation error:\n  {{'type': 'missing', 'loc': 'body.messages', 'msg': 'Field "
        "required', 'input': '<dict of 1 items>'}}",
    ),
    Reason.UNKNOWN_MODEL: (
        404,
        "NotFoundError",
        "model",
        "The model `{model}` does not exist. Valid aliases: {served}.",
    ),
    Reason.TOO_LONG: (
        400,
        "BadRequestError",
        None,
        "Audio exceeds maximum allowed duration of {most_s}s (file contains {duration_s:.1f}s at "
        "{rate_hz}Hz). Set VLLM_MAX_AUDIO_DECODE_DURATION_S to increase this limit.",
    ),
    Reason.TOO_LARGE: (
        400,
        "BadRequestError",
        "audio_filesize_mb",
        "Maximum file size exceeded (parameter=audio_filesize_mb, value={size_mib})",
    ),
    Reason.LARGE_DECODED: (
        400,
        "BadRequestError",
        None,
        "Audio would allocate {decoded_mib:.0f} MiB of PCM ({samples} frames x {channels} channels "
        "x 4B), exceeding the {most_mib:.0f} MiB limit. Set VLLM_MAX_AUDIO_DECODE_BYTES to "
        "increase this limit.",
    ),
    **dict.fromkeys(
        (Reason.NOT_AUDIO, Reason.WRONG_FORMAT), (400, "BadRequestError", None, _NOT_AUDIO)
    ),
    Reason.EMPTY: (
        400,
        "BadRequestError",
        None,
        "The audio (len=0) is too short to be represented inside the model",
    ),
    Reason.NO_BASE64: (400, "BadRequestError", None, "Non-base64 digit found"),
    Reason.NO_URL: (
        400,
        "BadRequestError",
        None,
        "The URL must be either a HTTP, data or file URL.",
    ),
    **dict.fromkeys(
        (Reason.NO_DOWNLOAD, Reason.NOT_ALLOWED),
        (
            422,
            "UnprocessableEntityError",
            "image_url",
            "Failed to fetch media from URL: HTTP {status} error (parameter=image_url, "
            "value={host}<path>)",
        ),
    ),
    Reason.NO_BASE64_URI: (
        501,
        "NotImplementedError",
        None,
        "Only base64 data URLs are supported for now.",
    ),
    Reason.MANY_AUDIOS: (
        400,
        "BadRequestError",
        None,
        "At most {most} audio(s) may be provided in one prompt.",
    ),
    Reason.LONG_INPUT: (
        400,
        "BadRequestError",
        "input_tokens",
        "This model's maximum context length is {most} tokens. However, your request has {tokens} "
        "input tokens. Please reduce the length of the input messages. (parameter=input_tokens, "
        "value={tokens})",
    ),
    Reason.LONG_OUTPUT: (
        400,
        "BadRequestError",
        "max_tokens",
        "max_tokens={tokens} cannot be greater than max_model_len={most}. Please request fewer "
        "output tokens. (parameter=max_tokens, value={tokens})",
    ),
    **dict.fromkeys(
        (Reason.UNKNOWN_PART, Reason.INCOMPLETE_PART, Reason.UNKNOWN_VALUE),
        (400, "BadRequestError", None, _WRONG_SHAPE),
    ),
}


def read_request(document: Mapping[str, Any], headers: Mapping[str, str]) -> ChatRequest:
    """Return the parsed request.

    Raises:
        RefusedError: the document is no request of this protocol.
    """
    return read_completion(document, ranges=RANGES, read_part=_read_part, needs_model=False)


def _read_part(part: Mapping[str, Any], path: str) -> tuple[str, object]:
    """Return kind and value of a part; vLLM, too, makes a data URI of bare Base64."""
    kind = part.get("type")
    if kind == "text":
        return "text", part.get("text")
    audio = part.get(kind) if kind in ("audio_url", "input_audio") else None
    if not isinstance(audio, dict):
        return "", None
    if kind == "audio_url":
        return "audio", audio.get("url")
    if not isinstance(audio.get("data"), str) or audio.get("format") not in FORMATS:
        raise RefusedError(refusals.UNKNOWN_PART.about(kind=kind, path=path))
    try:
        b64decode(audio["data"][:64], validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(refusals.NO_BASE64) from None
    return "audio", f"{DATA_SCHEME}audio/{audio['format']};base64,{audio['data']}"


def write_answer(answer: ModelAnswer, request: ChatRequest) -> HttpReply:
    """Return the answer as one document or as events."""
    failure = _failure(refusals.FAILED)
    if request.streams:
        return completion_reply(_stream(answer, request), failure=failure)
    absent = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "reasoning"))
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer.text, **absent},
        "logprobs": None,
        "finish_reason": answer.finish_reason,
        "stop_reason": None,
        "token_ids": None,
    }
    whole = {
        **_document(answer, "chat.completion", [choice]),
        "service_tier": None,
        "system_fingerprint": None,
        "usage": _usage(answer),
        "prompt_logprobs": None,
        "kv_transfer_params": None,
    }
    return completion_reply(whole, failure=failure)


def _stream(answer: ModelAnswer, request: ChatRequest) -> Iterator[dict[str, Any]]:
    last = len(answer.tokens) - 1
    deltas: list[tuple[dict[str, str], str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        *(
            ({"content": token}, answer.finish_reason if number == last else None)
            for number, token in enumerate(answer.tokens)
        ),
    ]
    for delta, finish_reason in deltas:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        yield _document(answer, "chat.completion.chunk", [choice])
    if request.includes_usage:
        yield {**_document(answer, "chat.completion.chunk", []), "usage": _usage(answer)}


def _document(answer: ModelAnswer, kind: str, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.request_id.replace('-', '')[:16]}",
        "object": kind,
        "created": answer.created_s,
        "model": answer.model,
        "choices": choices,
    }


def _usage(answer: ModelAnswer) -> dict[str, Any]:
    return {**count_tokens(answer), "prompt_tokens_details": None}


def write_refusal(refusal: Refusal, request_id: str, streams: bool) -> HttpReply:
    """Return a refusal in vLLM's words: one document, also for a stream."""
    if refusal.reason in (Reason.NO_KEY, Reason.BAD_KEY):
        return HttpReply(status=401, parts=(encode_json({"error": "Unauthorized"}),))
    if refusal.reason is Reason.NO_SUCH_PATH:
        return HttpReply(status=404, parts=(encode_json({"detail": "Not Found"}),))
    if refusal.reason is Reason.WRONG_METHOD:
        return HttpReply(status=405, parts=(encode_json({"detail": "Method Not Allowed"}),))
    failure = _failure(refusal)
    return HttpReply(status=failure["error"]["code"], parts=(encode_json(failure),))


def _failure(refusal: Refusal) -> dict[str, Any]:
    details = _DerivedDetails(refusal.details)
    if refusal.reason is Reason.NO_DOWNLOAD and not details["status"]:
        message = f"Cannot connect to host {details['host'].partition('://')[2]} ssl:default"
        return _error(500, "InternalServerError", None, message)
    if refusal.reason in (Reason.OUT_OF_RANGE, Reason.NO_NUMBER):
        message = str(details["message"])
        is_schema = message.startswith("1 validation error")
        kind = "Bad Request" if is_schema else "BadRequestError"
        param: str | None = f"body.{details['name']}" if is_schema else None
        if "(parameter=" in message:
            param = message.partition("(parameter=")[2].partition(",")[0]
        return _error(400, kind, param, message)
    if refusal.reason not in WORDS:
        is_ours = refusal.status < 500
        kind = "BadRequestError" if is_ours else "InternalServerError"
        return _error(refusal.status, kind, None, refusal.message.removeprefix(refusals.ALGO))
    status, kind, param, message = WORDS[refusal.reason]
    return _error(status, kind, param, message.format_map(details))


def _error(status: int, kind: str, param: str | None, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


class _DerivedDetails(dict[str, Any]):
    """The details of a refusal, with those that follow from others; 0 for one that is missing."""

    def __missing__(self, name: str) -> Any:
        match name:
            case "errors":  # `input_audio` has one shape less that it could have been
                return 7 if self["kind"] == "input_audio" else 8
            case "host":
                parts = str(self["url"]).split("/")
                return "/".join(parts[:3])
            case "size_mib":
                return self["size_bytes"] / MIB
            case "most_mib":
                return self["most_bytes"] / MIB
            case "decoded_mib":
                return self["samples"] * self["channels"] * 4 / MIB
        return 0


def write_model(model: str, created_s: int) -> dict[str, Any]:
    """Return a model as vLLM lists it."""
    return {
        "id": model,
        "object": "model",
        "created": created_s,
        "owned_by": "vllm",
        "root": model,
        "parent": None,
    }


PROTOCOL = ServerProtocol(
    read=read_request, answer=write_answer, refuse=write_refusal, is_compatible=True
)
