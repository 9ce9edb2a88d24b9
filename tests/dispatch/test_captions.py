"""One recording and a captioner that costs money."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.captioners.base import Clip
from captoolkit.dispatch.budget import Budget
from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.retry import RetryPolicy
from captoolkit.errors import (
    CancelledError,
    CaptoolkitError,
    OutputError,
    ServiceError,
    UsageError,
)
from captoolkit.events import EntryReady, Event, RetryScheduled, SegmentReady, TextArrived, Warned
from captoolkit.model import Status, Usage
from tests.support.captioning import InstantClock, OwnCaptioner
from tests.support.recorder import Recorder
from tests.support.sound import tone, write_wav

RATE_HZ = 16_000
SINGAPORE = "https://dashscope-intl.aliyuncs.com/api/v1"


def number_of(clip: Clip) -> int:
    """The number in a segment's name."""
    return int(clip.path.name.split(".")[-2])


def said(clip: Clip) -> str:
    """A caption that names its segment."""
    return f"segment {number_of(clip)}"


def take_until_cancelled(entries: captoolkit.Captions) -> None:
    """Iterate until the cancellation, which the iteration raises."""
    with pytest.raises(UsageError, match="was cancelled"):
        list(entries)


@pytest.fixture
def minute(tmp_path: Path) -> Path:
    """A minute with a different tone in each second."""
    tones = [tone(1, rate_hz=RATE_HZ, frequency_hz=200 + 7 * n) for n in range(60)]
    return write_wav(tmp_path / "minute.wav", *tones, rate_hz=RATE_HZ)


def failing(times: int, error: ServiceError, *, at: int = 3) -> Callable[[Clip], str]:
    """An answer that fails some times for one segment."""
    left = [times]

    def answer(clip: Clip) -> str:
        if number_of(clip) == at and left[0]:
            left[0] -= 1
            raise error
        return said(clip)

    return answer


def test_a_second_run_sends_nothing(minute: Path) -> None:
    """The same recording with the same recipe is answered from the ledger."""
    first, second = OwnCaptioner(said), OwnCaptioner(said)
    one = captoolkit.caption(minute, captioner=first, segment="10s")
    events: list[Event] = []
    two = captoolkit.caption(minute, captioner=second, segment="10s", on_event=events.append)
    assert (first.asked, second.asked) == (6, 0)
    assert one == two
    assert all(event.recalled for event in events if isinstance(event, EntryReady))
    otherwise = OwnCaptioner(said, recipe="ask rudely")
    captoolkit.caption(minute, captioner=otherwise, segment="10s")
    assert otherwise.asked == 6
    anew = OwnCaptioner(said)
    captoolkit.caption(minute, captioner=anew, segment="10s", resume=False)
    assert anew.asked == 6


def test_the_next_run_requests_failed_segments_only(minute: Path) -> None:
    """A failed segment has its reason, and only it is requested by the next run."""
    refusal = ServiceError("it will not", status_code=400, request_id="r-3")
    first = captoolkit.caption(minute, captioner=OwnCaptioner(failing(1, refusal)), segment="10s")
    assert [entry.status for entry in first.entries].count(Status.FAILED) == 1
    assert first.holes[0].error == "it will not"
    again = OwnCaptioner(said)
    second = captoolkit.caption(minute, captioner=again, segment="10s")
    assert again.asked == 1
    assert [entry.text for entry in second.entries] == [f"segment {n}" for n in range(1, 7)]


def test_a_transient_error_costs_no_caption(minute: Path) -> None:
    """A transient error is retried, and an event reports it."""
    clock, events = InstantClock(), list[Event]()
    timeline = captoolkit.caption(
        minute,
        captioner=OwnCaptioner(failing(3, ServiceError("bad moment", status_code=503))),
        segment="10s",
        clock=clock,
        on_event=events.append,
    )
    assert timeline.holes == ()
    again = [event for event in events if isinstance(event, RetryScheduled)]
    assert [event.index for event in again] == [3, 3, 3]
    assert sorted(clock.waits_s) == pytest.approx([event.wait_s for event in again])


def test_a_lasting_error_ends_within_bounds(minute: Path) -> None:
    """After five attempts the segment fails; other segments do not wait for it."""
    asker = OwnCaptioner(failing(99, ServiceError("bad moment", status_code=503)))
    timeline = captoolkit.caption(minute, captioner=asker, segment="10s", clock=InstantClock())
    (hole,) = timeline.holes
    assert hole.error == "bad moment (tried 5 times)"
    assert asker.asked == 5 + 5


def test_a_segments_time_is_bounded(minute: Path) -> None:
    """A short `segment_s` ends the retries of throttled requests."""
    clock = InstantClock()
    asked_s: list[float] = []

    def throttle(clip: Clip) -> str:
        asked_s.append(clock.now_s())
        raise ServiceError("too much", status_code=429)

    retry_policy = RetryPolicy(segment_s=20)
    timeline = captoolkit.caption(
        minute, captioner=OwnCaptioner(throttle), clock=clock, retry_policy=retry_policy
    )
    assert len(timeline.holes) == 1
    assert 3 <= len(asked_s) <= 5
    assert asked_s[-1] <= 20


def test_a_runs_time_is_bounded(minute: Path) -> None:
    """After the time limit no request is sent, and finished entries stay."""
    clock = InstantClock()

    def slow(clip: Clip) -> str:
        clock.pass_by(10)
        return said(clip)

    asker = OwnCaptioner(slow)
    timeline = captoolkit.caption(
        minute, captioner=asker, segment="10s", clock=clock, run_timeout_s=25, concurrency=1
    )
    assert asker.asked == 3
    assert len(timeline.holes) == 3
    assert str(timeline.holes[0].error).startswith(
        "not sent: the time limit of this run has passed"
    )


def test_an_error_of_all_segments_is_raised_after_one_request(minute: Path) -> None:
    """A refused key is one error instead of a timeline of failed entries."""

    def refuse(clip: Clip) -> str:
        raise ServiceError("no such key", status_code=401)

    asker = OwnCaptioner(refuse)
    with pytest.raises(ServiceError, match="no such key"):
        captoolkit.caption(minute, captioner=asker, segment="1s", concurrency=2)
    assert asker.asked <= 2


def test_a_later_error_of_all_segments_keeps_the_captions(minute: Path) -> None:
    """An account without funds fails the remaining segments without requests."""
    dry = ServiceError("overdue", status_code=400, code="Arrearage", request_id="r-3")
    asker = OwnCaptioner(failing(99, dry))
    timeline = captoolkit.caption(minute, captioner=asker, segment="10s", concurrency=1)
    assert asker.asked == 3
    assert [entry.status for entry in timeline.entries] == [Status.OK] * 2 + [Status.FAILED] * 4
    assert {hole.error for hole in timeline.holes} == {"overdue"}
    assert [hole.request_id for hole in timeline.holes] == ["r-3", None, None, None]


def test_throttling_beyond_the_bound_still_slows_the_others(minute: Path) -> None:
    """A `Retry-After` beyond the bound still pauses the other segments."""
    clock = InstantClock()
    asked_s: list[float] = []

    def throttle(clip: Clip) -> str:
        asked_s.append(clock.now_s())
        raise ServiceError("too much", status_code=429, retry_after_s=300)

    asker = OwnCaptioner(throttle)
    options: dict[str, Any] = {"segment": "10s", "clock": clock, "concurrency": 1}
    timeline = captoolkit.caption(minute, captioner=asker, **options)
    assert len(timeline.holes) == len(asked_s) == 6
    assert all(later - one >= 120 for one, later in pairwise(asked_s))


# ----------------------------------------------------------------------------------- money


def test_the_budget_is_kept_and_so_are_the_captions(minute: Path) -> None:
    """0.11 dollars cover one worst case, and then several real answers."""
    usage = Usage(input_tokens=160, output_tokens=1500)  # 0.0052 dollars in Singapore
    asker = OwnCaptioner(said, usage=usage, base_url=SINGAPORE)
    budget = Budget("0.11")
    options: dict[str, Any] = {"segment": "10s", "clock": InstantClock(), "concurrency": 4}
    timeline = captoolkit.caption(minute, captioner=asker, max_cost=budget, **options)
    assert timeline.cost is not None
    assert timeline.cost.amount == pytest.approx(budget.spent, abs=Decimal("0.000001"))
    assert budget.spent <= budget.cap
    assert asker.asked == 2
    assert len(timeline.holes) == 4
    assert "is left of max_cost=0.11" in str(timeline.holes[0].error)
    captoolkit.caption(minute, captioner=asker, max_cost=1, **options)
    assert asker.asked == 6


def test_a_broken_answer_counts_as_the_worst_case(minute: Path) -> None:
    """The cost of a broken answer is unknown, so it counts as the worst case."""
    broken = captoolkit.ServiceConnectionError("it broke", status_code=200)
    asker = OwnCaptioner(failing(1, broken, at=1), base_url=SINGAPORE)
    budget = Budget("0.25")
    options: dict[str, Any] = {"segment": "10s", "clock": InstantClock(), "concurrency": 1}
    captoolkit.caption(minute, captioner=asker, max_cost=budget, **options)
    assert Decimal("0.10") < budget.spent < Decimal("0.13")


def test_an_upload_that_fails_costs_nothing(minute: Path, recorder: Recorder) -> None:
    """A failed upload sends no request and costs nothing; a good upload is sent once."""
    recorder.page("/api/v1/uploads", {"code": "InternalError", "message": "bad moment"}, status=500)
    url = f"{recorder.url}/api/v1"
    options: dict[str, Any] = {"captioner": "dashscope", "base_url": url, "region": "singapore"}
    options |= {"via": "upload", "clock": InstantClock(), "max_cost": (budget := Budget("0.50"))}
    timeline = captoolkit.caption(minute, **options)
    assert "bad moment" in str(timeline.holes[0].error)
    assert budget.spent == 0
    seen = len(recorder.seen)
    data = {"upload_host": recorder.url, "upload_dir": "d", "policy": "p", "signature": "s"}
    recorder.page("/api/v1/uploads", {"data": data})
    recorder.page("/", b"")
    recorder.answer({"code": "InternalError", "message": "bad moment"}, status=500)
    captoolkit.caption(minute, **options)
    paths = [one.path.partition("?")[0] for one in recorder.seen[seen:]]
    assert (paths.count("/api/v1/uploads"), paths.count("/"), len(paths)) == (1, 1, 2 + 5)


def test_answers_from_the_ledger_cost_nothing(minute: Path) -> None:
    """The timeline has the cost of all its answers, the run only that of its own requests."""
    asker = OwnCaptioner(
        failing(1, captoolkit.ServiceError("no", status_code=400)), base_url=SINGAPORE
    )
    options: dict[str, Any] = {"segment": "10s", "clock": InstantClock(), "concurrency": 1}
    with captoolkit.captions(minute, captioner=asker, **options) as first:
        partly = first.timeline()
    with captoolkit.captions(minute, captioner=asker, **options) as second:
        whole = second.timeline()
    assert (first.recalled, first.usage.total_tokens, first.cost) == (0, 5 * 559, partly.cost)
    assert (second.requested, second.recalled, second.usage.total_tokens) == (1, 5, 559)
    assert whole.cost
    assert partly.cost
    assert second.cost
    both = partly.cost.amount + second.cost.amount  # each to the millionth
    assert whole.cost.amount == pytest.approx(both, abs=Decimal("0.000001"))
    with captoolkit.captions(minute, captioner=asker, **options) as third:
        assert third.timeline() == whole
    assert (third.requested, third.recalled, third.usage.total_tokens) == (0, 6, 0)
    assert third.cost
    assert third.cost.amount == 0


@pytest.mark.parametrize(("base_url", "spaced"), [("http://127.0.0.1:9/v1", 0), (SINGAPORE, 5)])
def test_rates_hold_at_model_studios_own_hosts_only(
    minute: Path, base_url: str, spaced: int
) -> None:
    """A local server with a region has the region's prices, but not its rate limits."""
    clock = InstantClock()
    asker = OwnCaptioner(said, base_url=base_url)
    options: dict[str, Any] = {"segment": "10s", "clock": clock, "concurrency": 1}
    timeline = captoolkit.caption(minute, captioner=asker, region="singapore", **options)
    assert timeline.cost is not None
    assert len(clock.waits_s) == spaced


@pytest.mark.parametrize(
    ("cap", "base_url", "words"),
    [
        (
            "0.05",
            SINGAPORE,
            "max_cost=0.05 is too small for one request",
        ),
        (
            "1",
            "http://127.0.0.1:9/v1",
            r"max_cost=1 cannot.*region=beijing or region=singapore\)",
        ),
        ("much", SINGAPORE, "max_cost=much is not an amount of money"),
    ],
)
def test_a_cap_that_cannot_be_kept_is_refused_before_anything_is_sent(
    minute: Path, cap: str, base_url: str, words: str
) -> None:
    """The budget is too small, or no price is known: the error is one line."""
    asker = OwnCaptioner(said, base_url=base_url)
    with pytest.raises(UsageError, match=words):
        captoolkit.caption(minute, captioner=asker, max_cost=cap)
    assert asker.asked == 0


def test_an_unknown_model_of_model_studios_is_refused(minute: Path) -> None:
    """Limits and prices of an unknown model are not guessed."""
    with pytest.raises(UsageError, match=r"model=qwen9 is not known; take one of qwen3-omni"):
        captoolkit.caption(
            minute, captioner="dashscope", model="qwen9", region="singapore", api_key="sk-0"
        )


# --------------------------------------------------------------------- iterating, cancelling


def test_entries_come_as_they_finish(minute: Path) -> None:
    """The second entry arrives while the first request is still in flight."""
    first_may_end = threading.Event()

    def first_is_slow(clip: Clip) -> str:
        if number_of(clip) == 1:
            first_may_end.wait(30)
        return said(clip)

    with captoolkit.captions(
        minute, captioner=OwnCaptioner(first_is_slow), segment="10s"
    ) as entries:
        assert len(entries.plan.spans) == 6
        order = []
        for entry in entries:
            order.append(entry.index)
            first_may_end.set()
        timeline = entries.timeline()
    assert order[0] != 1
    assert sorted(order) == [1, 2, 3, 4, 5, 6]
    assert [entry.text for entry in timeline.entries] == [f"segment {n}" for n in range(1, 7)]


def test_the_end_of_the_iteration_releases_everything(minute: Path) -> None:
    """Also without `with` the threads end and the ledger is closed."""
    before = threading.active_count()
    entries = captoolkit.captions(minute, captioner=OwnCaptioner(said), segment="10s")
    assert len(list(entries)) == 6
    assert threading.active_count() == before
    assert len(entries.timeline().entries) == 6


def test_dropped_captions_end_their_threads_and_remove_their_files(
    minute: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captions that are dropped half-way, without `close`, leave nothing."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    before = threading.active_count()
    entries = captoolkit.captions(minute, captioner=OwnCaptioner(said), segment="10s")
    next(entries)
    assert list((tmp_path / "scratch").iterdir())
    del entries
    until_s = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < until_s:
        time.sleep(0.01)
    assert threading.active_count() == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_closed_captions_refuse_to_go_on(minute: Path) -> None:
    """They do not look as if there were no more entries; complete ones just end."""
    with captoolkit.captions(minute, captioner=OwnCaptioner(said), segment="10s") as entries:
        next(entries)
    with pytest.raises(CancelledError, match="this captioning was cancelled"):
        next(entries)
    with captoolkit.captions(minute, captioner=OwnCaptioner(said), segment="10s") as entries:
        assert len(list(entries)) == 6
    assert list(entries) == []
    assert len(entries.timeline().entries) == 6


def test_captions_that_failed_say_so(minute: Path) -> None:
    """After an error the next request for an entry is an error as well."""

    def refuse(clip: Clip) -> str:
        raise ServiceError("no such key", status_code=401)

    with captoolkit.captions(minute, captioner=OwnCaptioner(refuse), segment="10s") as entries:
        with pytest.raises(ServiceError, match="no such key"):
            next(entries)
        with pytest.raises(UsageError, match="has failed before"):
            entries.timeline()


def test_answers_in_flight_are_kept_after_a_fatal_error(minute: Path) -> None:
    """Answers in flight are paid for: the ledger and the timeline have them."""
    under_way, told = threading.Event(), threading.Event()

    def answer(clip: Clip) -> str:
        if number_of(clip) == 1:
            under_way.set()
            told.wait(0.5)
            return said(clip)
        under_way.wait(10)
        raise ServiceError("overdue", status_code=400, code="Arrearage")

    options: dict[str, Any] = {"segment": "30s", "concurrency": 2}
    timeline = captoolkit.caption(minute, captioner=OwnCaptioner(answer), **options)
    assert [entry.status for entry in timeline.entries] == [Status.OK, Status.FAILED]
    with Ledger() as ledger:
        assert [one.state for one in ledger.records()].count("answered") == 1


def test_closing_does_not_wait_for_answers_and_the_ledger_still_gets_them(minute: Path) -> None:
    """A request in flight is paid for, and the next run finds its answer."""
    asked, answer = threading.Event(), threading.Event()

    def slow(clip: Clip) -> str:
        asked.set()
        answer.wait(30)
        return said(clip)

    asker = OwnCaptioner(slow)
    begun_s = time.monotonic()
    with captoolkit.captions(
        minute, captioner=asker, segment="10s", concurrency=2, stream=True
    ) as entries:
        consumer = threading.Thread(target=take_until_cancelled, args=[entries])
        consumer.start()
        asked.wait(30)
    assert time.monotonic() - begun_s < 20
    consumer.join(10)
    assert not consumer.is_alive()
    with pytest.raises(UsageError, match="was cancelled"):
        entries.timeline()
    in_flight = asker.asked
    answer.set()
    for thread in threading.enumerate():
        if thread.name.startswith("captoolkit-ask"):
            thread.join(10)
    again = OwnCaptioner(said)
    captoolkit.caption(minute, captioner=again, segment="10s")
    assert again.asked == 6 - in_flight


def test_cancelling_a_task_does_not_wait_for_answers(minute: Path) -> None:
    """`CancelledError` arrives while a request hangs."""
    asked, answer = threading.Event(), threading.Event()

    def hangs(clip: Clip) -> str:
        asked.set()
        answer.wait(30)
        return said(clip)

    async def cancel() -> float:
        work = captoolkit.acaption(minute, captioner=OwnCaptioner(hangs), segment="10s")
        task = asyncio.create_task(work)
        await asyncio.to_thread(asked.wait, 30)
        begun_s = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begun_s

    try:
        assert asyncio.run(cancel()) < 15
    finally:
        answer.set()


def test_text_arrives_piece_by_piece(minute: Path) -> None:
    """With `stream` each piece of text is an event; without it there is no such event."""
    events: list[Event] = []
    captoolkit.caption(
        minute,
        captioner=OwnCaptioner(said),
        segment="30s",
        stream=True,
        on_event=events.append,
    )
    for number in (1, 2):
        pieces = [
            event.text
            for event in events
            if isinstance(event, TextArrived) and event.index == number
        ]
        assert pieces == ["seg", f"ment {number}"]
    events.clear()
    captoolkit.caption(minute, captioner=OwnCaptioner(said), segment="20s", on_event=events.append)
    assert not any(isinstance(event, TextArrived) for event in events)


@pytest.mark.parametrize("kind", [EntryReady, TextArrived], ids=lambda kind: kind.__name__)
def test_exceptions_of_on_event_reach_the_caller(minute: Path, kind: type[Event]) -> None:
    """An exception of any type, raised in any thread, reaches the caller."""

    def raise_it(event: Event) -> None:
        if isinstance(event, kind):
            raise CaptoolkitError("enough") if kind is TextArrived else KeyError("enough")

    with pytest.raises((CaptoolkitError, KeyError), match="enough"):
        captoolkit.caption(
            minute, captioner=OwnCaptioner(said), segment="10s", stream=True, on_event=raise_it
        )


def test_an_answer_is_recorded_although_on_event_fails(minute: Path) -> None:
    """An exception while text arrives does not lose the paid answer."""

    def break_off(event: Event) -> None:
        if isinstance(event, TextArrived):
            raise BrokenPipeError

    options: dict[str, Any] = {"segment": "30s", "concurrency": 1, "stream": True}
    with pytest.raises(BrokenPipeError):
        captoolkit.caption(minute, captioner=OwnCaptioner(said), on_event=break_off, **options)
    again = OwnCaptioner(said)
    captoolkit.caption(minute, captioner=again, **options)
    assert again.asked == 1


def test_a_ledger_that_fails_costs_no_answer(minute: Path, tmp_path: Path) -> None:
    """The timeline has the answer even if the ledger cannot record it."""
    path = tmp_path / "ledger.sqlite3"
    events: list[Event] = []

    def spoil(clip: Clip) -> str:
        for file in tmp_path.glob("ledger.sqlite3*"):
            if file.is_file():
                file.write_bytes(b"\xff" * 65_536)
        return said(clip)

    timeline = captoolkit.caption(
        minute,
        captioner=OwnCaptioner(spoil),
        ledger=path,
        on_event=events.append,
        segment="30s",
        concurrency=1,
    )
    assert timeline.entries[0].text == "segment 1"
    assert "ledger" in str(timeline.entries[1].error)
    assert any(isinstance(event, Warned) and "ledger" in event.message for event in events)
    with pytest.raises(OutputError):
        captoolkit.caption(minute, captioner=OwnCaptioner(said), ledger=path)


def test_waits_are_logged_and_hold_no_secret(
    minute: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log shows which segment waits for what."""
    caplog.set_level(logging.DEBUG)
    asker = OwnCaptioner(failing(1, ServiceError("bad moment", status_code=503)))
    captoolkit.caption(minute, captioner=asker, segment="10s", clock=InstantClock())
    assert "segment 3 is retried in 1." in caplog.text


def test_closing_inside_an_event_of_a_worker_ends_the_run(minute: Path) -> None:
    """A Cancel button: an event of a request may close the captions while segments are made."""
    closed = threading.Event()

    def cancel(event: Event) -> None:
        if isinstance(event, TextArrived) and not closed.is_set():
            time.sleep(0.2)  # long enough for the preparation to have events, too
            entries.close()
            closed.set()

    entries = captoolkit.captions(
        minute, captioner=OwnCaptioner(said), segment="2s", stream=True, on_event=cancel
    )
    taker = threading.Thread(target=take_until_cancelled, args=[entries], daemon=True)
    taker.start()
    assert closed.wait(30)
    taker.join(30)
    assert not taker.is_alive()
    entries.close()


def test_an_error_of_the_caller_is_no_failed_entry(minute: Path) -> None:
    """An exception of `on_event` during the preparation reaches the caller, of any type."""
    mine = UsageError("mine")

    def on_event(event: Event) -> None:
        if isinstance(event, SegmentReady) and event.segment.index == 3:
            raise mine

    with pytest.raises(UsageError) as caught:
        captoolkit.caption(minute, captioner=OwnCaptioner(said), segment="10s", on_event=on_event)
    assert caught.value is mine
