"""What captioning services answer, whatever they speak, document by document: pure.

Rules: nothing is taken for granted of a document but that it is a JSON object. How documents come,
alone or in a stream, is for `reading.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from captoolkit.captioners.failures import ServiceFault, http_error_status
from captoolkit.errors import ServiceError
from captoolkit.model import Caption, Usage
from captoolkit.net.http_messages import (
    CODE_CHARS,
    Response,
    clean,
    parse_json,
    request_id_of,
)

JsonObject = dict[str, Any]

# The words of an error stand where the caption belongs (some gateways), often after its code.
ERROR_FINISH = "error_finish"
_CODED = re.compile(r"\s*([A-Za-z]\w*(?:\.\w+)*): *(\S.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one document of an answer says: all of it, or in a stream a piece of it.

    Attributes:
        text: the caption, or a piece of it; empty where there is none.
        finish_reason: why the model stopped; None as long as it has not.
        usage: the tokens so far.
        request_id: what the service's support asks for.
        answer_id: what it calls the answer, for want of a request id.
    """

    text: str = ""
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    request_id: str | None = None
    answer_id: str | None = None

    def then(self, later: Part, text: str) -> Part:
        """Return both as one; what the later one says counts, and `text` is that of both."""
        return Part(
            text=text,
            finish_reason=later.finish_reason or self.finish_reason,
            usage=self.usage if later.usage == Usage() else later.usage,  # cumulative: never added
            request_id=later.request_id or self.request_id,
            answer_id=later.answer_id or self.answer_id,
        )


ReadPart = Callable[[JsonObject], Part]


def decode(body: bytes) -> object:
    """Return the JSON value in `body`, None if there is none."""
    try:
        return parse_json(body)
    except ValueError:
        return None


def find_fault(document: JsonObject, status_code: int) -> ServiceFault | None:
    """Return the error that a document holds, None if it holds none.

    The shapes: native `{"code", "message"}`, also under status 200; `{"error": {...}}` of
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
    return ServiceFault(
        message=plain or text_in(holder, "message", "detail") or _invalid(holder),
        code=(None if number else text_in(holder, "code")) or text_in(holder, "type"),
        status_code=status_code if status_code >= 400 else number,
        request_id=text_in(document, "request_id") or text_in(holder, "request_id", "id"),
    )


def _invalid(document: JsonObject) -> str:
    """What FastAPI, under vLLM and SGLang, says of a request that is not as it should be.

    ```python
    >>> _invalid({"detail": [{"loc": ["body", "model"], "msg": "Field required"}]})
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


def spoken_fault(part: Part, text: str, reply: Response) -> ServiceFault:
    """Return the error whose words stand where the caption belongs, under `ERROR_FINISH`.

    Args:
        part: what says so; in a stream, its last piece.
        text: all the text.
        reply: what it came in.

    ```python
    >>> part = Part(text="limit_requests: too fast", finish_reason=ERROR_FINISH)
    >>> spoken_fault(part, part.text, Response(status_code=200, body=b"")).code
    'limit_requests'

    ```
    """
    coded = _CODED.fullmatch(part.text) or _CODED.fullmatch(text)
    return ServiceFault(
        message=coded[2] if coded else text,
        code=coded[1] if coded else None,
        request_id=_request_id(part, reply),
    )


def make_caption(part: Part, reply: Response) -> Caption:
    """Return the caption that an answer holds.

    Raises:
        ServiceError: there is no text in it.
    """
    request_id = _request_id(part, reply)
    if not part.text.strip():
        raise ServiceError(
            f"the service answered without a caption (finish_reason={part.finish_reason!r})",
            fix="ask again; if it stays so, give the segment more sound",
            status_code=reply.status_code,
            request_id=request_id,
        )
    return Caption(
        text=part.text, finish_reason=part.finish_reason, request_id=request_id, usage=part.usage
    )


def _request_id(part: Part, reply: Response) -> str | None:
    header_id = reply.headers.get("x-request-id")
    return request_id_of(reply, part.request_id or header_id or part.answer_id)


def content_text(content: object) -> str:
    """Return the text of a message: a string, or a list of parts that may be empty."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(text_in(part, "text") or "" for part in parts if isinstance(part, dict))


def finish_reason(value: object) -> str | None:
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
