"""The services' refusals in their own words.

Sources: Model Studio, error code page (read 2026-11-20), and published answers of the services, for
the codes and for the sentences on sizes, the audio, downloads by URL, rates and quotas. No page at
hand shows the other sentences (a missing or unknown key, model or input, a path or method, 408,
500, an unsupported format, many of the storage's in `storage.py`): they imitate the services' style
and may differ from the real ones. A program should go by status and code.
"""

from __future__ import annotations

from dataclasses import dataclass

ALGO = "<400> InternalError.Algo.InvalidParameter: "  # how the model's own refusals begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error reply of a service.

    Attributes:
        status: the HTTP status.
        code: the code in the native protocol.
        message: the text, the same in both protocols.
        compatible_code, kind: `code` and `type` in the OpenAI-compatible protocol.
        retry_after_s: the header `Retry-After`; None leaves it out, as the services do.
        by_model: the model refuses, and not the gateway, which answers a request for a stream in
            plain JSON.
    """

    status: int
    code: str
    message: str
    compatible_code: str = "invalid_parameter_error"
    kind: str = "invalid_request_error"
    retry_after_s: int | None = None
    by_model: bool = False


class RefusedError(Exception):
    """Carries a refusal to the code that writes the reply."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def _bad_request(code: str, message: str) -> Refusal:
    return Refusal(status=400, code=f"BadRequest.{code}", message=message)


def _by_model(message: str) -> Refusal:
    """Return a refusal of the model, which reads the request last."""
    return Refusal(status=400, code="InvalidParameter", message=ALGO + message, by_model=True)


# ------------------------------------------------------------------------------ the gateway's

NO_KEY = Refusal(
    status=401,
    code="InvalidApiKey",
    message="No API-key provided.",
    compatible_code="invalid_api_key",
)
BAD_KEY = Refusal(
    status=401,
    code="InvalidApiKey",
    message="Invalid API-key provided.",
    compatible_code="invalid_api_key",
)
NO_JSON = _bad_request("IllegalInput", "The input parameter requires json format.")
NO_MODEL = _bad_request("EmptyModel", 'Required parameter "model" missing from request.')
NO_INPUT = _bad_request("EmptyInput", "Required input parameter missing from request.")
NO_PARAMETERS = _bad_request(
    "EmptyParameters", 'Required parameter "parameters" missing from request.'
)
NO_SUCH_PATH = Refusal(
    status=404,
    code="NotFound",
    message="The requested path is not found.",
    compatible_code="not_found",
)
WRONG_METHOD = Refusal(
    status=405,
    code="MethodNotAllowed",
    message="The method is not allowed for the requested path.",
    compatible_code="method_not_allowed",
)
SLOW_REQUEST = Refusal(
    status=408,
    code="RequestTimeOut",
    message="Request timed out, please try again later.",
    compatible_code="request_timeout",
)
FAILED = Refusal(
    status=500,
    code="InternalError",
    message="An internal error has occured, please try again later or contact service support.",
    compatible_code="internal_error",
    kind="internal_error",
)


def unknown_model(model: str) -> Refusal:
    """Return the refusal of a model that does not exist."""
    return Refusal(
        status=404,
        code="ModelNotFound",
        message=f"The model `{model}` does not exist or you do not have access to it.",
        compatible_code="model_not_found",
    )


def not_compatible(model: str) -> Refusal:
    """Return the refusal of a model that only the native protocol has."""
    return Refusal(
        status=404,
        code="ModelNotFound",
        message=f"Unsupported model `{model}` for OpenAI compatibility mode.",
        compatible_code="model_not_supported",
    )


def large_body(most_bytes: int) -> Refusal:
    """Return the refusal of a request as a whole."""
    return _bad_request("TooLarge", f"Exceeded limit on max bytes to request body : {most_bytes}")


def large_item(most_bytes: int) -> Refusal:
    """Return the refusal of one data URI, counted with its prefix."""
    return _bad_request("TooLarge", f"Exceeded limit on max bytes per data-uri item : {most_bytes}")


def many_items(most: int) -> Refusal:
    """Return the refusal of too many data URIs."""
    return _bad_request("TooLarge", f"Exceeded limit on max data-uri per request : {most}")


# -------------------------------------------------------------------------------- the model's

EMPTY = _by_model("The audio is empty")
TOO_LONG = _by_model("The audio is too long")
TOO_LARGE = _by_model("Multimodal file size is too large")
NOT_AUDIO = _by_model("The audio format is illegal and cannot be opened")
NO_URL = _by_model(
    "The provided URL does not appear to be valid. Ensure it is correctly formatted."
)
NO_DOWNLOAD = _by_model("Failed to download multimodal content")
SLOW_DOWNLOAD = _by_model("Download multimodal file timed out")
NO_LENGTH = _by_model("Missing Content-Length of multimodal url")
NOT_ALLOWED = _by_model("Don't have authorization to access the media resource")
WRONG_FORMAT = Refusal(
    status=400,
    code="BadRequest.UnsupportedFileFormat",
    message="Input file format is not supported.",
    by_model=True,
)
# Requests that the captioner does not take; no published answer shows these refusals.
NO_AUDIO = _by_model("The messages must contain an audio")
NO_TEXT = _by_model("The model does not support text input")
NO_SYSTEM = _by_model("The model does not support system message")
NO_TURNS = _by_model("The model does not support multi-turn conversation")
BAD_ROLES = _by_model("The last message must be from the user, and roles system, user or assistant")
UNKNOWN_PART = _by_model("The content of a message must be audio or text")


def many_audios(most: int) -> Refusal:
    """Return the refusal of more audio files than a request may hold; the wording is ours."""
    return _by_model(f"The number of audios in a request should be [1, {most}]")


def out_of_range(name: str, most: int) -> Refusal:
    """Return the refusal of a number that is too large or too small."""
    return _by_model(f"Range of {name} should be [1, {most}]")


# ------------------------------------------------------------------------- faults on request

THROTTLED = Refusal(
    status=429,
    code="Throttling.RateQuota",
    message="Requests rate limit exceeded, please try again later.",
    compatible_code="limit_requests",
    kind="limit_requests",
    retry_after_s=1,
)
QUOTA_GONE = Refusal(
    status=429,
    code="Throttling.AllocationQuota",
    message="Free allocated quota exceeded.",
    compatible_code="insufficient_quota",
    kind="insufficient_quota",
)
