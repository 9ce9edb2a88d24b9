"""Requests are spaced at the rate that a service allows."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.rate_limit import RateLimiter, RateLimiters
from captoolkit.errors import CaptoolkitError, ServiceError
from captoolkit.model import CaptionerInfo
from captoolkit.services.regions import endpoint_of
from captoolkit.services.service import resolve_service
from captoolkit.support.cancel import CancelScope, StoppedError
from tests.support.captioning import InstantClock


def starts(
    rate_limiter: RateLimiter, clock: InstantClock, number: int, *, tokens: int = 0, answer: int = 0
) -> list[float]:
    """The moments at which some requests are sent, each answered at once."""
    found = []
    for _ in range(number):
        expected = rate_limiter.turn(tokens, CancelScope(clock=clock))
        found.append(clock.now_s())
        rate_limiter.answered(answer, expected)
    return found


def test_requests_keep_their_distance_after_a_slow_start() -> None:
    """60 requests a minute are one a second; the first two are two seconds apart."""
    clock = InstantClock()
    rate_limiter = RateLimiter(requests_per_minute=60, clock=clock)
    assert starts(rate_limiter, clock, 5) == pytest.approx([0, 2, 3, 4, 5])


def test_tokens_keep_their_distance_too() -> None:
    """30,000 tokens in and 20,000 out fill half a minute of 100,000 a minute."""
    clock = InstantClock()
    rate_limiter = RateLimiter(tokens_per_minute=100_000, clock=clock)
    assert starts(rate_limiter, clock, 3, tokens=30_000, answer=20_000) == pytest.approx(
        [0, 30, 60]
    )


def test_several_threads_are_together_no_faster_than_one() -> None:
    """200 requests of four threads keep the rate of 120 a minute."""
    clock = InstantClock()
    rate_limiter = RateLimiter(requests_per_minute=120, tokens_per_minute=60_000, clock=clock)
    times: list[float] = []
    guard = threading.Lock()

    def ask() -> None:
        for at_s in starts(rate_limiter, clock, 50, tokens=300):
            with guard:
                times.append(at_s)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # InstantClock time runs ahead of what was waited for, never behind: the total is the proof.
    assert max(times) >= 198 * 0.5


def test_throttling_pauses_and_then_slows_all_requests() -> None:
    """No request is sent during the pause; then the distance is doubled and recovers."""
    clock = InstantClock()
    rate_limiter = RateLimiter(requests_per_minute=60, clock=clock)
    starts(rate_limiter, clock, 3)
    rate_limiter.throttled(30)
    rate_limiter.throttled(20)  # a second complaint about the same moment does not count twice
    begun_s = clock.now_s()
    again = starts(rate_limiter, clock, 12)
    assert again[0] == begun_s + 30
    distances_s = [round(later - earlier, 3) for earlier, later in pairwise(again)]
    assert distances_s[0] == 2
    assert distances_s == sorted(distances_s, reverse=True)
    assert distances_s[-1] == 1


def test_without_a_known_limit_only_throttling_slows_down() -> None:
    """Without limits requests are not spaced until the server throttles one."""
    clock = InstantClock()
    rate_limiter = RateLimiter(clock=clock)
    assert starts(rate_limiter, clock, 100) == [0] * 100
    rate_limiter.throttled(1)
    assert starts(rate_limiter, clock, 2)[1] > 1
    begun_s = starts(rate_limiter, clock, 50)[-1]
    assert starts(rate_limiter, clock, 10) == [begun_s] * 10


def test_throttling_goes_along_to_another_ledger(tmp_path: Path) -> None:
    """A pause holds for all runs of the process, also where no limit is known."""
    clock = InstantClock()
    limiter, scope = RateLimiter("m", clock=clock), CancelScope(clock=clock)
    with Ledger(tmp_path / "a.sqlite3") as one, Ledger(tmp_path / "b.sqlite3") as other:
        limiter.turn(0, scope, ledger=one)
        limiter.throttled(30, ledger=one)
        limiter.turn(0, scope, ledger=other)
    assert clock.now_s() == pytest.approx(30)


def test_a_wait_ends_when_the_work_is_cancelled() -> None:
    """A cancellation interrupts a long pause."""
    rate_limiter = RateLimiter()
    rate_limiter.throttled(3600)
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(StoppedError):
        rate_limiter.turn(0, CancelScope(stop=stop))


def test_a_turn_after_the_deadline_is_refused() -> None:
    """A turn after the deadline is refused at once and delays no other request."""
    clock = InstantClock()
    rate_limiter = RateLimiter(requests_per_minute=60, clock=clock)
    scope = CancelScope(clock=clock, deadline_s=3)
    rate_limiter.turn(0, scope)
    rate_limiter.turn(0, scope)
    for _ in range(9):
        with pytest.raises(CaptoolkitError, match="the time limit of this run has passed"):
            rate_limiter.turn(0, scope)
    assert clock.waits_s == [2]
    rate_limiter.turn(0, CancelScope(clock=clock))
    assert clock.now_s() == 4


def test_a_halted_run_ends_the_wait_for_a_turn() -> None:
    """After an error that all requests would meet, each waiting request gets its own copy."""
    rate_limiter = RateLimiter(requests_per_minute=300)
    scope = CancelScope()
    rate_limiter.turn(0, scope)
    dry = ServiceError("overdue", code="Arrearage", request_id="r-1")
    threading.Timer(0.1, scope.halt, [dry]).start()
    with pytest.raises(ServiceError, match="overdue") as refused:
        rate_limiter.turn(0, scope)
    assert refused.value is not dry
    assert (refused.value.code, refused.value.request_id) == ("Arrearage", None)


def test_requests_to_one_model_share_a_rate_limiter() -> None:
    """Services count per account and model, so the whole process shares a limiter."""
    paces = RateLimiters()

    def of(url: str, model: str) -> RateLimiter:
        info = CaptionerInfo(name="openai", model=model, base_url=url)
        return paces.of(resolve_service(info, endpoint_of(url)))

    assert of("https://h/v1", "m") is of("https://h/v1", "m")
    assert of("https://h/v1", "m") is not of("https://h/v1", "n")
    assert of("https://h/v1", "m") is not of("https://i/v1", "m")


def test_processes_share_the_rate_through_the_ledger(tmp_path: Path) -> None:
    """Two limiters with ledgers of their own on one file are together no faster than one."""
    clock = InstantClock()
    limiters = [RateLimiter("m", requests_per_minute=60, clock=clock) for _ in range(2)]
    with Ledger(tmp_path / "l.sqlite3") as one, Ledger(tmp_path / "l.sqlite3") as other:
        starts_s = []
        for limiter, ledger in [(limiters[0], one), (limiters[1], other)] * 5:
            limiter.turn(0, CancelScope(clock=clock), ledger=ledger)
            starts_s.append(clock.now_s())
            limiter.answered(0, ledger=ledger)
        limiters[0].throttled(30, ledger=one)
        begun_s = clock.now_s()
        limiters[1].turn(0, CancelScope(clock=clock), ledger=other)
    assert starts_s == pytest.approx([0, *range(2, 11)])
    assert clock.now_s() == begun_s + 30


@pytest.mark.parametrize("text", ["{", '{"used_s": "x"}', '{"paused_until_s": 1e15}'])
def test_a_damaged_row_of_the_ledger_delays_nothing(tmp_path: Path, text: str) -> None:
    """The first request replaces the row, and the rate is kept from then on."""
    clock = InstantClock()
    with Ledger(tmp_path / "l.sqlite3") as ledger:
        ledger.change_rate("m", lambda _: text)
        limiter = RateLimiter("m", requests_per_minute=60, clock=clock)
        for _ in range(3):
            limiter.turn(0, CancelScope(clock=clock), ledger=ledger)
            limiter.answered(0, ledger=ledger)
        assert json.loads(ledger.read_rate("m") or "")["paused_until_s"] == 0
    assert clock.now_s() == 3


def test_a_ledger_that_cannot_be_written_does_not_end_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Then the processes share nothing, and each keeps its own rate."""
    clock = InstantClock()
    limiter = RateLimiter("m", requests_per_minute=60, clock=clock)
    ledger = Ledger(tmp_path / "l.sqlite3")
    ledger.close()
    limiter.turn(0, CancelScope(clock=clock), ledger=ledger)
    limiter.turn(0, CancelScope(clock=clock), ledger=ledger)
    assert clock.now_s() == 2
    assert "the rate is not shared with other processes" in caplog.text


def test_expected_output_counts_when_a_request_starts() -> None:
    """Recent answers say how many tokens to expect; no answer gives them back."""
    clock = InstantClock()
    limiter = RateLimiter(tokens_per_minute=60_000, clock=clock)  # 1,000 tokens a second
    scope = CancelScope(clock=clock)
    assert limiter.turn(600, scope) == 400  # one second
    limiter.answered(1_400, 400)  # another one
    assert limiter.turn(600, scope) == 1_400
    assert clock.now_s() == 2
    limiter.failed(1_400)
    assert limiter.turn(0, scope, most_output_tokens=200) == 200
    assert clock.now_s() == pytest.approx(2.6)


def test_throttling_heals_with_time() -> None:
    """After 40 s of throttling and 20 s of rest, 20 requests take a few seconds."""
    clock = InstantClock()
    limiter = RateLimiter(clock=clock)
    wait_s = 1.0
    while clock.now_s() < 40:
        limiter.turn(0, CancelScope(clock=clock))
        limiter.throttled(wait_s)
        wait_s = min(2 * wait_s, 20)
    limiter.turn(0, CancelScope(clock=clock))
    clock.pass_by(20)
    begun_s = clock.now_s()
    starts(limiter, clock, 20)
    assert clock.now_s() - begun_s < 5


def test_a_clock_that_was_set_back_delays_nothing(tmp_path: Path) -> None:
    """Moments in the far future come from before."""
    later, clock = InstantClock(), InstantClock()
    later.pass_by(86_400)
    with Ledger(tmp_path / "l.sqlite3") as ledger:
        before = RateLimiter("m", requests_per_minute=60, clock=later)
        before.turn(0, CancelScope(clock=later), ledger=ledger)
        limiter = RateLimiter("m", requests_per_minute=60, clock=clock)
        limiter.turn(0, CancelScope(clock=clock), ledger=ledger)
        limiter.turn(0, CancelScope(clock=clock), ledger=ledger)
    assert clock.now_s() == 2
