"""OpenAI's chat protocol: build the request, read the answer.

Model Studio's compatible mode and self-hosted servers speak it, and differ in how a message carries
sound (`Dialect`). Rules: pure, bytes in and out. `answers.py` and `answer_stream.py` hold the parts
that both protocols share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from captoolkit.captioners.answers import AnswerPart, JsonObject, make_part
from captoolkit.captioners.base import CaptionerSettings
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.service_captioner import (
    NO_PARAMETERS,
    ServiceCaptioner,
    WireProtocol,
)
from captoolkit.model import Dialect, Via
from captoolkit.net.http_messages import ServiceRequest
from captoolkit.services.regions import COMPATIBLE
from captoolkit.services.service import Service

DATA_URI = re.compile(r"data:(?:audio/(?P<format>[a-z0-9.+-]+))?;base64,")
RIFF = "UklGR"  # the beginning of a WAV file as Base64


def build_request(
    model: str,
    messages: Sequence[Message],
    *,
    streamed: bool = False,
    parameters: Mapping[str, Any] = NO_PARAMETERS,
    dialect: Dialect = Dialect.MODEL_STUDIO,
    has_format: bool = False,
) -> ServiceRequest:
    """Return the request for some messages.

    Args:
        model: the service's name of the model.
        messages: the messages, the last of them a question.
        streamed: whether the answer arrives piece by piece.
        parameters: the other members of the body.
        dialect: how a message carries sound.
        has_format: whether the dialect `model-studio` names the format of the sound.

    ```python
    >>> sound = Message(role=Role.USER, audio="data:;base64,AA==")
    >>> build_request("m", [sound], dialect=Dialect.AUDIO_URL).body.decode()[:80]
    '{"model":"m","messages":[{"role":"user","content":[{"type":"audio_url","audio_ur'

    ```
    """
    body: JsonObject = {
        "model": model,
        "messages": [
            {"role": one.role.value, "content": _content(one, dialect, has_format)}
            for one in messages
        ],
        **parameters,
    }
    if streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return ServiceRequest(path=COMPATIBLE.request_path, body=msgspec.json.encode(body))


def _content(message: Message, dialect: Dialect, has_format: bool) -> str | list[JsonObject]:
    """Return a user's message in parts, others as a string: every server accepts that."""
    if message.role is not Role.USER:
        return message.text or ""
    parts = [] if message.audio is None else [audio_part(message.audio, dialect, has_format)]
    words = [] if message.text is None else [{"type": "text", "text": message.text}]
    return [*parts, *words]


def audio_part(audio: str, dialect: Dialect, has_format: bool = False) -> JsonObject:
    """Return the part of a message that carries sound: a data URI, or a URL.

    Model Studio takes a data URI where OpenAI takes bare Base64 text, and its captioner no `format`
    (Model Studio, "Audio understanding (Qwen3-Omni-Captioner)"). vLLM and SGLang put a prefix of
    their own before the content of `input_audio`; their `audio_url` takes the unchanged data URI.

    ```python
    >>> audio_part("data:audio/mp3;base64,SUQz", Dialect.OPENAI)
    {'type': 'input_audio', 'input_audio': {'data': 'SUQz', 'format': 'mp3'}}

    ```
    """
    uri = DATA_URI.match(audio)
    text = audio[uri.end() :] if uri else audio
    if dialect is Dialect.AUDIO_URL:
        url = f"data:;base64,{text}" if uri else audio
        return {"type": "audio_url", "audio_url": {"url": url}}
    content = {"data": text}
    if dialect is Dialect.MODEL_STUDIO and uri:
        content["data"] = f"data:;base64,{text}"
    if dialect is Dialect.OPENAI or has_format:
        content["format"] = (uri and uri["format"]) or ("wav" if text.startswith(RIFF) else "mp3")
    return {"type": "input_audio", "input_audio": content}


# Refusals that name the form of a message's content. Sources: OpenAI ("Invalid value: 'audio_url'.
# Supported values are: ...", "Content blocks are expected to be either text or image_url type"),
# vLLM and SGLang (the fields of their schemas; "Incorrect padding"), LiteLLM ("Invalid user
# message"), Model Studio ("The provided URL does not appear to be valid"; "content must be ...").
_FORM = re.compile(
    r"\bcontent (?:blocks?|part|type|of a message)\b|\bcontent(?: field)? must\b|\bcontent\W{1,3}\d"
    r"|input_audio|audio_url|invalid user message|url does not appear to be valid"
    r"|incorrect padding|invalid base64|base64.{0,20}(?:invalid|decod)|decod.{0,20}base64"
)


def advise_dialect(message: str, sent: Dialect) -> str | None:
    """Return advice for a refusal that names the form of the content; None for any other.

    Args:
        message: the server's own words.
        sent: the dialect of the request.

    ```python
    >>> advise_dialect("Invalid value: 'audio_url'.", Dialect.AUDIO_URL)
    'sound was sent in the dialect audio-url: try dialect=openai, or dialect=model-studio'
    >>> advise_dialect("The audio is too long", Dialect.OPENAI)

    ```
    """
    words = message.lower()
    if _FORM.search(words) is None:
        return None
    others = [
        one for one in (Dialect.OPENAI, Dialect.MODEL_STUDIO, Dialect.AUDIO_URL) if one != sent
    ]
    # A server that knows `audio_url` names it, and one that wants a URL calls the data no URL.
    if sent is Dialect.OPENAI and "url does not" not in words:
        others.reverse()
    if sent is Dialect.MODEL_STUDIO and "audio_url" in words:
        others.reverse()
    return f"sound was sent in the dialect {sent}: try dialect={others[0]}, or dialect={others[1]}"


def read_part(document: JsonObject) -> AnswerPart:
    """Return the content of one document: a complete answer, or the new text of a stream."""
    return make_part(
        document, document, input_name="prompt_tokens", output_name="completion_tokens"
    )


def protocol(
    dialect: Dialect, *, has_format: bool = False, has_uploads: bool = True
) -> WireProtocol:
    """Return the wire protocol in a dialect; Model Studio's hosts and gateways take uploads."""
    ways = {Via.BASE64} if dialect is Dialect.OPENAI else {Via.BASE64, Via.URL}
    if dialect is Dialect.MODEL_STUDIO and has_uploads:
        ways.add(Via.UPLOAD)
    return WireProtocol(
        name=COMPATIBLE.name,
        build=partial(build_request, dialect=dialect, has_format=has_format),
        read_part=read_part,
        cumulates=False,
        ways=frozenset(ways),
        has_media_type=dialect is Dialect.OPENAI or has_format,
        advise=partial(advise_dialect, sent=dialect),
    )


def open_captioner(service: Service, settings: CaptionerSettings) -> ServiceCaptioner:
    """Return a captioner that asks a service in OpenAI's protocol."""
    has_format = service.row is not None and service.row.has_format
    has_uploads = service.endpoint is not None and service.endpoint.speaks_compatible_mode
    wire = protocol(service.dialect, has_format=has_format, has_uploads=has_uploads)
    return ServiceCaptioner.open(wire, service, settings)
