"""OpenAI's chat protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.captioners import openai_chat
from captoolkit.captioners.messages import Message, Role
from captoolkit.captioners.registry import CAPTIONERS, open_captioner
from captoolkit.errors import ServiceError
from captoolkit.model import Caption, Dialect, Usage
from captoolkit.net.http_messages import Response
from tests.support.services import read_reply

if TYPE_CHECKING:
    from tests.support.clips import BytesClip
    from tests.support.recorder import Recorder

PROTOCOL = openai_chat.protocol(Dialect.MODEL_STUDIO)
SOUND = Message(role=Role.USER, audio="data:;base64,SUQz")
KEY = "sk-test-0123456789abcdef"

# Model Studio, "Audio understanding (Qwen3-Omni-Captioner)", the sample answer, its text shortened.
ANSWER: dict[str, Any] = {
    "choices": [
        {
            "message": {
                "content": "The audio clip is a brief, low-fidelity recording—approximately six "
                "seconds long: “Oh, with this, how am I supposed to work quietly?”.\n\nThe voice "
                "is more distant and centered in the stereo field.",
                "role": "assistant",
            },
            "finish_reason": "stop",
            "index": 0,
            "logprobs": None,
        }
    ],
    "object": "chat.completion",
    "usage": {
        "prompt_tokens": 160,
        "completion_tokens": 387,
        "total_tokens": 547,
        "prompt_tokens_details": {"audio_tokens": 152, "text_tokens": 8},
        "completion_tokens_details": {"text_tokens": 387},
    },
    "created": 1758002134,
    "system_fingerprint": None,
    "model": "qwen3-omni-30b-a3b-captioner",
    "id": "chatcmpl-f4155bf9-b860-49d6-8ee2-092da7359097",
}
TEXT = ANSWER["choices"][0]["message"]["content"]


def reply(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a response with the given bytes, or with another value as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status_code=status, body=raw, headers=headers or {})


def refusal(body: object, *, status: int = 400) -> Any:
    """Return the error of reading a response."""
    with pytest.raises(ServiceError) as caught:
        read_reply(PROTOCOL, reply(body, status=status))
    return caught.value


def caption_or_error(body: bytes, status: int) -> Caption | ServiceError:
    """Return the caption, or the service error."""
    try:
        return read_reply(PROTOCOL, reply(body, status=status))
    except ServiceError as error:
        return error


@pytest.mark.parametrize(
    ("dialect", "part"),
    [
        (
            Dialect.MODEL_STUDIO,
            {"type": "input_audio", "input_audio": {"data": "data:;base64,SUQz"}},
        ),
        (Dialect.AUDIO_URL, {"type": "audio_url", "audio_url": {"url": "data:;base64,SUQz"}}),
        (
            Dialect.OPENAI,
            {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        ),
    ],
)
def test_request_has_the_shape_of_its_dialect(dialect: Dialect, part: object) -> None:
    """Model Studio takes a data URI without a format, vLLM `audio_url`, OpenAI bare Base64."""
    request = openai_chat.build_request("a/model", [SOUND], dialect=dialect)
    assert request.path == "/chat/completions"
    assert json.loads(request.body) == {
        "model": "a/model",
        "messages": [{"role": "user", "content": [part]}],
    }


def test_sample_answer_becomes_the_caption() -> None:
    """Text, reason, id and tokens are those of the documented sample."""
    assert read_reply(PROTOCOL, reply(ANSWER)) == Caption(
        text=TEXT,
        finish_reason="stop",
        request_id="chatcmpl-f4155bf9-b860-49d6-8ee2-092da7359097",
        usage=Usage(
            audio_tokens=152, text_tokens=8, input_tokens=160, output_tokens=387, total_tokens=547
        ),
    )


def test_request_id_of_the_header_stands_before_the_id_of_the_completion() -> None:
    """The header states the request id without the prefix of the completion's id."""
    caption = read_reply(PROTOCOL, reply(ANSWER, headers={"x-request-id": "f4155bf9"}))
    assert caption.request_id == "f4155bf9"


def test_usage_without_details_leaves_the_audio_unknown() -> None:
    """The counts of prompt and completion alone leave the audio unknown."""
    usage = {"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": None}
    caption = read_reply(PROTOCOL, reply({**ANSWER, "usage": usage}))
    assert caption.usage == Usage(input_tokens=20, output_tokens=5, total_tokens=25)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(
            400,
            {
                "error": {
                    "message": "The audio is too long.",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "invalid_parameter_error",
                },
                "request_id": "r-2",
            },
            (400, "invalid_parameter_error", "r-2", "The audio is too long", "cut shorter"),
            id="model studio",
        ),
        pytest.param(
            401,
            {
                "error": {
                    "message": "Incorrect API key provided.",
                    "type": "invalid_request_error",
                    "code": "invalid_api_key",
                    "id": "r-3",
                }
            },
            (
                401,
                "invalid_api_key",
                "r-3",
                "Incorrect API key provided",
                "region=beijing or region=singapore",
            ),
            id="id in the error",
        ),
        pytest.param(
            404,
            {
                "error": {
                    "message": "The model `x` does not exist.",
                    "type": "NotFoundError",
                    "param": None,
                    "code": 404,
                }
            },
            (404, "NotFoundError", None, "The model `x` does not exist", "`model`"),
            id="vllm",
        ),
        pytest.param(
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 32768 tokens.",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
            (400, "BadRequestError", None, "maximum context length", "cut shorter"),
            id="flat, sglang",
        ),
        pytest.param(
            200,
            {"object": "error", "message": "x", "type": "BadRequestError", "code": 400},
            (400, "BadRequestError", None, "x", ""),
            id="flat under 200",
        ),
        pytest.param(
            404, {"detail": "Not Found"}, (404, None, None, "Not Found", "`base_url`"), id="detail"
        ),
        pytest.param(
            422,
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required", "type": "x"}]},
            (422, None, None, "body.messages.0: Field required", ""),
            id="details of a request that is not valid",
        ),
        pytest.param(
            404, {"error": "Not Found"}, (404, None, None, "Not Found", "`base_url`"), id="string"
        ),
        pytest.param(
            200,
            b'id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling","message":"slow"}\n\n',
            (429, "Throttling", None, "slow", "`concurrency`"),
            id="a native frame",
        ),
        pytest.param(
            200,
            b'data: {"error":{"message":"broke","code":"internal_error"}}\n\ndata: [DONE]\n\n',
            (200, "internal_error", None, "broke", "run it again later"),
            id="an error in a stream",
        ),
    ],
)
def test_both_shapes_of_errors_are_read(
    status: int, body: object, expected: tuple[int, str | None, str | None, str, str]
) -> None:
    """Nested and flat errors, and those of the native protocol, give the same fields."""
    error = refusal(body, status=status)
    status_code, code, request_id, message, fix = expected
    assert (error.status_code, error.code, error.request_id) == (status_code, code, request_id)
    assert message in error.problem
    assert fix in error.fix


def test_error_in_place_of_a_caption_is_an_error() -> None:
    """Text under the finish reason `error_finish` is an error, never a caption."""
    choice = {"finish_reason": "error_finish", "message": {"content": "quota is used up"}}
    error = refusal({"choices": [choice], "id": "c-1"}, status=200)
    assert "quota is used up" in str(error)
    assert error.request_id == "c-1"


@pytest.mark.parametrize("choices", [[], None, [None], [{}], [{"message": {"content": None}}]])
def test_answer_without_text_is_an_error(choices: object) -> None:
    """Neither a missing choice nor a missing text becomes an empty caption."""
    error = refusal({**ANSWER, "choices": choices}, status=200)
    assert "answered without a caption (finish_reason=None)" in str(error)


CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "message": st.none()
        | st.fixed_dictionaries({"content": st.none() | st.text() | st.lists(st.text())}),
        "finish_reason": st.none() | st.text() | st.integers(),
    },
)
ANY = st.none() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(CHOICE | ANY, max_size=2) | ANY,
        "usage": ANY | st.dictionaries(st.sampled_from(["prompt_tokens", "total_tokens"]), ANY),
        "error": ANY | st.dictionaries(st.sampled_from(["message", "code", "id"]), ANY),
        "code": ANY,
        "id": ANY,
        "object": ANY | st.just("error"),
    },
)


@given(
    body=st.binary() | DOCUMENT.map(lambda value: json.dumps(value).encode()),
    status=st.sampled_from([200, 204, 302, 400, 500]),
)
def test_reading_ends_in_a_caption_or_a_service_error(body: bytes, status: int) -> None:
    """For any bytes, reading returns a caption with text or raises ServiceError."""
    outcome = caption_or_error(body, status)
    if isinstance(outcome, ServiceError):
        assert str(outcome).isprintable()
    else:
        assert outcome.text.strip()


def test_official_sdk_sends_and_reads_the_same(recorder: Recorder, clip: BytesClip) -> None:
    """The `openai` package, given the same clip, sends our request and reads our caption."""
    from openai import OpenAI

    recorder.answer(ANSWER)
    base_url = f"{recorder.url}/compatible-mode/v1"
    with open_captioner("openai", base_url=base_url, api_key=KEY) as captioner:
        ours = captioner.caption(clip)
    part: Any = {"type": "input_audio", "input_audio": {"data": clip.data_uri()}}
    with OpenAI(api_key=KEY, base_url=base_url, max_retries=0) as client:
        theirs = client.chat.completions.create(
            model=CAPTIONERS["openai"].model, messages=[{"role": "user", "content": [part]}]
        )

    sent, expected = recorder.seen
    assert (sent.method, sent.path, sent.json) == (expected.method, expected.path, expected.json)
    for name in ("authorization", "content-type", "accept"):
        assert sent.headers[name] == expected.headers[name]
    choice, usage = theirs.choices[0], theirs.usage
    assert (ours.text, ours.finish_reason, ours.request_id) == (
        choice.message.content,
        choice.finish_reason,
        theirs.id,
    )
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert ours.usage == Usage(
        audio_tokens=usage.prompt_tokens_details.audio_tokens,
        text_tokens=8,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
    )


def test_self_hosted_server_is_sent_its_dialect_without_a_key(
    recorder: Recorder, clip: BytesClip
) -> None:
    """A self-hosted server needs no key, and receives the sound as an `audio_url`."""
    recorder.answer(ANSWER)
    with open_captioner("openai", base_url=f"{recorder.url}/v1/", model="own") as captioner:
        assert captioner.caption(clip).text == TEXT
        assert captioner.info.base_url == f"{recorder.url}/v1"
    (sent,) = recorder.seen
    assert sent.path == "/v1/chat/completions"
    assert "authorization" not in sent.headers
    assert sent.json["messages"][0]["content"] == [
        {"type": "audio_url", "audio_url": {"url": clip.data_uri()}}
    ]


@pytest.mark.parametrize(
    ("audio", "content"),
    [
        ("data:audio/wav;base64,UklGRg==", {"data": "UklGRg==", "format": "wav"}),
        ("data:audio/mp3;base64,SUQz", {"data": "SUQz", "format": "mp3"}),
        ("data:;base64,UklGRg==", {"data": "UklGRg==", "format": "wav"}),
        ("data:;base64,SUQz", {"data": "SUQz", "format": "mp3"}),
    ],
)
def test_the_format_is_the_media_type(audio: str, content: object) -> None:
    """Without a media type, the first bytes tell WAV from MP3."""
    part = openai_chat.audio_part(audio, Dialect.OPENAI)
    assert part == {"type": "input_audio", "input_audio": content}


def test_qwen_omni_takes_a_data_uri_and_a_format() -> None:
    """`has_format` adds the format to Model Studio's dialect; a URL stays a URL."""
    part = openai_chat.audio_part("data:audio/wav;base64,UklGRg==", Dialect.MODEL_STUDIO, True)
    assert part["input_audio"] == {"data": "data:;base64,UklGRg==", "format": "wav"}
    plain = openai_chat.audio_part("data:audio/wav;base64,UklGRg==", Dialect.MODEL_STUDIO)
    assert plain["input_audio"] == {"data": "data:;base64,UklGRg=="}
    assert openai_chat.audio_part("https://a.example/b.wav", Dialect.AUDIO_URL) == {
        "type": "audio_url",
        "audio_url": {"url": "https://a.example/b.wav"},
    }


REFUSALS = [
    (
        Dialect.AUDIO_URL,
        "Invalid value: 'audio_url'. Supported values are: 'text', 'image_url', 'input_audio'.",
        "openai",
    ),
    (
        Dialect.AUDIO_URL,
        "Invalid 'messages[1]'. Content blocks are expected to be either text or image_url type.",
        "openai",
    ),
    (Dialect.AUDIO_URL, "litellm.BadRequestError: Invalid user message={'role'", "openai"),
    (Dialect.AUDIO_URL, "The content of a message must be audio or text", "openai"),
    (
        Dialect.MODEL_STUDIO,
        "Missing required parameter: 'messages[0].content[0].input_audio.format'.",
        "openai",
    ),
    (Dialect.MODEL_STUDIO, "Incorrect padding", "openai"),
    (Dialect.MODEL_STUDIO, "Input should be 'text', 'image_url' or 'audio_url'", "audio-url"),
    (Dialect.OPENAI, "Input should be 'text', 'image_url' or 'audio_url'", "audio-url"),
    (
        Dialect.OPENAI,
        "<400> InternalError.Algo.InvalidParameter: The provided URL does not appear to be valid.",
        "model-studio",
    ),
]


@pytest.mark.parametrize(("sent", "message", "advised"), REFUSALS)
def test_a_refusal_of_the_form_says_which_dialect_to_try(
    sent: Dialect, message: str, advised: str
) -> None:
    """The server's words name the content's form, and captoolkit the dialect to try first."""
    advice = openai_chat.advise_dialect(message, sent)
    assert advice is not None
    assert f"try dialect={advised}, or " in advice
    assert f"in the dialect {sent}" in advice


@pytest.mark.parametrize(
    "message",
    [
        "The audio is too long",
        "Rate limit reached for gpt-audio",
        "Incorrect API key provided",
        "max_tokens is too large",
        "The response was filtered: content management policy",
    ],
)
def test_other_refusals_name_no_dialect(message: str) -> None:
    """Advice about the dialect would mislead where something else is wrong."""
    for sent in Dialect:
        assert openai_chat.advise_dialect(message, sent) is None


def test_advice_about_the_dialect_reaches_the_error(recorder: Recorder, clip: BytesClip) -> None:
    """The error of the segment ends in the dialects to try."""
    _, message, _ = REFUSALS[0]
    recorder.answer({"error": {"message": message, "code": "invalid_value"}}, status=400)
    with (
        open_captioner("openai", base_url=f"{recorder.url}/v1", model="own") as captioner,
        pytest.raises(ServiceError, match=r"try dialect=openai, or dialect=model-studio$"),
    ):
        captioner.caption(clip)
