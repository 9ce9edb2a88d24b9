"""The retry policy as tables: which errors are retried, and the advice for each.

Rules: pure. Connections that fail go by their kind (`ConnectionFailure`), answers of a service by
HTTP status, error code and the service's own message: never by a sentence of captoolkit's. In
`SERVICE_RULES` the first row that matches counts; an error that matches no row is not retried.
Source of codes and messages: Model Studio, error code page, unless another one is named.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from captoolkit.errors import ConnectionFailure, ServiceConnectionError, ServiceError
from captoolkit.net.http_messages import (
    CODE_CHARS,
    Response,
    clean,
    request_id_of,
    retry_after_s,
)

MESSAGE_CHARS = 300
EMPTY_ANSWER = "EmptyAnswer"  # captoolkit's own code for an answer that holds no text
# The prefix for error codes of the storage, which is another service: its `AccessDenied` is about
# an old policy, not about the account.
UPLOAD_REFUSED = "UploadRefused"


class RetryKind(StrEnum):
    """Whether a request is retried after an error."""

    NEVER = "never"  # the error would come again
    HALT = "halt"  # the error would come again for every other segment: the run stops
    ONCE = "once"  # one more try
    LATER = "later"  # the service is temporarily unavailable
    SLOWER = "slower"  # the service is throttling: every worker waits, then asks more slowly


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRule:
    """One row of the policy; it matches an error by any of its codes, messages or statuses.

    Attributes:
        fix: advice for the reader; empty without advice.
        retry: whether the request is retried.
        codes: parts of the code, lower case, without `_`: native codes are CamelCase, those of
            the compatible mode snake_case, otherwise they are the same.
        messages: parts of the service's message, lower case.
        status_codes: HTTP statuses.
        unless: parts of a message, lower case, with which the row does not match.
        may_be_billed: whether the service may charge for an answer that did not arrive.
        is_about_sound: whether the sound of one segment causes the error, and the next segment may
            well be answered.
    """

    fix: str = ""
    retry: RetryKind = RetryKind.NEVER
    codes: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    status_codes: Container[int | None] = ()
    unless: tuple[str, ...] = ()
    may_be_billed: bool = False
    is_about_sound: bool = False

    def matches(self, *, code: str, message: str, status_code: int | None) -> bool:
        """Return whether the row is about an error; code and message are folded already."""
        if any(part in message for part in self.unless):
            return False
        return (
            status_code in self.status_codes
            or any(part in code for part in self.codes)
            or any(part in message for part in self.messages)
        )


# One row for each kind of `ConnectionFailure`. Nothing is billed before a connection stands.
_NOT_SENT = FailureRule(retry=RetryKind.LATER)
_PERHAPS_ANSWERED = FailureRule(retry=RetryKind.ONCE, may_be_billed=True)
CONNECTION_RULES = {
    ConnectionFailure.UNREACHABLE: _NOT_SENT,
    ConnectionFailure.CERTIFICATE: FailureRule(retry=RetryKind.HALT),
    ConnectionFailure.TLS: FailureRule(retry=RetryKind.HALT),
    ConnectionFailure.PROXY: _NOT_SENT,
    ConnectionFailure.PROXY_REFUSED: FailureRule(retry=RetryKind.HALT),
    ConnectionFailure.SILENT: _PERHAPS_ANSWERED,
    ConnectionFailure.STALLED_UPLOAD: _PERHAPS_ANSWERED,
    ConnectionFailure.TOO_LATE: _PERHAPS_ANSWERED,
    ConnectionFailure.BROKEN: FailureRule(retry=RetryKind.LATER, may_be_billed=True),
    ConnectionFailure.CUT_OFF: _PERHAPS_ANSWERED,
}

# One code covers many faults (`InvalidParameter`, `InternalError.Algo`, `insufficient_quota`), so
# rows with a message stand before rows with a code alone, and rows with a bare status come last.
SERVICE_RULES = (
    # ----------------------------------------------------------------- the storage for uploads
    FailureRule(
        fix="run it again, or send the sound inside the request (via=base64)",
        retry=RetryKind.LATER,
        codes=(UPLOAD_REFUSED.lower(),),
    ),
    # ------------------------------------------------------------------ the segment
    FailureRule(
        fix="send smaller files: shorter segments (`max_segment`) or a lower `bit_rate`",
        codes=("toolarge", "invalidfile.size"),
        messages=("exceeded limit on max", "file size is too large", "string value length"),
        status_codes=(413,),
    ),
    FailureRule(
        fix="cut shorter segments (`max_segment`)",
        codes=("audiolengtherror", "durationtoolong", "invalidfile.duration"),
        # the last two: vLLM, which names its `max_model_len` for too long an answer, too
        messages=("audio is too long", "range of input length", "maximum context", "max_model_len"),
        unless=("max_tokens=",),
    ),
    FailureRule(
        fix="make the segment longer, it holds no sound",
        messages=("audio is empty",),
        is_about_sound=True,
    ),
    FailureRule(
        fix="send another format: format=wav or format=mp3",
        codes=("unsupportedfileformat", "invalidfile.format", "invalidfile.openerror"),
        messages=("format is illegal", "cannot be opened"),
    ),
    # ------------------------------------------------------- sound that the service fetches by URL
    FailureRule(
        fix="run it again; if it fails again, send the sound itself: via=base64",
        retry=RetryKind.ONCE,
        messages=(
            "download multimodal file timed out",
            "failed to download multimodal",
            "during the data inspection process",
        ),
    ),
    FailureRule(
        fix="send the sound itself (via=base64): the service cannot fetch it from there",
        codes=("inputdownloadfailed", "invalidfile.downloadfailed", "invalidurl"),
        messages=(
            "content-length of multimodal",
            "content-type of multimodal",
            "authorization to access the media",
            "url does not appear to be valid",
        ),
    ),
    FailureRule(
        fix="the service's content filter will not caption this segment",
        # `content_filter` and its message: Azure OpenAI, "Content filtering". The last code and the
        # last message, with status 403: OpenRouter, "Errors"
        codes=(
            *("datainspection", "ipinfringement", "customroleblocked", "faqruleblocked"),
            *("contentfilter", "contentpolicy"),
        ),
        messages=("content management policy", "input was flagged"),
        is_about_sound=True,
    ),
    # ------------------------------------------------------------------- the account, the model
    FailureRule(
        fix="the free quota is used up: allow paid use in Model Studio's console",
        retry=RetryKind.HALT,
        codes=("freetieronly",),
        messages=("free allocated quota", "free quota", "free tier"),
    ),
    FailureRule(
        fix="the account has no credit or quota left: add some at the provider",
        retry=RetryKind.HALT,
        # LiteLLM, "Budgets": `budget_exceeded`; OpenAI: `billing_hard_limit_reached`
        codes=("insufficientbalance", "insufficientcredit", "budgetexceeded", "billinghardlimit"),
        # OpenAI, "Error codes"; DeepSeek and OpenRouter, "Errors". Model Studio and Gemini put
        # OpenAI's sentence about the plan into their errors about the rate, with a link of theirs.
        messages=(
            "check your plan and billing details",
            "insufficient balance",
            "insufficient credits",
            "free-models-per-day",
        ),
        status_codes=(402,),
        unless=("aliyun", "alibabacloud", "token-limit", "ai.google.dev", "retry in"),
    ),
    FailureRule(
        fix="settle the account's overdue bill in Alibaba Cloud's console",
        retry=RetryKind.HALT,
        codes=("arrearage", "billoverdue"),
    ),
    FailureRule(
        fix="activate Model Studio for this account in its console",
        retry=RetryKind.HALT,
        codes=("notpurchased", "unpurchased"),
    ),
    FailureRule(
        fix="check `model`: not every region and protocol has every model",
        retry=RetryKind.HALT,
        codes=("modelnotfound", "model.notexist", "modelnotsupported", "endpoint.accessdenied"),
        messages=("model not exist", "unsupported model"),
    ),
    FailureRule(
        fix="check `workspace`: the account and the region of the key have no such workspace",
        retry=RetryKind.HALT,
        codes=("workspacenotfound",),
    ),
    FailureRule(
        fix="request a stream (`stream`), or set must_stream = true in a target of your own",
        retry=RetryKind.HALT,
        messages=("only support stream mode",),
    ),
    FailureRule(
        fix="wait a minute, or send fewer requests at once (`concurrency`)",
        retry=RetryKind.SLOWER,
        codes=("throttling", "limitrequests", "limitburstrate", "insufficientquota"),
        status_codes=(429,),
    ),
    FailureRule(
        fix="check the key; keys differ per region: try region=beijing or region=singapore",
        retry=RetryKind.HALT,
        codes=("invalidapikey",),
        messages=("not authorized", "pass a valid api key"),  # the last: Gemini, with status 400
        status_codes=(401,),
    ),
    FailureRule(
        fix="give the key's workspace access to this model in Model Studio's console",
        retry=RetryKind.HALT,
        codes=("accessdenied",),
        status_codes=(403,),
    ),
    FailureRule(
        fix="write https:// in `base_url`",
        retry=RetryKind.HALT,
        # nginx; Go's net/http
        messages=("plain http request was sent to https", "http request to an https server"),
    ),
    FailureRule(
        fix="write user and password into HTTP_PROXY, as http://USER:PASSWORD@HOST:PORT",
        retry=RetryKind.HALT,
        status_codes=(407,),
    ),
    FailureRule(
        fix="check `base_url` and `model`: the URL ends in /api/v1, /compatible-mode/v1 or /v1",
        retry=RetryKind.HALT,
        status_codes=(404, 405, *range(300, 400)),
    ),
    FailureRule(
        fix="check `max_tokens`, `temperature`, `top_p`, `seed` and the other parameters",
        # in the words of Model Studio, OpenAI and vLLM alike
        messages=(
            *("max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k"),
            *("_penalty", "range of seed", "'seed'", "body.seed"),
        ),
    ),
    # ------------------------------------------------------------------------ the service itself
    FailureRule(
        fix="the service rejects this segment: try format=wav, or other lengths (`max_segment`)",
        messages=("<400>", "list index out of range"),
    ),
    FailureRule(
        fix="run it again with shorter segments (`max_segment`): the service took too long",
        retry=RetryKind.ONCE,
        codes=("requesttimeout", "responsetimeout", "gatewaytimeout"),
        status_codes=(408, 504),
        may_be_billed=True,
    ),
    FailureRule(
        fix="run it again later: the service itself failed",
        retry=RetryKind.LATER,
        codes=("internalerror", "servererror", "systemerror", "modelserv", "unavailable"),
        status_codes=range(500, 600),
    ),
    # An answer arrived and is unusable.
    FailureRule(
        fix="make the segments longer, or caption them with another model",
        codes=(EMPTY_ANSWER.lower(),),
        may_be_billed=True,
        is_about_sound=True,
    ),
    FailureRule(status_codes=(None, *range(200, 300)), may_be_billed=True),
)
NO_RULE = FailureRule()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFault:
    """An error as a service states it, without its wrapping."""

    message: str
    code: str | None = None
    status_code: int | None = None
    request_id: str | None = None


def service_error(fault: ServiceFault, reply: Response) -> ServiceError:
    """Return the error to raise for a fault: the problem and the advice."""
    status_code = fault.status_code or reply.status_code
    message = clean(fault.message, MESSAGE_CHARS).rstrip(". ") or "no reason given"
    code = clean(fault.code or "", CODE_CHARS) or None
    label = f"HTTP {status_code} {code}" if code else f"HTTP {status_code}"
    return ServiceError(
        f"the service answered {label}: {message}",
        fix=find_rule(code=code or "", message=message, status_code=status_code).fix,
        status_code=status_code,
        code=code,
        message=message,
        request_id=request_id_of(reply, fault.request_id),
        retry_after_s=retry_after_s(reply.headers),
    )


def find_rule(*, code: str = "", message: str = "", status_code: int | None = None) -> FailureRule:
    """Return the row for an answer of a service, `NO_RULE` where none matches.

    ```python
    >>> find_rule(code="Arrearage", message="Access denied.", status_code=400).fix
    "settle the account's overdue bill in Alibaba Cloud's console"

    ```
    """
    code, message = code.replace("_", "").lower(), message.lower()
    matching = (
        row
        for row in SERVICE_RULES
        if row.matches(code=code, message=message, status_code=status_code)
    )
    return next(matching, NO_RULE)


def rule_for(error: ServiceError) -> FailureRule:
    """Return the row for an error that was raised.

    ```python
    >>> rule_for(ServiceConnectionError("the connection broke", status_code=200)).retry
    <RetryKind.ONCE: 'once'>

    ```
    """
    if isinstance(error, ServiceConnectionError):
        return CONNECTION_RULES[error.kind]
    return find_rule(
        code=error.code or "", message=error.message or "", status_code=error.status_code
    )


def kind_of_fault(error: ServiceError) -> str:
    """Return a name that is equal for errors with one cause.

    ```python
    >>> kind_of_fault(ServiceError("bad gateway", status_code=502))
    'server error'

    ```
    """
    if isinstance(error, ServiceConnectionError):
        return "connection"
    if (error.status_code or 0) >= 500:
        return "server error"
    return f"{error.status_code} {(error.code or '').replace('_', '').lower()}"


def http_error_status(value: object) -> int | None:
    """Return the HTTP error status that a value states, None if it states none.

    ```python
    >>> http_error_status(429), http_error_status("400"), http_error_status("InvalidParameter")
    (429, 400, None)

    ```
    """
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and 400 <= value <= 599 else None
