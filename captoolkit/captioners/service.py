"""What the captioning services have in common, whatever they speak: pure, bytes in and out.

Rules: an answer is judged by its body and never by its Content-Type, because Model Studio sends
event streams under `application/json` and errors under status 200. Reading raises nothing but
`ServiceError`, whatever the bytes are, and never returns an empty caption. What a service says is
cleaned before it is put into a message. Facts about codes and messages: Model Studio, error code
page, unless another source is named.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from captoolkit.captioners.base import Clip
from captoolkit.closing import Closing
from captoolkit.errors import ServiceError
from captoolkit.model import Caption, CaptionerInfo, Usage

MESSAGE_CHARS = 300
EXCERPT_CHARS = 200
CODE_CHARS = 100

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent: a JSON body, and the path below the base URL that it goes to."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, whole; the names of the headers are in lower case."""

    status_code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireProtocol:
    """How one kind of service is spoken to.

    Attributes:
        name: the captioner's name in the registry.
        build: model name, audio as a data URI -> request.
        read: reply -> caption, or ServiceError.
    """

    name: str
    build: Callable[[str, str], Request]
    read: Callable[[Reply], Caption]


class Sender(Protocol):
    """What carries a request to a service and brings the reply."""

    @property
    def base_url(self) -> str:
        """Where requests go."""
        ...

    def post(self, request: Request) -> Reply:
        """Send `request` and return the reply, whatever its status."""
        ...

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        ...


class ServiceCaptioner(Closing):
    """A captioner that asks a service; safe to use from several threads if its sender is."""

    def __init__(self, protocol: WireProtocol, *, model: str, sender: Sender) -> None:
        self._protocol = protocol
        self._sender = sender
        self.info = CaptionerInfo(name=protocol.name, model=model, base_url=sender.base_url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.info!r})"

    def caption(self, clip: Clip) -> Caption:
        """Send the clip inline, as Base64, and return what the service says of it.

        Raises:
            ServiceError: no caption came of it.
        """
        request = self._protocol.build(self.info.model, clip.data_uri())
        return self._protocol.read(self._sender.post(request))

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        self._sender.close()


# ------------------------------------------------------------------------------ what is wrong


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


# ------------------------------------------------------------------------- reading an answer


def read_document(reply: Reply) -> JsonObject:
    """Return the JSON object of a successful answer.

    Raises:
        ServiceError: the reply holds an error in any wrapping, or is no JSON object.
    """
    document = decode(reply.body)
    if isinstance(document, dict):
        frames = [(reply.status_code, document)]
    else:
        frames = list(_event_frames(reply))
    for status_code, frame in frames:
        fault = _find_fault(frame, status_code)
        if fault:
            raise service_error(fault, reply)
    if reply.status_code // 100 != 2 or not isinstance(document, dict):
        excerpt = clean(reply.body[: 4 * EXCERPT_CHARS].decode(errors="replace"), EXCERPT_CHARS)
        message = f"something else than a JSON object: {excerpt}" if excerpt else "nothing"
        raise service_error(Fault(message=message), reply)
    return document


def decode(body: bytes) -> object:
    """Return the JSON value in `body`, None if there is none."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _event_frames(reply: Reply) -> Iterator[tuple[int, JsonObject]]:
    """Yield the JSON objects of a body framed as events, each with the status it goes with.

    Model Studio states the real status in a comment before the data: `:HTTP_STATUS/400`.
    """
    status_code = reply.status_code
    for line in reply.body.splitlines():
        name, _, value = line.partition(b":")
        if line.startswith(b":HTTP_STATUS/"):
            status_code = http_error_status(line[13:16].decode("ascii", "replace")) or status_code
        elif name == b"data":
            document = decode(value.strip())
            if isinstance(document, dict):
                yield status_code, document
            status_code = reply.status_code


def _find_fault(document: JsonObject, status_code: int) -> Fault | None:
    """Return the error that a document holds, None if it holds none.

    Three shapes: native `{"code", "message"}`, also under status 200; `{"error": {...}}` of
    OpenAI's protocol; flat `{"object": "error", "code": 400}` of SGLang and older vLLM, whose
    code is the status and whose `type` is what others call the code.
    """
    error = document.get("error") or None
    holder = error if isinstance(error, dict) else document
    plain = error if isinstance(error, str) else None  # `{"error": "Not Found"}`
    number = http_error_status(holder.get("code"))
    stated = error or number or text_in(holder, "code") or holder.get("object") == "error"
    if status_code < 400 and not stated:
        return None
    return Fault(
        message=plain or text_in(holder, "message", "detail") or "",
        code=(None if number else text_in(holder, "code")) or text_in(holder, "type"),
        status_code=status_code if status_code >= 400 else number,
        request_id=text_in(document, "request_id") or text_in(holder, "request_id", "id"),
    )


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


def make_caption(
    choice: JsonObject, *, reply: Reply, usage: Usage, request_id: str | None
) -> Caption:
    """Return the caption in one choice of an answer.

    Raises:
        ServiceError: there is no text in it.
    """
    text = _content_text(object_in(choice, "message").get("content"))
    finish_reason = _finish_reason(choice.get("finish_reason"))
    request_id = request_id_of(reply, request_id)
    # Some gateways put the words of an error where the caption belongs, under this reason.
    failed = finish_reason == "error_finish"
    if failed or not text.strip():
        told = clean(text, EXCERPT_CHARS) if failed else f"finish_reason={finish_reason!r}"
        raise ServiceError(
            f"the service answered without a caption ({told})",
            fix="ask again; if it stays so, give the segment more sound",
            status_code=reply.status_code,
            request_id=request_id,
        )
    return Caption(text=text, finish_reason=finish_reason, request_id=request_id, usage=usage)


def _content_text(content: object) -> str:
    """Return the text of a message: a string, or a list of parts that may be empty."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(text_in(part, "text") or "" for part in parts if isinstance(part, dict))


def _finish_reason(value: object) -> str | None:
    """Return why the model stopped; Model Studio writes the string "null" for not yet."""
    return clean(value, CODE_CHARS) if isinstance(value, str) and value != "null" else None


def make_usage(usage: JsonObject, *, input_name: str, output_name: str) -> Usage:
    """Return the tokens of an answer, so that `input_tokens` always includes the audio.

    With details (the captioner, OpenAI's protocol) the input includes the audio already. Without
    them (Qwen-Audio: `{"audio_tokens": 85, "input_tokens": 33, "output_tokens": 10}`) it counts
    the text alone and no total is given. Source: Model Studio, the sample answers of both models.
    """
    details = object_in(usage, f"{input_name}_details")
    audio, text = count_in(details, "audio_tokens"), count_in(details, "text_tokens")
    given, output = count_in(usage, input_name), count_in(usage, output_name)
    total = count_in(usage, "total_tokens")
    apart = count_in(usage, "audio_tokens")
    if audio is None and apart is not None:
        audio = apart
        included = total is not None and total == _sum(given, output)
        if given is not None and not included:
            text, given = given, given + apart
    return Usage(
        audio_tokens=audio,
        text_tokens=text,
        input_tokens=given,
        output_tokens=output,
        total_tokens=_sum(given, output) if total is None else total,
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


# --------------------------------------------------------------- taking apart what may be broken


def object_in(holder: JsonObject, name: str) -> JsonObject:
    """Return the object called `name`, an empty one where there is none."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def first_choice(holder: JsonObject) -> JsonObject:
    """Return the first of the `choices`, an empty one where there is none."""
    choices = holder.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def text_in(holder: JsonObject, *names: str) -> str | None:
    """Return the first text under one of the names that is not empty."""
    values = (holder.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def count_in(holder: JsonObject, name: str) -> int | None:
    """Return the count called `name`, None where there is none."""
    value = holder.get(name)
    return value if type(value) is int and value >= 0 else None


def request_id_of(reply: Reply, stated: str | None) -> str | None:
    """Return what the service's support asks for: from the body, or else from the header."""
    return clean(stated or reply.headers.get("x-request-id", ""), CODE_CHARS) or None


def clean(text: str, most_chars: int) -> str:
    r"""Return `text` on one line, without control characters, cut to `most_chars`.

    ```python
    >>> clean("Bad\x1b[31m   request\r\n", 100), clean("abcdef", 4)
    ('Bad [31m request', 'abc…')

    ```
    """
    # Category C: control, format (bidirectional overrides among them), surrogates, unassigned.
    letters = text[: 8 * most_chars]  # enough to fill the line, however long the text is
    shown = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in letters)
    line = " ".join(shown.split())
    return line if len(line) <= most_chars else f"{line[: most_chars - 1]}…"
