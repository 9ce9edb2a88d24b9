"""A run in which nothing is answered ends."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import captoolkit
from captoolkit.captioners.base import Clip
from captoolkit.dispatch.circuit_breaker import CircuitBreaker
from captoolkit.errors import (
    CaptoolkitError,
    ConnectionFailure,
    ServiceConnectionError,
    ServiceError,
)
from captoolkit.model import Status
from captoolkit.support.cancel import CancelScope, StoppedError
from tests.support.captioning import InstantClock, OwnCaptioner
from tests.support.recorder import Recorder
from tests.support.sound import noise, write_wav

BAD = ServiceError("bad", status_code=400, code="InvalidParameter")


@pytest.fixture
def minute(tmp_path: Path) -> Path:
    """A minute of noise."""
    return write_wav(tmp_path / "minute.wav", noise(60, rate_hz=8_000), rate_hz=8_000)


def breaker_of(give_up_after: int = 3) -> tuple[CircuitBreaker, CancelScope]:
    """A breaker and its scope."""
    scope = CancelScope()
    return CircuitBreaker(scope, give_up_after=give_up_after), scope


def test_faults_of_one_kind_in_a_row_end_the_run() -> None:
    """The third segment in a row ends it; later segments get a copy that was not sent."""
    breaker, scope = breaker_of()
    for _ in range(3):
        assert breaker.error is None
        breaker.failed(BAD)
    assert breaker.error is BAD
    with pytest.raises(ServiceError, match="not sent, because 3 segments in a row failed: bad"):
        scope.check()
    assert breaker.final_error(92).fix == "nothing answers; 92 segments are left, run it again"
    assert breaker.final_error(1) is BAD


@pytest.mark.parametrize(
    "between",
    [
        lambda breaker: breaker.answered(),
        lambda breaker: breaker.failed(ServiceError("no", status_code=409)),
        lambda breaker: breaker.failed(
            ServiceError("no", status_code=400, message="The audio is empty")
        ),
    ],
    ids=["an answer", "another fault", "a fault of the sound"],
)
def test_something_else_starts_the_count_again(between: object) -> None:
    """Only faults of one kind in a row count."""
    breaker, _ = breaker_of()
    breaker.failed(BAD)
    breaker.failed(BAD)
    between(breaker)  # type: ignore[operator]
    breaker.failed(BAD)
    breaker.failed(BAD)
    assert breaker.error is None


def test_errors_of_captoolkit_do_not_count() -> None:
    """A segment beyond the budget is no fault of the captioner; 0 never gives up."""
    for breaker, error in ((breaker_of()[0], CaptoolkitError("no")), (breaker_of(0)[0], BAD)):
        for _ in range(20):
            breaker.failed(error)
        assert breaker.error is None


def test_an_unanswered_run_retries_its_first_segments_alone() -> None:
    """Three attempts before any answer, then one; after an answer as the kind of error allows."""
    breaker, _ = breaker_of()
    closed = ServiceConnectionError("refused", kind=ConnectionFailure.UNREACHABLE)
    assert breaker.most_attempts(closed) == 3
    breaker.failed(closed)
    assert breaker.most_attempts(closed) == 1
    assert breaker.most_attempts(ServiceError("busy", status_code=503)) is None
    assert breaker.most_attempts(ServiceError("slow", status_code=429)) is None
    breaker.answered()
    assert breaker.most_attempts(closed) is None


@pytest.mark.parametrize(
    ("body", "status", "requests"),
    [
        (b'{"error":{"message":"Insufficient Balance"}}', 402, 1),
        (b'{"code":"InvalidParameter","message":"no"}', 400, 8),
        (b'{"code":"Conflict","message":"no"}', 409, 8),
        (b"<html>Welcome</html>", 200, 8),
    ],
)
def test_a_server_that_answers_nothing_is_left(
    minute: Path, recorder: Recorder, body: bytes, status: int, requests: int
) -> None:
    """60 segments make as many requests as it takes to be sure; the error has the remainder."""
    recorder.answer(body, status=status)
    with pytest.raises(ServiceError, match="60 segments are left, run it again") as stopped:
        captoolkit.caption(
            minute,
            captioner="dashscope",
            base_url=f"{recorder.url}/api/v1",
            segment="1s",
            concurrency=1,
        )
    assert len(recorder.seen) == requests
    assert f"HTTP {status}" in str(stopped.value)
    assert ("nothing answers" in str(stopped.value)) is (requests > 1)


def test_many_requests_at_once_do_not_retry_at_once(minute: Path, recorder: Recorder) -> None:
    """16 segments fail together; one of them is retried, and the others wait for its outcome."""
    recorder.answer(b"<html>Bad gateway</html>", status=502)
    with pytest.raises(ServiceError, match="nothing answers; 60 segments are left"):
        captoolkit.caption(
            minute,
            captioner="dashscope",
            base_url=f"{recorder.url}/api/v1",
            segment="1s",
            concurrency=16,
            clock=InstantClock(),
        )
    assert 12 <= len(recorder.seen) <= 16 + 4 + 8  # on a busy machine some begin late


def test_one_segment_is_retried_until_something_is_answered() -> None:
    """The second segment waits; the answer of the first one lets it go on."""
    breaker, _ = breaker_of()
    busy = ServiceError("busy", status_code=503)
    first, second = object(), object()
    assert breaker.may_retry(busy, first)
    assert breaker.may_retry(busy, first)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(breaker.may_retry, busy, second)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.05)
        breaker.answered()
        assert waiting.result(timeout=5)


@pytest.mark.parametrize(("error", "may_retry"), [("busy", False), ("gone", True)])
def test_a_segment_that_waited_learns_from_the_one_that_was_given_up(
    error: str, may_retry: bool
) -> None:
    """It is not retried after the same kind of error; after another kind it is the next one."""
    breaker, _ = breaker_of()
    errors = {
        "busy": ServiceError("busy", status_code=503),
        "gone": ServiceError("gone", status_code=404),
    }
    first, second = object(), object()
    assert breaker.may_retry(errors["busy"], first)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(breaker.may_retry, errors["busy"], second)
        breaker.failed(errors[error])
        breaker.end_retries(first)
        assert waiting.result(timeout=5) is may_retry


def test_segments_that_wait_to_retry_count_as_failed() -> None:
    """No further segment is sent while they learn that the retried one was given up."""
    breaker, scope = breaker_of(give_up_after=5)
    busy = ServiceError("busy", status_code=503)
    assert breaker.may_retry(busy, object())
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(breaker.may_retry, busy, object()) for _ in range(4)]
        while len(breaker._waiting) < len(waiting):
            time.sleep(0.001)
        breaker.failed(busy)
        assert str(scope.halted).startswith("not sent, because 5 segments in a row failed")
        assert not any(one.result(timeout=5) for one in waiting)


def test_a_stopped_run_ends_the_wait_to_retry() -> None:
    """No segment is retried after a cancellation, nor after an error of all requests."""
    busy = ServiceError("busy", status_code=503)
    for halts in (True, False):
        breaker, scope = breaker_of()
        assert breaker.may_retry(busy, object())
        if halts:
            breaker.halt(BAD)
            assert not breaker.may_retry(busy, object())
        else:
            scope.stop.set()
            with pytest.raises(StoppedError):
                breaker.may_retry(busy, object())


def test_a_closed_port_ends_the_run_soon(minute: Path) -> None:
    """60 segments at a closed port take the waits of the first ones alone."""
    with socket.socket() as held:  # bound, but not listening
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/api/v1"
        begun_s = time.monotonic()
        with pytest.raises(ServiceError, match="nothing answers; 60 segments are left"):
            captoolkit.caption(minute, captioner="dashscope", base_url=url, segment="1s")
    assert time.monotonic() - begun_s < 15  # before: 5 attempts at each segment


def test_what_was_answered_is_kept(minute: Path) -> None:
    """The segments after the faults are failed entries, one for each planned segment."""
    asked = []

    def answer(clip: Clip) -> str:
        asked.append(clip.path.name)
        if len(asked) > 2:
            raise ServiceError("no room", status_code=400)
        return "Rain."

    timeline = captoolkit.caption(
        minute,
        captioner=OwnCaptioner(answer),
        segment="1s",
        concurrency=1,
        give_up_after=4,
        clock=InstantClock(),
    )
    assert len(asked) == 2 + 4
    assert len(timeline.entries) == 60
    assert [entry.status for entry in timeline.entries[:3]] == [Status.OK, Status.OK, Status.FAILED]
    assert str(timeline.entries[-1].error).startswith("not sent, because 4 segments in a row")
