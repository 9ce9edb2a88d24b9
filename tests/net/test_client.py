"""The client of one service: requests, redirects, and where the key goes."""

from __future__ import annotations

import dataclasses
import logging
import pickle
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import distributed.utils  # noqa: F401 - it lets pickles of errors hold their causes
import pytest

from captoolkit.captioners import dashscope
from captoolkit.errors import ServiceError, UsageError
from captoolkit.net.client import Client
from captoolkit.net.connections import HttpLimits
from captoolkit.services.regions import endpoint_of
from tests.support.clips import BytesClip
from tests.support.recorder import Recorder
from tests.support.services import ANSWER, ASK, KEY, captioner_with, client_of, failure_of


def test_request_arrives_as_it_was_built(recorder: Recorder) -> None:
    """Method, path, body, key and types arrive unchanged; the request accepts no compression."""
    recorder.answer(ANSWER, headers={"X-Request-Id": "h-1"})
    client = client_of(f"{recorder.url}/api/v1/")
    reply = client.post(ASK)
    client.close()
    (seen,) = recorder.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/v1/ask", ASK.body)
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept-encoding"] == "identity"
    assert (reply.status_code, reply.headers["x-request-id"]) == (200, "h-1")


def test_error_status_is_a_reply_like_any_other(recorder: Recorder) -> None:
    """The protocols interpret the status, not the client."""
    recorder.answer(b"busy", status=503)
    client = client_of(recorder.url)
    reply = client.post(ASK)
    client.close()
    assert (reply.status_code, reply.body) == (503, b"busy")


def test_an_answer_over_the_size_limit_is_refused(recorder: Recorder) -> None:
    """An answer larger than `answer_bytes` is not read."""
    recorder.pour(64 * 2**20)
    error = failure_of(recorder, limits=HttpLimits(answer_bytes=2**20))
    assert error.problem == "127.0.0.1 answered with more than 1,048,576 bytes"


def test_compressed_answer_is_refused(recorder: Recorder) -> None:
    """A compressed answer is not unpacked: a small one can unpack to a large one."""
    recorder.answer(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert failure_of(recorder).problem == "127.0.0.1 sent a compressed answer unasked"


def test_a_key_stays_with_its_host(recorder: Recorder, elsewhere: Recorder) -> None:
    """A request may name another base URL of the same host, and no other host's."""
    client = client_of(f"{recorder.url}/compatible-mode/v1")
    recorder.answer({})
    client.post(dataclasses.replace(ASK, base_url=f"{recorder.url}/api/v1"))
    with pytest.raises(ValueError, match="is not on 127"):
        client.post(dataclasses.replace(ASK, base_url=f"{elsewhere.url}/api/v1"))
    client.close()
    assert [seen.path for seen in recorder.seen] == ["/api/v1/ask"]
    assert elsewhere.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_an_error_and_the_key_stays(
    recorder: Recorder, elsewhere: Recorder, status: int
) -> None:
    """A redirect is named, not followed: the other server sees neither key nor audio."""
    place = f"{elsewhere.url}/api/v1/ask"
    recorder.answer({}, status=status, headers={"Location": f"{place}?token=abc"})
    error = failure_of(recorder)
    assert error.problem == f"127.0.0.1 redirects (HTTP {status}) to {place}"
    assert (error.status_code, "`base_url`" in error.fix) == (status, True)
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    "place",
    ["http://[", "//\x1b[31m", "ftp://x/", "http://x:y/", "mailto:x@y.example", "//", "http:///x"],
)
def test_broken_redirect_is_an_error(recorder: Recorder, place: str) -> None:
    """A redirect to any place ends in a printable error."""
    recorder.answer({}, status=302, headers={"Location": place})
    assert str(failure_of(recorder)).isprintable()


def test_key_is_not_sent_in_the_clear() -> None:
    """Without TLS a key goes to this machine only, and this is found before anything is sent."""
    with pytest.raises(UsageError, match="would send sound and key unencrypted"):
        client_of("http://captions.example/api/v1")
    client_of("http://captions.example/api/v1", api_key=None).close()
    for url in ("https://captions.example/v1", "http://localhost/v1", "http://[::1]:8000/v1"):
        client_of(url).close()


def test_a_closed_client_refuses_requests(recorder: Recorder) -> None:
    """A client may be closed twice; afterwards it refuses requests."""
    client = client_of(recorder.url)
    client.close()
    client.close()
    with pytest.raises(UsageError, match="this captioner is closed"):
        client.post(ASK)


def test_several_threads_share_one_captioner(recorder: Recorder, clip: BytesClip) -> None:
    """Eight threads at once each get their caption, through one client."""
    recorder.answer(ANSWER)
    begin = threading.Barrier(8)
    captioner = captioner_with(client_of(f"{recorder.url}/api/v1"), dashscope.PROTOCOL)

    def ask(_: int) -> str:
        begin.wait(30)
        return captioner.caption(clip).text

    with captioner, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == ["Rain."] * 8
    assert len(recorder.seen) == 8


def test_placeholder_key_does_not_change_captions(recorder: Recorder) -> None:
    """A key too short to be a secret is sent, and its word stays in the answers."""
    recorder.answer(b'"an EMPTY room"')
    client = client_of(recorder.url, api_key="EMPTY")
    assert client.post(ASK).body == b'"an EMPTY room"'
    client.close()
    assert recorder.seen[0].headers["authorization"] == "Bearer EMPTY"


@pytest.mark.parametrize("key", ["", "sk-a b", "sk-a\n", "sk-ü", "Bearer sk-a", "\x00"])
def test_unusable_key_is_refused_without_being_shown(key: str) -> None:
    """A key that no header can carry is refused, and the error does not show it."""
    with pytest.raises(UsageError, match="the key in api_key is empty or holds a space") as caught:
        client_of("https://captions.example/v1", api_key=key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "treat",
    [
        lambda recorder: recorder.echo_authorization(),
        lambda recorder: recorder.answer({}, status=307, headers={"Location": f"/{KEY}?{KEY}"}),
        lambda recorder: recorder.answer(f"<html>{KEY}".encode(), status=502),
        lambda recorder: recorder.answer({"output": {}, "request_id": KEY}),
        lambda recorder: recorder.answer({}, headers={"Content-Encoding": KEY}),
        lambda recorder: recorder.reset(),
        lambda recorder: recorder.hang(),
        lambda recorder: recorder.promise_more(KEY.encode()),
        lambda recorder: recorder.raw(f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode()),
        lambda recorder: recorder.raw(f"{KEY}\r\n\r\n".encode()),
    ],
    ids=["echo", "redirect", "html", "id", "encoding", "reset", "hang", "half", "header", "status"],
)
def test_key_appears_nowhere(
    recorder: Recorder, clip: BytesClip, caplog: pytest.LogCaptureFixture, treat: Any
) -> None:
    """No repr, error, traceback, pickle or log holds the key, even if the server repeats it."""
    treat(recorder)
    caplog.set_level(logging.DEBUG)
    client = client_of(f"{recorder.url}/api/v1", limits=HttpLimits(read_s=0.5))
    captioner = captioner_with(client, dashscope.PROTOCOL)
    with captioner, pytest.raises(ServiceError) as caught:
        captioner.caption(clip)

    assert recorder.seen[0].headers["authorization"] == f"Bearer {KEY}"
    error = caught.value
    reprs = [repr(thing) for thing in (client, captioner, captioner.info, error)]
    fields = [str(error), repr(vars(error)), *traceback.format_exception(error)]
    logged = [record.getMessage() for record in caplog.records]
    everything = "\n".join([*reprs, *fields, *logged])
    assert KEY not in everything
    assert KEY.encode() not in pickle.dumps(error)


def test_headers_and_query_go_with_every_request(recorder: Recorder) -> None:
    """A key may stand alone in a header of its own; the query joins one that is there already."""
    recorder.answer(ANSWER)
    with Client(
        endpoint_of(f"{recorder.url}/v1"),
        api_key=KEY,
        key_header="api-key",
        headers={"X-Team": "sound"},
        query={"api-version": "1"},
    ) as client:
        client.post(ASK)
        client.post(dataclasses.replace(ASK, path="/ask?action=get"))
    assert [seen.path for seen in recorder.seen] == [
        "/v1/ask?api-version=1",
        "/v1/ask?action=get&api-version=1",
    ]
    for seen in recorder.seen:
        assert (seen.headers["api-key"], seen.headers["x-team"]) == (KEY, "sound")
        assert "authorization" not in seen.headers


def test_plain_http_that_is_allowed_goes_through_no_proxy(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to the local network reaches its host alone, whatever the environment says."""
    monkeypatch.setenv("http_proxy", recorder.url)
    monkeypatch.setenv("all_proxy", recorder.url)
    endpoint = endpoint_of("http://captoolkit-nowhere.local:9/v1")
    with (
        Client(dataclasses.replace(endpoint, allows_plain_http=True), api_key=KEY) as client,
        pytest.raises(ServiceError),
    ):
        client.post(ASK)
    assert recorder.seen == []
