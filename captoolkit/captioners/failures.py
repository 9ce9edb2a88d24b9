"""What went wrong with a service, what to do about it, and whether to ask again: pure.

Rules: the policy is two tables, for connections that fail and for what services answer, so that a
service's words are never taken for ours; the first row that fits counts. What no row fits is not
asked again. Facts about codes and messages: Model Studio, error code page, unless another
source is named.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from captoolkit.errors import ServiceConnectionError, ServiceError
from captoolkit.net.exchange import (
    CODE_CHARS,
    Reply,
    clean,
    request_id_of,
    retry_after_s,
)

MESSAGE_CHARS = 300
# Stand for a code where the connection failed and no service gave one, folded as codes are.
UNANSWERED, BROKEN_OFF = "connectionfailed", "answerbrokenoff"


class Again(StrEnum):
    """Whether a segment is asked about again after an error."""

    NEVER = "never"  # it would go wrong again
    HALT = "halt"  # it would go wrong again, for every other segment too: the run stops asking
    ONCE = "once"  # one more try
    LATER = "later"  # the service has a bad moment
    SLOWER = "slower"  # the service is asked too much: everybody waits and then asks less


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What to do about a kind of error; it fits if any code, message or status does.

    Attributes:
        fix: what the reader can do, empty where nobody knows.
        again: whether to ask again.
        codes: parts of the code, lower case, without `_`: native codes are CamelCase and those of
            the compatible mode are snake_case, otherwise they are the same.
        messages: parts of the message, lower case.
        status_codes: HTTP statuses.
        may_be_billed: whether the service may count an answer that did not arrive.
    """

    fix: str = ""
    again: Again = Again.NEVER
    codes: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    status_codes: Container[int | None] = ()
    may_be_billed: bool = False

    def fits(self, *, code: str, message: str, status_code: int | None) -> bool:
        """Return whether this is about that error; code and message are folded already."""
        return (
            status_code in self.status_codes
            or any(part in code for part in self.codes)
            or any(part in message for part in self.messages)
        )


# The first that fits counts. One code covers many faults (`InvalidParameter`, `InternalError.Algo`,
# `insufficient_quota`), so the rows that a message tells apart stand before those of a code alone,
# and those of a bare status stand last.
# ----------------------------------------------------- the connection, in the words of http.py
CONNECTION_REMEDIES = (
    Remedy(
        fix="check --base-url and the machine's certificates (SSL_CERT_FILE): no key is sent to "
        "a host that cannot prove its name",
        again=Again.HALT,
        messages=("certificate verify failed",),
    ),
    Remedy(
        fix="check --base-url and the network, and that a server of your own is up",
        again=Again.LATER,
        messages=("cannot be reached", "could not be connected to", "the proxy on the way"),
    ),
    Remedy(
        fix="ask again; if it stays so, send shorter segments (--max-segment)",
        again=Again.ONCE,
        codes=(BROKEN_OFF,),
        messages=("sent nothing for", "took nothing for", "was not done within"),
        may_be_billed=True,
    ),
    Remedy(
        fix="ask again; if it stays so, send shorter segments (--max-segment)",
        again=Again.LATER,
        codes=(UNANSWERED,),
        may_be_billed=True,
    ),
)
REMEDIES = (
    # ----------------------------------- where uploads go to, in the words of uploads.py
    Remedy(
        fix="ask again, or send it inside the request (--via base64)",
        again=Again.LATER,
        codes=("uploadrefused",),
    ),
    # ------------------------------------------------------------------ what the segment is
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
    # ------------------------------------------------------- what the service fetches by URL
    Remedy(
        fix="ask again; if it stays so, send the sound itself: --via base64",
        again=Again.ONCE,
        messages=(
            "download multimodal file timed out",
            "failed to download multimodal",
            "during the data inspection process",
        ),
    ),
    Remedy(
        fix="send the sound itself (--via base64): the service cannot fetch it from there",
        codes=("inputdownloadfailed", "invalidfile.downloadfailed", "invalidurl"),
        messages=(
            "content-length of multimodal",
            "content-type of multimodal",
            "authorization to access the media",
            "url does not appear to be valid",
        ),
    ),
    Remedy(
        fix="the service's content filter will not caption this segment",
        codes=("datainspection", "ipinfringement"),
    ),
    # ------------------------------------------------------------------- the account, the model
    Remedy(
        fix="the free quota is used up: allow paid use in Model Studio's console",
        again=Again.HALT,
        codes=("freetieronly",),
        messages=("free allocated quota", "free quota", "free tier"),
    ),
    Remedy(
        fix="settle the account's overdue bill in Alibaba Cloud's console",
        again=Again.HALT,
        codes=("arrearage", "billoverdue"),
    ),
    Remedy(
        fix="activate Model Studio for this account in its console",
        again=Again.HALT,
        codes=("notpurchased", "unpurchased"),
    ),
    Remedy(
        fix="check --model: not every region and protocol has every model",
        again=Again.HALT,
        codes=("modelnotfound", "model.notexist", "modelnotsupported", "endpoint.accessdenied"),
        messages=("model not exist", "unsupported model"),
    ),
    Remedy(
        fix="wait a minute, or ask less at once (--concurrency)",
        again=Again.SLOWER,
        codes=("throttling", "limitrequests", "limitburstrate", "insufficientquota"),
        status_codes=(429,),
    ),
    Remedy(
        fix="check the key; keys differ per region: try --region beijing|singapore",
        again=Again.HALT,
        codes=("invalidapikey",),
        messages=("not authorized",),
        status_codes=(401,),
    ),
    Remedy(
        fix="give the key's workspace access to this model in Model Studio's console",
        again=Again.HALT,
        codes=("accessdenied",),
        status_codes=(403,),
    ),
    Remedy(
        fix="check --base-url and --model: the URL ends in /api/v1, /compatible-mode/v1 or /v1",
        again=Again.HALT,
        status_codes=(404, 405, *range(300, 400)),
    ),
    # ------------------------------------------------------------------------ the service itself
    Remedy(
        fix="the service will not take this segment: try --format wav, or other lengths "
        "(--max-segment)",
        messages=("<400>", "list index out of range"),
    ),
    Remedy(
        fix="ask again with shorter segments (--max-segment): the service took too long",
        again=Again.ONCE,
        codes=("requesttimeout", "responsetimeout", "gatewaytimeout"),
        status_codes=(408, 504),
        may_be_billed=True,
    ),
    Remedy(
        fix="ask again later: the service itself failed",
        again=Again.LATER,
        codes=("internalerror", "servererror", "systemerror", "modelserv", "unavailable"),
        status_codes=range(500, 600),
    ),
    # An answer came and was good for nothing.
    Remedy(status_codes=(None, *range(200, 300)), may_be_billed=True),
)
UNKNOWN = Remedy()


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
        fix=remedy(code=code or "", message=message, status_code=status_code).fix,
        status_code=status_code,
        code=code,
        request_id=request_id_of(reply, fault.request_id),
        retry_after_s=retry_after_s(reply.headers),
    )


def remedy(*, code: str, message: str, status_code: int | None) -> Remedy:
    """Return the row of the table for an error, one without advice where none fits.

    ```python
    >>> remedy(code="Arrearage", message="Access denied.", status_code=400).fix
    "settle the account's overdue bill in Alibaba Cloud's console"

    ```
    """
    return _first(REMEDIES, code.replace("_", "").lower(), message, status_code)


def remedy_for(error: ServiceError) -> Remedy:
    """Return the row of the table for an error that was raised.

    ```python
    >>> remedy_for(ServiceConnectionError("the connection broke", status_code=200)).again
    <Again.ONCE: 'once'>

    ```
    """
    if isinstance(error, ServiceConnectionError):
        code = UNANSWERED if error.status_code is None else BROKEN_OFF
        return _first(CONNECTION_REMEDIES, code, error.problem, error.status_code)
    return remedy(code=error.code or "", message=error.problem, status_code=error.status_code)


def _first(rows: tuple[Remedy, ...], code: str, message: str, status_code: int | None) -> Remedy:
    """The first row that fits an error whose code is folded already."""
    message = message.lower()
    fitting = (row for row in rows if row.fits(code=code, message=message, status_code=status_code))
    return next(fitting, UNKNOWN)


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
