"""Tests of the HTTP application: its paths, its bounds, and the faults of a connection."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from captoolkit.emulator import Emulator, http_app, refusals, replies
from tests.support.emulator_requests import (
    CAPTIONER,
    HEADERS,
    NATIVE_PATH,
    StartEmulator,
    beep,
    caption_of,
    chat_body,
    data_uri,
    native_body,
    post_chat,
    post_native,
)

URI = data_uri(beep())
BODY = native_body({"audio": URI}, incremental_output=True)
STREAM = {"X_DashScope_SSE": "enable"}
FORMS = pytest.mark.parametrize("form", [{}, STREAM], ids=["document", "stream"])


def test_both_protocols_say_the_same_of_a_sound(emulator: Emulator) -> None:
    """The text is the local captioner's; the counts follow the model's row."""
    uri = data_uri(beep(3))
    native = post_native(emulator, native_body({"audio": uri})).json()
    compatible = post_chat(emulator, chat_body(uri)).json()
    text = native["output"]["choices"][0]["message"]["content"][0]["text"]
    assert text == compatible["choices"][0]["message"]["content"]
    assert "440 Hz" in text
    assert native["usage"]["input_tokens_details"] == {"audio_tokens": 38, "text_tokens": 8}
    assert native["usage"]["input_tokens"] == compatible["usage"]["prompt_tokens"] == 46


def test_a_request_id_is_in_the_header_the_body_and_the_journal(emulator: Emulator) -> None:
    """Each request has its own id, which appears in all three places."""
    first = post_native(emulator, native_body({"audio": data_uri(beep())}))
    second = post_chat(emulator, chat_body(data_uri(beep())))
    assert first.headers["X-Request-Id"] == first.json()["request_id"]
    assert second.json()["id"] == f"chatcmpl-{second.headers['X-Request-Id']}"
    kept = [request.request_id for request in emulator.requests]
    assert kept == [one.headers["X-Request-Id"] for one in (first, second)]
    assert len(set(kept)) == 2


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, refusals.NO_KEY.message),
        ({"Authorization": "Bearer"}, refusals.BAD_KEY.message),
        ({"Authorization": "Basic abc"}, refusals.BAD_KEY.message),
    ],
)
def test_a_request_without_a_key_is_refused(
    emulator: Emulator, headers: dict[str, str], message: str
) -> None:
    """The reply is 401 in either protocol, even to an empty body."""
    native = httpx.post(emulator.native_url + NATIVE_PATH, json={}, headers=headers)
    assert (native.status_code, native.json()["code"]) == (401, "InvalidApiKey")
    assert native.json()["message"] == message
    url = emulator.compatible_url + "/chat/completions"
    compatible = httpx.post(url, json={}, headers=headers)
    assert (compatible.status_code, compatible.json()["error"]["code"]) == (401, "invalid_api_key")
    models = httpx.get(emulator.compatible_url + "/models", headers=headers)
    assert models.status_code == 401


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'"text"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(emulator: Emulator, content: bytes) -> None:
    """The reply has the gateway's code, and the server keeps running."""
    url = emulator.native_url + NATIVE_PATH
    refused = httpx.post(url, content=content, headers=HEADERS)
    assert (refused.status_code, refused.json()["code"]) == (400, "BadRequest.IllegalInput")


def test_a_body_that_is_too_large_is_read_to_its_end_and_refused(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client receives the reply instead of a connection that breaks while it sends."""
    monkeypatch.setattr(http_app, "MAX_BODY_BYTES", 1 << 20)
    url = emulator.native_url + NATIVE_PATH
    refused = httpx.post(url, content=bytes(32 << 20), headers=HEADERS)
    assert (refused.status_code, refused.json()["code"]) == (400, "BadRequest.TooLarge")
    assert refused.json()["message"].endswith("max bytes to request body : 1048576")


def test_a_path_that_is_not_served_is_refused(emulator: Emulator) -> None:
    """The reply is 404 or 405, in the protocol that the path's prefix belongs to."""
    assert httpx.get(emulator.url).json()["code"] == "NotFound"
    assert httpx.put(emulator.native_url + NATIVE_PATH).json()["code"] == "MethodNotAllowed"
    wrong = httpx.post(emulator.compatible_url + "/embeddings", json={})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "not_found")
    assert [request.status for request in emulator.requests] == [404, 405, 404]


def test_many_at_once_each_get_their_own_answer(emulator: Emulator) -> None:
    """Twenty-four clients with six sounds: every reply is correct and in the journal."""
    sounds = [beep(1, frequency_hz=200 + 50 * number) for number in range(6)]
    bodies = [native_body({"audio": data_uri(sound)}) for sound in sounds]
    alone = [caption_of(post_native(emulator, body)) for body in bodies]
    assert len(set(alone)) == len(sounds)
    with ThreadPoolExecutor(24) as pool:
        together = list(
            pool.map(lambda n: caption_of(post_native(emulator, bodies[n % 6])), range(24))
        )
    assert together == [alone[number % 6] for number in range(24)]
    assert len(emulator.requests) == 30
    assert {request.status for request in emulator.requests} == {200}


# ------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("throttle", 429, "Throttling.RateQuota"),
        ("quota", 429, "Throttling.AllocationQuota"),
        ("key", 401, "InvalidApiKey"),
        ("error500", 500, "InternalError"),
        ("download-error", 400, "InvalidParameter"),
    ],
)
def test_faults_that_are_refusals(start: StartEmulator, fault: str, status: int, code: str) -> None:
    """The first request gets the service's refusal; its repetition gets an answer."""
    emulator = start(faults=[f"{fault}=1"])
    refused = post_native(emulator, BODY)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert post_native(emulator, BODY).status_code == 200
    first, second = emulator.requests
    assert (first.fault, second.fault) == (fault, None)
    assert first.audio_sha256 == second.audio_sha256 is not None
    assert first.model == second.model == CAPTIONER


def test_only_throttling_has_a_retry_after_header(start: StartEmulator) -> None:
    """An exhausted quota has none, because waiting does not help."""
    emulator = start(faults=["throttle=1", "quota=1"])
    answers = [post_chat(emulator, chat_body(URI)) for _ in range(2)]
    assert [one.headers.get("Retry-After") for one in answers] == ["1", None]
    codes = [one.json()["error"]["code"] for one in answers]
    assert codes == ["limit_requests", "insufficient_quota"]


def test_a_gateways_page_is_html(start: StartEmulator) -> None:
    """The page of a gateway is no JSON."""
    page = post_native(start(faults=["html"]), BODY)
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html")
    assert page.text.startswith("<html>")


def test_a_client_that_follows_a_redirect_is_recorded(start: StartEmulator) -> None:
    """The redirect leads to another host name of the emulator, so the journal shows the request."""
    emulator = start(faults=["redirect"])
    sent = post_native(emulator, BODY)
    place = f"http://localhost:{emulator.port}{replies.REDIRECT_PATH}"
    assert (sent.status_code, sent.headers["Location"]) == (307, place)
    httpx.post(place, json=BODY)
    assert [request.path for request in emulator.requests][1:] == [replies.REDIRECT_PATH]


@FORMS
def test_a_reset_leaves_nothing(start: StartEmulator, form: dict[str, str]) -> None:
    """The client receives no byte; the journal has no status."""
    emulator = start(faults=["reset"])
    with pytest.raises(httpx.ReadError, match="reset"):
        post_native(emulator, BODY, **form)
    assert emulator.requests[0].status is None


@FORMS
def test_half_an_answer_is_not_taken_for_whole(start: StartEmulator, form: dict[str, str]) -> None:
    """The body is incomplete by HTTP's rules, with a length or in chunks."""
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        post_native(start(faults=["half"]), BODY, **form)


def test_a_broken_stream_ends_in_good_order_without_its_end(start: StartEmulator) -> None:
    """The HTTP body is complete; only the `stop` event or `[DONE]` is missing."""
    emulator = start(faults=["break"])
    native = post_native(emulator, BODY, **STREAM)
    assert '"finish_reason":"null"' in native.text
    assert '"finish_reason":"stop"' not in native.text
    assert native.text.endswith("}\n\n")
    compatible = post_chat(emulator, chat_body(URI, stream=True))
    assert compatible.text.startswith("data: {")
    assert "[DONE]" not in compatible.text
    with pytest.raises(httpx.RemoteProtocolError):
        post_native(emulator, BODY)


def test_an_error_can_hide_in_a_200(start: StartEmulator) -> None:
    """The error is the document, or an event after half of the stream, in both protocols."""
    emulator = start(faults=["sse-error"])
    document = post_native(emulator, BODY)
    assert (document.status_code, document.json()["code"]) == (200, "InternalError")
    stream = post_native(emulator, BODY, **STREAM).text
    assert '"finish_reason":"null"' in stream
    assert "event:error\n:HTTP_STATUS/500\ndata:" in stream
    assert '"finish_reason":"stop"' not in stream
    assert post_chat(emulator, chat_body(URI)).json()["error"]["code"] == "internal_error"
    last = post_chat(emulator, chat_body(URI, stream=True)).text.strip().rpartition("data: ")[2]
    assert json.loads(last)["error"]["code"] == "internal_error"
    assert {request.status for request in emulator.requests} == {200}


def test_a_large_header_comes_before_a_good_answer(start: StartEmulator) -> None:
    """Clients that bound the size of headers refuse 1 MiB."""
    with pytest.raises(httpx.RemoteProtocolError):
        post_native(start(faults=["bigheader"]), BODY)


def test_an_answer_drips(start: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply arrives byte by byte; the test shortens the pause."""
    monkeypatch.setattr(http_app, "DRIP_INTERVAL_S", 0.001)
    emulator = start(faults=["drip=1"])
    url = emulator.native_url + NATIVE_PATH
    with httpx.stream("POST", url, json=BODY, headers=HEADERS, timeout=60) as response:
        pieces = list(response.iter_raw())
    assert json.loads(b"".join(pieces))["output"]
    assert len(pieces) > 100


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_closing_does_not_wait_for_an_answer_that_never_ends(
    start: StartEmulator, fault: str
) -> None:
    """A hanging client does not block another client either."""
    emulator = start(faults=[f"{fault}=1"])
    url = emulator.native_url + NATIVE_PATH
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json=BODY, headers=HEADERS, timeout=0.5)
    assert post_native(emulator, BODY).status_code == 200
    emulator.close()


def test_closing_ends_a_hanging_client(start: StartEmulator) -> None:
    """The client's connection is closed."""
    emulator = start(faults=["hang"])
    failures: list[Exception] = []

    def hang() -> None:
        try:
            post_native(emulator, BODY)
        except httpx.HTTPError as error:
            failures.append(error)

    client = threading.Thread(target=hang)
    client.start()
    while not emulator.requests:
        time.sleep(0.01)
    emulator.close()
    client.join(10)
    assert [type(error) for error in failures] == [httpx.RemoteProtocolError]


def test_under_a_mix_of_faults_each_good_answer_arrives_once(start: StartEmulator) -> None:
    """Forty clips are sent until each has an answer: each has exactly one reply without a fault."""
    faults = ["throttle=10%", "error500=10%", "reset=10%", "half=10%", "sse-error=10%"]
    emulator = start(faults=faults)
    bodies = [native_body({"audio": data_uri(beep(1, 200.0 + 10 * n))}) for n in range(40)]

    def answered(body: object) -> bool:
        try:
            return "output" in post_native(emulator, body).json()
        except httpx.HTTPError:
            return False

    with ThreadPoolExecutor(8) as pool:
        pending = bodies
        while pending:
            arrived = list(pool.map(answered, pending))
            pending = [body for body, done in zip(pending, arrived, strict=True) if not done]

    whole = [request.audio_sha256 for request in emulator.requests if request.fault is None]
    assert len(whole) == len(set(whole)) == len(bodies)
    assert {request.fault for request in emulator.requests} == {
        None,
        *(fault.partition("=")[0] for fault in faults),
    }
