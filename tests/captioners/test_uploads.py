"""Uploads to Model Studio's temporary storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from captoolkit.captioners import uploads
from captoolkit.captioners.failures import RetryKind, rule_for
from captoolkit.captioners.registry import open_captioner
from captoolkit.errors import ServiceConnectionError, ServiceError, UsageError
from captoolkit.model import Via
from captoolkit.net.http_messages import Response
from tests.support.clips import BytesClip
from tests.support.model_studio import NATIVE_ANSWER, upload_policy

if TYPE_CHECKING:
    from tests.support.recorder import Recorder

KEY = "sk-test-0123456789abcdef"
CONTENT = b"RIFF" + bytes(range(256))
HERE = "http://127.0.0.1:9/api/v1"
ABROAD = "https://dashscope.aliyuncs.com/api/v1"


@pytest.fixture
def clip(tmp_path: Path) -> BytesClip:
    """A clip for upload."""
    file = tmp_path / "talk é.wav"
    file.write_bytes(CONTENT)
    return BytesClip(content=CONTENT, file=file, via=Via.UPLOAD)


def serve(recorder: Recorder, **changes: Any) -> None:
    """Give a policy, accept the form, answer the question."""
    data = {**upload_policy(recorder.url), **changes}
    given = {name: value for name, value in data.items() if value is not None}
    recorder.page("/api/v1/uploads", {"request_id": "r-0", "data": given})
    recorder.page("/oss", b"")
    recorder.answer(NATIVE_ANSWER)


def asked(recorder: Recorder, clip: BytesClip) -> str:
    """Return the caption of a clip that is uploaded to the recorder."""
    base_url = f"{recorder.url}/api/v1"
    with open_captioner("dashscope", base_url=base_url, api_key=KEY) as captioner:
        return captioner.caption(clip).text


def failure(recorder: Recorder, clip: BytesClip) -> Any:
    """Return the error of an upload; it is printable and holds no secret."""
    with pytest.raises(ServiceError) as caught:
        asked(recorder, clip)
    told = f"{caught.value} {vars(caught.value)}"
    assert not [secret for secret in (KEY, "UE9MSUNZ", "SIG=", "AKID") if secret in told]
    assert str(caught.value).isprintable()
    return caught.value


def paths(recorder: Recorder) -> list[str]:
    """Return the paths of the requests."""
    return [seen.path.partition("?")[0] for seen in recorder.seen]


def test_each_upload_has_a_name_of_its_own(recorder: Recorder, clip: BytesClip) -> None:
    """The policy forbids to overwrite: the same file twice gets two names with one suffix."""
    serve(recorder)
    assert asked(recorder, clip) == asked(recorder, clip)
    named = [
        seen.json["input"]["messages"][0]["content"][0]["audio"]
        for seen in recorder.seen
        if seen.path.endswith("generation")
    ]
    assert len(set(named)) == 2
    for name in named:
        assert name.startswith("oss://dashscope-instant/acct0/2026-01-01/uuid0/")
        assert name.endswith(".wav")
        assert name.isascii()


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.WAV", ".wav"),
        ("a.b c", ""),
        ("a", ""),
        ("a.\n", ""),
        ("é.ü", ""),
        (".wav", ""),
        ("a.", ""),
    ],
)
def test_only_a_plain_suffix_is_kept(name: str, ending: str) -> None:
    """The name in the storage is plain ASCII for any file name."""
    made = uploads.unique_name(Path(name))
    assert made[32:] == ending
    assert int(made[:32], 16)


def test_a_boolean_of_the_policy_is_sent_as_text(recorder: Recorder, clip: BytesClip) -> None:
    """JSON's true becomes the form's "true"."""
    serve(recorder, x_oss_forbid_overwrite=True)
    asked(recorder, clip)
    (stored,) = [seen for seen in recorder.seen if seen.path == "/oss"]
    assert b'name="x-oss-forbid-overwrite"\r\n\r\ntrue\r\n' in stored.body
    assert CONTENT in stored.body


XML = (
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Invalid according to Policy: '
    b"Policy &lt;expired&gt;.</Message><RequestId>X-1</RequestId></Error>"
)


def test_a_refusal_of_the_storage_is_reported(recorder: Recorder, clip: BytesClip) -> None:
    """Code, message and request id are read from its XML; no question is sent."""
    serve(recorder)
    recorder.page("/oss", XML, status=403)
    error = failure(recorder, clip)
    told = (error.status_code, error.code, error.request_id)
    assert told == (403, "UploadRefused.AccessDenied", "X-1")
    assert str(error) == (
        "the upload was refused, HTTP 403 AccessDenied: Invalid according to Policy: Policy "
        "<expired>; run it again, or send the sound inside the request (via=base64)"
    )
    assert paths(recorder) == ["/api/v1/uploads", "/oss"]


@pytest.mark.parametrize("body", [b"", XML, XML.replace(b"AccessDenied", b"InvalidApiKey")])
@pytest.mark.parametrize("status", [201, 400, 401, 403, 404, 405, 409, 413, 500, 503])
def test_a_refusal_of_the_storage_stops_no_run_and_costs_nothing(
    recorder: Recorder, clip: BytesClip, status: int, body: bytes
) -> None:
    """Any refusal is retried, with a policy of its own."""
    serve(recorder)
    recorder.page("/oss", body, status=status)
    error = failure(recorder, clip)
    assert rule_for(error).retry is RetryKind.LATER
    assert not rule_for(error).may_be_billed
    assert not [word for word in ("base_url", "key", "workspace") if word in error.fix]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe" * 1000,
        b"<html><h1>Bad Gateway</h1></html>",
        b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><Code>&b;</Code>' * 100,
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><Message>&f;</Message>',
    ],
    ids=["empty", "binary", "html", "entities", "file"],
)
def test_a_refusal_without_xml_is_reported_too(
    recorder: Recorder, clip: BytesClip, body: bytes
) -> None:
    """No entity is expanded, and no text of a storage can harm a terminal."""
    serve(recorder)
    recorder.page("/oss", body, status=502)
    error = failure(recorder, clip)
    assert error.status_code == 502
    assert "root:" not in str(error)
    assert len(str(error)) < 500


def test_a_redirect_of_the_storage_is_not_followed(
    recorder: Recorder, elsewhere: Recorder, clip: BytesClip
) -> None:
    """The sound goes to the host that the policy names, and to no other."""
    serve(recorder, upload_host=f"{recorder.url}/moved")
    recorder.answer(b"", status=307, headers={"Location": f"{elsewhere.url}/oss"})
    error = failure(recorder, clip)
    assert "redirects" in error.problem
    assert "base_url" not in error.fix
    assert rule_for(error).retry is RetryKind.LATER
    assert elsewhere.seen == []


def test_throttling_of_the_policy_is_an_error_like_any_other(
    recorder: Recorder, clip: BytesClip
) -> None:
    """The error has status and code, and nothing is uploaded."""
    serve(recorder)
    told = {"code": "Throttling.RateQuota", "message": "slow", "request_id": "r-2"}
    recorder.page("/api/v1/uploads", told, status=429)
    error = failure(recorder, clip)
    assert (error.status_code, error.code, error.request_id) == (
        429,
        "Throttling.RateQuota",
        "r-2",
    )
    assert paths(recorder) == ["/api/v1/uploads"]


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": None},
        {"signature": ""},
        {"upload_dir": 7},
        {"upload_host": None},
        {"upload_host": "http://storage.example/oss"},
        {"upload_host": "https://user:secret@storage.example"},
        {"upload_host": "file:///tmp"},
        {"upload_host": "https://[broken"},
    ],
)
def test_an_unusable_policy_is_refused(
    recorder: Recorder, clip: BytesClip, changes: dict[str, Any]
) -> None:
    """A policy with missing parts, or with an unsafe host, is refused."""
    serve(recorder, **changes)
    failure(recorder, clip)
    assert paths(recorder) == ["/api/v1/uploads"]


@pytest.mark.parametrize(
    ("host", "base_url", "is_safe"),
    [
        ("https://storage.example", ABROAD, True),
        ("https://storage.example", HERE, True),
        ("http://127.0.0.1:8000/oss", HERE, True),
        ("http://127.0.0.1:8000/oss", ABROAD, False),
        ("http://storage.example", ABROAD, False),
        ("http://storage.example", HERE, False),
    ],
)
def test_forms_go_over_tls_or_stay_here(host: str, base_url: str, *, is_safe: bool) -> None:
    """Without TLS a form goes to this machine alone, from a service on it."""
    data = {"policy": "p", "signature": "s", "upload_dir": "d", "upload_host": host}
    reply = Response(status_code=200, body=json.dumps({"data": data}).encode())
    if is_safe:
        assert uploads.read_policy(reply, base_url=base_url).host == host
    else:
        with pytest.raises(ServiceError, match="not safe"):
            uploads.read_policy(reply, base_url=base_url)


def test_a_policy_does_not_show_its_signature(recorder: Recorder) -> None:
    """A policy can be printed."""
    reply = Response(
        status_code=200, body=json.dumps({"data": upload_policy(recorder.url)}).encode()
    )
    shown = repr(uploads.read_policy(reply, base_url=HERE))
    assert "UE9MSUNZ" not in shown
    assert "SIG=" not in shown


def test_a_file_over_the_policys_limit_is_not_sent(
    recorder: Recorder, clip: BytesClip, tmp_path: Path
) -> None:
    """A file that the storage would refuse does not leave this machine."""
    serve(recorder, max_file_size_mb=1)
    file = tmp_path / "large.wav"
    with file.open("wb") as stream:
        stream.truncate(2**20 + 1)
    large = BytesClip(content=b"", file=file, via=Via.UPLOAD)
    error = failure(recorder, large)
    assert "takes uploads of at most" in error.problem
    assert paths(recorder) == ["/api/v1/uploads"]


def test_an_unreachable_storage_is_a_connection_error(recorder: Recorder, clip: BytesClip) -> None:
    """The error is retried as any connection error."""
    serve(recorder, upload_host="http://127.0.0.1:1/oss")
    error = failure(recorder, clip)
    assert isinstance(error, ServiceConnectionError)
    assert error.status_code is None


def test_a_server_of_ones_own_takes_no_uploads(recorder: Recorder, clip: BytesClip) -> None:
    """No file is sent to a server without storage."""
    with (
        open_captioner("openai", base_url=f"{recorder.url}/v1", model="own") as captioner,
        pytest.raises(UsageError, match="takes no files"),
    ):
        captioner.caption(clip)
    assert recorder.seen == []
