"""Run a command and measure it: its time, CPU time, peak memory, and its starts of ffmpeg."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from captoolkit.media import ffmpeg, ffmpeg_process

ROOT = Path(__file__).resolve().parents[1]

# ------------------------------------------------------------------------- the memory of a tree

SAMPLE_S = 0.05
PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37  # linux/prctl.h
PROC = Path("/proc")


def memory_measure() -> str | None:
    """Return what stands for memory here: PSS, which counts a shared page once; RSS; or None."""
    if not (PROC / "self" / "stat").exists():
        return None
    return "RSS" if pss_bytes(os.getpid()) is None else "PSS"


def pss_bytes(pid: int) -> int | None:
    """Return a process's proportional set size, or None where it cannot be read."""
    try:
        lines = (PROC / f"{pid}" / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), None)


def rss_bytes(pid: int) -> int | None:
    """Return a process's resident set size, or None where it cannot be read."""
    try:
        return int((PROC / f"{pid}" / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def program(pid: int) -> str:
    """Return the path of the program that a process runs, nothing where it has ended."""
    try:
        return f"{(PROC / f'{pid}' / 'exe').readlink()}"
    except OSError:
        return ""


def tree(root: int) -> dict[int, int]:
    """Return a process and all its descendants, with the parent of each; the root's is itself."""
    children = defaultdict(list)
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                stat = (folder / "stat").read_text(errors="replace")
                children[int(stat.rpartition(")")[2].split()[1])].append(int(folder.name))
    found, waiting = {root: root}, [root]
    while waiting:
        pid = waiting.pop()
        found |= dict.fromkeys(children[pid], pid)
        waiting += children[pid]
    return found


class PeakMemory:
    """The most memory a process and its descendants held at once, sampled while it is entered.

    A process that has just been split off shares its parent's memory until it becomes another
    program, which is no memory of its own: it counts once it has, or is still there the next time.
    """

    def __init__(self, root: int, measure: str | None) -> None:
        self.peak_bytes: int | None = None
        self._root = root
        self._read = {"PSS": pss_bytes, "RSS": rss_bytes}.get(measure or "")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._read is None:
            return
        known = {self._root}
        while True:
            found = tree(self._root)
            own = (pid for pid in found if pid in known or program(pid) != program(found[pid]))
            now_bytes = sum(self._read(pid) or 0 for pid in own)
            self.peak_bytes = max(self.peak_bytes or 0, now_bytes)
            known |= found.keys()
            if self._ended.wait(SAMPLE_S):
                return


# ----------------------------------------------------------------------------- one measured run

OUT = "{out}"  # stands for the fresh folder in a command


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to do a job.

    Attributes:
        table: the name of the table that it belongs to.
        amount: how many seconds of sound it works on, or how many files.
        is_reference: the others of its table are held against it.
        counts_starts: it is captoolkit, which starts the ffmpeg that the environment names.
    """

    table: str
    name: str
    argv: tuple[str, ...]
    amount: float
    is_reference: bool = False
    counts_starts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of a way took; `problem` is None unless it failed."""

    table: str
    way: str
    round: int
    amount: float
    wall_s: float
    user_s: float
    system_s: float
    peak_bytes: int | None
    files: int
    problem: str | None
    starts: int | None = None

    @property
    def cpu_s(self) -> float:
        """CPU time of the process and of all processes below it."""
        return self.user_s + self.system_s


def run(way: Way, *, number: int, scratch: Path, measure: str | None) -> Run:
    """Run a way once, in a fresh folder that is removed."""
    with (
        tempfile.TemporaryDirectory(dir=scratch) as folder,
        tempfile.TemporaryFile(dir=scratch) as messages,
    ):
        argv = [part.replace(OUT, folder) for part in way.argv]
        begun_s = time.perf_counter()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=messages,
            cwd=ROOT,
        )
        with PeakMemory(process.pid, measure) as memory:
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - begun_s
        usages = [usage, *adopted()]
        process.returncode = os.waitstatus_to_exitcode(status)  # it is reaped already
        messages.seek(0)
        return Run(
            table=way.table,
            way=way.name,
            round=number,
            amount=way.amount,
            wall_s=wall_s,
            user_s=sum(one.ru_utime for one in usages),
            system_s=sum(one.ru_stime for one in usages),
            peak_bytes=memory.peak_bytes,
            files=sum(path.suffix != ".json" for path in Path(folder).iterdir()),
            problem=problem(process.returncode, messages.read()),
        )


# Counts its starts, apart from those that ask for its version and encoders.
COUNTER = """#!/bin/sh
case "$*" in *-version|*-encoders) ;; *) echo >>'{log}' ;; esac
exec '{program}' "$@"
"""


def count_starts(way: Way, scratch: Path) -> int:
    """Run a way once more and return how often it starts ffmpeg."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        log, counter, out = (Path(folder) / name for name in ("log", "ffmpeg", "out"))
        log.touch()
        out.mkdir()
        counter.write_text(COUNTER.format(log=log, program=ffmpeg.find().path))
        counter.chmod(0o755)
        subprocess.run(
            [part.replace(OUT, f"{out}") for part in way.argv],
            env={**os.environ, ffmpeg.ENVIRONMENT_VARIABLE: f"{counter}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            check=False,
        )
        return len(log.read_text().splitlines())


def adopt_orphans() -> None:
    """Let processes that outlive their parent become children of this one (on Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def adopted() -> Iterator[resource.struct_rusage]:
    """Wait for the processes that a program has left, such as the server of its workers."""
    adopts = ctypes.c_int()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(adopts), 0, 0, 0)
    if not adopts.value:  # nothing is left to this process, which may have children of its own
        return
    with contextlib.suppress(ChildProcessError):
        while True:
            yield os.wait4(-1, 0)[2]


def problem(status: int, messages: bytes) -> str | None:
    """Return why a run failed, None if it did not."""
    if status == 0:
        return None
    return f"exit status {status}: {ffmpeg_process.last_line(messages.decode(errors='replace'))}"


def in_turn(ways: Sequence[Way], rounds: int) -> Iterator[tuple[int, Way]]:
    """Yield all ways once a round; every other round goes backwards."""
    for number in range(rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            yield number, way


def run_in_turn(ways: Sequence[Way], *, rounds: int, scratch: Path) -> list[Run]:
    """Run all ways in turn, and print on standard error which one runs.

    Several tables may have the same command on the same file: it runs once a round for all of them.
    """
    measure, runs = memory_measure(), []
    alike: dict[tuple[str, ...], list[Way]] = {}
    for way in ways:
        alike.setdefault(way.argv, []).append(way)
    for number, way in in_turn([same[0] for same in alike.values()], rounds):
        print(f"round {number + 1}: {way.name} ...", end=" ", file=sys.stderr, flush=True)
        done = run(way, number=number, scratch=scratch, measure=measure)
        if number == 0 and way.counts_starts:
            done = replace(done, starts=count_starts(way, scratch))
        runs += [
            replace(done, table=same.table, way=same.name, amount=same.amount)
            for same in alike[way.argv]
        ]
        print(done.problem or f"{done.wall_s:.2f} s", file=sys.stderr)
    return runs


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> str:
    """Return what this runs on, in plain words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    tool = ffmpeg.find().version
    return f"{cores()} cores, {memory:.0f} GiB, {platform.system()}, Python {python}, ffmpeg {tool}"
