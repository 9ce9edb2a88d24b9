from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from captoolkit.api.prepare import prepare
from captoolkit.errors import UsageError
from captoolkit.events import Event, Progressed, SegmentReady, Started, Warned
from captoolkit.pipeline.event_gate import EventGate, PrepareEvents
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import make_plan
from captoolkit.support.cancel import StoppedError
from tests.support.media_values import CAPTIONER, media, track
from tests.support.processes import has_children
from tests.support.sound import noise, write_wav

EVENT = Warned(path="a.wav", message="odd")


def test_calls_never_overlap() -> None:
    """Four threads that emit at once call `on_event` one after another."""
    inside, most = 0, 0

    def on_event(event: Event) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.001)
        inside -= 1

    gate = EventGate(on_event)

    def emit() -> None:
        for _ in range(25):
            gate(EVENT)

    threads = [threading.Thread(target=emit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_the_gate_knows_which_thread_is_inside() -> None:
    """Only the thread in which `on_event` runs is inside, also during and after a nested event."""
    seen: list[bool] = []

    def on_event(event: Event) -> None:
        seen.append(gate.is_inside)
        if len(seen) == 1:
            gate(EVENT)
            seen.append(gate.is_inside)
            other = threading.Thread(target=lambda: seen.append(gate.is_inside))
            other.start()
            other.join()

    gate = EventGate(on_event)
    assert not gate.is_inside
    gate(EVENT)
    assert seen == [True, True, True, False]
    assert not gate.is_inside


def test_the_first_exception_of_the_caller_ends_all_events() -> None:
    """The gate keeps the exception, raises it for each later event and calls nothing any more."""
    calls = 0

    def on_event(event: Event) -> None:
        nonlocal calls
        calls += 1
        raise ZeroDivisionError("mine")

    gate = EventGate(on_event)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError) as caught:
            gate(EVENT)
        assert caught.value is gate.error
    assert calls == 1
    assert not gate.is_inside


def test_after_the_stop_no_event_passes() -> None:
    """A thread that emits after a cancellation is ended; this is no error of the caller's."""
    events: list[Event] = []
    stop = threading.Event()
    gate = EventGate(events.append, stop)
    gate(EVENT)
    stop.set()
    with pytest.raises(StoppedError):
        gate(EVENT)
    assert events == [EVENT]
    assert gate.error is None


def test_the_events_of_a_preparation() -> None:
    """Progress adds up and never passes the total; warnings and remarks are kept."""
    events: list[Event] = []
    sound = track(6)
    plan = make_plan(media(sound), sound, CAPTIONER, options=ParsedOptions(format="mp3"))
    prepare_events = PrepareEvents(plan, events.append)
    prepare_events.started()
    for seconds in (2.0, 3.0, 4.0):
        prepare_events.progressed(seconds)
    prepare_events.warned("It is odd.")
    assert plan.encoding is not None
    prepare_events.replaced(2, plan.encoding)

    assert events[0] == Started(path=plan.info.path, plan=plan)
    progress = [event for event in events if isinstance(event, Progressed)]
    assert [(event.done_s, event.total_s) for event in progress] == [(2, 6), (5, 6), (6, 6)]
    assert prepare_events.warnings == ["It is odd."]
    (remark,) = prepare_events.remarks
    assert remark.startswith("Segment 2 ")


def test_work_on_one_input_shares_one_gate() -> None:
    """A gate that is passed as `on_event` is used itself, not wrapped in a second one."""
    sound = track(6)
    plan = make_plan(media(sound), sound, CAPTIONER, options=ParsedOptions())
    gate = EventGate(lambda event: None)
    assert PrepareEvents(plan, gate).gate is gate


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_callback_may_close_the_preparation(tmp_path: Path, jobs: int) -> None:
    """A Cancel button: closing inside `on_event` ends the work without a deadlock."""
    path = write_wav(tmp_path / "a.wav", noise(1300.0, rate_hz=8_000), rate_hz=8_000)

    def cancel(event: Event) -> None:
        if isinstance(event, SegmentReady):
            threading.Event().wait(0.3)  # long enough for workers to have an event
            prepared.close()

    prepared = prepare(path, segment=20, format="mp3", jobs=jobs, on_event=cancel)

    def take() -> None:
        with pytest.raises(UsageError, match="is closed"):
            list(prepared)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    taker.join(30)
    assert not taker.is_alive()
    prepared.close()
    assert not has_children()
