"""Answers that are cut: into pieces, within a letter, before their end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from captoolkit.captioners import dashscope, openai_chat
from captoolkit.captioners.answer_stream import read
from captoolkit.captioners.failures import RetryKind, rule_for
from captoolkit.captioners.service_captioner import WireProtocol
from captoolkit.errors import ServiceConnectionError
from captoolkit.model import Caption, Dialect
from captoolkit.net.http_messages import StreamingResponse
from tests.support.model_studio import NATIVE_EVENTS as NATIVE
from tests.support.model_studio import native_event as native
from tests.support.streamed_answers import CHAT, DONE, chunk, failure, streamed

if TYPE_CHECKING:
    from tests.support.clips import BytesClip
    from tests.support.recorder import Recorder

CHAT_PROTOCOL = openai_chat.protocol(Dialect.MODEL_STUDIO)
SPOKEN: list[tuple[WireProtocol, tuple[bytes, ...]]] = [
    (dashscope.PROTOCOL, NATIVE),
    (CHAT_PROTOCOL, CHAT),
]
UNCLEAR = "".join(map(chr, range(0xD800, 0xDC00))) + "\ufffd"  # how half a letter may end
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=2, max_size=30) | st.text(
    st.sampled_from("ab\ufffd😀🎵"), min_size=2, max_size=12
)


def halved(text: str) -> str:
    """Return a text with the letters above U+FFFF as two halves each, as in UTF-16."""
    return "".join(map(chr, memoryview(text.encode("utf-16-le")).cast("H")))


def said(piece: str, protocol: WireProtocol) -> bytes:
    """Return an event with a piece of text in ASCII, the only spelling of half a letter."""
    frame = native("MARK") if protocol is dashscope.PROTOCOL else chunk("MARK")
    return frame.replace(b'"MARK"', json.dumps(piece).encode())


def ending(protocol: WireProtocol) -> bytes:
    """Return the event that ends the stream."""
    is_native = protocol is dashscope.PROTOCOL
    return native(None, finish="stop") if is_native else chunk("", finish="stop")


def heard(frames: Sequence[bytes], protocol: WireProtocol, size: int) -> tuple[Caption, list[str]]:
    """Return the caption of a stream in blocks of a size, and the emitted pieces."""
    body = b"".join(frames)
    blocks = (body[start : start + size] for start in range(0, len(body), size))
    pieces: list[str] = []
    arriving = StreamingResponse(status_code=200, blocks=blocks)
    caption = read(
        arriving, protocol.read_part, cumulates=protocol.cumulates, on_text=pieces.append
    )
    return caption, pieces


def edges(data: st.DataObject, text: str) -> list[int]:
    """Return the places to cut a text, its end among them."""
    return [*sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=8))), len(text)]


def steps(pieces: Sequence[str]) -> list[bool]:
    """Return for each piece but the first whether it holds the piece before it."""
    pairs = itertools.pairwise(pieces)
    return [after.startswith(before.rstrip(UNCLEAR)) for before, after in pairs]


# ------------------------------------------------------------------------------- into pieces


@given(data=st.data(), text=TEXTS, size=st.integers(1, 300), spoken=st.sampled_from(SPOKEN))
def test_a_text_cut_anywhere_is_complete(
    data: st.DataObject, text: str, size: int, spoken: tuple[WireProtocol, object]
) -> None:
    """Even cuts within a letter lose nothing; a stream that looks cumulative is one."""
    assume(text.strip())
    protocol, units = spoken[0], halved(text)
    pieces = [units[one:other] for one, other in itertools.pairwise([0, *edges(data, units)])]
    assume(not protocol.cumulates or len(pieces) == 1 or not all(steps(pieces)))
    frames = [said(piece, protocol) for piece in pieces]
    caption, told = heard([*frames, ending(protocol)], protocol, size)
    assert caption.text == text
    assert "".join(told).encode()  # what cannot be written down is not handed out
    if not protocol.cumulates:
        assert "".join(told) == text


@given(data=st.data(), text=TEXTS, size=st.integers(1, 300))
def test_a_growing_text_is_emitted_once(data: st.DataObject, text: str, size: int) -> None:
    """Each piece holds the text so far, which may end within a letter."""
    assume(text.strip())
    units = halved(text)
    pieces = [units[:edge] for edge in edges(data, units)]
    assume(sum(bool(piece.rstrip(UNCLEAR)) for piece in pieces) > 2)
    frames = [said(piece, dashscope.PROTOCOL) for piece in pieces]
    caption, told = heard([*frames, ending(dashscope.PROTOCOL)], dashscope.PROTOCOL, size)
    assert caption.text == "".join(told) == text


def test_a_letter_in_two_pieces_is_one(recorder: Recorder, clip: BytesClip) -> None:
    """Neither half is lost, and no half is emitted alone."""
    sent = ["Rain ", "\ud83d", "\ude00", " now"]
    frames = [said(piece, CHAT_PROTOCOL) for piece in sent]
    recorder.stream(*frames, chunk("", finish="stop"), DONE)
    caption, pieces = streamed(recorder, clip, "openai")
    assert "".join(pieces) == caption.text == "Rain 😀 now"
    assert pieces == ["Rain ", "😀", " now"]


@pytest.mark.parametrize("sent", [["Rain \ud83d", "."], ["Rain ", "\ude00."], ["Rain \ud83d."]])
@pytest.mark.parametrize("name", ["dashscope", "openai"])
def test_half_a_letter_without_the_other_is_marked(
    recorder: Recorder, clip: BytesClip, name: str, sent: list[str]
) -> None:
    """A missing half is replaced, so that the text can be shown and encoded."""
    protocol = dashscope.PROTOCOL if name == "dashscope" else CHAT_PROTOCOL
    recorder.stream(*(said(piece, protocol) for piece in sent), ending(protocol))
    caption, pieces = streamed(recorder, clip, name)
    assert "".join(pieces) == caption.text == "Rain \ufffd."


def test_half_a_letter_in_a_whole_document_is_marked(recorder: Recorder, clip: BytesClip) -> None:
    """The same holds for an answer that is not streamed."""
    message = {"role": "assistant", "content": "Rain \ud83d."}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    recorder.answer(body.encode())
    caption, pieces = streamed(recorder, clip, "openai")
    assert pieces == [caption.text] == ["Rain \ufffd."]


def test_a_line_of_a_song_that_holds_the_one_before_is_no_proof(
    recorder: Recorder, clip: BytesClip
) -> None:
    """The next piece shows the kind of stream, and no text is lost.

    The `s` at the end of a piece could begin the key, and waits for the next one.
    """
    sent = ["La la la ", "La la la la, she sings", ", and stops", ", and stops, and stops."]
    recorder.stream(*map(native, sent), native(None, finish="stop"))
    caption, pieces = streamed(recorder, clip, "dashscope")
    assert caption.text == "".join(sent)
    assert pieces[-2:] == ["s, and stop", "s, and stops, and stops."]


# ------------------------------------------------------------------------- before the end


@given(data=st.data(), size=st.integers(1, 300), spoken=st.sampled_from(SPOKEN))
def test_a_stream_cut_before_its_end_is_one_that_broke_off(
    data: st.DataObject, size: int, spoken: tuple[WireProtocol, tuple[bytes, ...]]
) -> None:
    """A stream cut anywhere, even before its first event, may be billed and is retried."""
    protocol, frames = spoken
    needed = b"".join(frames).rpartition(b"}")[0].rpartition(b'"stop"')[0]
    body = needed[: data.draw(st.integers(0, len(needed)))]
    with pytest.raises(ServiceConnectionError, match="broke off before its end") as caught:
        heard([body], protocol, size)
    assert caught.value.status_code == 200
    assert rule_for(caught.value).retry is RetryKind.ONCE
    assert rule_for(caught.value).may_be_billed


@given(data=st.data(), size=st.integers(1, 300), spoken=st.sampled_from(SPOKEN))
def test_a_stream_that_lost_a_part_of_an_event_is_never_a_whole_one(
    data: st.DataObject, size: int, spoken: tuple[WireProtocol, tuple[bytes, ...]]
) -> None:
    """A damaged event before the finish reason makes no caption with a gap."""
    protocol, frames = spoken
    number = data.draw(st.integers(0, 3))
    frame = frames[number]
    begin, end = frame.index(b"{") + 1, frame.rindex(b"}")
    cut = frame[: data.draw(st.integers(begin, end))] + b"\n\n"
    with pytest.raises(ServiceConnectionError, match="broke off"):
        heard([*frames[:number], cut, *frames[number + 1 :]], protocol, size)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"id:1\nevent:result\n:HTTP_STATUS/200\n",
        b'data: {"choices": [{"del',
        b'\n{"output":{"choices":[{"message":{"content":[{"te',
        b"da",
    ],
)
@pytest.mark.parametrize("name", ["dashscope", "openai"])
def test_an_answer_without_a_whole_event_broke_off(
    recorder: Recorder, clip: BytesClip, name: str, body: bytes
) -> None:
    """A body without a length and without a complete event is cut off."""
    recorder.stream(body, ending="closed")
    error, pieces = failure(recorder, clip, name)
    assert rule_for(error).retry is RetryKind.ONCE
    assert (error.status_code, pieces) == (200, [])


def test_half_an_error_keeps_its_status(recorder: Recorder, clip: BytesClip) -> None:
    """The status in the comment counts, although the message is cut."""
    recorder.stream(*NATIVE[:2], b'event:error\n:HTTP_STATUS/429\ndata:{"code":"Thr')
    error, _ = failure(recorder, clip, "dashscope")
    assert (error.status_code, rule_for(error).retry) == (429, RetryKind.SLOWER)


# -------------------------------------------------------------------- errors in the text


@pytest.mark.parametrize(
    "frames",
    [
        [chunk("Throttling.RateQuota: Requests rate limit exceeded", finish="error_finish")],
        [chunk("Throttling.RateQuota: Requests "), chunk("rate limit", finish="error_finish")],
        [chunk("Rain. "), chunk("limit_requests: too fast", finish="error_finish"), DONE],
    ],
)
def test_an_error_in_place_of_the_text_is_judged_as_any_other(
    recorder: Recorder, clip: BytesClip, frames: list[bytes]
) -> None:
    """Its code chooses the rule, as for any other error."""
    recorder.stream(*frames)
    error, _ = failure(recorder, clip, "openai")
    assert rule_for(error).retry is RetryKind.SLOWER
    assert error.request_id == "chatcmpl-1"


def test_an_error_in_place_of_a_whole_text_is_not_emitted(
    recorder: Recorder, clip: BytesClip
) -> None:
    """The same holds for a streamed request that is answered in one document."""
    message = {"role": "assistant", "content": "Free quota used up"}
    recorder.answer({"choices": [{"message": message, "finish_reason": "error_finish"}]})
    error, pieces = failure(recorder, clip, "openai")
    assert (pieces, rule_for(error).retry) == ([], RetryKind.HALT)
