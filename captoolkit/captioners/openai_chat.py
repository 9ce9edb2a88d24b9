"""OpenAI's chat protocol: build the request, read the answer.

Model Studio's compatible mode and self-hosted servers speak it, and differ in how a message carries
sound (`Dialect`). Rules: pure, bytes in and out. `answers.py` and `answer_stream.py` hold the parts
that both protocols share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from captoolkit.captioners.answers import (
    AnswerPart,
    JsonObject,
    content_text,
    finish_reason,
    first_choice,
    make_usage,
    object_in,
    text_in,
)
from captoolkit.captioners.base import CaptionerSettings
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.service_captioner import ServiceCaptioner, WireProtocol
from captoolkit.net.http_messages import ServiceRequest
from captoolkit.services.regions import COMPATIBLE
from captoolkit.services.service import Dialect, Service

# Model Studio takes a data URI where OpenAI takes bare Base64, and no `format` key (Model Studio,
# "Audio understanding (Qwen3-Omni-Captioner)"). vLLM and SGLang put a prefix of their own before
# the content of `input_audio`; their `audio_url` takes the unchanged data URI.
PARTS: dict[Dialect, Callable[[str], JsonObject]] = {
    Dialect.MODEL_STUDIO: lambda audio: {"type": "input_audio", "input_audio": {"data": audio}},
    Dialect.AUDIO_URL: lambda audio: {"type": "audio_url", "audio_url": {"url": audio}},
}


def build_request(
    model: str,
    messages: Sequence[Message],
    *,
    streamed: bool = False,
    dialect: Dialect = Dialect.MODEL_STUDIO,
) -> ServiceRequest:
    """Return the request for some messages.

    ```python
    >>> sound = Message(role=Role.USER, audio="data:;base64,AA==")
    >>> build_request("m", [sound], dialect=Dialect.AUDIO_URL).body.decode()[:80]
    '{"model":"m","messages":[{"role":"user","content":[{"type":"audio_url","audio_ur'

    ```
    """
    body: JsonObject = {
        "model": model,
        "messages": [
            {"role": one.role.value, "content": _content(one, dialect)} for one in messages
        ],
    }
    if streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return ServiceRequest(path=COMPATIBLE.request_path, body=msgspec.json.encode(body))


def _content(message: Message, dialect: Dialect) -> str | list[JsonObject]:
    """Return a user's message in parts, others as a string: every server accepts that."""
    if message.role is not Role.USER:
        return message.text or ""
    parts = [] if message.audio is None else [PARTS[dialect](message.audio)]
    words = [] if message.text is None else [{"type": "text", "text": message.text}]
    return [*parts, *words]


def read_part(document: JsonObject) -> AnswerPart:
    """Return the content of one document: a complete answer, or the new text of a stream."""
    choice = first_choice(document)
    words = object_in(choice, "message") or object_in(choice, "delta")
    return AnswerPart(
        text=content_text(words.get("content")),
        finish_reason=finish_reason(choice.get("finish_reason")),
        usage=make_usage(
            object_in(document, "usage"),
            input_name="prompt_tokens",
            output_name="completion_tokens",
        ),
        request_id=text_in(document, "request_id"),
        # Model Studio's `id` is `chatcmpl-` and the request id, which the header states alone.
        answer_id=text_in(document, "id"),
    )


def protocol(dialect: Dialect) -> WireProtocol:
    """Return the wire protocol in a dialect."""
    return WireProtocol(
        name=COMPATIBLE.name,
        build=partial(build_request, dialect=dialect),
        read_part=read_part,
        cumulates=False,
        has_uploads=dialect is Dialect.MODEL_STUDIO,
    )


def open_captioner(service: Service, settings: CaptionerSettings) -> ServiceCaptioner:
    """Return a captioner that asks a service in OpenAI's protocol."""
    return ServiceCaptioner.open(protocol(service.dialect), service, settings)
