"""Model Studio's own protocol (DashScope): build the request, read the answer.

Rules: pure, bytes in and out. What both protocols share is in `answers.py`. Source: Model Studio,
"Audio understanding (Qwen3-Omni-Captioner)" and "Audio understanding (Qwen-Audio)".
"""

from __future__ import annotations

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
from captoolkit.captioners.regions import ENDPOINT_PATHS
from captoolkit.captioners.service import WireProtocol
from captoolkit.model import Caption

NAME = "dashscope"
# Workspace hosts have been seen to nest an answer deeper than shared ones, and not at all.
MOST_NESTING = 2


def build_request(model: str, audio: str) -> Request:
    """Return the request for one clip; `audio` is `data:;base64,...` or a URL.

    `parameters` is always sent, even empty: there is an error `BadRequest.EmptyParameters`.

    ```python
    >>> build_request("m", "data:;base64,AA==").body.decode()[:71]
    '{"model":"m","input":{"messages":[{"role":"user","content":[{"audio":"d'

    ```
    """
    body = {
        "model": model,
        "input": {"messages": [{"role": "user", "content": [{"audio": audio}]}]},
        "parameters": {},
    }
    return Request(path=ENDPOINT_PATHS[NAME], body=msgspec.json.encode(body))


def read_answer(reply: Reply) -> Caption:
    """Return the caption in an answer.

    Raises:
        ServiceError: the reply holds an error in any wrapping, no caption, or is unreadable.
    """
    document = read_document(reply)
    return make_caption(
        first_choice(_output(document)),
        reply=reply,
        usage=make_usage(
            object_in(document, "usage"), input_name="input_tokens", output_name="output_tokens"
        ),
        request_id=text_in(document, "request_id"),
    )


def _output(document: JsonObject) -> JsonObject:
    """Return what holds the choices: the document, its `output`, or the output's `output`."""
    holder = document
    for _ in range(MOST_NESTING):
        if "choices" not in holder:
            holder = object_in(holder, "output")
    return holder


PROTOCOL = WireProtocol(name=NAME, build=build_request, read=read_answer)
