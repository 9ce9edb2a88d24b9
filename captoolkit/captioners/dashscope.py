"""Model Studio's own protocol (DashScope): build the request, read the answer.

Rules: pure, bytes in and out. `answers.py` and `answer_stream.py` hold the parts that both
protocols share.
Source: Model Studio, "Audio understanding (Qwen3-Omni-Captioner)" and "Audio understanding
(Qwen-Audio)".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from captoolkit.captioners.answers import AnswerPart, JsonObject, make_part, object_in
from captoolkit.captioners.base import CaptionerSettings
from captoolkit.captioners.messages import Message
from captoolkit.captioners.service_captioner import (
    NO_PARAMETERS,
    ServiceCaptioner,
    WireProtocol,
)
from captoolkit.model import Via
from captoolkit.net.http_messages import ServiceRequest
from captoolkit.services.regions import NATIVE
from captoolkit.services.service import Service

# Workspace hosts have been seen to nest an answer deeper than shared ones, and not at all.
MOST_NESTING = 2

# The last header asks gateways on the way not to buffer the answer, as the service's SDK does.
STREAM_HEADERS = {
    "Accept": "text/event-stream",
    "X-DashScope-SSE": "enable",
    "X-Accel-Buffering": "no",
}


def build_request(
    model: str,
    messages: Sequence[Message],
    *,
    streamed: bool = False,
    parameters: Mapping[str, Any] = NO_PARAMETERS,
) -> ServiceRequest:
    """Return the request for some messages.

    `parameters` is always sent, even empty: there is an error `BadRequest.EmptyParameters`. With
    `incremental_output` a stream sends the new text alone; without it each piece holds all of the
    text so far.

    ```python
    >>> from captoolkit.captioners.messages import Role
    >>> sound = Message(role=Role.USER, audio="data:;base64,AA==")
    >>> build_request("m", [sound]).body.decode()[:71]
    '{"model":"m","input":{"messages":[{"role":"user","content":[{"audio":"d'

    ```
    """
    body = {
        "model": model,
        "input": {
            "messages": [{"role": one.role.value, "content": _content(one)} for one in messages]
        },
        "parameters": {**parameters, **({"incremental_output": True} if streamed else {})},
    }
    return ServiceRequest(
        path=NATIVE.request_path,
        body=msgspec.json.encode(body),
        headers=STREAM_HEADERS if streamed else {},
    )


def _content(message: Message) -> list[JsonObject]:
    parts = {"audio": message.audio, "text": message.text}
    return [{name: value} for name, value in parts.items() if value is not None]


def read_part(document: JsonObject) -> AnswerPart:
    """Return the content of one document of an answer."""
    return make_part(
        document, _output(document), input_name="input_tokens", output_name="output_tokens"
    )


def _output(document: JsonObject) -> JsonObject:
    """Return the object with the choices: the document, its `output`, or the output's `output`."""
    holder = document
    for _ in range(MOST_NESTING):
        if "choices" not in holder:
            holder = object_in(holder, "output")
    return holder


PROTOCOL = WireProtocol(
    name=NATIVE.name, build=build_request, read_part=read_part, cumulates=True, ways=frozenset(Via)
)


def open_captioner(service: Service, settings: CaptionerSettings) -> ServiceCaptioner:
    """Return a captioner that asks a service in Model Studio's native protocol."""
    return ServiceCaptioner.open(PROTOCOL, service, settings)
