"""Tests of child processes: each ends with its parent, even if SIGKILL ends the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from captoolkit.media import child_processes, ffmpeg_process

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")

WITHIN_S = 2.0
SLEEP_S = 600
BEGIN = f"""
import os, subprocess, sys, threading, time
from captoolkit.media import child_processes, ffmpeg_process

def sleeper(**options):
    return ffmpeg_process.Process(["/bin/sleep", "{SLEEP_S}"], **options)
"""
WAIT = f"""
print(*children, flush=True)
time.sleep({SLEEP_S})
"""
# Programs that print the numbers of the children that they start, and wait to be killed.
PROGRAMS = {
    "of the main thread": "children = [sleeper()._child.pid for _ in range(3)]",
    "of a thread that has ended": """
children = []
thread = threading.Thread(target=lambda: children.append(sleeper()._child.pid))
thread.start()
thread.join()
""",
    "that was started a moment ago": """
mark = child_processes.WATCHER_OF_THIS_PROCESS.mark()
children = [subprocess.Popen(["/bin/sleep", "600"], env=mark, start_new_session=True).pid]
""",
    "of a wrapper script": """
wrapper = ffmpeg_process.Process(["/bin/sh", "-c", "/bin/sleep 600 & echo $!; wait"])
children = [wrapper._child.pid, int(next(wrapper.lines()))]
""",
    "while a fork lives on": """
children = [sleeper()._child.pid]
if os.fork() == 0:
    time.sleep(3)
    os._exit(0)
""",
}


def run(code: str) -> subprocess.Popen[str]:
    """Start a Python program whose output is read."""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def is_running(process: int) -> bool:
    """Return whether a process runs; one that has ended and is not reaped does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def becomes_true(condition: Callable[[], bool]) -> bool:
    """Return whether a condition is met within `WITHIN_S`."""
    until = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def watchers_of(process: int) -> list[int]:
    """Return the watchers that a process has started."""
    mark = f"{child_processes.PARENT_VARIABLE}={process}-".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(word.startswith(mark) for word in words):
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_children_end_when_their_parent_is_killed(program: str) -> None:
    """SIGKILL of the parent ends each child, whatever started it."""
    with run(BEGIN + program + WAIT) as parent:
        assert parent.stdout is not None
        children = [int(word) for word in parent.stdout.readline().split()]
        assert children
        assert all(map(is_running, children))
        parent.kill()
        assert becomes_true(lambda: not any(map(is_running, children)))


def test_the_watcher_ends_with_the_program() -> None:
    """A program that ends by itself leaves no watcher, and its exit status stays."""
    code = (
        "with ffmpeg_process.Process(['/bin/true']) as process:\n"
        "    process.finish()\n"
        "print(os.getpid())"
    )
    with run(BEGIN + code) as parent:
        number = int(parent.communicate()[0])
    assert parent.returncode == 0
    assert becomes_true(lambda: not watchers_of(number))


def test_the_watcher_is_no_child() -> None:
    """`os.wait` in the caller's program does not wait for it."""
    code = BEGIN + "with sleeper(): pass\ntry: os.wait()\nexcept ChildProcessError: print('none')"
    with run(code) as parent:
        assert parent.communicate(timeout=30)[0].strip() == "none"


def test_a_killed_watcher_is_replaced() -> None:
    """The next child starts another one, which also knows the children from before."""
    with ffmpeg_process.Process(["/bin/sleep", str(SLEEP_S)]):
        (first,) = watchers_of(os.getpid())
        os.kill(first, signal.SIGKILL)
        assert becomes_true(lambda: not is_running(first))
        for _ in range(2):  # the first one finds the pipe closed
            with ffmpeg_process.Process(["/bin/true"]) as process:
                process.finish()
        (second,) = watchers_of(os.getpid())
        assert second != first


def test_children_of_others_live_on() -> None:
    """The end of a process ends none of the children of another one."""
    with ffmpeg_process.Process(["/bin/sleep", str(SLEEP_S)]) as own:
        with run(BEGIN + PROGRAMS["of the main thread"] + WAIT) as parent:
            assert parent.stdout is not None
            children = [int(word) for word in parent.stdout.readline().split()]
            parent.kill()
        assert becomes_true(lambda: not any(map(is_running, children)))
        time.sleep(0.5)  # the watcher looks twice
        assert own._child.poll() is None
