"""OpenAI's chat protocol: build the request, read the answer.

Spoken by Model Studio's compatible mode and by self-hosted servers, which want the sound put
differently; the `Dialect` is the one switch. Rules: pure, bytes in and out. What both protocols
share is in `answers.py` and `reading.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial

import msgspec

from captoolkit.captioners.answer_stream import read, whole
from captoolkit.captioners.answers import (
    JsonObject,
    Part,
    content_text,
    finish_reason,
    first_choice,
    make_usage,
    object_in,
    text_in,
)
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.service import WireProtocol
from captoolkit.model import Caption
from captoolkit.net.exchange import Reply, Request
from captoolkit.services.regions import BASE_PATHS, ENDPOINT_PATHS, Endpoint

NAME = "openai"


class Dialect(StrEnum):
    """How the sound is put into a message."""

    MODEL_STUDIO = "model-studio"
    SELF_HOSTED = "self-hosted"


# Model Studio wants the whole data URI where OpenAI wants bare Base64, and no `format` key (Model
# Studio, "Audio understanding (Qwen3-Omni-Captioner)"). vLLM and SGLang put a prefix of their own
# before what they find in `input_audio`; `audio_url` takes the data URI as it is.
PARTS: dict[Dialect, Callable[[str], JsonObject]] = {
    Dialect.MODEL_STUDIO: lambda audio: {"type": "input_audio", "input_audio": {"data": audio}},
    Dialect.SELF_HOSTED: lambda audio: {"type": "audio_url", "audio_url": {"url": audio}},
}


def dialect_of(endpoint: Endpoint) -> Dialect:
    """Return what is spoken at an endpoint: Model Studio's host or path, or a server of one's own.

    The path counts too, for whoever reaches Model Studio through a gateway.
    """
    if endpoint.is_model_studio or endpoint.base_url.endswith(BASE_PATHS[NAME]):
        return Dialect.MODEL_STUDIO
    return Dialect.SELF_HOSTED


def build_request(
    model: str,
    messages: Sequence[Message],
    *,
    streamed: bool = False,
    dialect: Dialect = Dialect.MODEL_STUDIO,
) -> Request:
    """Return the request for some messages.

    ```python
    >>> sound = Message(role=Role.USER, audio="data:;base64,AA==")
    >>> build_request("m", [sound], dialect=Dialect.SELF_HOSTED).body.decode()[:80]
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
    return Request(path=ENDPOINT_PATHS[NAME], body=msgspec.json.encode(body))


def _content(message: Message, dialect: Dialect) -> str | list[JsonObject]:
    """A user's message in parts; others' as a string, which is what every server takes of them."""
    if message.role is not Role.USER:
        return message.text or ""
    parts = [] if message.audio is None else [PARTS[dialect](message.audio)]
    words = [] if message.text is None else [{"type": "text", "text": message.text}]
    return [*parts, *words]


def read_part(document: JsonObject) -> Part:
    """Return what one document of an answer says: all of it, or in a stream what is new."""
    choice = first_choice(document)
    words = object_in(choice, "message") or object_in(choice, "delta")
    return Part(
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


def read_answer(reply: Reply) -> Caption:
    """Return the caption in an answer that has come whole.

    Raises:
        ServiceError: the reply holds an error in any wrapping, no caption, or is unreadable.
    """
    return read(whole(reply), read_part)


def protocol(dialect: Dialect) -> WireProtocol:
    """Return how a server of this dialect is spoken to."""
    return WireProtocol(
        name=NAME,
        build=partial(build_request, dialect=dialect),
        read_part=read_part,
        cumulates=False,
        has_uploads=dialect is Dialect.MODEL_STUDIO,
    )
