"""The services' refusals: why the emulator refuses a request, in Model Studio's own words.

Each refusal has a `Reason`. The protocols of other services put their own words in place of these,
by the reason and its details (`vllm_protocol.py`, `openai_protocol.py`).

Sources: Model Studio, error code page (read 2026-11-29), and published answers of the services, for
the codes and for the sentences on sizes, the audio, downloads by URL, parameters, keys, rates and
quotas. No page at hand shows the other sentences (a missing key, a path or method, 408, 500, an
unsupported format, many of the storage's in `storage.py`): they imitate the services' style and may
differ from the real ones. A program should go by status and code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

ALGO = "<400> InternalError.Algo.InvalidParameter: "  # how the model's own refusals begin


class Reason(StrEnum):
    """Why a request is refused, independent of a service's words for it."""

    NO_KEY = "there is no key"
    BAD_KEY = "the key is another one"
    NO_JSON = "the body is no JSON object"
    NO_MODEL = "the request names no model"
    NO_INPUT = "there are no messages"
    NO_PARAMETERS = "the parameters are no object"
    NO_SUCH_PATH = "the path is not served"
    WRONG_METHOD = "the method is not served"
    SLOW_REQUEST = "the body did not arrive in time"
    FAILED = "the server failed"
    UNKNOWN_MODEL = "the model is not served"
    LARGE_BODY = "the body is too large"
    LARGE_ITEM = "an audio is too large as text"
    MANY_ITEMS = "there are too many data URIs"
    EMPTY = "the audio has no sound"
    TOO_LONG = "the audio is too long"
    TOO_LARGE = "the file of the audio is too large"
    LARGE_DECODED = "the audio is too large when it is decoded"
    NOT_AUDIO = "the audio cannot be decoded"
    WRONG_FORMAT = "the model does not take the format"
    NO_URL = "the audio is no URL"
    NO_BASE64 = "the audio is no Base64 text"
    NO_BASE64_URI = "the data URI is not in Base64"
    NO_DOWNLOAD = "the URL cannot be fetched"
    SLOW_DOWNLOAD = "the URL answers too slowly"
    NO_LENGTH = "the answer of the URL has no length"
    NOT_ALLOWED = "the URL is not allowed"
    NO_AUDIO = "there is no audio"
    NO_TEXT = "the model takes no text"
    NO_SYSTEM = "the model takes no system message"
    NO_TURNS = "the model takes one turn"
    BAD_ROLES = "the roles of the messages are wrong"
    UNKNOWN_PART = "a part of a message has an unknown type"
    INCOMPLETE_PART = "a part of a message lacks a field"
    UNKNOWN_VALUE = "a field has a value that is not listed"
    MANY_AUDIOS = "there are too many audios"
    NO_NUMBER = "a parameter is no number"
    OUT_OF_RANGE = "a parameter is out of range"
    LONG_INPUT = "the input has too many tokens"
    LONG_OUTPUT = "the request wants more tokens than the model writes"
    MUST_STREAM = "the model answers only in a stream"
    THROTTLED = "there are too many requests"
    QUOTA_GONE = "the quota is used up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error reply of a service.

    Attributes:
        reason: why the request is refused.
        status: the HTTP status.
        code: the code in the native protocol.
        message: the text, the same in both of Model Studio's protocols.
        compatible_code, kind: `code` and `type` in the OpenAI-compatible protocol.
        details: values for the words of other services, by name.
        retry_after_s: the header `Retry-After`; None leaves it out, as the services do.
        by_model: the model refuses, and not the gateway, which answers a request for a stream in
            plain JSON.
    """

    reason: Reason
    status: int
    code: str
    message: str
    compatible_code: str = "invalid_parameter_error"
    kind: str = "invalid_request_error"
    details: Mapping[str, object] = field(default_factory=dict)
    retry_after_s: int | None = None
    by_model: bool = False

    def about(self, **details: object) -> Refusal:
        """Return the refusal with details for the words of other services."""
        return replace(self, details=details)


class RefusedError(Exception):
    """Carries a refusal to the code that writes the reply."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def _bad_request(reason: Reason, code: str, message: str) -> Refusal:
    return Refusal(reason=reason, status=400, code=f"BadRequest.{code}", message=message)


def _by_model(reason: Reason, message: str) -> Refusal:
    """Return a refusal of the model, which reads the request last."""
    return Refusal(
        reason=reason, status=400, code="InvalidParameter", message=ALGO + message, by_model=True
    )


# ------------------------------------------------------------------------------ the gateway's

BAD_KEY = Refusal(
    reason=Reason.BAD_KEY,
    status=401,
    code="InvalidApiKey",
    message="Invalid API-key provided.",
    compatible_code="invalid_api_key",
)
NO_KEY = replace(BAD_KEY, reason=Reason.NO_KEY, message="No API-key provided.")
NO_JSON = _bad_request(Reason.NO_JSON, "IllegalInput", "The input parameter requires json format.")
NO_MODEL = _bad_request(
    Reason.NO_MODEL, "EmptyModel", 'Required parameter "model" missing from request.'
)
NO_INPUT = _bad_request(
    Reason.NO_INPUT, "EmptyInput", "Required input parameter missing from request."
)
NO_PARAMETERS = _bad_request(
    Reason.NO_PARAMETERS,
    "EmptyParameters",
    'Required parameter "parameters" missing from request.',
)
NO_SUCH_PATH = Refusal(
    reason=Reason.NO_SUCH_PATH,
    status=404,
    code="NotFound",
    message="The requested path is not found.",
    compatible_code="not_found",
)
WRONG_METHOD = Refusal(
    reason=Reason.WRONG_METHOD,
    status=405,
    code="MethodNotAllowed",
    message="The method is not allowed for the requested path.",
    compatible_code="method_not_allowed",
)
SLOW_REQUEST = Refusal(
    reason=Reason.SLOW_REQUEST,
    status=408,
    code="RequestTimeOut",
    message="Request timed out, please try again later.",
    compatible_code="request_timeout",
)
FAILED = Refusal(
    reason=Reason.FAILED,
    status=500,
    code="InternalError",
    message="An internal error has occured, please try again later or contact service support.",
    compatible_code="internal_error",
    kind="internal_error",
)


def unknown_model(model: str) -> Refusal:
    """Return the refusal of a model that does not exist."""
    return Refusal(
        reason=Reason.UNKNOWN_MODEL,
        status=404,
        code="ModelNotFound",
        message=f"The model `{model}` does not exist or you do not have access to it.",
        compatible_code="model_not_found",
        details={"model": model},
    )


def not_compatible(model: str) -> Refusal:
    """Return the refusal of a model that only the native protocol has."""
    return replace(
        unknown_model(model),
        message=f"Unsupported model `{model}` for OpenAI compatibility mode.",
        compatible_code="model_not_supported",
    )


def large_body(most_bytes: int) -> Refusal:
    """Return the refusal of a request as a whole."""
    message = f"Exceeded limit on max bytes to request body : {most_bytes}"
    return _bad_request(Reason.LARGE_BODY, "TooLarge", message).about(most_bytes=most_bytes)


def large_item(most_bytes: int, size_bytes: int = 0) -> Refusal:
    """Return the refusal of one data URI, counted with its prefix."""
    message = f"Exceeded limit on max bytes per data-uri item : {most_bytes}"
    refusal = _bad_request(Reason.LARGE_ITEM, "TooLarge", message)
    return refusal.about(most_bytes=most_bytes, size_bytes=size_bytes)


def many_items(most: int) -> Refusal:
    """Return the refusal of too many data URIs."""
    message = f"Exceeded limit on max data-uri per request : {most}"
    return _bad_request(Reason.MANY_ITEMS, "TooLarge", message).about(most=most)


# -------------------------------------------------------------------------------- the model's

EMPTY = _by_model(Reason.EMPTY, "The audio is empty")
TOO_LONG = _by_model(Reason.TOO_LONG, "The audio is too long")
TOO_LARGE = _by_model(Reason.TOO_LARGE, "Multimodal file size is too large")
LARGE_DECODED = _by_model(Reason.LARGE_DECODED, "Multimodal file size is too large")
NOT_AUDIO = _by_model(Reason.NOT_AUDIO, "The audio format is illegal and cannot be opened")
NO_URL = _by_model(
    Reason.NO_URL,
    "The provided URL does not appear to be valid. Ensure it is correctly formatted.",
)
NO_BASE64 = replace(NO_URL, reason=Reason.NO_BASE64)
NO_BASE64_URI = replace(NO_URL, reason=Reason.NO_BASE64_URI)
NO_DOWNLOAD = _by_model(Reason.NO_DOWNLOAD, "Failed to download multimodal content")
SLOW_DOWNLOAD = _by_model(Reason.SLOW_DOWNLOAD, "Download multimodal file timed out")
NO_LENGTH = _by_model(Reason.NO_LENGTH, "Missing Content-Length of multimodal url")
NOT_ALLOWED = _by_model(Reason.NOT_ALLOWED, "Don't have authorization to access the media resource")
WRONG_FORMAT = Refusal(
    reason=Reason.WRONG_FORMAT,
    status=400,
    code="BadRequest.UnsupportedFileFormat",
    message="Input file format is not supported.",
    by_model=True,
)
# Requests that the captioner does not take; no published answer shows these refusals.
NO_AUDIO = _by_model(Reason.NO_AUDIO, "The messages must contain an audio")
NO_TEXT = _by_model(Reason.NO_TEXT, "The model does not support text input")
NO_SYSTEM = _by_model(Reason.NO_SYSTEM, "The model does not support system message")
NO_TURNS = _by_model(Reason.NO_TURNS, "The model does not support multi-turn conversation")
BAD_ROLES = _by_model(
    Reason.BAD_ROLES,
    "The last message must be from the user, and roles system, user or assistant",
)
UNKNOWN_PART = _by_model(Reason.UNKNOWN_PART, "The content of a message must be audio or text")
MUST_STREAM = _by_model(
    Reason.MUST_STREAM,
    "This model only support stream mode, please enable the stream parameter to access the model. ",
)
INCOMPLETE_PART = replace(UNKNOWN_PART, reason=Reason.INCOMPLETE_PART)
UNKNOWN_VALUE = replace(UNKNOWN_PART, reason=Reason.UNKNOWN_VALUE)


def too_long(duration_s: float, most_s: float, rate_hz: int) -> Refusal:
    """Return the refusal of an audio that is too long."""
    return TOO_LONG.about(duration_s=duration_s, most_s=int(most_s), rate_hz=rate_hz)


def many_audios(most: int, count: int) -> Refusal:
    """Return the refusal of more audio files than a request may hold; the wording is ours."""
    refusal = _by_model(
        Reason.MANY_AUDIOS, f"The number of audios in a request should be [1, {most}]"
    )
    return refusal.about(most=most, count=count)


def long_input(tokens: int, most: int) -> Refusal:
    """Return the refusal of a request that exceeds the model's input length."""
    message = f"Range of input length should be [1, {most}]"
    return _by_model(Reason.LONG_INPUT, message).about(tokens=tokens, most=most)


def long_output(name: str, tokens: int, most: int) -> Refusal:
    """Return the refusal of a request that wants a longer answer than the model writes."""
    message = f"Range of max_tokens should be [1, {most}]"
    return _by_model(Reason.LONG_OUTPUT, message).about(name=name, tokens=tokens, most=most)


def out_of_range(name: str, value: object, message: str, **details: object) -> Refusal:
    """Return the refusal of a parameter that is too large or too small, in the given words."""
    return _by_model(Reason.OUT_OF_RANGE, message).about(
        name=name, value=value, message=message, **details
    )


def no_number(name: str, value: object, message: str) -> Refusal:
    """Return the refusal of a parameter that is no number of the right kind."""
    return _by_model(Reason.NO_NUMBER, message).about(name=name, value=value, message=message)


# ------------------------------------------------------------------------- faults on request

THROTTLED = Refusal(
    reason=Reason.THROTTLED,
    status=429,
    code="Throttling.RateQuota",
    message="Requests rate limit exceeded, please try again later.",
    compatible_code="limit_requests",
    kind="limit_requests",
    retry_after_s=1,
)
QUOTA_GONE = Refusal(
    reason=Reason.QUOTA_GONE,
    status=429,
    code="Throttling.AllocationQuota",
    message="Free allocated quota exceeded.",
    compatible_code="insufficient_quota",
    kind="insufficient_quota",
)
