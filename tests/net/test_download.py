from __future__ import annotations

import gzip
import itertools
import logging
import pickle
import socket
import ssl
import struct
import threading
import traceback
import tracemalloc
import zlib
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from captoolkit import __version__
from captoolkit.errors import InputError, OutputError, SourceNotFoundError, UsageError
from captoolkit.net.download import MAX_REDIRECTS, download
from tests.support.certificates import self_signed
from tests.support.recorder import Behaviour, Recorder

BODY = bytes(range(256)) * 1000
PATIENCE_S = 20  # for what must end by itself; a test that waits so long has failed
ENDLESS = 50_000  # blocks


def head(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str]) -> None:
    """Send the head of an answer, after whose end the connection closes."""
    handler.close_connection = True
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def answer(body: bytes, *, status: int = 200, **headers: str) -> Behaviour:
    """Send a body of the length that is announced, unless another one is given."""
    named = {"Content_Length": str(len(body)), **headers}

    def behave(handler: BaseHTTPRequestHandler) -> None:
        head(handler, status, {name.replace("_", "-"): value for name, value in named.items()})
        handler.wfile.write(body)

    return behave


def redirect(place: str, *, status: int = 302) -> Behaviour:
    """Send elsewhere."""
    return answer(b"", status=status, Location=place)


def pour(blocks: Iterator[bytes], **headers: str) -> Behaviour:
    """Send blocks without announcing how many, as long as somebody listens."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        head(handler, 200, {name.replace("_", "-"): value for name, value in headers.items()})
        handler.wfile.writelines(blocks)

    return behave


def raw(*parts: bytes) -> Behaviour:
    """Send bytes as they are, head and all, and close."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.writelines(parts)

    return behave


def dripping(start: bytes, drop: bytes, released: threading.Event) -> Behaviour:
    """Send a start and then a drop every few milliseconds, as long as somebody listens."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(start)
        for _ in range(100 * PATIENCE_S):
            if released.wait(0.01):
                return
            handler.wfile.write(drop)

    return behave


def torn(handler: BaseHTTPRequestHandler) -> None:
    """Send a half and break off without a word."""
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
    """Another one, at another port."""
    server = Recorder()
    yield server
    server.close()


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """One that speaks TLS, with a certificate that is trusted here."""
    certificate = self_signed(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Recorder(context)
    yield server
    server.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """Where the file goes, in a folder of its own; whatever happens, no thread is left."""
    folder = tmp_path / "target"
    folder.mkdir()
    yield folder / "source"
    assert not [one for one in threading.enumerate() if isinstance(one, threading.Timer)]


def failure(url: str, target: Path, **bounds: Any) -> Any:
    """Return the error that a download ends in; nothing of the file may be left."""
    with pytest.raises(InputError) as caught:
        download(url, target, **bounds)
    assert list(target.parent.iterdir()) == []
    assert str(caught.value).isprintable()
    assert caught.value.fix
    return caught.value


# --------------------------------------------------------------------------- what arrives


def test_a_file_arrives_whole(site: Recorder, target: Path) -> None:
    """It is asked for once, plainly and by name, and every byte of it is written."""
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
    """A scheme is one in whatever case."""
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
    """A certificate that nobody vouches for gets nothing."""
    monkeypatch.delenv("SSL_CERT_FILE")
    error = failure(f"{secure.url}/talk.mp3", target)
    assert isinstance(error, SourceNotFoundError)
    assert "certificate" in error.problem.lower()


@pytest.mark.parametrize("length", ["chunked", "until it closes"])
def test_a_file_of_unannounced_length_arrives(site: Recorder, target: Path, length: str) -> None:
    """A length need not be announced."""
    chunks = (f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (BODY, BODY, b""))
    parts = {
        "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *chunks),
        "until it closes": (b"HTTP/1.1 200 OK\r\n\r\n", BODY, BODY),
    }
    site.pages["/talk.mp3"] = raw(*parts[length])
    download(f"{site.url}/talk.mp3", target)
    assert target.read_bytes() == BODY + BODY


def test_more_than_promised_is_left(site: Recorder, target: Path) -> None:
    """What comes after the announced length is no part of the file."""
    site.pages["/talk.mp3"] = answer(BODY + b"extra", Content_Length=str(len(BODY)))
    download(f"{site.url}/talk.mp3", target)
    assert target.read_bytes() == BODY


def test_exactly_the_limit_is_taken(site: Recorder, target: Path) -> None:
    """The limit is the most that is taken, not the least that is refused."""
    site.pages["/talk.mp3"] = answer(BODY)
    download(f"{site.url}/talk.mp3", target, max_bytes=len(BODY))
    assert target.read_bytes() == BODY


# ---------------------------------------------------------------------- what is elsewhere


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(site: Recorder, other: Recorder, target: Path, status: int) -> None:
    """To another path, and to another host."""
    site.pages["/old"] = redirect("new?x=1", status=status)
    site.pages["/new"] = redirect(f"{other.url}/talk.mp3?y=2", status=status)
    other.pages["/talk.mp3"] = answer(BODY)
    download(f"{site.url}/old", target)
    assert target.read_bytes() == BODY
    assert [seen.path for seen in site.seen + other.seen] == ["/old", "/new?x=1", "/talk.mp3?y=2"]


def test_redirects_are_counted(site: Recorder, target: Path) -> None:
    """Five are followed, a sixth is not."""
    for number in range(MAX_REDIRECTS + 1):
        site.pages[f"/{number}"] = redirect(f"/{number + 1}")
    site.pages[f"/{MAX_REDIRECTS + 1}"] = answer(BODY)
    download(f"{site.url}/1", target)
    target.unlink()
    error = failure(f"{site.url}/0", target)
    assert error.problem == "127.0.0.1 redirects more than 5 times in a row"


def test_a_circle_of_redirects_ends(site: Recorder, target: Path) -> None:
    """What leads back to itself is given up."""
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
def test_a_redirect_to_no_address_on_the_web_is_refused(
    site: Recorder, target: Path, place: str
) -> None:
    """Only http and https are followed, and only to what is an address."""
    site.pages["/talk.mp3"] = redirect(place)
    error = failure(f"{site.url}/talk.mp3", target)
    assert error.path == f"{site.url}/talk.mp3"


def test_a_redirect_from_https_to_http_is_refused(
    secure: Recorder, other: Recorder, target: Path
) -> None:
    """Who asked for a secure way is not led off it."""
    secure.pages["/talk.mp3"] = redirect(f"{other.url}/talk.mp3")
    error = failure(f"{secure.url}/talk.mp3", target)
    assert error.problem == "127.0.0.1 redirects from https to http"
    assert other.seen == []


def test_a_redirect_from_http_to_https_is_followed(
    site: Recorder, secure: Recorder, target: Path
) -> None:
    """Nothing is wrong with a better way; the login does not go along."""
    site.pages["/talk.mp3"] = redirect(f"{secure.url}/talk.mp3")
    secure.pages["/talk.mp3"] = answer(BODY)
    download(f"http://me:secret@127.0.0.1:{site.port}/talk.mp3", target)
    assert target.read_bytes() == BODY
    assert "authorization" not in secure.seen[0].headers


def test_a_login_goes_to_its_own_host_only(site: Recorder, other: Recorder, target: Path) -> None:
    """It is sent along a redirect that stays, and not along one that leaves, nor with cookies."""
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


def test_a_login_that_a_redirect_brings_is_not_used(site: Recorder, target: Path) -> None:
    """Nobody but the caller says who the caller is."""
    site.pages["/old"] = redirect(f"http://you:secret@127.0.0.1:{site.port}/new")
    site.pages["/new"] = answer(BODY)
    download(f"{site.url}/old", target)
    assert "authorization" not in site.seen[1].headers


# ---------------------------------------------------------------------- what is not there


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (401, "127.0.0.1 requires a login (HTTP 401)"),
        (403, "127.0.0.1 requires a login, or the link has expired (HTTP 403)"),
        (404, "127.0.0.1 has no such file (HTTP 404)"),
        (410, "127.0.0.1 has no such file (HTTP 410)"),
    ],
)
def test_what_is_not_to_be_had_is_not_found(
    site: Recorder, target: Path, status: int, problem: str
) -> None:
    """A file that is missing, or that is not given, is a source that is not there."""
    site.pages["/talk.mp3"] = answer(b"<html>no</html>", status=status)
    error = failure(f"{site.url}/talk.mp3", target)
    assert isinstance(error, SourceNotFoundError)
    assert error.problem == problem


@pytest.mark.parametrize("status", [201, 204, 206, 300, 302, 304, 400, 418, 429, 500, 503, 999])
def test_every_other_status_is_an_error_that_names_it(
    site: Recorder, target: Path, status: int
) -> None:
    """Only 200 brings a file."""
    site.pages["/talk.mp3"] = answer(b"", status=status)
    error = failure(f"{site.url}/talk.mp3", target)
    assert error.problem == f"127.0.0.1 answered HTTP {status}"


def test_a_host_that_does_not_listen_is_told(target: Path) -> None:
    """A refused connection names the host."""
    with socket.socket() as held:  # bound, so that nobody else takes the port, and deaf
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        error = failure(f"http://127.0.0.1:{port}/talk.mp3", target)
    assert isinstance(error, SourceNotFoundError)
    assert error.problem.startswith(f"127.0.0.1:{port} cannot be reached: ")


def test_a_host_that_does_not_exist_is_told(target: Path) -> None:
    """A name that nobody has names the host."""
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
def test_what_is_no_address_is_refused_without_being_shown(target: Path, url: str) -> None:
    """Any part of a URL that cannot be read may be a password."""
    with pytest.raises(UsageError, match="the URL is malformed") as caught:
        download(url, target)
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret" not in shown.replace(__file__, "").partition("UsageError")[2]


# ---------------------------------------------------------------- what is too much of it


def test_what_is_announced_as_too_large_is_not_begun(site: Recorder, target: Path) -> None:
    """The announced length is believed where it is a reason to refuse."""
    site.pages["/talk.mp3"] = answer(b"", Content_Length="10000000001")
    error = failure(f"{site.url}/talk.mp3", target, max_bytes=10**10)
    assert error.problem == "127.0.0.1 sends more than the limit of 10.00 GB"


@pytest.mark.parametrize("chunked", [True, False])
def test_what_never_ends_is_left_at_the_limit(site: Recorder, target: Path, chunked: bool) -> None:
    """An unannounced length is counted."""
    if chunked:
        endless = itertools.repeat(b"1000\r\n" + bytes(0x1000) + b"\r\n", ENDLESS)
        site.pages["/talk.mp3"] = pour(endless, Transfer_Encoding="chunked")
    else:
        site.pages["/talk.mp3"] = pour(itertools.repeat(bytes(0x1000), ENDLESS))
    error = failure(f"{site.url}/talk.mp3", target, max_bytes=1_000_000)
    assert error.problem == "127.0.0.1 sends more than the limit of 1.00 MB"


def test_what_was_packed_unasked_is_unpacked(site: Recorder, target: Path) -> None:
    """Some servers pack whatever is asked for; gzip may come in several parts."""
    packed = gzip.compress(BODY) + gzip.compress(BODY[::-1])
    site.pages["/talk.wav"] = answer(packed, Content_Encoding="GZip")
    download(f"{site.url}/talk.wav", target)
    assert target.read_bytes() == BODY + BODY[::-1]


def test_a_bomb_is_left_at_the_limit(site: Recorder, target: Path) -> None:
    """What is small on the way counts at its full size, and is never all in memory."""
    bomb = gzip.compress(bytes(64_000_000))
    assert len(bomb) < 100_000
    site.pages["/talk.wav"] = answer(bomb, Content_Encoding="gzip")
    tracemalloc.start()
    error = failure(f"{site.url}/talk.wav", target, max_bytes=1_000_000)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.problem == "127.0.0.1 sends more than the limit of 1.00 MB"
    assert most_bytes < 16_000_000


def test_packing_without_content_is_left_at_the_limit(site: Recorder, target: Path) -> None:
    """What unpacks to nothing counts as what is sent."""
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    empty = b"\x00\x00\x00\xff\xff" * 10_000  # stored blocks of no bytes
    blocks = itertools.chain([start], itertools.repeat(empty, ENDLESS))
    site.pages["/talk.wav"] = pour(blocks, Content_Encoding="gzip")
    failure(f"{site.url}/talk.wav", target, max_bytes=1_000_000)


@pytest.mark.parametrize(
    ("packed", "packing", "problem"),
    [
        (gzip.compress(BODY)[:-9], "gzip", "sends gzip without its end"),
        (b"", "gzip", "sends gzip without its end"),
        (b"RIFF" * 10, "gzip", "sends damaged gzip"),
        (gzip.compress(BODY)[:-8] + bytes(8), "x-gzip", "sends damaged gzip"),
        (BODY, "br", "sends an unknown compression"),
        (
            gzip.compress(gzip.compress(BODY)),
            "gzip, gzip",
            "sends an unknown compression",
        ),
    ],
)
def test_packing_that_cannot_be_undone_is_refused(
    site: Recorder, target: Path, packed: bytes, packing: str, problem: str
) -> None:
    """What is damaged, cut off or unknown is no file."""
    site.pages["/talk.wav"] = answer(packed, Content_Encoding=packing)
    assert failure(f"{site.url}/talk.wav", target).problem == f"127.0.0.1 {problem}"


# -------------------------------------------------------------- what is too little of it


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
        gzip.compress(BODY)[:-100], Content_Encoding="gzip", Content_Length="1000000"
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
def test_what_does_not_arrive_whole_does_not_arrive(
    site: Recorder, target: Path, name: str
) -> None:
    """Part of a file is no file: it is removed, and the host is named."""
    site.pages["/talk.mp3"] = INCOMPLETE[name]
    error = failure(f"{site.url}/talk.mp3", target)
    told = (f"{site.authority} broke off", f"the connection to {site.authority} broke")
    assert error.problem.startswith(told)
    assert error.path == f"{site.url}/talk.mp3"


# ------------------------------------------------------------------------ what is too slow


@pytest.mark.parametrize("begun", [True, False])
def test_silence_ends_at_its_bound(site: Recorder, target: Path, begun: bool) -> None:
    """A server that says nothing more is left, before it answers or after."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        if begun:
            head(handler, 200, {"Content-Length": "1000"})
            handler.wfile.write(b"x")
        site.released.wait(PATIENCE_S)

    site.pages["/talk.mp3"] = behave
    error = failure(f"{site.url}/talk.mp3", target, silence_s=0.2)
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
def test_dripping_ends_at_its_bound(
    request: pytest.FixtureRequest, target: Path, name: str, scheme: str
) -> None:
    """A server that is never silent and never done is left, whatever drips."""
    site: Recorder = request.getfixturevalue("site" if scheme == "http" else "secure")
    site.pages["/talk.mp3"] = dripping(*SLOW[name], site.released)
    error = failure(f"{site.url}/talk.mp3", target, total_s=0.5, silence_s=PATIENCE_S)
    assert error.problem == f"{site.authority} was not done within 0.5 s"


def test_time_runs_on_through_redirects(site: Recorder, target: Path) -> None:
    """The bound is for the whole way."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        site.released.wait(0.2)
        redirect("/talk.mp3")(handler)

    site.pages["/talk.mp3"] = behave
    error = failure(f"{site.url}/talk.mp3", target, total_s=0.3)
    assert error.problem == f"{site.authority} was not done within 0.3 s"


# ------------------------------------------------------------- what cannot be written here


def test_a_full_disk_is_told(site: Recorder, target: Path) -> None:
    """It is the output's fault, and the file is removed."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no disk here that is always full")
    site.pages["/talk.mp3"] = answer(BODY)
    target.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="no room left on the disk"):
        download(f"{site.url}/talk.mp3", target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("place", [".", "missing/source"])
def test_a_place_that_cannot_be_written_is_told(site: Recorder, target: Path, place: str) -> None:
    """A folder, or no folder, is the output's fault."""
    site.pages["/talk.mp3"] = answer(BODY)
    with pytest.raises(OutputError, match="cannot be written"):
        download(f"{site.url}/talk.mp3", target.parent / place)


# ----------------------------------------------------------------------- what is not told


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
    """The environment's proxy is asked for what is elsewhere, with the whole address."""
    monkeypatch.setenv("http_proxy", other.url)
    site.pages["/talk.mp3"] = answer(b"from here")
    other.pages["http://captoolkit.invalid/talk.mp3"] = answer(b"from the proxy")
    download(f"{site.url}/talk.mp3", target)
    assert target.read_bytes() == b"from here"
    download("http://captoolkit.invalid/talk.mp3?x=1", target)
    assert target.read_bytes() == b"from the proxy"
    assert [seen.path for seen in other.seen] == ["http://captoolkit.invalid/talk.mp3?x=1"]


def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting is named, its value is not."""
    monkeypatch.setenv("https_proxy", "gopher://user:hunter2@x:1")
    with pytest.raises(UsageError, match="proxy or certificate settings") as caught:
        download("https://captoolkit.invalid/talk.mp3", target)
    assert "hunter2" not in str(caught.value)
