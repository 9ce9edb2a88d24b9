"""Many recordings in one run of captioning."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import captoolkit
from captoolkit.captioners.base import Clip
from captoolkit.dispatch.ledger import IN_MEMORY
from captoolkit.errors import NotMediaError, ServiceError, SourceNotFoundError, UsageError
from captoolkit.events import EntryReady, Event, SegmentReady
from captoolkit.model import Plan, Status
from tests.support.captioning import InstantClock, OwnCaptioner
from tests.support.sound import tone, write_wav

RATE_HZ = 16_000
LONG_S = 20.0  # nothing here takes so long unless it hangs
SINGAPORE = "https://dashscope-intl.aliyuncs.com/api/v1"
REFUSED = ServiceError("no such key", status_code=401)


def name_of(clip: Clip) -> str:
    """A caption that names its segment."""
    return clip.path.name


def wait_until(is_true: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    until_s = time.monotonic() + LONG_S
    while not is_true() and time.monotonic() < until_s:
        time.sleep(0.01)
    assert is_true()


def our_threads() -> list[str]:
    """The names of the threads that captioning starts."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("captoolkit-ask", "captoolkit-prepare"))]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., list[Path]]:
    """Return a function that writes recordings of some seconds, each with a tone of its own."""

    def write(number: int, *, seconds: int = 1) -> list[Path]:
        return [
            write_wav(
                tmp_path / f"{index}.wav",
                *(
                    tone(1, rate_hz=RATE_HZ, frequency_hz=200 + 10 * index + second)
                    for second in range(seconds)
                ),
                rate_hz=RATE_HZ,
            )
            for index in range(number)
        ]

    return write


def test_concurrency_is_reached_across_files(make: Callable[..., list[Path]]) -> None:
    """Four files of one segment are asked about at the same moment."""
    together = threading.Barrier(4, timeout=LONG_S)

    def meet(clip: Clip) -> str:
        together.wait()
        return "heard"

    options: dict[str, Any] = {"concurrency": 4, "ledger": IN_MEMORY, "jobs": 2}
    with captoolkit.caption_many(make(8), captioner=OwnCaptioner(meet), **options) as run:
        results = list(run)
    assert sorted(result.index for result in results) == list(range(8))
    assert all(result.timeline and not result.timeline.holes for result in results)
    assert (run.requested, run.recalled, run.usage.total_tokens) == (8, 0, 8 * 559)


def test_results_come_as_files_finish_and_entries_in_time_order(
    make: Callable[..., list[Path]],
) -> None:
    """A slow file does not delay the others; the entries of each are in order."""
    others_are_done = threading.Event()

    def first_is_slow(clip: Clip) -> str:
        if clip.path.name == "0.001.wav":
            others_are_done.wait(LONG_S)
        return name_of(clip)

    options: dict[str, Any] = {"segment": "1s", "ledger": IN_MEMORY}
    paths = make(3, seconds=3)
    order = []
    with captoolkit.caption_many(paths, captioner=OwnCaptioner(first_is_slow), **options) as run:
        for result in run:
            order.append(result.index)
            if len(order) == 2:
                others_are_done.set()
            assert result.source == paths[result.index]
            assert result.timeline is not None
            texts = [entry.text for entry in result.timeline.entries]
            assert texts == [f"{result.index}.{number:03}.wav" for number in (1, 2, 3)]
            assert (result.requested, result.recalled) == (3, 0)
    assert order[-1] == 0
    assert sorted(order) == [0, 1, 2]


def test_a_result_is_what_caption_returns(make: Callable[..., list[Path]]) -> None:
    """The timeline of a file in a run equals that of the file alone."""
    paths = make(3, seconds=2)
    with captoolkit.caption_many(paths, segment="1s") as run:
        results = {result.source: result.timeline for result in run}
    assert results == {path: captoolkit.caption(path, segment="1s") for path in paths}


def test_a_file_that_fails_does_not_end_the_others(
    make: Callable[..., list[Path]], fixtures: Path
) -> None:
    """Its result has the error; no timeline of the others is lost."""
    good = make(2)
    sources = [good[0], fixtures / "not-media.wav", fixtures / "no-such-file.wav", good[1]]
    captioner = OwnCaptioner(name_of)
    with captoolkit.caption_many(sources, captioner=captioner, ledger=IN_MEMORY) as run:
        results = {result.index: result for result in run}
    assert isinstance(results[1].error, NotMediaError)
    assert isinstance(results[2].error, SourceNotFoundError)
    assert results[1].timeline is None
    for index in (0, 3):
        timeline = results[index].timeline
        assert timeline is not None
        assert timeline.holes == ()
    assert captioner.asked == 2


def test_a_refused_key_ends_the_run_once(make: Callable[..., list[Path]]) -> None:
    """No more requests are sent than may be in flight, and no file has a result."""

    def refuse(clip: Clip) -> str:
        raise REFUSED

    captioner = OwnCaptioner(refuse)
    options: dict[str, Any] = {"concurrency": 2, "ledger": IN_MEMORY}
    with captoolkit.caption_many(make(12), captioner=captioner, **options) as run:
        with pytest.raises(ServiceError, match="no such key"):
            list(run)
        assert list(run) == []
    assert captioner.asked <= 2


def test_answers_before_an_error_of_all_requests_are_kept(make: Callable[..., list[Path]]) -> None:
    """A file with a caption keeps its timeline with a hole; the error is raised after it."""

    def second_is_refused(clip: Clip) -> str:
        if clip.path.name == "0.002.wav":
            raise REFUSED
        return name_of(clip)

    options: dict[str, Any] = {"segment": "1s", "concurrency": 1, "ledger": IN_MEMORY, "jobs": 1}
    captioner = OwnCaptioner(second_is_refused)
    results: list[captoolkit.CaptionResult] = []
    with (
        captoolkit.caption_many(make(40, seconds=3), captioner=captioner, **options) as run,
        pytest.raises(ServiceError, match="no such key"),
    ):
        results.extend(run)
    (result,) = results
    assert result.timeline is not None
    assert result.timeline.entries[0].text == "0.001.wav"
    assert {entry.status for entry in result.timeline.entries[1:]} == {Status.FAILED}
    assert captioner.asked == 2


def test_few_segments_and_files_wait_for_a_slow_captioner(
    make: Callable[..., list[Path]],
) -> None:
    """At most four segments for each request exist, over all files; sources are taken as needed."""
    may_end = threading.Event()
    ready, taken = 0, 0
    paths = make(2, seconds=3)

    def watch(event: Event) -> None:
        nonlocal ready
        ready += isinstance(event, SegmentReady)

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield paths[taken % 2]

    def slow(clip: Clip) -> str:
        may_end.wait(LONG_S)
        return "heard"

    options: dict[str, Any] = {"segment": "1s", "concurrency": 1, "jobs": 2, "ledger": IN_MEMORY}
    with captoolkit.caption_many(
        endless(), captioner=OwnCaptioner(slow), on_event=watch, resume=False, **options
    ) as run:
        consumer = threading.Thread(target=lambda: next(run), daemon=True)
        consumer.start()
        wait_until(lambda: ready == 4)
        time.sleep(0.2)
        assert ready == 4
        assert taken <= 3
        may_end.set()
        consumer.join(LONG_S)
    assert taken < 20


def test_a_slow_consumer_of_results_stops_the_run(make: Callable[..., list[Path]]) -> None:
    """Results do not pile up: no more files are opened than segments may wait."""
    taken = 0
    (path,) = make(1)

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield path

    options: dict[str, Any] = {"concurrency": 1, "jobs": 1, "ledger": IN_MEMORY}
    with captoolkit.caption_many(endless(), captioner=OwnCaptioner(name_of), **options) as run:
        next(run)
        wait_until(lambda: taken == 6)
        time.sleep(0.2)
        assert taken == 6


def test_an_exception_of_on_event_ends_the_run(make: Callable[..., list[Path]]) -> None:
    """An exception that the caller raises in an event reaches the caller, of any type."""
    mine = UsageError("mine")

    def on_event(event: Event) -> None:
        if isinstance(event, EntryReady):
            raise mine

    options: dict[str, Any] = {"ledger": IN_MEMORY, "on_event": on_event}
    with (
        captoolkit.caption_many(make(4), captioner=OwnCaptioner(name_of), **options) as run,
        pytest.raises(UsageError) as caught,
    ):
        list(run)
    assert caught.value is mine
    wait_until(lambda: our_threads() == [])


def test_an_exception_of_the_sources_ends_the_run(make: Callable[..., list[Path]]) -> None:
    """So does an exception of the iterator of sources; the run then refuses to go on."""

    def broken() -> Iterator[Path]:
        yield make(1)[0]
        raise KeyError("mine")

    with captoolkit.caption_many(broken(), captioner=OwnCaptioner(name_of)) as run:
        with pytest.raises(KeyError, match="mine"):
            list(run)
        with pytest.raises(UsageError, match="has failed before"):
            next(run)


def test_closing_ends_threads_and_removes_files(
    make: Callable[..., list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is closed half-way leaves nothing; its iteration raises an error."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    paths = make(6, seconds=3)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    options: dict[str, Any] = {"segment": "1s", "ledger": IN_MEMORY}
    with captoolkit.caption_many(paths, captioner=OwnCaptioner(name_of), **options) as run:
        assert next(run).timeline is not None
    with pytest.raises(UsageError, match="was cancelled"):
        next(run)
    wait_until(lambda: our_threads() == [])
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("begin", [next, lambda run: run.plans()], ids=["results", "plans"])
def test_a_dropped_run_ends_threads_and_removes_files(
    begin: Callable[[captoolkit.CaptionRun], object],
    make: Callable[..., list[Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that is dropped without `close` leaves nothing either."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    paths = make(6, seconds=3)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    options: dict[str, Any] = {"segment": "1s", "ledger": IN_MEMORY}
    run = captoolkit.caption_many(paths, captioner=OwnCaptioner(name_of), **options)
    begin(run)
    del run
    gc.collect()
    wait_until(lambda: our_threads() == [])
    wait_until(lambda: list(scratch.iterdir()) == [])


def test_a_set_stop_cancels_the_run(make: Callable[..., list[Path]]) -> None:
    """The caller's `stop` ends the run; the iteration raises an error and does not just end."""
    stop = threading.Event()
    options: dict[str, Any] = {"ledger": IN_MEMORY, "stop": stop}
    with captoolkit.caption_many(make(4), captioner=OwnCaptioner(name_of), **options) as run:
        next(run)
        stop.set()
        with pytest.raises(UsageError, match="was cancelled"):
            list(run)


def test_plans_are_known_before_the_first_request(
    make: Callable[..., list[Path]], fixtures: Path
) -> None:
    """`plans` has a plan or an error for each source, in their order, and the sum of the prices."""
    captioner = OwnCaptioner(name_of, base_url=SINGAPORE)
    sources = [*make(3, seconds=2), fixtures / "not-media.wav"]
    options: dict[str, Any] = {"segment": "1s", "ledger": IN_MEMORY, "clock": InstantClock()}
    with captoolkit.caption_many(sources, captioner=captioner, **options) as run:
        *plans, error = run.plans()
        assert [plan.info.path for plan in plans if isinstance(plan, Plan)] == [
            str(source) for source in sources[:3]
        ]
        assert isinstance(error, NotMediaError)
        costs = run.cost_range()
        assert costs is not None
        assert costs.most is not None
        assert costs.currency == "USD"
        assert run.may_cost
        assert captioner.asked == 0
        results = list(run)
        assert sorted(result.index for result in results) == [0, 1, 2, 3]
        assert captioner.asked == 6
        assert run.plans() == (*plans, error)
    assert run.cost is not None
    assert run.cost.amount <= costs.most


def test_plans_are_not_made_after_the_first_result(make: Callable[..., list[Path]]) -> None:
    """Sources are opened as they are needed then."""
    with captoolkit.caption_many(make(2), captioner=OwnCaptioner(name_of)) as run:
        next(run)
        with pytest.raises(UsageError, match="has begun"):
            run.plans()


def test_a_refused_key_leaves_planned_files_out(make: Callable[..., list[Path]]) -> None:
    """Also after `plans` the run ends once."""

    def refuse(clip: Clip) -> str:
        raise REFUSED

    options: dict[str, Any] = {"concurrency": 1, "ledger": IN_MEMORY}
    with captoolkit.caption_many(make(9), captioner=OwnCaptioner(refuse), **options) as run:
        assert len(run.plans()) == 9
        with pytest.raises(ServiceError, match="no such key"):
            list(run)


def test_the_budget_holds_for_all_files(make: Callable[..., list[Path]]) -> None:
    """0.11 dollars cover one worst case, and then one more real answer: the rest are holes."""
    captioner = OwnCaptioner(
        name_of,
        base_url=SINGAPORE,
        usage=captoolkit.model.Usage(input_tokens=160, output_tokens=1500),
    )
    budget = captoolkit.Budget("0.11")
    options: dict[str, Any] = {"max_cost": budget, "ledger": IN_MEMORY, "clock": InstantClock()}
    with captoolkit.caption_many(make(4), captioner=captioner, **options) as run:
        results = list(run)
    assert captioner.asked == 2
    assert budget.spent <= budget.cap
    assert sum(len(result.timeline.holes) for result in results if result.timeline) == 2


def test_a_run_without_sources_ends(tmp_path: Path) -> None:
    """No source is no error, for `plans` neither."""
    with captoolkit.caption_many([]) as run:
        assert run.plans() == ()
        assert run.cost_range() is None
        assert list(run) == []
    with captoolkit.caption_many(iter(())) as run:
        assert list(run) == []
