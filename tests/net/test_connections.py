from __future__ import annotations

import dataclasses
import logging
import pickle
import socket
import ssl
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from captoolkit.captioners import dashscope
from captoolkit.errors import ServiceConnectionError, ServiceError, UsageError
from captoolkit.net.client import Client
from captoolkit.net.connections import HttpLimits
from captoolkit.net.http_messages import ServiceRequest, retry_after_s
from captoolkit.services.regions import NATIVE, parse_base_url
from tests.support.certificates import self_signed
from tests.support.recorder import Recorder
from tests.support.services import captioner_with

if TYPE_CHECKING:
    from pathlib import Path

from tests.support.clips import BytesClip

KEY = "sk-secret-0123456789abcdef"
ASK = ServiceRequest(path="/ask", body=b'{"audio":"x"}')
ANSWER = {
    "output": {"choices": [{"message": {"content": [{"text": "Rain."}]}}]},
    "request_id": "r-1",
}


def address(recorder: Recorder) -> str:
    """Return the server as messages name it."""
    return recorder.url.removeprefix("http://")


def client_of(url: str, *, api_key: str | None = KEY, limits: HttpLimits | None = None) -> Client:
    """Return a client for a base URL."""
    endpoint = parse_base_url(url, NATIVE)
    return Client(endpoint, api_key=api_key, limits=limits or HttpLimits())


def failure(recorder: Recorder, *, limits: HttpLimits | None = None) -> Any:
    """Return the error that asking the recorder ends in."""
    client = client_of(f"{recorder.url}/api/v1", limits=limits)
    with pytest.raises(ServiceError) as caught:
        client.post(ASK)
    client.close()
    return caught.value


def test_request_arrives_as_it_was_built(recorder: Recorder) -> None:
    """Method, path, body, key and types arrive unchanged, and no compression is asked for."""
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
    """What a status means is for the protocols to say."""
    recorder.answer(b"busy", status=503)
    client = client_of(recorder.url)
    reply = client.post(ASK)
    client.close()
    assert (reply.status_code, reply.body) == (503, b"busy")


def test_refused_connection_is_told() -> None:
    """Where nobody listens, the error names the host and what to check."""
    with socket.socket() as held:  # bound, so that nobody else takes the port, and deaf
        held.bind(("127.0.0.1", 0))
        client = client_of(f"http://127.0.0.1:{held.getsockname()[1]}/api/v1")
        with pytest.raises(
            ServiceConnectionError, match=r"127\.0\.0\.1:\d+ cannot be reached: .+; "
        ):
            client.post(ASK)
        client.close()


def test_silence_ends_at_the_bound(recorder: Recorder) -> None:
    """A server that says nothing is left after `read_s`."""
    recorder.hang()
    error = failure(recorder, limits=HttpLimits(read_s=0.1))
    assert isinstance(error, ServiceConnectionError)
    assert error.problem == f"{address(recorder)} sent nothing for 0.1 s"


def test_endless_answer_ends_at_the_bound(recorder: Recorder) -> None:
    """A server that drips bytes for ever is left after `answer_s`."""
    recorder.drip()
    error = failure(recorder, limits=HttpLimits(answer_s=0.2))
    assert isinstance(error, ServiceConnectionError)
    assert error.problem == f"{address(recorder)} was not done within 0.2 s"


def test_reset_is_told(recorder: Recorder) -> None:
    """A connection that breaks before the answer is a connection's fault."""
    recorder.reset()
    assert isinstance(failure(recorder), ServiceConnectionError)


def test_half_an_answer_is_no_answer(recorder: Recorder) -> None:
    """An answer shorter than announced is refused, even if it would parse."""
    recorder.promise_more(b'{"output":{}}')
    error = failure(recorder)
    assert isinstance(error, ServiceConnectionError)
    assert "broke off" in error.problem


def test_flood_is_refused_at_the_bound(recorder: Recorder) -> None:
    """An answer larger than `answer_bytes` is not taken in."""
    recorder.pour(64 * 2**20)
    error = failure(recorder, limits=HttpLimits(answer_bytes=2**20))
    assert error.problem == "127.0.0.1 answered with more than 1048576 bytes"


def test_flood_of_headers_is_refused(recorder: Recorder) -> None:
    """Headers without end are refused as no HTTP."""
    recorder.answer({}, headers={"X-Flood": "x" * 2**20})
    assert isinstance(failure(recorder), ServiceConnectionError)


def test_compressed_answer_is_refused(recorder: Recorder) -> None:
    """What was asked for plain is not unpacked: a small answer can unpack to a big one."""
    recorder.answer(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert failure(recorder).problem == "127.0.0.1 sent a compressed answer unasked"


def test_tls_with_a_plain_server_is_told(recorder: Recorder) -> None:
    """A server that does not speak TLS cannot be reached over https, and sees no key."""
    client = client_of(f"https://{recorder.authority}/api/v1")
    with pytest.raises(ServiceConnectionError, match="cannot be reached"):
        client.post(ASK)
    client.close()
    assert recorder.seen == []


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


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """One clear line, and neither key nor audio has been sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "certificate.pem"))
    site = Recorder(context)
    client = client_of(f"{site.url}/api/v1")
    with pytest.raises(ServiceConnectionError, match="cannot be reached") as caught:
        client.post(ASK)
    client.close()
    site.close()
    assert "certificate" in caught.value.problem.lower()
    assert site.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_an_error_and_the_key_stays(
    recorder: Recorder, elsewhere: Recorder, status: int
) -> None:
    """A redirect is named, not followed: the other server sees neither key nor audio."""
    place = f"{elsewhere.url}/api/v1/ask"
    recorder.answer({}, status=status, headers={"Location": f"{place}?token=abc"})
    error = failure(recorder)
    assert error.problem == f"127.0.0.1 redirects (HTTP {status}) to {place}"
    assert (error.status_code, "--base-url" in error.fix) == (status, True)
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    "place",
    ["http://[", "//\x1b[31m", "ftp://x/", "http://x:y/", "mailto:x@y.example", "//", "http:///x"],
)
def test_broken_redirect_is_an_error(recorder: Recorder, place: str) -> None:
    """Wherever a redirect points, it ends in an error that can be printed."""
    recorder.answer({}, status=302, headers={"Location": place})
    assert str(failure(recorder)).isprintable()


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "3"}, 3),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_how_long_a_service_wants_to_be_left_alone_is_told(
    recorder: Recorder, clip: BytesClip, headers: dict[str, str], wait_s: float | None
) -> None:
    """In seconds, in milliseconds; what is neither says nothing. A date is tested below."""
    recorder.answer({"code": "Throttling"}, status=429, headers=headers)
    client = client_of(f"{recorder.url}/api/v1")
    with (
        captioner_with(client, dashscope.PROTOCOL) as captioner,
        pytest.raises(ServiceError) as caught,
    ):
        captioner.caption(clip)
    assert caught.value.retry_after_s == wait_s


def test_a_date_to_wait_for_is_counted_from_the_services_own_clock() -> None:
    """Neither its clock nor ours need be right."""
    later = "Sat, 21 Nov 2026 10:00:30 GMT"
    assert retry_after_s({"retry-after": later, "date": "Sat, 21 Nov 2026 10:00:00 GMT"}) == 30
    assert retry_after_s({"retry-after": later, "date": "Sat, 21 Nov 2026 11:00:00 GMT"}) == 0
    assert retry_after_s({"retry-after": "Sat, 21 Nov 2015 10:00:00 GMT"}) == 0
    assert retry_after_s({"retry-after": "Sat, 99 Nov 2026 99:00:00 GMT"}) is None


def test_a_head_that_drips_ends_at_the_bound(recorder: Recorder) -> None:
    """A server that sends its headers letter by letter is left after `answer_s`."""
    recorder.drip_head()
    error = failure(recorder, limits=HttpLimits(answer_s=0.3))
    assert error.problem == f"{address(recorder)} was not done within 0.3 s"
    assert error.status_code is None


def test_a_head_that_drips_ends_at_the_bound_after_other_answers_too(recorder: Recorder) -> None:
    """A server that keeps its connection open for the next question gains no time by it."""
    client = client_of(f"{recorder.url}/api/v1", limits=HttpLimits(answer_s=0.3))
    recorder.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert client.post(ASK).body == b"{}"
    recorder.drip_head()
    with pytest.raises(ServiceConnectionError, match=r"was not done within 0\.3 s"):
        client.post(ASK)
    client.close()


def test_key_is_not_sent_in_the_clear() -> None:
    """Without TLS a key goes to this machine only, and this is found before anything is sent."""
    with pytest.raises(UsageError, match="would send sound and key unencrypted"):
        client_of("http://captions.example/api/v1")
    client_of("http://captions.example/api/v1", api_key=None).close()
    for url in ("https://captions.example/v1", "http://localhost/v1", "http://[::1]:8000/v1"):
        client_of(url).close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_proxy_is_not_used_for_this_machine(
    recorder: Recorder, elsewhere: Recorder, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A proxy of the environment never sees what goes to this machine, key included."""
    monkeypatch.setenv(variable.lower(), elsewhere.url)
    recorder.answer(ANSWER)
    client = client_of(recorder.url)
    assert client.post(ASK).status_code == 200
    client.close()
    assert elsewhere.seen == []


def test_proxy_that_refuses_is_told_and_sees_no_key(
    elsewhere: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a proxy the key travels inside TLS; without the tunnel it is not sent at all."""
    monkeypatch.setenv("https_proxy", elsewhere.url)
    elsewhere.answer({}, status=403)
    client = client_of("https://dashscope-intl.aliyuncs.com/api/v1")
    with pytest.raises(ServiceConnectionError, match="the proxy on the way to dashscope-intl"):
        client.post(ASK)
    client.close()
    (seen,) = elsewhere.seen
    assert seen.method == "CONNECT"
    assert KEY not in str(seen)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("https_proxy", "gopher://user:hunter2@x:1"), ("SSL_CERT_FILE", "/hunter2/missing.pem")],
)
def test_unusable_environment_is_told_without_its_values(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Proxy and certificate settings that cannot be used are named, their values are not."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match="proxy or certificate settings") as caught:
        client_of("https://captions.example/v1")
    assert "hunter2" not in str(caught.value)
    assert variable.upper() in caught.value.fix


def test_closing_twice_is_allowed_and_asking_afterwards_is_not(recorder: Recorder) -> None:
    """A closed client says so."""
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
    """What no header can carry is refused, and its text stays out of the error."""
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
