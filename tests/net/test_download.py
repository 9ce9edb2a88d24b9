"""Downloads: redirects, logins, limits of size and time, and what is left on the disk."""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import logging
import pickle
import socket
import ssl
import struct
import threading
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import distributed.utils  # noqa: F401 - it lets pickles of errors hold their causes
import pytest

from captoolkit import __version__
from captoolkit.errors import InputError, OutputError, SourceNotFoundError, UsageError
from captoolkit.net.download import DOWNLOAD_LIMITS, MAX_REDIRECTS, download
from captoolkit.support.cancel import StoppedError, ended_when
from tests.support.certificates import self_signed
from tests.support.recorder import Behaviour, Recorder

BODY = bytes(range(256)) * 1000
PATIENCE_S = 20  # for what must end by itself; a test that waits so long has failed
ENDLESS = 50_000  # blocks


def head(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str]) -> None:
    """Send the head of an answer; the connection closes after it."""
    handler.close_connection = True
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def answer(body: bytes, *, status: int = 200, **headers: str) -> Behaviour:
    """Send a body, with its own length or another one in the head."""
    named = {"Content_Length": str(len(body)), **headers}

    def behave(handler: BaseHTTPRequestHandler) -> None:
        head(handler, status, {name.replace("_", "-"): value for name, value in named.items()})
        handler.wfile.write(body)

    return behave


def redirect(place: str, *, status: int = 302) -> Behaviour:
    """Send a redirect."""
    return answer(b"", status=status, Location=place)


def pour(blocks: Iterator[bytes], **headers: str) -> Behaviour:
    """Send blocks without a length until the client leaves."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        head(handler, 200, {name.replace("_", "-"): value for name, value in headers.items()})
        handler.wfile.writelines(blocks)

    return behave


def raw(*parts: bytes) -> Behaviour:
    """Send bytes unchanged, head included, and close."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.writelines(parts)

    return behave


def dripping(start: bytes, drop: bytes, released: threading.Event) -> Behaviour:
    """Send a start and then a byte every few milliseconds until the client leaves."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(start)
        for _ in range(100 * PATIENCE_S):
            if released.wait(0.01):
                return
            handler.wfile.write(drop)

    return behave


def torn(handler: BaseHTTPRequestHandler) -> None:
    """Send half a body and close the connection."""
    head(handler, 200, {"Content-Length": str(len(BODY))})
    handler.wfile.write(BODY[: len(BODY) // 2])
    handler.wfile.flush()
    # Lingering for zero seconds makes closing send RST instead of FIN.
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


@pytest.fixture
def site() -> Iterator[Recorder]:
    """A server without pages."""
    server = Recorder()
    yield server
    server.close()


@pytest.fixture
def other() -> Iterator[Recorder]:
    """A second server, at another port."""
    server = Recorder()
    yield server
    server.close()


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A server with TLS and a certificate that is trusted in this test."""
    certificate = self_signed(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Recorder(context)
    yield server
    server.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """The path of the file, in a folder of its own; no thread is left after the test."""
    folder = tmp_path / "target"
    folder.mkdir()
    yield folder / "source"
    assert not [one for one in threading.enumerate() if isinstance(one, threading.Timer)]


def failure(url: str, target: Path, **bounds: Any) -> Any:
    """Return the error of a download, which leaves nothing of the file."""
    with pytest.raises(InputError) as caught:
        download(url, target, limits=dataclasses.replace(DOWNLOAD_LIMITS, **bounds))
    assert list(target.parent.iterdir()) == []
    assert str(caught.value).isprintable()
    assert caught.value.fix
    return caught.value


# ------------------------------------------------------------------------------ files that arrive


def test_a_file_arrives_whole(site: Recorder, target: Path) -> None:
    """One plain request is sent, and every byte of the file is written."""
    site.pages["/talk.mp3"] = answer(BODY)
    download(f"{site.url}/talk.mp3?signature=a%2Fb&x=1#t=10", target)
    assert target.read_bytes() == BODY
    (seen,) = site.seen
    path, headers = seen.path, seen.headers
    assert path == "/talk.mp3?signature=a%2Fb&x=1"
    assert headers["user-agent"] == f"captoolkit/{__version__}"
    assert (headers["accept"], headers["accept-encoding"]) == ("*/*", "identity")
    assert "authorization" not in headers


def test_the_scheme_may_be_in_capitals(site: Recorder, target: Path) -> None:
    """The case of the scheme makes no difference."""
    site.pages["/talk.mp3"] = answer(BODY)
    download(site.url.replace("http", "HTTP") + "/talk.mp3", target)
    assert target.read_bytes() == BODY


def test_a_file_arrives_over_tls(secure: Recorder, target: Path) -> None:
    """An https URL is fetched if the certificate is trusted."""
    secure.pages["/talk.mp3"] = answer(BODY)
    download(f"{secure.url}/talk.mp3", target)
    assert target.read_bytes() == BODY


def test_an_untrusted_certificate_is_refused(
    secure: Recorder, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with an untrusted certificate receives no request."""
    monkeypatch.delenv("SSL_CERT_FILE")
    error = failure(f"{secure.url}/talk.mp3", target)
    assert isinstance(error, SourceNotFoundError)
    assert "certificate" in error.problem.lower()


@pytest.mark.parametrize("length", ["chunked", "until it closes"])
def test_a_file_of_unannounced_length_arrives(site: Recorder, target: Path, length: str) -> None:
    """A file arrives without a Content-Length too."""
    chunks = (f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (BODY, BODY, b""))
    parts = {
        "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *chunks),
        "until it closes": (b"HTTP/1.1 200 OK\r\n\r\n", BODY, BODY),
    }
    site.pages["/talk.mp3"] = raw(*parts[length])
    download(f"{site.url}/talk.mp3", target)
    assert target.read_bytes() == BODY + BODY


def test_bytes_after_the_announced_length_are_ignored(site: Recorder, target: Path) -> None:
    """Bytes after the announced length are no part of the file."""
    site.pages["/talk.mp3"] = answer(BODY + b"extra", Content_Length=str(len(BODY)))
    download(f"{site.url}/talk.mp3", target)
    assert target.read_bytes() == BODY


def test_a_file_of_exactly_the_limit_arrives(site: Recorder, target: Path) -> None:
    """The limit itself is allowed."""
    site.pages["/talk.mp3"] = answer(BODY)
    limits = dataclasses.replace(DOWNLOAD_LIMITS, answer_bytes=len(BODY))
    download(f"{site.url}/talk.mp3", target, limits=limits)
    assert target.read_bytes() == BODY


# -------------------------------------------------------------------------------------- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(site: Recorder, other: Recorder, target: Path, status: int) -> None:
    """Redirects to another path and to another host are followed."""
    site.pages["/old"] = redirect("new?x=1", status=status)
    site.pages["/new"] = redirect(f"{other.url}/talk.mp3?y=2", status=status)
    other.pages["/talk.mp3"] = answer(BODY)
    download(f"{site.url}/old", target)
    assert target.read_bytes() == BODY
    assert [seen.path for seen in site.seen + other.seen] == ["/old", "/new?x=1", "/talk.mp3?y=2"]


def test_redirects_are_counted(site: Recorder, target: Path) -> None:
    """Five redirects are followed, a sixth is refused."""
    for number in range(MAX_REDIRECTS + 1):
        site.pages[f"/{number}"] = redirect(f"/{number + 1}")
    site.pages[f"/{MAX_REDIRECTS + 1}"] = answer(BODY)
    download(f"{site.url}/1", target)
    target.unlink()
    error = failure(f"{site.url}/0", target)
    assert error.problem == "127.0.0.1 redirects more than 5 times in a row"


def test_a_circle_of_redirects_ends(site: Recorder, target: Path) -> None:
    """A circle of redirects is an error."""
    site.pages["/here"] = redirect("/there")
    site.pages["/there"] = redirect("/here")
    failure(f"{site.url}/here", target)
    assert len(site.seen) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    "place",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/x", "data:audio/wav;base64,AAAA", "mailto:a@b",
        "javascript:0", "http://[", "//[", "//\x1b[31m", "http://x:y/", "http://x:99999/",
        "http:///x", "http://a..b/", f"http://{'a' * 70}.example/",
    ],
)  # fmt: skip
def test_a_redirect_to_an_invalid_address_is_refused(
    site: Recorder, target: Path, place: str
) -> None:
    """Only http and https addresses are followed."""
    site.pages["/talk.mp3"] = redirect(place)
    error = failure(f"{site.url}/talk.mp3", target)
    assert error.path == f"{site.url}/talk.mp3"


def test_a_redirect_from_https_to_http_is_refused(
    secure: Recorder, other: Recorder, target: Path
) -> None:
    """A download over TLS does not continue without it."""
    secure.pages["/talk.mp3"] = redirect(f"{other.url}/talk.mp3")
    error = failure(f"{secure.url}/talk.mp3", target)
    assert error.problem == "127.0.0.1 redirects from https to http"
    assert other.seen == []


def test_a_redirect_from_http_to_https_is_followed(
    site: Recorder, secure: Recorder, target: Path
) -> None:
    """A redirect to TLS is followed, without the login."""
    site.pages["/talk.mp3"] = redirect(f"{secure.url}/talk.mp3")
    secure.pages["/talk.mp3"] = answer(BODY)
    download(f"http://me:secret@127.0.0.1:{site.port}/talk.mp3", target)
    assert target.read_bytes() == BODY
    assert "authorization" not in secure.seen[0].headers


def test_a_login_goes_to_its_own_host_only(site: Recorder, other: Recorder, target: Path) -> None:
    """Redirects within the host keep the login; others drop login and cookies."""
    site.pages["/old"] = answer(b"", status=302, Location=f"{site.url}/new", Set_Cookie="a=b")
    site.pages["/new"] = redirect(f"http://localhost:{other.port}/talk.mp3")
    other.pages["/talk.mp3"] = redirect(f"http://localhost:{other.port}/again.mp3")
    other.pages["/again.mp3"] = answer(BODY)
    download(f"http://me:s%40cret@127.0.0.1:{site.port}/old", target)
    basic = "Basic bWU6c0BjcmV0"  # me:s@cret
    assert [seen.headers.get("authorization") for seen in site.seen] == [basic, basic]
    for seen in other.seen:
        assert "authorization" not in seen.headers
    for seen in site.seen + other.seen:
        assert not {"cookie", "referer"} & set(seen.headers)


def test_a_login_in_a_redirect_is_not_used(site: Recorder, target: Path) -> None:
    """Only the caller's own login is sent."""
    site.pages["/old"] = redirect(f"http://you:secret@127.0.0.1:{site.port}/new")
    site.pages["/new"] = answer(BODY)
    download(f"{site.url}/old", target)
    assert "authorization" not in site.seen[1].headers


# ---------------------------------------------------------------------------------- missing files


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (401, "127.0.0.1 requires a login (HTTP 401)"),
        (403, "127.0.0.1 requires a login, or the link has expired (HTTP 403)"),
        (404, "127.0.0.1 has no such file (HTTP 404)"),
        (410, "127.0.0.1 has no such file (HTTP 410)"),
    ],
)
def test_a_missing_or_refused_file_is_not_found(
    site: Recorder, target: Path, status: int, problem: str
) -> None:
    """A missing file and a refused one raise SourceNotFoundError."""
    site.pages["/talk.mp3"] = answer(b"<html>no</html>", status=status)
    error = failure(f"{site.url}/talk.mp3", target)
    assert isinstance(error, SourceNotFoundError)
    assert error.problem == problem


@pytest.mark.parametrize("status", [201, 204, 206, 300, 302, 304, 400, 418, 429, 500, 503, 999])
def test_every_other_status_is_an_error_that_names_it(
    site: Recorder, target: Path, status: int
) -> None:
    """Only status 200 brings a file; the error names any other."""
    site.pages["/talk.mp3"] = answer(b"", status=status)
    error = failure(f"{site.url}/talk.mp3", target)
    assert error.problem == f"127.0.0.1 answered HTTP {status}"


def test_a_refused_connection_names_the_host(target: Path) -> None:
    """The error for a closed port names the host."""
    with socket.socket() as held:  # bound, but not listening
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        error = failure(f"http://127.0.0.1:{port}/talk.mp3", target)
    assert isinstance(error, SourceNotFoundError)
    assert error.problem.startswith(f"127.0.0.1:{port} cannot be reached: ")


def test_an_unknown_host_is_named(target: Path) -> None:
    """The error for an unknown name names the host."""
    error = failure("https://captoolkit.invalid/talk.mp3", target)
    assert isinstance(error, SourceNotFoundError)
    assert error.problem.startswith("captoolkit.invalid cannot be reached: ")


@pytest.mark.parametrize(
    "url",
    [
        "https://", "https:///secret", "https://me:secret@/x", "https://[secret", "https://h:secret/",
        "https://h:99999/secret", "https://h\x00/secret", "https://h..x/secret", "ftp://h/secret",
        "file:///secret", "secret", "", "https://me:secret/@host/x",
    ],
)  # fmt: skip
def test_an_invalid_address_is_refused_without_showing_it(target: Path, url: str) -> None:
    """Any part of an unreadable URL may be a password."""
    with pytest.raises(UsageError, match="the URL is malformed") as caught:
        download(url, target)
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret" not in shown.replace(__file__, "").partition("UsageError")[2]


# -------------------------------------------------------------------------------------- too large


def test_an_announced_length_over_the_limit_is_refused(site: Recorder, target: Path) -> None:
    """A Content-Length over the limit is refused before a byte is written."""
    site.pages["/talk.mp3"] = answer(b"", Content_Length="10000000001")
    error = failure(f"{site.url}/talk.mp3", target, answer_bytes=10**10)
    assert error.problem == "127.0.0.1 sends more than the limit of 10.00 GB"


@pytest.mark.parametrize("chunked", [True, False])
def test_an_endless_file_ends_at_the_limit(site: Recorder, target: Path, chunked: bool) -> None:
    """The bytes of a file without a length are counted."""
    if chunked:
        endless = itertools.repeat(b"1000\r\n" + bytes(0x1000) + b"\r\n", ENDLESS)
        site.pages["/talk.mp3"] = pour(endless, Transfer_Encoding="chunked")
    else:
        site.pages["/talk.mp3"] = pour(itertools.repeat(bytes(0x1000), ENDLESS))
    error = failure(f"{site.url}/talk.mp3", target, answer_bytes=1_000_000)
    assert error.problem == "127.0.0.1 sends more than the limit of 1.00 MB"


def test_unasked_compression_is_unpacked(site: Recorder, target: Path) -> None:
    """Some servers compress any file; gzip may consist of several parts."""
    packed = gzip.compress(BODY, mtime=0) + gzip.compress(BODY[::-1])
    site.pages["/talk.wav"] = answer(packed, Content_Encoding="GZip")
    download(f"{site.url}/talk.wav", target)
    assert target.read_bytes() == BODY + BODY[::-1]


def test_a_compression_bomb_ends_at_the_limit(site: Recorder, target: Path) -> None:
    """The unpacked size counts, and is never all in memory."""
    bomb = gzip.compress(bytes(64_000_000))
    assert len(bomb) < 100_000
    site.pages["/talk.wav"] = answer(bomb, Content_Encoding="gzip")
    tracemalloc.start()
    error = failure(f"{site.url}/talk.wav", target, answer_bytes=1_000_000)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.problem == "127.0.0.1 sends more than the limit of 1.00 MB"
    assert most_bytes < 16_000_000


def test_endless_compression_without_content_ends_at_the_limit(
    site: Recorder, target: Path
) -> None:
    """The compressed size counts too."""
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    empty = b"\x00\x00\x00\xff\xff" * 10_000  # stored blocks of no bytes
    blocks = itertools.chain([start], itertools.repeat(empty, ENDLESS))
    site.pages["/talk.wav"] = pour(blocks, Content_Encoding="gzip")
    failure(f"{site.url}/talk.wav", target, answer_bytes=1_000_000)


@pytest.mark.parametrize(
    ("packed", "packing", "problem"),
    [
        (gzip.compress(BODY, mtime=0)[:-9], "gzip", "sends gzip without its end"),
        (b"", "gzip", "sends gzip without its end"),
        (b"RIFF" * 10, "gzip", "sends damaged gzip"),
        (gzip.compress(BODY, mtime=0)[:-8] + bytes(8), "x-gzip", "sends damaged gzip"),
        (BODY, "br", "sends an unknown compression"),
        (
            gzip.compress(gzip.compress(BODY, mtime=0), mtime=0),
            "gzip, gzip",
            "sends an unknown compression",
        ),
    ],
)
def test_damaged_or_unknown_compression_is_refused(
    site: Recorder, target: Path, packed: bytes, packing: str, problem: str
) -> None:
    """Damaged, cut off and unknown compression is an error."""
    site.pages["/talk.wav"] = answer(packed, Content_Encoding=packing)
    assert failure(f"{site.url}/talk.wav", target).problem == f"127.0.0.1 {problem}"


# ------------------------------------------------------------------------------------- incomplete


INCOMPLETE: dict[str, Behaviour] = {
    "less than promised": answer(BODY, Content_Length=str(2 * len(BODY))),
    "nothing of it": answer(b"", Content_Length="5"),
    "a chunk cut off": raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", BODY[:1000]
    ),
    "no last chunk": raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", BODY[:5], b"\r\n"
    ),
    "packed and cut off": answer(
        gzip.compress(BODY, mtime=0)[:-100], Content_Encoding="gzip", Content_Length="1000000"
    ),
    "torn": torn,
    "no answer": raw(),
    "no HTTP": raw(b"220 ftp ready\r\n"),
    "half a head": raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "a broken head": raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
    "a negative length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
    "an absurd length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"),
    "a head without end": raw(b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"x" * 1000 + b"\r\n"] * 1000),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_an_incomplete_file_is_removed(site: Recorder, target: Path, name: str) -> None:
    """A part of a file is removed, and the error names the host."""
    site.pages["/talk.mp3"] = INCOMPLETE[name]
    error = failure(f"{site.url}/talk.mp3", target)
    told = (f"{site.authority} broke off", f"the connection to {site.authority} broke")
    assert error.problem.startswith(told)
    assert error.path == f"{site.url}/talk.mp3"


# --------------------------------------------------------------------------------------- too slow


@pytest.mark.parametrize("begun", [True, False])
def test_silence_ends_at_its_limit(site: Recorder, target: Path, begun: bool) -> None:
    """A silent server is left, before its answer or within it."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        if begun:
            head(handler, 200, {"Content-Length": "1000"})
            handler.wfile.write(b"x")
        site.released.wait(PATIENCE_S)

    site.pages["/talk.mp3"] = behave
    error = failure(f"{site.url}/talk.mp3", target, read_s=0.2)
    assert error.problem == f"{site.authority} sent nothing for 0.2 s"


SLOW = {
    "a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
    "a body without length": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a head": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_slow_bytes_end_at_the_time_limit(
    request: pytest.FixtureRequest, target: Path, name: str, scheme: str
) -> None:
    """A server that sends single bytes without end is left."""
    site: Recorder = request.getfixturevalue("site" if scheme == "http" else "secure")
    site.pages["/talk.mp3"] = dripping(*SLOW[name], site.released)
    error = failure(f"{site.url}/talk.mp3", target, answer_s=0.5, read_s=PATIENCE_S)
    assert error.problem == f"{site.authority} was not done within 0.5 s"


def test_time_runs_on_through_redirects(site: Recorder, target: Path) -> None:
    """The time limit covers all redirects together."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        site.released.wait(0.2)
        redirect("/talk.mp3")(handler)

    site.pages["/talk.mp3"] = behave
    error = failure(f"{site.url}/talk.mp3", target, answer_s=0.3)
    assert error.problem == f"{site.authority} was not done within 0.3 s"


def test_a_cancelled_run_leaves_the_server(site: Recorder, target: Path) -> None:
    """A download ends with the run that it belongs to, also while the server sends nothing."""
    stop = threading.Event()

    def behave(handler: BaseHTTPRequestHandler) -> None:
        head(handler, 200, {"Content-Length": "1000"})
        handler.wfile.write(b"x")
        stop.set()
        site.released.wait(PATIENCE_S)

    site.pages["/talk.mp3"] = behave
    began_s = time.monotonic()
    with ended_when(stop.is_set), pytest.raises(StoppedError):
        download(f"{site.url}/talk.mp3", target)
    assert time.monotonic() - began_s < PATIENCE_S / 2
    assert not target.exists()


# ------------------------------------------------------------------------------ unwritable places


def test_a_full_disk_is_an_output_error(site: Recorder, target: Path) -> None:
    """A full disk raises OutputError, and the file is removed."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no disk here that is always full")
    site.pages["/talk.mp3"] = answer(BODY)
    target.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="no room left on the disk"):
        download(f"{site.url}/talk.mp3", target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("place", [".", "missing/source"])
def test_an_unwritable_place_is_an_output_error(site: Recorder, target: Path, place: str) -> None:
    """A folder, or a missing folder, raises OutputError."""
    site.pages["/talk.mp3"] = answer(BODY)
    with pytest.raises(OutputError, match="cannot be written"):
        download(f"{site.url}/talk.mp3", target.parent / place)


# ---------------------------------------------------------------------------------------- secrets


SECRETS = ("hunter2", "s1gnature", "fr4gment")


@pytest.mark.parametrize(
    "treat",
    [
        answer(BODY),
        answer(b"", status=404),
        answer(b"", status=500),
        answer(BODY, Content_Length="9999999"),
        answer(BODY, Content_Encoding="s1gnature"),
        redirect("file:///s1gnature"),
        redirect("http://hunter2:[/?s1gnature"),
        redirect("/talk.mp3?s1gnature"),
        raw(b"HTTP/1.1 200 OK\r\ns1gnature hunter2\r\n\r\n"),
        raw(b"s1gnature hunter2"),
        torn,
    ],
    ids=itertools.count(),
)
def test_secrets_of_a_url_appear_nowhere(
    site: Recorder, target: Path, caplog: pytest.LogCaptureFixture, treat: Behaviour
) -> None:
    """No error, pickle or log holds password, query or fragment, even if the server repeats it."""
    caplog.set_level(logging.DEBUG)
    site.pages["/talk.mp3"] = treat
    told = b""
    try:
        download(f"http://me:hunter2@127.0.0.1:{site.port}/talk.mp3?key=s1gnature#fr4gment", target)
    except InputError as error:
        told = repr((str(error), vars(error))).encode() + pickle.dumps(error)
    # What a server writes into its headers is traced as it came, before anybody can read it.
    traced = [record.getMessage() for record in caplog.records]
    logged = [line for line in traced if not line.startswith("receive_response_headers.")]
    assert any("HTTP Request" in line for line in logged) or told
    for secret in SECRETS:
        assert secret.encode() not in told
        assert secret not in "\n".join(logged)


# ----------------------------------------------------------------------- the environment


def test_a_proxy_is_used_but_not_for_this_machine(
    site: Recorder, other: Recorder, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's proxy receives requests to other hosts, with the whole address."""
    monkeypatch.setenv("http_proxy", other.url)
    site.pages["/talk.mp3"] = answer(b"from here")
    other.pages["http://captoolkit.invalid/talk.mp3"] = answer(b"from the proxy")
    download(f"{site.url}/talk.mp3", target)
    assert target.read_bytes() == b"from here"
    download("http://captoolkit.invalid/talk.mp3?x=1", target)
    assert target.read_bytes() == b"from the proxy"
    assert [seen.path for seen in other.seen] == ["http://captoolkit.invalid/talk.mp3?x=1"]


def test_an_unusable_proxy_is_named_without_its_password(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the setting, not its value."""
    monkeypatch.setenv("https_proxy", "gopher://user:hunter2@x:1")
    with pytest.raises(UsageError, match="proxy or certificate settings") as caught:
        download("https://captoolkit.invalid/talk.mp3", target)
    assert "hunter2" not in str(caught.value)
