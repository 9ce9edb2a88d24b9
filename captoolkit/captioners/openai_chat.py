"""OpenAI's chat protocol: build the request, read the answer.

Spoken by Model Studio's compatible mode and by self-hosted servers, which want the sound put
differently; the `Dialect` is the one switch. Rules: pure, bytes in and out. What both protocols
share is in `answers.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial

import msgspec

from captoolkit.captioners.answers import (
    JsonObject,
    first_choice,
    make_caption,
    make_usage,
    object_in,
    read_document,
    text_in,
)
from captoolkit.captioners.exchange import Reply, Request
from captoolkit.captioners.regions import BASE_PATHS, ENDPOINT_PATHS, Endpoint
from captoolkit.captioners.service import WireProtocol
from captoolkit.model import Caption

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


def build_request(model: str, audio: str, *, dialect: Dialect = Dialect.MODEL_STUDIO) -> Request:
    """Return the request for one clip; `audio` is `data:;base64,...` or a URL.

    ```python
    >>> build_request("m", "data:;base64,AA==", dialect=Dialect.SELF_HOSTED).body.decode()[:80]
    '{"model":"m","messages":[{"role":"user","content":[{"type":"audio_url","audio_ur'

    ```
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": [PARTS[dialect](audio)]}],
    }
    return Request(path=ENDPOINT_PATHS[NAME], body=msgspec.json.encode(body))


def read_answer(reply: Reply) -> Caption:
    """Return the caption in an answer.

    Raises:
        ServiceError: the reply holds an error in any wrapping, no caption, or is unreadable.
    """
    document = read_document(reply)
    return make_caption(
        first_choice(document),
        reply=reply,
        usage=make_usage(
            object_in(document, "usage"),
            input_name="prompt_tokens",
            output_name="completion_tokens",
        ),
        # Model Studio's `id` is `chatcmpl-` and the request id, which the header states alone.
        request_id=text_in(document, "request_id")
        or reply.headers.get("x-request-id")
        or text_in(document, "id"),
    )


def protocol(dialect: Dialect) -> WireProtocol:
    """Return how a server of this dialect is spoken to."""
    return WireProtocol(name=NAME, build=partial(build_request, dialect=dialect), read=read_answer)
