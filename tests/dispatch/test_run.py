"""One run of asking that many recordings share."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from captoolkit.api.asking_run import open_run
from captoolkit.api.prepare import prepare
from captoolkit.captioners.base import Clip
from captoolkit.dispatch.asker import Outcome
from captoolkit.dispatch.ledger import IN_MEMORY
from captoolkit.dispatch.run import RecordingEntries
from captoolkit.errors import ServiceError
from captoolkit.events import Event, TextArrived
from captoolkit.model import Status
from captoolkit.support.cancel import StoppedError
from tests.support.captioning import OwnCaptioner, segment, submit
from tests.support.sound import noise, write_wav

LONG_S = 10.0  # nothing here takes so long unless it hangs


def name_of(clip: Clip) -> str:
    """A caption that names its file."""
    return clip.path.name


def test_segments_of_several_recordings_share_a_run(tmp_path: Path) -> None:
    """Each future has the outcome of its segment, each event its input; the run counts all."""
    events: list[Event] = []
    captioner = OwnCaptioner(name_of)
    with open_run(captioner, ledger=IN_MEMORY, stream=True, on_event=events.append) as run:
        assert run.limit == 4 * 4
        outcomes = {
            name: submit(run, segment(tmp_path, index), path=name)
            for index, name in enumerate(("a.wav", "b.wav"), start=1)
        }
        texts = [future.result(LONG_S).entry.text for future in outcomes.values()]
        assert texts == ["night.001.wav", "night.002.wav"]
        assert (run.requested, run.recalled, run.usage.total_tokens) == (2, 0, 2 * 559)
        again = submit(run, segment(tmp_path, 1), path="c.wav").result(LONG_S)
        assert (again.recalled, run.recalled, run.usage.total_tokens) == (True, 1, 2 * 559)
    assert {event.path for event in events if isinstance(event, TextArrived)} == {"a.wav", "b.wav"}


def test_an_error_of_all_requests_is_kept(tmp_path: Path) -> None:
    """After a refused key the run has the error, and sends nothing more."""

    def refuse(clip: Clip) -> str:
        raise ServiceError("no such key", status_code=401)

    captioner = OwnCaptioner(refuse)
    with open_run(captioner, ledger=IN_MEMORY, concurrency=1) as run:
        outcomes = [submit(run, segment(tmp_path, index), path="a.wav") for index in (1, 2, 3)]
        entries = [future.result(LONG_S).entry for future in outcomes]
        assert {entry.status for entry in entries} == {Status.FAILED}
        assert str(run.error) == "no such key"
        assert captioner.asked == 1


def test_the_rest_has_an_entry_for_each_planned_segment(tmp_path: Path) -> None:
    """Also where the cut after the last finished segment moved to an earlier place."""
    sound = write_wav(tmp_path / "minute.wav", noise(60, rate_hz=8_000), rate_hz=8_000)
    with open_run(OwnCaptioner(name_of), ledger=IN_MEMORY) as run:
        for made in range(1, 6):
            with prepare(sound, segment="10s", jobs=1) as prepared:
                entries = RecordingEntries(prepared, run)
                finished = list(itertools.islice(prepared, made))
                rest = entries.add_failed_rest(ServiceError("overdue"))
            assert [entry.index for entry in rest] == list(range(len(finished) + 1, 7))


def test_the_number_of_unfinished_segments_is_bounded(tmp_path: Path) -> None:
    """`reserve` waits while four segments for each request are unfinished."""
    may_end, submitted = threading.Event(), threading.Event()

    def slow(clip: Clip) -> str:
        may_end.wait(LONG_S)
        return "heard"

    with open_run(OwnCaptioner(slow), ledger=IN_MEMORY, concurrency=1) as run:
        for index in range(1, run.limit + 1):
            submit(run, segment(tmp_path, index), path="a.wav")
        assert run.limit == 4

        def submit_another() -> None:
            submit(run, segment(tmp_path, 5), path="b.wav").result(LONG_S)
            submitted.set()

        another = threading.Thread(target=submit_another)
        another.start()
        assert not submitted.wait(0.1)
        may_end.set()
        another.join(LONG_S)
        assert submitted.is_set()


def test_a_closed_run_takes_no_segment(tmp_path: Path) -> None:
    """Closing cancels the run: its waiting segments and later ones raise `StoppedError`."""
    begun, may_end = threading.Event(), threading.Event()

    def slow(clip: Clip) -> str:
        begun.set()
        may_end.wait(LONG_S)
        return "heard"

    waiting: Future[Outcome]
    with open_run(OwnCaptioner(slow), ledger=IN_MEMORY, concurrency=1) as run:
        in_flight = submit(run, segment(tmp_path, 1), path="a.wav")
        waiting = submit(run, segment(tmp_path, 2), path="a.wav")
        assert begun.wait(LONG_S)
    for end in (waiting.result, lambda: submit(run, segment(tmp_path, 3), path="a.wav")):
        with pytest.raises(StoppedError):
            end()
    may_end.set()
    assert in_flight.result(LONG_S).entry.text == "heard"
