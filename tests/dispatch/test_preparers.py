"""The threads that prepare recordings for a run of asking."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from captoolkit.api.asking_run import open_run
from captoolkit.api.plan import read_request
from captoolkit.api.prepare import open_prepared
from captoolkit.captioners.base import Clip
from captoolkit.dispatch.ledger import IN_MEMORY
from captoolkit.dispatch.preparers import PreparerPool
from captoolkit.dispatch.run import AskingRun
from captoolkit.errors import UsageError
from captoolkit.media.source import Source
from captoolkit.pipeline.prepared import Prepared
from captoolkit.support.cancel import StoppedError, check_thread
from tests.support.captioning import OwnCaptioner
from tests.support.sound import tone, write_wav

LONG_S = 10.0  # nothing here takes so long unless it hangs
OTHERS = 40  # threads that wait for a place


@pytest.fixture
def run() -> Iterator[AskingRun]:
    """A run with a captioner that names each file."""
    captioner = OwnCaptioner(lambda clip: clip.path.name)
    with open_run(captioner, ledger=IN_MEMORY, concurrency=1) as opened:
        yield opened


class Sources:
    """Three recordings of a second, and the number of jobs with which each is opened."""

    def __init__(self, folder: Path, run: AskingRun) -> None:
        self.paths: list[Source] = [
            write_wav(
                folder / f"{n}.wav", tone(1, rate_hz=16_000, frequency_hz=200 + n), rate_hz=16_000
            )
            for n in range(3)
        ]
        self.jobs: dict[Source, int] = {}
        self._run = run

    def open(self, source: Source, jobs: int) -> Prepared:
        """Open one of them."""
        self.jobs[source] = jobs
        return open_prepared(source, read_request(source, {}), jobs=jobs, on_event=self._run.gate)


def test_files_share_the_jobs(tmp_path: Path, run: AskingRun) -> None:
    """Each file gets its share of the jobs, and the last one gets all of them."""
    sources = Sources(tmp_path, run)
    pool = PreparerPool(run, sources.paths, open_source=sources.open, jobs=6)
    pool.start()
    indices = []
    while (recording := pool.next_ended()) is not None:
        indices.append(recording.index)
        assert recording.entries is not None
        assert recording.entries.has_caption
        pool.release(recording)
    assert sorted(indices) == [0, 1, 2]
    assert [sources.jobs[path] for path in sources.paths] == [2, 3, 6]
    pool.close()


def test_opened_files_are_not_opened_again(tmp_path: Path, run: AskingRun) -> None:
    """`open_all` opens each file once, and `start` continues with the same preparations."""
    sources = Sources(tmp_path, run)
    pool = PreparerPool(run, iter(sources.paths), open_source=sources.open, jobs=2)
    opened = pool.open_all()
    assert [recording.source for recording in opened] == sources.paths
    sources.jobs.clear()
    pool.start()
    for _ in opened:
        recording = pool.next_ended()
        assert recording in opened
        assert recording is not None
        pool.release(recording)
    assert pool.next_ended() is None
    assert sources.jobs == {}
    pool.close()


@pytest.mark.parametrize("is_faulty", [False, True])
def test_a_file_with_all_answers_needs_no_place(tmp_path: Path, is_faulty: bool) -> None:
    """It ends, or fails, as soon as its answers are in, although others take every free place."""
    asked, may_answer = threading.Event(), threading.Event()
    opened: list[Prepared] = []

    def answer(clip: Clip) -> str:
        asked.set()
        may_answer.wait(LONG_S)
        if is_faulty:
            opened[0].close()  # the preparation fails at its next segment
        return "heard"

    with open_run(OwnCaptioner(answer), ledger=IN_MEMORY, concurrency=1) as run:
        sources = Sources(tmp_path, run)

        def open_source(source: Source, jobs: int) -> Prepared:
            opened.append(sources.open(source, jobs))
            return opened[-1]

        pool = PreparerPool(run, sources.paths[:1], open_source=open_source, jobs=1)
        for _ in range(run.limit - 1):
            run.reserve()
        pool.start()
        assert asked.wait(LONG_S)  # the last place is that of its segment
        others = [threading.Thread(target=reserve_in, args=(run,)) for _ in range(OTHERS)]
        for thread in others:
            thread.start()
        timer = threading.Timer(LONG_S, run.stop.set)
        timer.start()
        may_answer.set()
        recording = pool.next_ended()
        timer.cancel()
        assert recording is not None
        assert recording.entries is not None
        assert recording.entries.has_caption
        assert isinstance(recording.error, UsageError) is is_faulty
        pool.release(recording)
        pool.close()
    for thread in others:
        thread.join()


def reserve_in(run: AskingRun) -> None:
    """Take a place, and never give it back."""
    with contextlib.suppress(StoppedError):
        run.reserve()


def test_closing_closes_the_files_that_were_not_prepared(tmp_path: Path, run: AskingRun) -> None:
    """Every file that is open is closed with the pool, and the pool refuses to go on."""
    sources = Sources(tmp_path, run)
    pool = PreparerPool(run, sources.paths, open_source=sources.open, jobs=1)
    opened = pool.open_all()
    pool.close()
    for recording in opened:
        assert recording.prepared is not None
        with pytest.raises(ValueError, match="is closed"):
            next(iter(recording.prepared))
    with pytest.raises(StoppedError):
        pool.next_ended()
    names = [thread.name for thread in threading.enumerate()]
    assert not any(name.startswith("captoolkit-prepare") for name in names)


def test_closing_ends_the_measurements_of_a_plan(tmp_path: Path, run: AskingRun) -> None:
    """They have no events, and may take minutes: Ctrl-C need not wait for their end."""
    sources = Sources(tmp_path, run)
    begun, ended = threading.Event(), threading.Event()

    def open_source(source: Source, jobs: int) -> Prepared:
        begun.set()
        try:
            for _ in range(1000):
                check_thread()
                ended.wait(0.01)
        except StoppedError:
            ended.set()
            raise
        return sources.open(source, jobs)

    pool = PreparerPool(run, sources.paths[:1], open_source=open_source, jobs=1)
    pool.start()
    assert begun.wait(LONG_S)
    pool.close()
    assert ended.is_set()
