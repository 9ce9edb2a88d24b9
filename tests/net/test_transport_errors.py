"""The table of failed connections: complete, and right about real failures."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from captoolkit.errors import ConnectionFailure, ServiceConnectionError
from captoolkit.net.client import Client
from captoolkit.net.connections import HttpLimits
from captoolkit.net.http_messages import ServiceRequest
from captoolkit.net.transport_errors import (
    CERTIFICATE,
    CERTIFICATE_DATES,
    CERTIFICATE_NAME,
    FAILURES,
    NO_TLS,
    ONLY_TLS,
    OTHER_TLS,
    PROXY_FORBIDS,
    PROXY_LOGIN,
    PROXY_UNREACHABLE,
    TOO_LATE,
    explain,
)
from captoolkit.services.regions import endpoint_of
from tests.support.certificates import self_signed
from tests.support.recorder import Recorder

TIMES = {"connect_s": 1, "read_s": 2, "write_s": 3, "pool_s": 4, "total_s": 5}


def subclasses_of(kind: type[Exception]) -> Iterator[type[Exception]]:
    """Yield an exception class and all classes below it."""
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses_of(child)


def test_every_exception_of_httpx_is_in_the_table() -> None:
    """A new exception class of httpx needs a row before it can be released."""
    kinds = {
        kind
        for kind in subclasses_of(httpx.RequestError)
        if kind.__module__ == "httpx"  # other packages derive their own
        and not issubclass(kind, httpx.TooManyRedirects | httpx.DecodingError)  # never raised here
    }
    assert len(kinds) >= 15
    assert kinds == set(FAILURES)


def test_every_kind_is_reached() -> None:
    """Each kind of failure is the kind of a row, and the sentences of each row can be filled in."""
    texts = [*FAILURES.values(), CERTIFICATE, CERTIFICATE_DATES, CERTIFICATE_NAME, TOO_LATE]
    texts += [NO_TLS, ONLY_TLS, OTHER_TLS, PROXY_FORBIDS, PROXY_LOGIN, PROXY_UNREACHABLE]
    assert {text.kind for text in texts} | {ConnectionFailure.CUT_OFF} == set(ConnectionFailure)
    for text in texts:
        filled = text.problem.format(host="h", detail="d", proxy="p", **TIMES)
        assert "h" in filled
        assert filled.isprintable()
        assert text.fix


def test_a_connection_that_breaks_within_an_answer_is_cut_off() -> None:
    """With a status the connection is cut off; without one it is broken."""
    for status_code, kind in ((None, ConnectionFailure.BROKEN), (200, ConnectionFailure.CUT_OFF)):
        failed = explain(httpx.ReadError("reset"), host="h", limits=TIMES, status_code=status_code)
        assert (failed.kind, failed.status_code) == (kind, status_code)


def failure_at(
    url: str, limits: HttpLimits | None = None, body: bytes = b"{}"
) -> ServiceConnectionError:
    """Return the error of a request to `url`."""
    client = Client(endpoint_of(url), limits=limits or HttpLimits())
    with client, pytest.raises(ServiceConnectionError) as caught:
        client.post(ServiceRequest(path="/ask", body=body))
    return caught.value


def kind_of(url: str, limits: HttpLimits | None = None, body: bytes = b"{}") -> ConnectionFailure:
    """Return why a request to `url` fails."""
    return failure_at(url, limits, body).kind


@pytest.mark.parametrize(
    ("treat", "limits", "kind"),
    [
        (Recorder.hang, HttpLimits(read_s=0.1), ConnectionFailure.SILENT),
        (Recorder.drip, HttpLimits(answer_s=0.2), ConnectionFailure.TOO_LATE),
        (Recorder.reset, HttpLimits(), ConnectionFailure.BROKEN),
        (
            lambda recorder: recorder.promise_more(b"{}"),
            HttpLimits(),
            ConnectionFailure.CUT_OFF,
        ),
    ],
)
def test_the_failure_of_a_real_server_has_its_kind(
    recorder: Recorder,
    treat: Callable[[Recorder], None],
    limits: HttpLimits,
    kind: ConnectionFailure,
) -> None:
    """Silence, a slow answer, a reset and half an answer have kinds of their own."""
    treat(recorder)
    assert kind_of(recorder.url, limits) is kind


def test_a_closed_port_is_unreachable() -> None:
    """A refused connection is a kind of its own."""
    with socket.socket() as held:  # bound, but not listening
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        assert kind_of(f"http://127.0.0.1:{port}") is ConnectionFailure.UNREACHABLE


def test_a_server_that_accepts_no_bytes_stalls_the_upload() -> None:
    """A large request to a server that never reads ends after `write_s`."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        body = b"x" * (64 << 20)
        assert kind_of(url, HttpLimits(write_s=0.2), body) is ConnectionFailure.STALLED_UPLOAD


def test_an_untrusted_certificate_is_no_unreachable_host(tmp_path: Path) -> None:
    """A self-signed certificate stops the run; a plain server behind https does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "certificate.pem"))
    site = Recorder(context)
    assert kind_of(site.url) is ConnectionFailure.CERTIFICATE
    site.close()


def test_a_certificate_of_another_name_has_its_own_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate for 127.0.0.1 does not prove the name localhost."""
    certificate = self_signed(tmp_path / "certificate.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    site = Recorder(context)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    error = failure_at(f"https://localhost:{site.port}")
    assert error.kind is ConnectionFailure.CERTIFICATE
    assert error.fix == CERTIFICATE_NAME.fix
    site.close()


def test_tls_with_a_plain_server_is_a_wrong_port(recorder: Recorder) -> None:
    """A server that does not speak TLS does not speak it the next time either."""
    error = failure_at(f"https://{recorder.authority}")
    assert error.kind is ConnectionFailure.TLS
    assert "needs http://" in error.fix


def test_a_plain_request_to_a_tls_port_is_recognized() -> None:
    """A server that answers with a TLS alert wants https."""
    alert = httpx.RemoteProtocolError(r"illegal status line: bytearray(b'\x15\x03\x03\x00')")
    failed = explain(alert, host="h", limits=TIMES)
    assert (failed.kind, failed.fix) == (ConnectionFailure.TLS, "write https:// in `base_url`")


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (403, ConnectionFailure.PROXY_REFUSED, "NO_PROXY"),
        (407, ConnectionFailure.PROXY_REFUSED, "USER:PASSWORD"),
        (502, ConnectionFailure.PROXY, "HTTPS_PROXY"),
    ],
)
def test_a_proxy_that_refuses_is_a_proxy_failure(
    elsewhere: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    kind: ConnectionFailure,
    advice: str,
) -> None:
    """The proxy's refusal is not mistaken for the service's, and the advice is about the proxy."""
    monkeypatch.setenv("https_proxy", elsewhere.url)
    elsewhere.answer({}, status=status)
    error = failure_at("https://captions.example")
    assert error.kind is kind
    assert advice in error.fix


def test_an_unreachable_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection to the proxy is no unreachable service."""
    with socket.socket() as held:  # bound, but not listening
        held.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{held.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://{proxy}")
        error = failure_at("https://captions.example")
    assert error.kind is ConnectionFailure.PROXY
    assert f"the proxy {proxy}" in error.problem
