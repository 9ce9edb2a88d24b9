"""What went wrong with a service, and what to do about it: pure.

Rules: the policy is one table, `REMEDIES`, and the first row that fits counts. Facts about codes
and messages: Model Studio, error code page, unless another source is named.
"""

from __future__ import annotations

from dataclasses import dataclass

from captoolkit.captioners.exchange import (
    CODE_CHARS,
    Reply,
    clean,
    request_id_of,
    retry_after_s,
)
from captoolkit.errors import ServiceError

MESSAGE_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What to do about a kind of error; it fits if any code, message or status does.

    Attributes:
        codes: parts of the code, lower case, without `_`: native codes are CamelCase and those of
            the compatible mode are snake_case, otherwise they are the same.
        messages: parts of the message, lower case.
        status_codes: HTTP statuses.
    """

    fix: str
    codes: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    status_codes: tuple[int, ...] = ()

    def fits(self, *, code: str, message: str, status_code: int) -> bool:
        """Tell whether this is about that error; code and message are folded already."""
        return (
            status_code in self.status_codes
            or any(part in code for part in self.codes)
            or any(part in message for part in self.messages)
        )


# The first that fits counts. One code covers many faults (`InvalidParameter`, `InternalError.Algo`,
# `insufficient_quota`), so the rows that a message tells apart stand before those of a code alone,
# and those of a bare status stand last.
REMEDIES = (
    Remedy(
        fix="send less at once: shorter segments (--max-segment) or a lower --bitrate",
        codes=("toolarge", "invalidfile.size"),
        messages=("exceeded limit on max", "file size is too large", "string value length"),
        status_codes=(413,),
    ),
    Remedy(
        fix="cut shorter segments (--max-segment)",
        codes=("audiolengtherror", "durationtoolong", "invalidfile.duration"),
        # the last two: vLLM
        messages=("audio is too long", "range of input length", "maximum context", "max_model_len"),
    ),
    Remedy(fix="make the segment longer, it holds no sound", messages=("audio is empty",)),
    Remedy(
        fix="send another format: --format wav or mp3",
        codes=("unsupportedfileformat", "invalidfile.format", "invalidfile.openerror"),
        messages=("format is illegal", "cannot be opened"),
    ),
    Remedy(
        fix="the service's content filter will not caption this segment",
        codes=("datainspection", "ipinfringement"),
    ),
    Remedy(
        fix="the free quota is used up: allow paid use in Model Studio's console",
        codes=("freetieronly",),
        messages=("free allocated quota", "free quota", "free tier"),
    ),
    Remedy(
        fix="settle the account's overdue bill in Alibaba Cloud's console",
        codes=("arrearage", "billoverdue"),
    ),
    Remedy(
        fix="activate Model Studio for this account in its console",
        codes=("notpurchased", "unpurchased"),
    ),
    Remedy(
        fix="check --model: not every region and protocol has every model",
        codes=("modelnotfound", "model.notexist", "modelnotsupported", "endpoint.accessdenied"),
        messages=("model not exist", "unsupported model"),
    ),
    Remedy(
        fix="wait a minute, or ask less at once (--concurrency)",
        codes=("throttling", "limitrequests", "limitburstrate", "insufficientquota"),
        status_codes=(429,),
    ),
    Remedy(
        fix="check the key; keys differ per region: try --region beijing|singapore",
        codes=("invalidapikey",),
        messages=("not authorized",),
        status_codes=(401,),
    ),
    Remedy(
        fix="give the key's workspace access to this model in Model Studio's console",
        codes=("accessdenied",),
        status_codes=(403,),
    ),
    Remedy(
        fix="check --base-url and --model: the URL ends in /api/v1, /compatible-mode/v1 or /v1",
        status_codes=(404, 405),
    ),
    Remedy(
        fix="ask again with shorter segments (--max-segment): the service took too long",
        codes=("requesttimeout", "responsetimeout", "gatewaytimeout"),
        status_codes=(408, 504),
    ),
    Remedy(
        fix="ask again later: the service itself failed",
        codes=("internalerror", "systemerror", "modelserv", "unavailable"),
        status_codes=(500, 502, 503),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error as a service words it, whatever it was wrapped in."""

    message: str
    code: str | None = None
    status_code: int | None = None
    request_id: str | None = None


def service_error(fault: Fault, reply: Reply) -> ServiceError:
    """Return the error to raise for a fault: what is wrong, and what to do about it."""
    status_code = fault.status_code or reply.status_code
    message = clean(fault.message, MESSAGE_CHARS).rstrip(". ") or "no reason given"
    code = clean(fault.code or "", CODE_CHARS) or None
    label = f"HTTP {status_code} {code}" if code else f"HTTP {status_code}"
    return ServiceError(
        f"the service answered {label}: {message}",
        fix=remedy(code=code or "", message=message, status_code=status_code),
        status_code=status_code,
        code=code,
        request_id=request_id_of(reply, fault.request_id),
        retry_after_s=retry_after_s(reply.headers),
    )


def remedy(*, code: str, message: str, status_code: int) -> str:
    """Return what to do about an error, empty where nobody knows.

    ```python
    >>> remedy(code="Arrearage", message="Access denied.", status_code=400)
    "settle the account's overdue bill in Alibaba Cloud's console"

    ```
    """
    code, message = code.replace("_", "").lower(), message.lower()
    fitting = (
        row for row in REMEDIES if row.fits(code=code, message=message, status_code=status_code)
    )
    return next((row.fix for row in fitting), "")


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
