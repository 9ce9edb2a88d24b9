"""Model Studio's native protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.captioners import dashscope
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import CAPTIONERS, open_captioner
from captoolkit.errors import ServiceError
from captoolkit.model import Caption, Usage
from captoolkit.net.http_messages import Response
from tests.support.services import read_reply

if TYPE_CHECKING:
    from tests.support.clips import BytesClip
    from tests.support.recorder import Recorder

SOUND = Message(role=Role.USER, audio="data:;base64,SUQz")
KEY = "sk-test-0123456789abcdef"

# Model Studio, "Audio understanding (Qwen3-Omni-Captioner)", the sample answer, its text shortened.
ANSWER: dict[str, Any] = {
    "output": {
        "choices": [
            {
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": [
                        {
                            "text": "The audio clip is a 6-second, high-fidelity recording set in "
                            "a quiet, indoor environment: “Oh, how can I possibly work quietly "
                            "like this?”\n\nOverlaying the speech is a mechanical sound — 装修噪音."
                        }
                    ],
                },
            }
        ]
    },
    "usage": {
        "input_tokens_details": {"audio_tokens": 152, "text_tokens": 8},
        "total_tokens": 559,
        "output_tokens": 399,
        "input_tokens": 160,
        "output_tokens_details": {"text_tokens": 399},
    },
    "request_id": "d532f72c-e75b-4ffb-a1ef-d2465e758958",
}
TEXT = ANSWER["output"]["choices"][0]["message"]["content"][0]["text"]


def reply(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a response with the given bytes, or with another value as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status_code=status, body=raw, headers=headers or {})


def answer(*, content: object, finish_reason: object = "stop") -> dict[str, Any]:
    """Return the sample answer with another content and finish reason."""
    choice = {"finish_reason": finish_reason, "message": {"role": "assistant", "content": content}}
    return {**ANSWER, "output": {"choices": [choice]}}


def refusal(body: object, *, status: int = 400, headers: dict[str, str] | None = None) -> Any:
    """Return the error of reading a response."""
    with pytest.raises(ServiceError) as caught:
        read_reply(dashscope.PROTOCOL, reply(body, status=status, headers=headers))
    return caught.value


def caption_or_error(body: bytes, status: int) -> Caption | ServiceError:
    """Return the caption, or the service error."""
    try:
        return read_reply(dashscope.PROTOCOL, reply(body, status=status))
    except ServiceError as error:
        return error


def test_request_has_the_documented_shape_and_always_parameters() -> None:
    """The body is the documented one, and always holds `parameters`."""
    request = dashscope.build_request("qwen3-omni-30b-a3b-captioner", [SOUND])
    assert request.path == "/services/aigc/multimodal-generation/generation"
    assert json.loads(request.body) == {
        "model": "qwen3-omni-30b-a3b-captioner",
        "input": {
            "messages": [{"role": "user", "content": [{"audio": "data:;base64,SUQz"}]}],
        },
        "parameters": {},
    }


def test_sample_answer_becomes_the_caption() -> None:
    """Text, reason, request id and tokens are those of the documented sample."""
    assert read_reply(dashscope.PROTOCOL, reply(ANSWER)) == Caption(
        text=TEXT,
        finish_reason="stop",
        request_id="d532f72c-e75b-4ffb-a1ef-d2465e758958",
        usage=Usage(
            audio_tokens=152, text_tokens=8, input_tokens=160, output_tokens=399, total_tokens=559
        ),
    )


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(
            {"audio_tokens": 85, "output_tokens": 10, "input_tokens": 33},
            (85, 33, 118, 10, 128),
            id="qwen-audio counts the audio apart",
        ),
        pytest.param(
            {"audio_tokens": 85, "output_tokens": 10, "input_tokens": 33, "total_tokens": 128},
            (85, 33, 118, 10, 128),
            id="apart, with a total over all three",
        ),
        pytest.param(
            {"audio_tokens": 85, "output_tokens": 10, "input_tokens": 118, "total_tokens": 128},
            (85, None, 118, 10, 128),
            id="the total shows that the input includes the audio",
        ),
        pytest.param(
            {"audio_tokens": 85, "input_tokens": 33},
            (85, 33, 118, None, None),
            id="no output counted, so no total",
        ),
        pytest.param(
            {"input_tokens": 160, "output_tokens": 3}, (None, None, 160, 3, 163), id="no details"
        ),
        pytest.param({}, (None, None, None, None, None), id="nothing"),
        pytest.param(
            {"input_tokens": -1, "output_tokens": True, "total_tokens": "7.5", "audio_tokens": 1.5},
            (None, None, None, None, None),
            id="no counts",
        ),
        pytest.param([160], (None, None, None, None, None), id="no object"),
    ],
)
def test_input_tokens_always_include_the_audio(
    usage: object, expected: tuple[int | None, ...]
) -> None:
    """Input includes audio in every way of counting; missing counts stay unknown."""
    caption = read_reply(dashscope.PROTOCOL, reply({**ANSWER, "usage": usage}))
    read = caption.usage
    assert (
        read.audio_tokens,
        read.text_tokens,
        read.input_tokens,
        read.output_tokens,
        read.total_tokens,
    ) == expected


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(ANSWER["output"] | {"request_id": "r"}, id="at the top"),
        pytest.param({"output": {"output": ANSWER["output"]}, "request_id": "r"}, id="twice under"),
    ],
)
def test_nesting_that_varies_by_host_is_read(document: object) -> None:
    """Choices are found one level above or below the documented place."""
    assert read_reply(dashscope.PROTOCOL, reply(document)).text == TEXT


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"text": "one "}, {"text": "two"}], "one two"),
        ([{"image": "x"}, {"text": "  kept as it is\n"}, "?"], "  kept as it is\n"),
    ],
)
def test_text_is_read_from_strings_and_parts(content: object, text: str) -> None:
    """A string or any number of text parts give the text, unchanged."""
    assert read_reply(dashscope.PROTOCOL, reply(answer(content=content))).text == text


@pytest.mark.parametrize("finish_reason", ["null", None, 7])
def test_an_unfinished_answer_has_no_finish_reason(finish_reason: object) -> None:
    """The string "null", null and nonsense are no finish reason."""
    document = answer(content="text", finish_reason=finish_reason)
    assert read_reply(dashscope.PROTOCOL, reply(document)).finish_reason is None


@pytest.mark.parametrize("content", [[], "", " \n", None, [{"text": ""}], [{}]])
def test_answer_without_text_is_an_error(content: object) -> None:
    """An empty caption is never returned; the error names the finish reason."""
    error = refusal(answer(content=content, finish_reason="length"), status=200)
    assert "answered without a caption (finish_reason='length')" in str(error)
    assert error.request_id == ANSWER["request_id"]


NATIVE = {"code": "InvalidParameter", "message": "The audio is empty", "request_id": "r-1"}
FRAME = (
    b"id:1\nevent:error\n:HTTP_STATUS/400\n"
    b'data:{"code":"InvalidParameter","message":"The audio is empty","request_id":"r-1"}\n\n'
)
BEGUN = b'id:1\nevent:result\n:HTTP_STATUS/200\ndata:{"output":{"choices":[]}}\n\n'


@pytest.mark.parametrize(
    ("body", "status", "told_status"),
    [
        pytest.param(NATIVE, 400, 400, id="json"),
        pytest.param(NATIVE, 200, 200, id="json under 200"),
        pytest.param(FRAME, 200, 400, id="frame under 200"),
        pytest.param(FRAME, 400, 400, id="frame under 400"),
        pytest.param(BEGUN + FRAME, 200, 400, id="frame after a result"),
        pytest.param(FRAME.replace(b"\n", b"\r\n"), 400, 400, id="frame with CRLF"),
        pytest.param(FRAME.replace(b"data:", b"data: "), 400, 400, id="frame with a space"),
        pytest.param(FRAME.replace(b"/400", b"/500"), 200, 500, id="the comment's status counts"),
        pytest.param(FRAME.replace(b":HTTP_STATUS/400\n", b""), 429, 429, id="without comment"),
        pytest.param(FRAME.replace(b"/400", b"/4x"), 403, 403, id="with a broken comment"),
    ],
)
def test_error_is_found_in_every_wrapping(body: object, status: int, told_status: int) -> None:
    """The same error is read from JSON and from event frames, under any status."""
    for content_type in ("application/json", "text/event-stream"):
        error = refusal(body, status=status, headers={"content-type": content_type})
        assert (error.status_code, error.code, error.request_id) == (
            told_status,
            "InvalidParameter",
            "r-1",
        )
        assert str(error) == (
            f"the service answered HTTP {told_status} InvalidParameter: The audio is empty; "
            "make the segment longer, it holds no sound"
        )


@pytest.mark.parametrize(
    ("status", "code", "message", "fix"),
    [
        (401, "InvalidApiKey", "Invalid API-key provided.", "region=beijing or region=singapore"),
        (400, "Arrearage", "Access denied, account not in good standing.", "overdue bill"),
        (429, "PostpaidBillOverdue", "The postpaid bill is overdue.", "overdue bill"),
        (400, "DataInspectionFailed", "may contain inappropriate content", "content filter"),
        (400, "data_inspection_failed", "may contain inappropriate content", "content filter"),
        (400, "InvalidParameter.DataInspection", "Unable to download", "content filter"),
        (
            400,
            "BadRequest.TooLarge",
            "Exceeded limit on max bytes per data-uri item : 20971520",
            "shorter segments (`max_segment`) or a lower `bit_rate`",
        ),
        (400, "InvalidParameter", "Multimodal file size is too large", "lower `bit_rate`"),
        (413, "", "", "lower `bit_rate`"),
        (
            500,
            "InternalError.Algo",
            "<400> InternalError.Algo.InvalidParameter: The audio is too long",
            "cut shorter segments",
        ),
        (400, "InvalidParameter", "Range of input length should be [1, 32768]", "cut shorter"),
        (429, "Throttling.RateQuota", "Requests rate limit exceeded", "`concurrency`"),
        (429, "limit_burst_rate", "Request rate increased too quickly", "`concurrency`"),
        (429, "insufficient_quota", "You exceeded your current quota", "`concurrency`"),
        (403, "insufficient_quota", "Free allocated quota exceeded.", "free quota is used up"),
        (403, "AllocationQuota.FreeTierOnly", "The free tier", "free quota is used up"),
        (429, "CommodityNotPurchased", "Commodity has not purchased yet.", "activate"),
        (403, "AccessDenied.Unpurchased", "Access denied.", "activate"),
        (404, "ModelNotFound", "Model can not be found.", "check `model`"),
        (404, "model_not_supported", "Unsupported model x", "check `model`"),
        (400, "Model.NotExist", "Model not exist.", "check `model`"),
        (403, "Model.AccessDenied", "Access denied.", "workspace"),
        (400, "InvalidParameter", "The audio format is illegal and cannot be opened", "format=wav"),
        (500, "RequestTimeOut", "Request timed out, please try again later.", "took too long"),
        (500, "InternalError", "x", "run it again later"),
        (503, "ModelUnavailable", "Model is unavailable", "run it again later"),
        (404, "", "", "check `base_url`"),
        (418, "Teapot", "short and stout", ""),
    ],
)
def test_an_error_has_advice(status: int, code: str, message: str, fix: str) -> None:
    """Code, message and status together choose the advice."""
    error = refusal({"code": code, "message": message}, status=status)
    assert (error.code or "", bool(error.fix)) == (code, bool(fix))
    assert fix in error.fix


def test_request_id_of_the_header_stands_in_for_that_of_the_body() -> None:
    """Without an id in the body, the header `X-Request-Id` is used."""
    error = refusal({"code": "InternalError"}, status=500, headers={"x-request-id": "h-1"})
    assert (error.request_id, error.problem) == (
        "h-1",
        "the service answered HTTP 500 InternalError: no reason given",
    )


@pytest.mark.parametrize("status", [200, 502])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>\r\n<h1>Bad \x1b[31mGateway</h1></html>", "<html> <h1>Bad [31mGateway</h1>"),
        (b"[1, 2]", "[1, 2]"),
        (b"\xff\xfe\x00", "\ufffd\ufffd"),
        (b"<html>" + b"x" * 10**6, "…"),
    ],
)
def test_unreadable_answer_is_shown_cleaned_and_short(body: bytes, told: str, status: int) -> None:
    """The error shows the beginning of an unreadable answer, on one line."""
    error = refusal(body, status=status)
    assert error.problem.startswith(
        f"the service answered HTTP {status}: something else than a JSON object: "
    )
    assert told in error.problem
    assert str(error).isprintable()
    assert len(error.problem) < 300


def test_an_empty_answer_is_an_error() -> None:
    """An error without a body, and a caption that was cut off."""
    assert refusal(b"", status=500).problem == "the service answered HTTP 500: nothing"
    assert refusal(b"", status=200).problem == "the service's answer broke off before its end"


def test_messages_are_cleaned_and_cut() -> None:
    """No control character, line break or long text of a service reaches the error."""
    flood = "a\r\nb\x00\u202e" + "c" * 10**6
    error = refusal({"code": flood, "message": flood, "request_id": flood})
    assert all(part.isprintable() for part in (str(error), error.code, error.request_id))
    assert len(str(error)) < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "output": st.fixed_dictionaries(
            {},
            optional={
                "output": JSON,
                "choices": st.lists(
                    JSON
                    | st.fixed_dictionaries(
                        {"message": st.fixed_dictionaries({"content": JSON})},
                        optional={"finish_reason": JSON},
                    ),
                    max_size=2,
                ),
            },
        ),
        "usage": JSON
        | st.dictionaries(
            st.sampled_from(
                ["input_tokens", "audio_tokens", "total_tokens", "input_tokens_details"]
            ),
            JSON,
        ),
        "code": JSON,
        "error": JSON,
        "message": JSON,
        "request_id": JSON,
        "object": st.just("error") | JSON,
    },
)
BODIES = (
    st.binary()
    | (JSON | LIKELY).map(lambda value: json.dumps(value).encode())
    | LIKELY.map(lambda value: b":HTTP_STATUS/400\ndata:" + json.dumps(value).encode())
)


@given(body=BODIES, status=st.integers(100, 599))
def test_reading_ends_in_a_caption_or_a_service_error(body: bytes, status: int) -> None:
    """For any bytes, reading returns a caption with text or raises ServiceError."""
    outcome = caption_or_error(body, status)
    if isinstance(outcome, ServiceError):
        assert str(outcome).isprintable()
    else:
        assert outcome.text.strip()
        assert status // 100 == 2


@pytest.mark.parametrize("body", [b"[" * 10**5, b'{"a":' * 10**5, b"1" * 10**5])
def test_hostile_json_is_refused(body: bytes) -> None:
    """Extreme nesting and numbers are service errors, not crashes."""
    assert "something else than a JSON object" in refusal(body, status=500).problem
    refusal(body, status=200)


# Importing and calling the SDK leaves sockets of its shared session to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:dashscope")
@pytest.mark.parametrize(
    "usage",
    [ANSWER["usage"], {"audio_tokens": 85, "output_tokens": 10, "input_tokens": 33}],
    ids=["captioner", "qwen-audio"],
)
def test_official_sdk_sends_and_reads_the_same(
    recorder: Recorder, clip: BytesClip, usage: dict[str, Any]
) -> None:
    """The `dashscope` package, given the same clip, sends our request and reads our caption."""
    from dashscope import MultiModalConversation

    recorder.answer({**ANSWER, "usage": usage})
    base_url = f"{recorder.url}/api/v1"
    with open_captioner("dashscope", base_url=base_url, api_key=KEY) as captioner:
        ours = captioner.caption(clip)
    theirs: Any = MultiModalConversation.call(
        api_key=KEY,
        model=CAPTIONERS["dashscope"].model,
        messages=[{"role": "user", "content": [{"audio": clip.data_uri()}]}],
        base_address=base_url,
    )

    sent, expected = recorder.seen
    assert (sent.method, sent.path, sent.json) == (expected.method, expected.path, expected.json)
    assert sent.headers["authorization"] == expected.headers["authorization"]
    media_type = expected.headers["content-type"].partition(";")[0]
    assert sent.headers["content-type"] == media_type == "application/json"
    choice = theirs.output.choices[0]
    assert (ours.text, ours.finish_reason, ours.request_id) == (
        choice.message.content[0]["text"],
        choice.finish_reason,
        theirs.request_id,
    )
    details = theirs.usage.get("input_tokens_details") or {}
    audio_tokens = details.get("audio_tokens") or theirs.usage["audio_tokens"]
    assert ours.usage.audio_tokens == audio_tokens
    assert ours.usage.output_tokens == theirs.usage["output_tokens"]
    apart = 0 if details else audio_tokens  # the SDK hands on what each model calls input
    assert ours.usage.input_tokens == theirs.usage["input_tokens"] + apart
