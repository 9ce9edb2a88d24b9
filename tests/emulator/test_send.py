from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from captoolkit.emulator import corrupt, send
from tests.emulator.conftest import (
    CAPTIONER,
    HEADERS,
    NATIVE_PATH,
    Start,
    ask,
    beep,
    chat,
    chat_body,
    data_uri,
    native_body,
)

URI = data_uri(beep())
BODY = native_body({"audio": URI}, incremental_output=True)
STREAM = {"X_DashScope_SSE": "enable"}
FORMS = pytest.mark.parametrize("form", [{}, STREAM], ids=["document", "stream"])


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
def test_faults_that_are_refusals(start: Start, fault: str, status: int, code: str) -> None:
    """Once, in the service's words; then the request that is made again is answered."""
    emulator = start(faults=[f"{fault}=1"])
    refused = ask(emulator, BODY)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert ask(emulator, BODY).status_code == 200
    first, second = emulator.requests
    assert (first.fault, second.fault) == (fault, None)
    assert first.audio_sha256 == second.audio_sha256 is not None
    assert first.model == second.model == CAPTIONER


def test_only_throttling_says_when_to_come_back(start: Start) -> None:
    """A used-up quota does not, as waiting does not help."""
    emulator = start(faults=["throttle=1", "quota=1"])
    answers = [chat(emulator, chat_body(URI)) for _ in range(2)]
    assert [one.headers.get("Retry-After") for one in answers] == ["1", None]
    codes = [one.json()["error"]["code"] for one in answers]
    assert codes == ["limit_requests", "insufficient_quota"]


def test_a_gateways_page_is_html(start: Start) -> None:
    """What comes of a proxy is no JSON."""
    page = ask(start(faults=["html"]), BODY)
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html")
    assert page.text.startswith("<html>")


def test_whoever_follows_a_redirect_is_seen(start: Start) -> None:
    """It leads to another host name, which is the emulator, too: the journal has the visit."""
    emulator = start(faults=["redirect"])
    sent = ask(emulator, BODY)
    place = f"http://localhost:{emulator.port}{corrupt.ELSEWHERE}"
    assert (sent.status_code, sent.headers["Location"]) == (307, place)
    httpx.post(place, json=BODY)
    assert [visit.path for visit in emulator.requests][1:] == [corrupt.ELSEWHERE]


@FORMS
def test_a_reset_leaves_nothing(start: Start, form: dict[str, str]) -> None:
    """The client gets no byte; the journal has no status."""
    emulator = start(faults=["reset"])
    with pytest.raises(httpx.ReadError, match="reset"):
        ask(emulator, BODY, **form)
    assert emulator.requests[0].status is None


@FORMS
def test_half_an_answer_is_not_taken_for_whole(start: Start, form: dict[str, str]) -> None:
    """By HTTP's own measure, with a length or in chunks, the body is incomplete."""
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        ask(start(faults=["half"]), BODY, **form)


def test_a_broken_stream_ends_in_good_order_without_its_end(start: Start) -> None:
    """HTTP is content with it; only the missing `stop` or `[DONE]` tells."""
    emulator = start(faults=["break"])
    native = ask(emulator, BODY, **STREAM)
    assert '"finish_reason":"null"' in native.text
    assert '"finish_reason":"stop"' not in native.text
    assert native.text.endswith("}\n\n")
    compatible = chat(emulator, chat_body(URI, stream=True))
    assert compatible.text.startswith("data: {")
    assert "[DONE]" not in compatible.text
    with pytest.raises(httpx.RemoteProtocolError):
        ask(emulator, BODY)


def test_an_error_can_hide_in_a_200(start: Start) -> None:
    """As the document, or as an event after half of the stream, in both protocols."""
    emulator = start(faults=["sse-error"])
    document = ask(emulator, BODY)
    assert (document.status_code, document.json()["code"]) == (200, "InternalError")
    stream = ask(emulator, BODY, **STREAM).text
    assert '"finish_reason":"null"' in stream
    assert "event:error\n:HTTP_STATUS/500\ndata:" in stream
    assert '"finish_reason":"stop"' not in stream
    assert chat(emulator, chat_body(URI)).json()["error"]["code"] == "internal_error"
    last = chat(emulator, chat_body(URI, stream=True)).text.strip().rpartition("data: ")[2]
    assert json.loads(last)["error"]["code"] == "internal_error"
    assert {visit.status for visit in emulator.requests} == {200}


def test_a_large_header_comes_before_a_good_answer(start: Start) -> None:
    """A MiB of it, which clients with a bound refuse."""
    with pytest.raises(httpx.RemoteProtocolError):
        ask(start(faults=["bigheader"]), BODY)


def test_an_answer_drips(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte by byte, with a pause before each; here a short one."""
    monkeypatch.setattr(send, "DRIP_S", 0.001)
    emulator = start(faults=["drip=1"])
    url = emulator.native_url + NATIVE_PATH
    with httpx.stream("POST", url, json=BODY, headers=HEADERS, timeout=60) as response:
        pieces = list(response.iter_raw())
    assert json.loads(b"".join(pieces))["output"]
    assert len(pieces) > 100


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_closing_does_not_wait_for_an_answer_that_never_ends(start: Start, fault: str) -> None:
    """Nor does one client that hangs keep another from its answer."""
    emulator = start(faults=[f"{fault}=1"])
    url = emulator.native_url + NATIVE_PATH
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json=BODY, headers=HEADERS, timeout=0.5)
    assert ask(emulator, BODY).status_code == 200
    emulator.close()


def test_closing_ends_a_hanging_client(start: Start) -> None:
    """It sees its connection closed, and is not left waiting."""
    emulator = start(faults=["hang"])
    failures: list[Exception] = []

    def hang() -> None:
        try:
            ask(emulator, BODY)
        except httpx.HTTPError as error:
            failures.append(error)

    client = threading.Thread(target=hang)
    client.start()
    while not emulator.requests:
        time.sleep(0.01)
    emulator.close()
    client.join(10)
    assert [type(error) for error in failures] == [httpx.RemoteProtocolError]


def test_under_a_mix_of_faults_each_good_answer_arrives_once(start: Start) -> None:
    """Sixty clips, asked again until answered: what no fault has spoilt is what has arrived."""
    faults = ["throttle=10%", "error500=10%", "reset=10%", "half=10%", "sse-error=10%"]
    emulator = start(faults=faults)
    bodies = [native_body({"audio": data_uri(beep(1, 200.0 + 10 * n))}) for n in range(60)]

    def answered(body: object) -> bool:
        try:
            return "output" in ask(emulator, body).json()
        except httpx.HTTPError:
            return False

    with ThreadPoolExecutor(8) as pool:
        waiting = bodies
        while waiting:
            arrived = list(pool.map(answered, waiting))
            waiting = [body for body, done in zip(waiting, arrived, strict=True) if not done]

    whole = [visit.audio_sha256 for visit in emulator.requests if visit.fault is None]
    assert len(whole) == len(set(whole)) == len(bodies)
    assert {visit.fault for visit in emulator.requests} == {
        None,
        *(fault.partition("=")[0] for fault in faults),
    }
