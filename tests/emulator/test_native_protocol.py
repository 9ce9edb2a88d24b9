"""Tests of Model Studio's own protocol, server side."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from captoolkit.emulator import native_protocol, refusals
from captoolkit.emulator.chat import ChatMessage, ChatRequest
from captoolkit.emulator.refusals import Refusal, RefusedError
from captoolkit.emulator.replies import HttpReply
from tests.support.emulator_requests import three_token_answer

MESSAGE = ChatMessage(role="user", audios=("oss://a",))
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


def events_of(reply: HttpReply) -> list[dict[str, Any]]:
    """Return the documents of a stream; each part must have the format of an event."""
    found = [FRAME.fullmatch(part) for part in reply.parts]
    assert [int(match["id"]) for match in found if match] == list(range(1, len(found) + 1))
    return [json.loads(match["data"]) for match in found if match]


def texts_of(documents: list[dict[str, Any]]) -> list[str | None]:
    """Return the text of each event; None if its content is empty."""
    contents = [one["output"]["choices"][0]["message"]["content"] for one in documents]
    return [content[0]["text"] if content else None for content in contents]


@pytest.mark.parametrize(("apart", "usage"), [(False, CAPTIONER_USAGE), (True, QWEN_AUDIO_USAGE)])
def test_a_document_is_the_pages_sample(apart: bool, usage: object) -> None:
    """The document has its text in a list, a finish reason, and the usage of that model's page."""
    reply = native_protocol.write_answer(
        three_token_answer(audio_apart=apart), ChatRequest(model="m", messages=(MESSAGE,))
    )
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


def test_an_incremental_stream_holds_only_new_text() -> None:
    """As in the page's sample, one event in the middle and the last are empty."""
    reply = native_protocol.write_answer(
        three_token_answer(), ChatRequest(model="m", messages=(MESSAGE,), streams=True)
    )
    documents = events_of(reply)
    assert texts_of(documents) == ["The", " audio", None, " ends.", None]
    reasons = [one["output"]["choices"][0]["finish_reason"] for one in documents]
    assert reasons == ["null"] * 4 + ["stop"]
    assert [one["usage"]["output_tokens"] for one in documents] == [1, 2, 2, 3, 3]
    assert reply.media_type.startswith("text/event-stream")


def test_a_cumulative_stream_holds_everything_so_far() -> None:
    """Without `incremental_output` each event, including the last, repeats the text."""
    request = ChatRequest(model="m", messages=(MESSAGE,), streams=True, incremental=False)
    texts = texts_of(events_of(native_protocol.write_answer(three_token_answer(), request)))
    assert texts == ["The", "The audio", None, "The audio ends.", "The audio ends."]


def test_the_models_refusal_of_a_stream_is_an_event() -> None:
    """The refusal keeps its status and has the format of an event; the gateway's is plain JSON."""
    by_model = native_protocol.write_refusal(refusals.TOO_LONG, "r-1", True)
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
        json.loads(native_protocol.write_refusal(refusals.NO_KEY, "r-1", True).parts[0])["code"]
        == "InvalidApiKey"
    )
    assert (
        json.loads(native_protocol.write_refusal(refusals.TOO_LONG, "r-1", False).parts[0])
        == expected
    )


MESSAGES = [{"role": "user", "content": [{"audio": "oss://a"}]}]


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ({}, refusals.NO_MODEL),
        ({"model": 3}, refusals.NO_MODEL),
        ({"model": "m"}, refusals.NO_INPUT),
        ({"model": "m", "input": {"messages": []}}, refusals.NO_INPUT),
        ({"model": "m", "input": {"messages": ["hello"]}}, refusals.NO_INPUT),
        ({"model": "m", "input": {"messages": [{"role": "user"}]}}, refusals.NO_INPUT),
        (
            {"model": "m", "input": {"messages": MESSAGES}, "parameters": None},
            refusals.NO_PARAMETERS,
        ),
        (
            {"model": "m", "input": {"messages": MESSAGES}, "parameters": {"max_tokens": 0}},
            refusals.out_of_range(
                "max_tokens", 0, f"Range of max_tokens should be [1, {2**31 - 1}]"
            ),
        ),
        (
            {"model": "m", "input": {"messages": [{"role": "user", "content": [{"image": "x"}]}]}},
            refusals.UNKNOWN_PART,
        ),
        (
            {"model": "m", "input": {"messages": [{"role": "user", "content": [{"audio": 1}]}]}},
            refusals.UNKNOWN_PART,
        ),
        (
            {"model": "m", "input": {"messages": [{"role": "user", "content": ["x"]}]}},
            refusals.UNKNOWN_PART,
        ),
    ],
)
def test_a_malformed_native_request_is_refused(
    document: Mapping[str, Any], refusal: Refusal
) -> None:
    """Each missing or ill-typed field has its own refusal."""
    with pytest.raises(RefusedError) as caught:
        native_protocol.read_request(document, {})
    found = caught.value.refusal
    assert (found.reason, found.message) == (refusal.reason, refusal.message)


def test_the_pages_sample_without_parameters_is_read() -> None:
    """The curl samples on the pages leave `parameters` out."""
    request = native_protocol.read_request({"model": "m", "input": {"messages": MESSAGES}}, {})
    assert (request.audios, request.streams, request.incremental) == (("oss://a",), False, False)


def test_a_header_requests_a_stream() -> None:
    """`X-DashScope-SSE: enable` requests a stream; other values do not."""
    document = {"model": "m", "input": {"messages": MESSAGES}}
    assert native_protocol.read_request(document, {"x-dashscope-sse": "enable"}).streams
    assert not native_protocol.read_request(document, {"x-dashscope-sse": "disable"}).streams
