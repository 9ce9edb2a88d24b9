"""Tests of worker processes: calls, events, errors, and every way in which a worker ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from captoolkit.errors import InputError, ToolError
from captoolkit.events import Event, OnEvent, Warned, ignore
from captoolkit.jobs.commands.worker_process import WorkerProcess
from captoolkit.media import ffmpeg_process
from captoolkit.support import files
from tests.support.processes import has_ended, posix

SLEEPER = ("/bin/sleep", "600")


def work_on(item: str, jobs: int, on_event: OnEvent) -> object:
    """Do one of several things."""
    if item == "report":
        for number in range(200):
            on_event(Warned(path=item, message=str(number)))
        return jobs, os.getpid()
    if item == "fail":
        raise InputError("it is no media", fix="check the name", path="a.wav")
    if item == "stuff":
        return threading.Lock()
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item.startswith("/"):  # a folder to make files in
        with files.staging(Path(item)) as folder, ffmpeg_process.Process(SLEEPER) as process:
            text = f"{os.getpid()} {process._child.pid}"
            on_event(Warned(path=item, message=text))
            (folder / "half").touch()
            process.read(1)
            process.finish()
    return None


def test_events_come_before_the_result() -> None:
    """All of them, in order; the next call is made by the same process."""
    events: list[Event] = []
    with WorkerProcess(work_on) as worker:
        first = worker.call("report", 3, events.append)
        assert worker.call("report", 3, ignore) == first
    assert first[:1] == (3,)  # type: ignore[index]
    assert [event.message for event in events if isinstance(event, Warned)] == [
        str(number) for number in range(200)
    ]


def test_an_error_keeps_its_class_and_its_words() -> None:
    """It has the traceback of the worker as a note."""
    with WorkerProcess(work_on) as worker:
        with pytest.raises(InputError, match="it is no media; check the name") as raised:
            worker.call("fail", 1, ignore)
        assert raised.value.path == "a.wav"
        assert "in work_on" in raised.value.__notes__[0]


def test_a_result_that_cannot_be_pickled_is_an_error() -> None:
    """The call does not wait for ever."""
    with WorkerProcess(work_on) as worker, pytest.raises(RuntimeError, match="cannot be pickled"):
        worker.call("stuff", 1, ignore)


def test_a_worker_that_dies_is_one_error() -> None:
    """The error names the signal and a remedy."""
    with WorkerProcess(work_on) as worker:
        with pytest.raises(ToolError, match=r"was ended \(by SIGKILL\); try it alone") as raised:
            worker.call("die", 1, ignore)
        assert raised.value.returncode == -signal.SIGKILL
        assert not worker.is_alive


@pytest.mark.parametrize("way", ["stop", "SIGTERM", "on_event"])
def test_a_worker_ends_in_an_orderly_way(tmp_path: Path, way: str) -> None:
    """Its ffmpeg ends and its files are removed, although no event comes."""
    numbers: list[int] = []

    def show(event: Event) -> None:
        assert isinstance(event, Warned)
        numbers.extend(map(int, event.message.split()))
        if way == "stop":
            worker.stop()
        elif way == "SIGTERM":
            os.kill(numbers[0], signal.SIGTERM)
        else:
            raise ZeroDivisionError

    error = ZeroDivisionError if way == "on_event" else ToolError
    with WorkerProcess(work_on) as worker, pytest.raises(error):
        worker.call(str(tmp_path), 1, show)
    assert len(numbers) == 2
    assert all(map(has_ended, numbers))
    assert list(tmp_path.iterdir()) == []


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """After SIGKILL of the parent, worker and ffmpeg end, and the worker removes its files."""
    code = (
        "import sys\n"
        "from captoolkit.jobs.commands.worker_process import WorkerProcess\n"
        "from tests.jobs.commands.test_worker_process import work_on\n"
        "show = lambda event: print(event.message, flush=True)\n"
        "WorkerProcess(work_on).call(sys.argv[1], 1, show)\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        numbers = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    until = time.monotonic() + 5
    while not all(map(has_ended, numbers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(numbers) == 2
    assert all(map(has_ended, numbers))
    assert list(tmp_path.iterdir()) == []


FIRST_PROCESS = """
import multiprocessing, signal
from captoolkit.jobs.commands import worker_process
if __name__ == "__main__":
    with worker_process._terminal_signals_blocked():
        process = multiprocessing.get_context("spawn").Process(target=len, args=("",))
        process.start()
        print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    process.join()
"""


@posix
def test_the_first_worker_begins_without_the_signals_of_the_terminal(tmp_path: Path) -> None:
    """Python's own helper process, which starts with the first worker, does not unblock them."""
    program = tmp_path / "program.py"
    program.write_text(FIRST_PROCESS)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
