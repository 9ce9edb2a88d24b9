"""Connections over HTTP: timeouts, broken connections, TLS, proxies."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from captoolkit.errors import ServiceConnectionError, UsageError
from captoolkit.net.connections import HttpLimits
from tests.support.certificates import self_signed
from tests.support.recorder import Recorder
from tests.support.services import ANSWER, ASK, KEY, address, client_of, failure_of


def test_a_refused_connection_is_an_error() -> None:
    """The error names the host and the settings to check."""
    with socket.socket() as held:  # bound, but not listening
        held.bind(("127.0.0.1", 0))
        client = client_of(f"http://127.0.0.1:{held.getsockname()[1]}/api/v1")
        with pytest.raises(
            ServiceConnectionError, match=r"127\.0\.0\.1:\d+ cannot be reached: .+; "
        ):
            client.post(ASK)
        client.close()


def test_silence_ends_at_the_limit(recorder: Recorder) -> None:
    """A silent server is left after `read_s`."""
    recorder.hang()
    error = failure_of(recorder, limits=HttpLimits(read_s=0.1))
    assert isinstance(error, ServiceConnectionError)
    assert error.problem == f"{address(recorder)} sent nothing for 0.1 s"


def test_an_endless_answer_ends_at_the_limit(recorder: Recorder) -> None:
    """A server that sends single bytes without end is left after `answer_s`."""
    recorder.drip()
    error = failure_of(recorder, limits=HttpLimits(answer_s=0.2))
    assert isinstance(error, ServiceConnectionError)
    assert error.problem == f"{address(recorder)} was not done within 0.2 s"


def test_a_reset_is_a_connection_error(recorder: Recorder) -> None:
    """A connection that breaks before the answer raises the connection error."""
    recorder.reset()
    assert isinstance(failure_of(recorder), ServiceConnectionError)


def test_half_an_answer_is_a_connection_error(recorder: Recorder) -> None:
    """An answer shorter than announced is refused, even if it would parse."""
    recorder.promise_more(b'{"output":{}}')
    error = failure_of(recorder)
    assert isinstance(error, ServiceConnectionError)
    assert "broke off" in error.problem


def test_flood_of_headers_is_refused(recorder: Recorder) -> None:
    """Endless headers are no HTTP."""
    recorder.answer({}, headers={"X-Flood": "x" * 2**20})
    assert isinstance(failure_of(recorder), ServiceConnectionError)


def test_tls_with_a_plain_server_is_an_error(recorder: Recorder) -> None:
    """A server that does not speak TLS cannot be reached over https, and sees no key."""
    client = client_of(f"https://{recorder.authority}/api/v1")
    with pytest.raises(ServiceConnectionError, match="does not speak TLS on this port"):
        client.post(ASK)
    client.close()
    assert recorder.seen == []


def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    """The error is one line, and neither key nor audio has been sent."""
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


def test_a_slow_head_ends_at_the_limit(recorder: Recorder) -> None:
    """A server that sends its headers letter by letter is left after `answer_s`."""
    recorder.drip_head()
    error = failure_of(recorder, limits=HttpLimits(answer_s=0.3))
    assert error.problem == f"{address(recorder)} was not done within 0.3 s"
    assert error.status_code is None


def test_a_head_that_drips_ends_at_the_bound_after_other_answers_too(recorder: Recorder) -> None:
    """A connection that the server keeps open gains no time."""
    client = client_of(f"{recorder.url}/api/v1", limits=HttpLimits(answer_s=0.3))
    recorder.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert client.post(ASK).body == b"{}"
    recorder.drip_head()
    with pytest.raises(ServiceConnectionError, match=r"was not done within 0\.3 s"):
        client.post(ASK)
    client.close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_proxy_is_not_used_for_this_machine(
    recorder: Recorder, elsewhere: Recorder, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A proxy of the environment never receives a request to this machine."""
    monkeypatch.setenv(variable.lower(), elsewhere.url)
    recorder.answer(ANSWER)
    client = client_of(recorder.url)
    assert client.post(ASK).status_code == 200
    client.close()
    assert elsewhere.seen == []


def test_a_proxy_that_refuses_sees_no_key(
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
def test_an_unusable_environment_is_named_without_its_values(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Proxy and certificate settings that cannot be used are named, their values are not."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match="proxy or certificate settings") as caught:
        client_of("https://captions.example/v1")
    assert "hunter2" not in str(caught.value)
    assert variable.upper() in caught.value.fix
