"""Why an exchange over HTTP failed: every exception of httpx, mapped in one table.

Rules: the kind of a failure is a value (`ConnectionFailure`); the sentences are for the reader
alone. No sentence repeats an answer, which may hold a key. A test keeps the table complete.
"""

from __future__ import annotations

import dataclasses
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import httpx

from captoolkit.errors import CaptoolkitError, ConnectionFailure
from captoolkit.net.http_messages import EXCERPT_CHARS, clean

ERRNO = re.compile(r"^\[Errno -?\d+\] ")  # numbers that mean nothing to most readers


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedExchange:
    """A failure, ready to become an error of the caller's choice.

    Attributes:
        kind: why it failed.
        problem: the same for the reader.
        fix: advice for the reader.
        status_code: the status of the answer that had begun; None before that.
    """

    kind: ConnectionFailure
    problem: str
    fix: str
    status_code: int | None = None


MakeError = Callable[[FailedExchange], CaptoolkitError]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureText:
    """The kind of a failure and its sentences, which may name `host`, `detail` and the limits."""

    kind: ConnectionFailure
    problem: str
    fix: str


_RETRY_FIX = "run it again; if it fails again, send shorter segments (`max_segment`)"
PLAIN_HTTP_FIX = (
    "run it again; if it fails again, write https:// in `base_url` if the server speaks TLS, or "
    "send shorter segments (`max_segment`)"
)
_REACH_FIX = "check `base_url` and the network, and that a server of your own is up"
_BROKEN = FailureText(
    kind=ConnectionFailure.BROKEN,
    problem="the connection to {host} broke: {detail}",
    fix=_RETRY_FIX,
)
_INVALID = FailureText(
    kind=ConnectionFailure.BROKEN,
    problem="the request to {host} could not be put into HTTP",
    fix="report this",
)


def _untrusted(fix: str) -> FailureText:
    return FailureText(
        kind=ConnectionFailure.CERTIFICATE,
        problem="{host} cannot be reached, its certificate is not trusted: {detail}",
        fix=f"{fix}. No key was sent",
    )


def _tls_failure(problem: str, fix: str) -> FailureText:
    return FailureText(kind=ConnectionFailure.TLS, problem=f"{{host}} {problem}", fix=fix)


def _proxy_refusal(problem: str, fix: str) -> FailureText:
    return FailureText(
        kind=ConnectionFailure.PROXY_REFUSED,
        problem=f"the proxy on the way to {{host}} {problem}: {{detail}}",
        fix=fix,
    )


CERTIFICATE = _untrusted(
    "check `base_url`; for a server or a proxy of your own network set SSL_CERT_FILE to the "
    "certificate of its authority"
)
CERTIFICATE_DATES = _untrusted(
    "renew the server's certificate, or correct the clock of this machine"
)
CERTIFICATE_NAME = _untrusted("write the host name of its certificate in `base_url`")
# `verify_code` of ssl.SSLCertVerificationError. Source: OpenSSL, "x509_vfy.h".
CERTIFICATES = {
    9: CERTIFICATE_DATES,  # not yet valid
    10: CERTIFICATE_DATES,  # expired
    62: CERTIFICATE_NAME,
    64: CERTIFICATE_NAME,  # of an IP address
}
NO_TLS = _tls_failure(
    "does not speak TLS on this port",
    "check the port in `base_url`; a server without TLS needs http:// there",
)
OTHER_TLS = _tls_failure(
    "and this machine agree on no version of TLS: {detail}",
    "check the port in `base_url`, and that the server speaks TLS 1.2 or newer",
)
ONLY_TLS = _tls_failure(
    "speaks TLS on this port, and `base_url` begins with http://",
    "write https:// in `base_url`",
)
# `reason` of ssl.SSLError for a handshake that fails in the same way each time.
NO_TLS_REASONS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
OTHER_TLS_REASONS = frozenset(
    {
        "UNSUPPORTED_PROTOCOL",
        "NO_PROTOCOLS_AVAILABLE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_UNRECOGNIZED_NAME",
    }
)
TLS_ALERT = r"\x15\x03"  # the first bytes of a TLS alert, as h11 quotes an answer
PROXY_UNREACHABLE = FailureText(
    kind=ConnectionFailure.PROXY,
    problem="the proxy {proxy} on the way to {host} cannot be reached: {detail}",
    fix="check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY; NO_PROXY lists the hosts without a proxy",
)
PROXY_LOGIN = _proxy_refusal(
    "demands a login", "write user and password into HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT"
)
PROXY_FORBIDS = _proxy_refusal(
    "refuses to connect",
    "allow the host in the proxy; if the host can be reached without it, add it to NO_PROXY",
)
TOO_LATE = FailureText(
    kind=ConnectionFailure.TOO_LATE,
    problem="{host} was not done within {total_s:g} s",
    fix=_RETRY_FIX,
)
FAILURES: dict[type[httpx.RequestError], FailureText] = {
    httpx.RequestError: _BROKEN,
    httpx.TransportError: _BROKEN,
    httpx.NetworkError: _BROKEN,
    httpx.ReadError: _BROKEN,
    httpx.WriteError: _BROKEN,
    httpx.CloseError: _BROKEN,
    httpx.TimeoutException: FailureText(
        kind=ConnectionFailure.BROKEN,
        problem="{host} took too long: {detail}",
        fix=_RETRY_FIX,
    ),
    httpx.ConnectError: FailureText(
        kind=ConnectionFailure.UNREACHABLE,
        problem="{host} cannot be reached: {detail}",
        fix=_REACH_FIX,
    ),
    httpx.ConnectTimeout: FailureText(
        kind=ConnectionFailure.UNREACHABLE,
        problem="{host} could not be connected to within {connect_s:g} s",
        fix=_REACH_FIX,
    ),
    httpx.ReadTimeout: FailureText(
        kind=ConnectionFailure.SILENT,
        problem="{host} sent nothing for {read_s:g} s",
        fix=_RETRY_FIX,
    ),
    httpx.WriteTimeout: FailureText(
        kind=ConnectionFailure.STALLED_UPLOAD,
        problem="{host} took nothing for {write_s:g} s",
        fix=_RETRY_FIX,
    ),
    httpx.PoolTimeout: FailureText(
        kind=ConnectionFailure.UNREACHABLE,
        problem="no connection to {host} became free within {pool_s:g} s",
        fix="send fewer requests at once (`concurrency`)",
    ),
    httpx.ProxyError: FailureText(
        kind=ConnectionFailure.PROXY,
        problem="the proxy on the way to {host} failed: {detail}",
        fix="check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    ),
    httpx.ProtocolError: _BROKEN,
    httpx.RemoteProtocolError: FailureText(
        kind=ConnectionFailure.BROKEN,
        problem="{host} broke off, or does not speak HTTP: {detail}",
        fix=_RETRY_FIX,
    ),
    # Without detail: h11's message about a bad header repeats the header.
    httpx.LocalProtocolError: _INVALID,
    httpx.UnsupportedProtocol: _INVALID,
}


def explain(
    error: httpx.RequestError,
    *,
    host: str,
    limits: Mapping[str, float],
    status_code: int | None = None,
    proxy: str = "",
    is_encrypted: bool = True,
) -> FailedExchange:
    """Return the kind and the sentences for an exception of httpx.

    Args:
        error: the exception.
        host: the host, as messages name it.
        limits: the times in seconds that the sentences name.
        status_code: the status of the answer that had begun; None before that.
        proxy: the host and port of the proxy on the way; empty without one.
        is_encrypted: whether the request was sent over TLS.
    """
    text = FAILURES[next(kind for kind in type(error).__mro__ if kind in FAILURES)]
    text = _special_text(error, proxy) or text
    is_broken = text.kind is ConnectionFailure.BROKEN and status_code is None
    if is_broken and not is_encrypted:
        text = dataclasses.replace(text, fix=PLAIN_HTTP_FIX)
    return fill_in(
        text,
        host=host,
        limits=limits,
        status_code=status_code,
        detail=_detail(error),
        proxy=proxy,
    )


def _special_text(error: httpx.RequestError, proxy: str) -> FailureText | None:
    """Return the sentences for a failure of TLS or of a proxy, None for any other."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CERTIFICATES.get(cause.verify_code, CERTIFICATE)
        if isinstance(cause, ssl.SSLError) and cause.reason in NO_TLS_REASONS:
            return NO_TLS
        if isinstance(cause, ssl.SSLError) and cause.reason in OTHER_TLS_REASONS:
            return OTHER_TLS
    if isinstance(error, httpx.RemoteProtocolError) and TLS_ALERT in str(error):
        return ONLY_TLS
    if isinstance(error, httpx.ProxyError) and str(error)[:1] == "4":
        return PROXY_LOGIN if str(error).startswith("407") else PROXY_FORBIDS
    is_unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return PROXY_UNREACHABLE if proxy and is_unreachable else None


def fill_in(
    text: FailureText,
    *,
    host: str,
    limits: Mapping[str, float],
    status_code: int | None,
    detail: str = "",
    proxy: str = "",
) -> FailedExchange:
    """Return a row of the table with its sentences filled in."""
    is_cut_off = text.kind is ConnectionFailure.BROKEN and status_code is not None
    return FailedExchange(
        kind=ConnectionFailure.CUT_OFF if is_cut_off else text.kind,
        problem=text.problem.format(host=host, detail=detail, proxy=proxy, **limits),
        fix=text.fix,
        status_code=status_code,
    )


def cause_of(error: httpx.RequestError) -> httpx.RequestError | None:
    """Return the exception to show under captoolkit's own; None for one that repeats the answer.

    Its request is replaced: it holds the key and the whole URL, and programs that use tblib, as
    dask.distributed does, pickle an error with its causes.
    """
    error.request = httpx.Request("GET", "")
    return None if isinstance(error, httpx.ProtocolError) else error


def _detail(error: httpx.RequestError) -> str:
    """Return the system's message, but never a message about an answer, which repeats it."""
    if isinstance(error, httpx.ProtocolError):
        return "its answer is cut off or malformed"
    message = ERRNO.sub("", clean(str(error), EXCERPT_CHARS))
    return message or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that it goes back to."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
