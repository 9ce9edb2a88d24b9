"""Server-sent events: every spelling and every cut of a stream."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.net.sse import ServerSentEvent, SseDecoder


def events_of(*blocks: bytes) -> list[ServerSentEvent]:
    """Return all events of a stream that arrives in these blocks."""
    decoder = SseDecoder()
    found = [event for block in blocks for event in decoder.feed(block)]
    return [*found, *decoder.end()]


# Model Studio, "Audio understanding (Qwen-Audio)", the sample of a streamed answer.
SAMPLE = (
    'id:1\nevent:result\n:HTTP_STATUS/200\ndata:{"output":"这段"}\n\n'
    'id:2\nevent:result\n:HTTP_STATUS/200\ndata:{"output":"音频"}\n\n'
    'id:3\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling"}\n\n'
).encode()
FOUND = [
    ServerSentEvent(data='{"output":"这段"}'.encode(), status="200"),
    ServerSentEvent(data='{"output":"音频"}'.encode(), status="200"),
    ServerSentEvent(data=b'{"code":"Throttling"}', status="429"),
]


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(SAMPLE, id="as documented"),
        pytest.param(SAMPLE.replace(b"data:", b"data: "), id="a space after the colon"),
        pytest.param(SAMPLE.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(SAMPLE.replace(b"\n", b"\r"), id="CR"),
        pytest.param(SAMPLE.replace(b"\n\n", b"\n"), id="no blank lines"),
        pytest.param(SAMPLE.replace(b"\n\n", b"\n\n\n"), id="two blank lines"),
        pytest.param(SAMPLE.rstrip(b"\n"), id="no end of the last line"),
        pytest.param(b"\xef\xbb\xbf" + SAMPLE, id="a byte order mark"),
        pytest.param(SAMPLE.replace(b"id:", b": keep-alive\nid:"), id="comments"),
        pytest.param(SAMPLE.replace(b"event:", b"retry:5\nother\nevent:"), id="other fields"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_events_are_found_however_they_are_written_and_cut(stream: bytes, size: int) -> None:
    """Each spelling of a stream gives the same events, in blocks of any size."""
    blocks = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert events_of(*blocks) == FOUND


def test_lines_without_ids_and_blank_lines_are_events_of_their_own() -> None:
    """A new `data:` after complete data is a new event, so is one after `[DONE]`."""
    stream = b'data:{"a":1}\ndata:{"a":2}\n:HTTP_STATUS/500\ndata:{"a":3}\ndata: [DONE]\ndata:{}\n'
    assert events_of(stream) == [
        ServerSentEvent(data=b'{"a":1}'),
        ServerSentEvent(data=b'{"a":2}'),
        ServerSentEvent(data=b'{"a":3}', status="500"),
        ServerSentEvent(data=b"[DONE]"),
        ServerSentEvent(data=b"{}"),
    ]


def test_data_of_several_lines_is_joined() -> None:
    """Incomplete JSON continues in the next line, as the standard defines."""
    assert events_of(b'data: {"a":\ndata: 1}\n\n') == [ServerSentEvent(data=b'{"a":\n1}')]


@pytest.mark.parametrize(
    "body",
    [b"", b"\n\n\n", b'{"id":1,\n"data":{}}', b"<html>data:</html>", b":HTTP_STATUS/200\n\n"],
)
def test_a_body_that_is_no_stream_has_no_events(body: bytes) -> None:
    """A JSON document, HTML or nothing gives no event."""
    assert events_of(body) == []


@given(
    documents=st.lists(
        st.dictionaries(st.text(max_size=5), st.text(max_size=20), min_size=1), max_size=5
    ),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    newline=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    gap=st.sampled_from([1, 2]),
)
def test_no_cut_changes_the_events(
    documents: list[dict[str, str]], cuts: list[int], newline: bytes, gap: int
) -> None:
    """Any JSON arrives complete, in order, for any cut of the stream."""
    stream = b"".join(
        b"data:" + json.dumps(one, ensure_ascii=False).encode() + newline * gap for one in documents
    )
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    blocks = [stream[one:other] for one, other in itertools.pairwise(edges)]
    assert [json.loads(event.data) for event in events_of(*blocks)] == documents


@given(blocks=st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes_are_decoded(blocks: list[bytes]) -> None:
    """For any bytes, decoding ends, and no event is empty."""
    assert all(event.data for event in events_of(*blocks))
