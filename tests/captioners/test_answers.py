"""Documents of answers: errors in every shape, captions, tokens."""

from __future__ import annotations

from typing import Any

import pytest

from captoolkit.captioners.answers import (
    ERROR_FINISH,
    AnswerPart,
    content_text,
    count_in,
    fault_in_text,
    find_fault,
    finish_reason,
    make_caption,
    make_usage,
)
from captoolkit.captioners.failures import ServiceFault
from captoolkit.errors import ServiceError
from captoolkit.model import Usage
from captoolkit.net.http_messages import Response

OK = Response(status_code=200, body=b"", headers={"x-request-id": "h-1"})


@pytest.mark.parametrize(
    ("document", "status", "fault"),
    [
        (
            {"code": "Throttling", "message": "too fast", "request_id": "r"},
            200,
            ServiceFault(message="too fast", code="Throttling", request_id="r"),
        ),
        (
            {"error": {"code": "invalid_api_key", "message": "wrong", "type": "t"}},
            401,
            ServiceFault(message="wrong", code="invalid_api_key", status_code=401),
        ),
        (
            {"object": "error", "code": 400, "message": "no", "type": "BadRequestError"},
            200,
            ServiceFault(message="no", code="BadRequestError", status_code=400),
        ),
        ({"error": "Not Found"}, 404, ServiceFault(message="Not Found", status_code=404)),
        (
            {"detail": [{"loc": ["body", "model"], "msg": "Field required"}]},
            422,
            ServiceFault(message="body.model: Field required", status_code=422),
        ),
        ({"choices": []}, 200, None),
        ({"code": "", "message": ""}, 200, None),
    ],
)
def test_an_error_is_found_in_every_shape(
    document: dict[str, Any], status: int, fault: ServiceFault | None
) -> None:
    """Native, compatible and flat errors are found, under an error status or under 200."""
    assert find_fault(document, status) == fault


def test_an_error_in_place_of_the_caption_is_found() -> None:
    """Gateways write the code before the message, or the message alone."""
    part = AnswerPart(text="Model.Busy: try later", finish_reason=ERROR_FINISH)
    fault = fault_in_text(part, part.text, OK)
    assert (fault.code, fault.message, fault.request_id) == ("Model.Busy", "try later", "h-1")
    plain = AnswerPart(text="it broke", finish_reason=ERROR_FINISH)
    assert fault_in_text(plain, "it broke", OK).code is None


def test_an_empty_answer_is_no_caption() -> None:
    """White space alone is refused, with the reason why the model stopped."""
    with pytest.raises(ServiceError, match=r"without a caption \(finish_reason='stop'\)") as caught:
        make_caption(AnswerPart(text=" \n", finish_reason="stop"), OK)
    assert (caught.value.status_code, caught.value.request_id) == (200, "h-1")
    assert make_caption(AnswerPart(text="Rain."), OK).text == "Rain."


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"input_tokens": 160, "output_tokens": 3, "total_tokens": 163,
             "input_tokens_details": {"audio_tokens": 152, "text_tokens": 8}},
            Usage(audio_tokens=152, text_tokens=8, input_tokens=160, output_tokens=3,
                  total_tokens=163),
        ),
        (
            {"audio_tokens": 85, "input_tokens": 33, "output_tokens": 10},
            Usage(audio_tokens=85, text_tokens=33, input_tokens=118, output_tokens=10,
                  total_tokens=128),
        ),
        (
            {"audio_tokens": 85, "input_tokens": 118, "output_tokens": 10, "total_tokens": 128},
            Usage(audio_tokens=85, input_tokens=118, output_tokens=10, total_tokens=128),
        ),
        ({}, Usage()),
        ({"input_tokens": "12", "output_tokens": -1}, Usage(input_tokens=12)),
        ({"input_tokens": "12", "output_tokens": 3.0}, Usage(input_tokens=12, output_tokens=3,
                                                             total_tokens=15)),
    ],
)  # fmt: skip
def test_input_tokens_include_the_audio(usage: dict[str, Any], expected: Usage) -> None:
    """Both ways of counting give the same fields; counts as text are counts."""
    assert make_usage(usage, input_name="input_tokens", output_name="output_tokens") == expected


def test_values_of_any_type_are_read_or_ignored() -> None:
    """A document may hold anything under any name."""
    assert content_text([{"text": "a"}, {"image": "b"}, 1, {"text": None}, {"text": "c"}]) == "ac"
    assert content_text({"text": "a"}) == content_text(None) == ""
    assert finish_reason("null") is finish_reason(None) is finish_reason(3) is None
    assert finish_reason("stop") == "stop"
    for value in (True, -1, "-1", "1.5", "", 1.5, None):
        assert count_in({"n": value}, "n") is None
    assert count_in({"n": 0}, "n") == 0


def test_parts_merge_and_the_later_one_counts() -> None:
    """Tokens are cumulative: the later count replaces the earlier one."""
    first = AnswerPart(text="a", usage=Usage(output_tokens=1), request_id="r")
    later = AnswerPart(text="b", finish_reason="stop", usage=Usage(output_tokens=2))
    both = first.merged_with(later, "ab")
    assert both == AnswerPart(
        text="ab", finish_reason="stop", usage=Usage(output_tokens=2), request_id="r"
    )
    assert both.merged_with(AnswerPart(), "ab") == both
