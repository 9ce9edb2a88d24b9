"""Streamed answers, read over a real connection."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.captioners import dashscope, openai_chat
from captoolkit.captioners.answer_stream import StreamedText, read
from captoolkit.captioners.service_captioner import WireProtocol
from captoolkit.errors import ServiceConnectionError, ServiceError
from captoolkit.model import Caption, Dialect, Usage
from captoolkit.net.client import Client
from captoolkit.net.connections import HttpLimits
from captoolkit.net.http_messages import StreamingResponse
from captoolkit.services.regions import NATIVE as NATIVE_INTERFACE
from captoolkit.services.regions import parse_base_url
from tests.support.model_studio import NATIVE_EVENTS as NATIVE
from tests.support.model_studio import native_event as native
from tests.support.services import captioner_with
from tests.support.streamed_answers import CHAT, DONE, KEY, chunk, failure, streamed

if TYPE_CHECKING:
    from tests.support.clips import BytesClip
    from tests.support.recorder import Recorder

# ------------------------------------------------------------------------------- whole ones


def test_a_native_stream_is_joined(recorder: Recorder, clip: BytesClip) -> None:
    """Text arrives piece by piece; "null" is no finish reason; the last usage counts once."""
    recorder.stream(*NATIVE)
    caption, pieces = streamed(recorder, clip, "dashscope")
    assert "".join(pieces) == caption.text == "这段音频'"
    assert pieces == ["这段", "音频", "'"]
    assert (caption.finish_reason, caption.request_id) == ("stop", "r-1")
    assert caption.usage == Usage(
        audio_tokens=85, text_tokens=33, input_tokens=118, output_tokens=10, total_tokens=128
    )


def test_a_chat_stream_is_joined(recorder: Recorder, clip: BytesClip) -> None:
    """Null and empty deltas add nothing; the chunk without choices holds the usage."""
    recorder.stream(*CHAT, content_type="text/event-stream;charset=utf-8")
    caption, pieces = streamed(recorder, clip, "openai")
    assert "".join(pieces) == caption.text == "这段音频'"
    assert (caption.finish_reason, caption.request_id) == ("stop", "chatcmpl-1")
    assert caption.usage == Usage(
        audio_tokens=152, text_tokens=8, input_tokens=160, output_tokens=3, total_tokens=163
    )


def test_text_is_emitted_while_the_rest_is_under_way(recorder: Recorder, clip: BytesClip) -> None:
    """The first piece arrives before the server has sent the last."""
    recorder.stream(*NATIVE[:2], ending="hang")
    pieces: list[str] = []
    endpoint = parse_base_url(f"{recorder.url}/api/v1", NATIVE_INTERFACE)
    client = Client(endpoint, limits=HttpLimits(read_s=0.5))
    with (
        captioner_with(client, dashscope.PROTOCOL) as captioner,
        pytest.raises(ServiceConnectionError, match=r"sent nothing for 0\.5 s") as caught,
    ):
        captioner.caption(clip, on_text=pieces.append)
    assert pieces == ["这段", "音频"]
    assert caught.value.status_code == 200


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("dashscope", [b"".join(NATIVE)]),
        ("dashscope", [block.replace(b"\n\n", b"\n") for block in NATIVE]),
        ("dashscope", [block.replace(b"\n", b"\r\n") for block in NATIVE]),
        ("dashscope", [bytes([byte]) for byte in b"".join(NATIVE)]),
        ("openai", [b"".join(CHAT).replace(b"data: ", b"data:")]),
        ("openai", [b"".join(CHAT).replace(b"\n\n", b"\n")]),
        ("openai", [bytes([byte]) for byte in b"".join(CHAT)]),
        ("openai", [*CHAT[:-1]]),  # no mark at the end: a reason to finish is one as well
        ("openai", [*CHAT[:4], DONE]),  # the mark alone
    ],
    ids=[
        "one block",
        "no blank lines",
        "CRLF",
        "bytes",
        "no space",
        "no blank",
        "bytes too",
        "no mark",
        "mark alone",
    ],
)
@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json"])
def test_any_framing_of_a_stream_is_read(
    recorder: Recorder, clip: BytesClip, name: str, blocks: list[bytes], content_type: str
) -> None:
    """Cut anywhere, framed loosely, under a wrong type: the text is the same."""
    recorder.stream(*blocks, content_type=content_type)
    caption, pieces = streamed(recorder, clip, name)
    assert "".join(pieces) == caption.text == "这段音频'"


def test_a_document_in_answer_to_a_streamed_request_is_read(
    recorder: Recorder, clip: BytesClip
) -> None:
    """A server that does not stream is understood too."""
    message = {"role": "assistant", "content": "Rain."}
    recorder.answer({"choices": [{"message": message, "finish_reason": "stop"}], "id": "c"})
    caption, pieces = streamed(recorder, clip, "openai")
    assert pieces == [caption.text] == ["Rain."]


@pytest.mark.parametrize("ending", ["hang", "cut", "closed"])
@pytest.mark.parametrize(("name", "blocks"), [("dashscope", NATIVE), ("openai", CHAT)])
def test_a_complete_answer_survives_its_connection(
    recorder: Recorder, clip: BytesClip, name: str, blocks: tuple[bytes, ...], ending: str
) -> None:
    """A complete answer has been paid for; the connection may then break."""
    recorder.stream(*blocks, ending=ending)
    assert streamed(recorder, clip, name)[0].text == "这段音频'"


# -------------------------------------------------------------------------------- cumulative


@pytest.mark.parametrize(
    ("sent", "handed_out"),
    [
        pytest.param(
            ["The", "The audio", "The audio ends.", None, "The audio ends."],
            ["The", " audio ends."],
            id="the recorded default",
        ),
        pytest.param(
            ["The audio", "The audio clip", "The audio clip on"], ["The audio", " clip", " on"],
            id="long enough to tell at once",
        ),
    ],
)  # fmt: skip
def test_a_cumulative_stream_is_emitted_once(
    recorder: Recorder, clip: BytesClip, sent: list[str | None], handed_out: list[str]
) -> None:
    """A host that sends all the text each time gives the same caption."""
    recorder.stream(*map(native, sent), native(None, finish="stop"))
    caption, pieces = streamed(recorder, clip, "dashscope")
    assert caption.text == next(text for text in reversed(sent) if text)
    assert pieces == handed_out
    assert recorder.seen[0].json["parameters"] == {"incremental_output": True}


@pytest.mark.parametrize(
    "sent", [["ha", "ha", "ha", "!"], ["1", "10", " people"], ["Rain", "Rain"]]
)
def test_pieces_that_repeat_are_kept(recorder: Recorder, clip: BytesClip, sent: list[str]) -> None:
    """A piece that begins as the text before it need not contain it."""
    recorder.stream(*map(native, sent), native(None, finish="stop"))
    caption, pieces = streamed(recorder, clip, "dashscope")
    assert "".join(pieces) == caption.text == "".join(sent)


@given(text=st.text(min_size=30), sizes=st.lists(st.integers(9, 20), min_size=1, max_size=8))
def test_both_kinds_of_stream_give_the_text(text: str, sizes: list[int]) -> None:
    """Incremental and cumulative pieces of a text give the same text, each letter once."""
    edges = [0]
    for size in sizes:
        edges.append(min(len(text), edges[-1] + size))
    text = text[: edges[-1]]
    growing = [text[:edge] for edge in edges[1:]]
    cumulative = StreamedText(cumulates=True)
    told = [cumulative.take(piece) for piece in growing]
    if len(set(growing)) > 1:
        assert "".join([*told, cumulative.end()]) == cumulative.text == text

    incremental = StreamedText(cumulates=False)
    parts = [text[one:other] for one, other in itertools.pairwise(edges)]
    assert "".join([*map(incremental.take, parts), incremental.end()]) == text


# ------------------------------------------------------------------------------ broken ones


@pytest.mark.parametrize("ending", ["whole", "cut", "closed"])
@pytest.mark.parametrize(
    ("name", "blocks"), [("dashscope", NATIVE[:3]), ("openai", CHAT[:4]), ("dashscope", NATIVE[:1])]
)
def test_a_stream_without_its_end_is_no_caption(
    recorder: Recorder, clip: BytesClip, name: str, blocks: tuple[bytes, ...], ending: str
) -> None:
    """Text without a finish reason is a part of an answer, for any end of the connection."""
    recorder.stream(*blocks, ending=ending)
    error, pieces = failure(recorder, clip, name)
    assert isinstance(error, ServiceConnectionError)
    assert error.status_code == 200
    assert "broke off" in error.problem
    assert pieces


ERROR = b'{"code":"Throttling.RateQuota","message":"Requests rate limit","request_id":"r-2"}'


@pytest.mark.parametrize("name", ["dashscope", "openai"])
@pytest.mark.parametrize(
    ("blocks", "status", "content_type", "told"),
    [
        ([b"id:1\nevent:error\n:HTTP_STATUS/429\ndata:" + ERROR], 200, "text/event-stream", 429),
        ([b"event:error\n:HTTP_STATUS/429\ndata:" + ERROR + b"\n\n"], 429, "application/json", 429),
        ([b"data: " + ERROR + b"\n\n"], 200, "text/event-stream", 200),
        ([ERROR], 200, "text/event-stream", 200),
        ([ERROR], 429, "application/json", 429),
    ],
)
def test_errors_are_found_in_every_wrapping_of_a_stream(
    recorder: Recorder,
    clip: BytesClip,
    name: str,
    blocks: list[bytes],
    status: int,
    content_type: str,
    told: int,
) -> None:
    """Code, real status and request id are found under any status and type."""
    recorder.stream(*blocks, status=status, content_type=content_type)
    error, pieces = failure(recorder, clip, name)
    assert (error.status_code, error.code, error.request_id) == (
        told,
        "Throttling.RateQuota",
        "r-2",
    )
    assert pieces == []


@pytest.mark.parametrize(
    "frame",
    [
        b'data: {"error":{"message":"Requests rate limit","code":"limit_requests"}}\n\n',
        b'event:error\n:HTTP_STATUS/429\ndata:{"code":"limit_requests","message":"slow"}\n\n',
    ],
)
def test_an_error_after_the_text_has_begun_is_an_error(
    recorder: Recorder, clip: BytesClip, frame: bytes
) -> None:
    """Text before an error does not become a caption."""
    recorder.stream(*CHAT[:4], frame, DONE)
    error, pieces = failure(recorder, clip, "openai")
    assert error.code == "limit_requests"
    assert "".join(pieces) == "这段音频'"


def test_the_message_of_an_error_is_not_emitted(recorder: Recorder, clip: BytesClip) -> None:
    """Some gateways put an error's message where the text belongs."""
    recorder.stream(chunk("quota is used up", finish="error_finish"), DONE)
    error, pieces = failure(recorder, clip, "openai")
    assert "quota is used up" in str(error)
    assert pieces == []


ODDITIES = (
    b"data: {}\n\n",
    b"data: [DONE]\n\n",
    b"data: nonsense\n\n",
    b"<html>\n",
    b"\n",
    b'{"choices":[{"message":{"content":"Rain."}}]}',
    b"id:1\nevent:error\n:HTTP_STATUS/4x\ndata:" + ERROR + b"\n\n",
    b'data: {"choices":[{"delta":{"content":[{"text":7}]},"finish_reason":7}]}\n\n',
    b'data: {"usage":[],"output":{"choices":{}}}\n\n',
)


def caption_or_error(
    arriving: StreamingResponse, protocol: WireProtocol, pieces: list[str]
) -> Caption | ServiceError:
    """Return the caption, or the service error."""
    try:
        return read(
            arriving, protocol.read_part, cumulates=protocol.cumulates, on_text=pieces.append
        )
    except ServiceError as error:
        return error


@given(
    frames=st.lists(st.sampled_from((*NATIVE, *CHAT, *ODDITIES)), max_size=8),
    size=st.integers(1, 300),
    status=st.sampled_from([200, 400, 500]),
    protocol=st.sampled_from([dashscope.PROTOCOL, openai_chat.protocol(Dialect.MODEL_STUDIO)]),
)
def test_any_stream_ends_in_a_whole_caption_or_a_service_error(
    frames: list[bytes], size: int, status: int, protocol: WireProtocol
) -> None:
    """For any events in any order, reading returns text or raises ServiceError."""
    body = b"".join(frames)
    blocks = (body[start : start + size] for start in range(0, len(body), size))
    pieces: list[str] = []
    outcome = caption_or_error(
        StreamingResponse(status_code=status, blocks=blocks), protocol, pieces
    )
    if isinstance(outcome, ServiceError):
        assert str(outcome).isprintable()
    else:
        assert status == 200
        assert outcome.text.strip()
        assert "".join(pieces) == outcome.text
        assert b'"stop"' in body or b"[DONE]" in body or ODDITIES[5] in body


def test_a_stream_is_bounded(recorder: Recorder, clip: BytesClip) -> None:
    """The size and the time of a stream are limited."""
    endpoint = parse_base_url(f"{recorder.url}/api/v1", NATIVE_INTERFACE)
    recorder.stream(*[native("x" * 1000)] * 200)
    client = Client(endpoint, limits=HttpLimits(answer_bytes=50_000))
    with (
        captioner_with(client, dashscope.PROTOCOL) as captioner,
        pytest.raises(ServiceError, match="more than 50,000 bytes"),
    ):
        captioner.caption(clip, on_text=lambda text: None)

    recorder.stream(*[native("x")] * 2000, between_s=0.01)
    client = Client(endpoint, limits=HttpLimits(answer_s=0.3))
    with (
        captioner_with(client, dashscope.PROTOCOL) as captioner,
        pytest.raises(ServiceConnectionError, match=r"was not done within 0\.3 s") as caught,
    ):
        captioner.caption(clip, on_text=lambda text: None)
    assert caught.value.status_code == 200


def test_a_key_in_a_stream_is_struck_out(recorder: Recorder, clip: BytesClip) -> None:
    """A key that the server repeats is struck out, even across two blocks."""
    whole = native(f"the key is {KEY}!", finish="stop")
    middle = whole.index(KEY.encode()) + 10
    recorder.stream(whole[:middle], whole[middle:], between_s=0.05)
    caption, pieces = streamed(recorder, clip, "dashscope")
    assert "".join(pieces) == caption.text == "the key is [key]!"
