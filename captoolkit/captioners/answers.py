"""The answers of captioning services, document by document, in any protocol.

Rules: pure. A document is a JSON object; nothing else about it is assumed. How documents arrive,
alone or in a stream, is in `answer_stream.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from captoolkit.captioners.failures import (
    EMPTY_ANSWER,
    ServiceFault,
    find_rule,
    http_error_status,
)
from captoolkit.errors import ServiceError
from captoolkit.model import Caption, Entry, Usage
from captoolkit.net.http_messages import (
    CODE_CHARS,
    Response,
    clean,
    parse_json,
    request_id_of,
)

JsonObject = dict[str, Any]

# Some gateways put an error's message where the caption belongs, often after its code.
ERROR_FINISH = "error_finish"
CONTENT_FILTER = "content_filter"  # OpenAI: a filter cut the text off or removed a part
# Reasons for the end of a text that leave it incomplete.
ENDINGS = {
    "length": "the caption reached the model's length limit and is cut off",
    CONTENT_FILTER: "the service's content filter cut the caption off or removed a part",
}
_CODED = re.compile(r"\s*([A-Za-z]\w*(?:\.\w+)*): *(\S.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPart:
    """The content of one document: a complete answer, or a piece of a streamed one.

    Attributes:
        text: the whole caption or a piece.
        finish_reason: why the model stopped; None as long as it has not.
        usage: the tokens so far.
        request_id: the id that the service's support needs.
        answer_id: the answer's own id, used where there is no request id.
    """

    text: str = ""
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    request_id: str | None = None
    answer_id: str | None = None

    def merged_with(self, later: AnswerPart, text: str) -> AnswerPart:
        """Return both parts as one, with `text`; otherwise the later part takes precedence."""
        return AnswerPart(
            text=text,
            finish_reason=later.finish_reason or self.finish_reason,
            usage=self.usage if later.usage == Usage() else later.usage,  # cumulative: never added
            request_id=later.request_id or self.request_id,
            answer_id=later.answer_id or self.answer_id,
        )


ReadPart = Callable[[JsonObject], AnswerPart]


# The code of an answer that is no error: Model Studio's gateways and servers in front of them.
SUCCESS_CODES = frozenset({"success", "succeeded", "ok", "0", "200"})


def decode(body: bytes) -> object:
    """Return the JSON value in `body`, None if it holds none.

    Gemini's compatible endpoint puts an error into a list: the value is its only object.
    """
    try:
        value = parse_json(body)
    except ValueError:
        return None
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def find_fault(document: JsonObject, status_code: int) -> ServiceFault | None:
    """Return the error that a document states, None if it states none.

    The shapes: native `{"code", "message"}`, also under status 200; `{"error": {...}}` of
    OpenAI's protocol; flat `{"object": "error", "code": 400}` of SGLang and older vLLM, where the
    code is the status and `type` is the code of other services.
    """
    error = document.get("error") or None
    holder = error if isinstance(error, dict) else document
    plain = error if isinstance(error, str) else None  # `{"error": "Not Found"}`
    number = http_error_status(holder.get("code"))
    code = text_in(holder, "code")
    is_success = code is not None and code.lower() in SUCCESS_CODES and not error
    stated = error or number or (code and not is_success) or holder.get("object") == "error"
    if status_code < 400 and not stated:
        return None
    return ServiceFault(
        message=plain or text_in(holder, "message", "detail") or _validation_message(holder),
        code=(None if number else code) or text_in(holder, "type"),
        status_code=status_code if status_code >= 400 else number,
        request_id=text_in(document, "request_id") or text_in(holder, "request_id", "id"),
    )


def _validation_message(document: JsonObject) -> str:
    """Return the message of FastAPI, under vLLM and SGLang, about an invalid request.

    ```python
    >>> _validation_message({"detail": [{"loc": ["body", "model"], "msg": "Field required"}]})
    'body.model: Field required'

    ```
    """
    details = document.get("detail")
    first = details[0] if isinstance(details, list) and details else None
    if not isinstance(first, dict):
        return ""
    place = first.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    return f"{where}: {text_in(first, 'msg') or 'not valid'}"


def fault_in_text(part: AnswerPart, text: str, response: Response) -> ServiceFault:
    """Return the error that stands in place of the caption, under `ERROR_FINISH`.

    Args:
        part: the document that holds it; of a stream, the last one.
        text: the text of the whole answer.
        response: the response, for its headers.

    ```python
    >>> part = AnswerPart(text="limit_requests: too fast", finish_reason=ERROR_FINISH)
    >>> fault_in_text(part, part.text, Response(status_code=200, body=b"")).code
    'limit_requests'

    ```
    """
    coded = _CODED.fullmatch(part.text) or _CODED.fullmatch(text)
    return ServiceFault(
        message=coded[2] if coded else text,
        code=coded[1] if coded else None,
        request_id=_request_id(part, response),
    )


def make_caption(part: AnswerPart, response: Response) -> Caption:
    """Return the caption of a complete answer.

    Raises:
        ServiceError: the answer holds no text.
    """
    request_id = _request_id(part, response)
    if not part.text.strip():
        is_filtered = part.finish_reason == CONTENT_FILTER
        raise ServiceError(
            f"the service answered without a caption (finish_reason={part.finish_reason!r})",
            fix=find_rule(code=CONTENT_FILTER if is_filtered else EMPTY_ANSWER).fix,
            status_code=response.status_code,
            code=CONTENT_FILTER if is_filtered else EMPTY_ANSWER,
            request_id=request_id,
        )
    return Caption(
        text=part.text, finish_reason=part.finish_reason, request_id=request_id, usage=part.usage
    )


def _request_id(part: AnswerPart, response: Response) -> str | None:
    header_id = response.headers.get("x-request-id")
    return request_id_of(response, part.request_id or header_id or part.answer_id)


def ending_warnings(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return a sentence for each caption that is not the whole answer of the model.

    ```python
    >>> from captoolkit.model import Span, Status
    >>> span = Span(start_samples=0, end_samples=1, rate_hz=1)
    >>> entry = Entry(index=3, source_span=span, status=Status.OK, finish_reason="length")
    >>> ending_warnings([entry])
    ("segment 3: the caption reached the model's length limit and is cut off",)

    ```
    """
    return tuple(
        f"segment {entry.index}: {ENDINGS[entry.finish_reason]}"
        for entry in entries
        if entry.finish_reason in ENDINGS
    )


def content_text(content: object) -> str:
    """Return the text of a message: a string, or a list of parts, which may be empty."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(text_in(part, "text") or "" for part in parts if isinstance(part, dict))


def finish_reason(value: object) -> str | None:
    """Return why the model stopped; Model Studio writes the string "null" while it has not."""
    return clean(value, CODE_CHARS) if isinstance(value, str) and value != "null" else None


def make_part(
    document: JsonObject, choices: JsonObject, *, input_name: str, output_name: str
) -> AnswerPart:
    """Return the content of one document: a complete answer, or a piece of a streamed one.

    Args:
        document: the document.
        choices: the object in it that has the `choices`, which may be the document itself.
        input_name: the protocol's name of the number of input tokens.
        output_name: the same of output tokens.
    """
    choice = first_choice(choices)
    message = object_in(choice, "message") or object_in(choice, "delta")
    usage = object_in(document, "usage")
    return AnswerPart(
        text=content_text(message.get("content")),
        finish_reason=finish_reason(choice.get("finish_reason")),
        usage=make_usage(usage, input_name=input_name, output_name=output_name),
        request_id=text_in(document, "request_id"),
        # Model Studio's `id` is `chatcmpl-` and the request id, which the header states alone.
        answer_id=text_in(document, "id"),
    )


def make_usage(usage: JsonObject, *, input_name: str, output_name: str) -> Usage:
    """Return the tokens of an answer, so that `input_tokens` always includes the audio.

    With details (the captioner, OpenAI's protocol) the input includes the audio already. Without
    them (Qwen-Audio: `{"audio_tokens": 85, "input_tokens": 33, "output_tokens": 10}`) it counts
    the text alone, and there is no total. Source: Model Studio, the sample answers of both models.
    """
    details = object_in(usage, f"{input_name}_details")
    audio, text = count_in(details, "audio_tokens"), count_in(details, "text_tokens")
    given, output = count_in(usage, input_name), count_in(usage, output_name)
    total = count_in(usage, "total_tokens")
    apart = count_in(usage, "audio_tokens")
    if audio is None and apart is not None:
        audio = apart
        is_included = total is not None and total == _sum(given, output)
        if given is not None and not is_included:
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


# ------------------------------------------------------------ values in a document of any shape


def object_in(holder: JsonObject, name: str) -> JsonObject:
    """Return the object called `name`, an empty one if it is missing."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def first_choice(holder: JsonObject) -> JsonObject:
    """Return the first of the `choices`, an empty object if it is missing."""
    choices = holder.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def text_in(holder: JsonObject, *names: str) -> str | None:
    """Return the first text under one of the names that is not empty."""
    values = (holder.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def count_in(holder: JsonObject, name: str) -> int | None:
    """Return the count called `name`, None if it is missing or no count.

    ```python
    >>> [count_in({"tokens": value}, "tokens") for value in (160, "160", 160.0, -1, True)]
    [160, 160, 160, None, None]

    ```
    """
    value = holder.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None
