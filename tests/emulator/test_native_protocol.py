from __future__ import annotations

import json
import re
from typing import Any

import pytest

from captoolkit.emulator import native_protocol, refusals
from captoolkit.emulator.chat_request import Ask, Turn
from captoolkit.emulator.replies import Answer, Reply

TURN = Turn(role="user", audios=("oss://a",))
FRAME = re.compile(
    rb"id:(?P<id>\d+)\nevent:(?P<event>\w+)\n:HTTP_STATUS/(?P<status>\d+)\ndata:(?P<data>\{.*\})\n\n"
)
# The sample answers' usage (Model Studio, "Audio understanding", both pages), keys in any order.
CAPTIONER_USAGE = {
    "input_tokens": 160,
    "output_tokens": 3,
    "total_tokens": 163,
    "input_tokens_details": {"audio_tokens": 152, "text_tokens": 8},
    "output_tokens_details": {"text_tokens": 3},
}
QWEN_AUDIO_USAGE = {"audio_tokens": 152, "output_tokens": 3, "input_tokens": 8}


def answer(*, audio_apart: bool = False) -> Answer:
    """Three tokens about a sound of 152."""
    return Answer(
        request_id="r-1",
        model="m",
        tokens=("The", " audio", " ends."),
        finish_reason="stop",
        audio_tokens=152,
        text_tokens=8,
        audio_apart=audio_apart,
        created_s=1,
    )


def events_of(reply: Reply) -> list[dict[str, Any]]:
    """The documents of a stream, each part held against the form of an event."""
    found = [FRAME.fullmatch(part) for part in reply.parts]
    assert [int(match["id"]) for match in found if match] == list(range(1, len(found) + 1))
    return [json.loads(match["data"]) for match in found if match]


def texts_of(documents: list[dict[str, Any]]) -> list[str | None]:
    """What each event says, None where its content is empty."""
    contents = [one["output"]["choices"][0]["message"]["content"] for one in documents]
    return [content[0]["text"] if content else None for content in contents]


@pytest.mark.parametrize(("apart", "usage"), [(False, CAPTIONER_USAGE), (True, QWEN_AUDIO_USAGE)])
def test_a_document_is_the_pages_sample(apart: bool, usage: object) -> None:
    """Text in a list, a finish reason, and the usage of that model's page."""
    reply = native_protocol.answer(answer(audio_apart=apart), Ask(model="m", turns=(TURN,)))
    assert json.loads(reply.parts[0]) == {
        "output": {
            "choices": [
                {
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": [{"text": "The audio ends."}]},
                }
            ]
        },
        "usage": usage,
        "request_id": "r-1",
    }


def test_an_incremental_stream_holds_what_is_new() -> None:
    """As in the page's sample: pieces, an empty one among them, and an empty end that stops."""
    reply = native_protocol.answer(answer(), Ask(model="m", turns=(TURN,), streams=True))
    documents = events_of(reply)
    assert texts_of(documents) == ["The", " audio", None, " ends.", None]
    reasons = [one["output"]["choices"][0]["finish_reason"] for one in documents]
    assert reasons == ["null"] * 4 + ["stop"]
    assert [one["usage"]["output_tokens"] for one in documents] == [1, 2, 2, 3, 3]
    assert reply.media_type.startswith("text/event-stream")


def test_a_cumulative_stream_holds_everything_so_far() -> None:
    """Without `incremental_output` each event repeats the text, to the last."""
    ask = Ask(model="m", turns=(TURN,), streams=True, incremental=False)
    texts = texts_of(events_of(native_protocol.answer(answer(), ask)))
    assert texts == ["The", "The audio", None, "The audio ends.", "The audio ends."]


def test_the_models_refusal_of_a_stream_is_an_event() -> None:
    """It keeps its status, and is framed as the events are; the gateway's is plain JSON."""
    by_model = native_protocol.refuse(refusals.TOO_LONG, "r-1", True)
    assert by_model.status == 400
    match = FRAME.fullmatch(by_model.parts[0])
    assert match is not None
    assert (match["event"], match["status"]) == (b"error", b"400")
    expected = {
        "code": "InvalidParameter",
        "message": refusals.TOO_LONG.message,
        "request_id": "r-1",
    }
    assert json.loads(match["data"]) == expected
    assert (
        json.loads(native_protocol.refuse(refusals.NO_KEY, "r-1", True).parts[0])["code"]
        == "InvalidApiKey"
    )
    assert json.loads(native_protocol.refuse(refusals.TOO_LONG, "r-1", False).parts[0]) == expected
