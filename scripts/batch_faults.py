"""Kill workers, drivers and the store of a batch at random moments, and check what is left.

    python scripts/batch_faults.py                        # a few seeds of each
    python scripts/batch_faults.py --workers 20 --drivers 10 --stores 3 --recordings 300
    python scripts/batch_faults.py --workers 6 --first-seed 14 --drivers 0 --stores 0 --captions 0

Each trial runs `captoolkit batch` with three workers on an S3 server (moto) of its own, until the
command ends with 0; a killed command is run again. Then every recording has one row, and the bytes
in the bucket are those of a run without faults. Trials of captions ask the emulator, with faults
and with killed workers: each distinct segment is answered once. The table has a line for each
trial; the exit status is 1 if one failed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from captoolkit.emulator import Emulator  # noqa: E402
from captoolkit.jobs.results.recording_rows import RowStatus, read_rows  # noqa: E402
from captoolkit.jobs.stores.object_store import open_store  # noqa: E402
from tests.support.object_store import ObjectStore  # noqa: E402
from tests.support.tones import write_tones  # noqa: E402

KEY = "sk-a-key-that-nothing-may-show"
WORKERS = 3
LONGEST_S = 600.0  # of one command
OUTAGE_S = 5.0
RUNS = 20  # of one command, until it is complete
POLL_S = 0.05


class Outage:
    """A way to the store that can be cut: a process that passes connections on."""

    CODE = """
import socket, sys, threading
target = int(sys.argv[1]); listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
def copy(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
    except OSError: pass
    for s in (a, b):
        try: s.shutdown(socket.SHUT_RDWR)
        except OSError: pass
while True:
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", target))
    for pair in ((client, server), (server, client)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
"""

    def __init__(self, target: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._target = target
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", self.CODE, str(self._target), str(self.port)]
        process = subprocess.Popen(argv)
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return process
            time.sleep(POLL_S)
        raise SystemExit("the way to the store does not open")

    def cut(self) -> None:
        """Kill the way to the store, and open it again after some seconds."""
        self.close()
        time.sleep(OUTAGE_S)
        self._process = self._start()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


class Command:
    """One `captoolkit batch` in a process of its own."""

    def __init__(self, arguments: list[str]) -> None:
        argv = [sys.executable, "-m", "captoolkit", "batch", *arguments]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `finish`
        self._process = subprocess.Popen(
            argv,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            cwd=ROOT,
            env={**os.environ, "DASHSCOPE_API_KEY": KEY},
            start_new_session=True,
        )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill the driver."""
        self._process.kill()

    def kill_worker(self, randomness: random.Random) -> bool:
        """Kill a worker process; return whether there was one."""
        with contextlib.suppress(psutil.Error):
            workers = [
                child
                for child in psutil.Process(self._process.pid).children()
                if "spawn_main" in " ".join(child.cmdline())
            ]
            if workers:
                randomness.choice(workers).send_signal(signal.SIGKILL)
                return True
        return False

    def finish(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and what it wrote to standard error."""
        try:
            status = self._process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            status = self._process.wait()
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace")
        self._errors.close()
        return status, text


def documents_in(out: str) -> int:
    """Return the number of finished recordings in OUT, as far as documents tell."""
    return sum(
        file.name.endswith((".manifest.json", ".timeline.json")) for file in open_store(out).list()
    )


def bytes_in(out: str) -> dict[str, str]:
    """Return the hash of each result in OUT."""
    store = open_store(out)
    return {
        file.name: hashlib.sha256(store.read(file.name)).hexdigest()
        for file in store.list()
        if not file.name.startswith(".captoolkit/")
    }


def until_complete(
    arguments: list[str], out: str, count: int, disturb: Callable[[Command], None]
) -> tuple[int, str]:
    """Run a command until it ends by itself; return the runs, and a problem or nothing."""
    for runs in range(1, RUNS + 1):
        command = Command(arguments)
        helper = threading.Thread(target=disturb, args=(command,))
        helper.start()
        status, errors = command.finish()
        helper.join()
        if KEY in errors:
            return runs, "the key is in the messages"
        if status == 0:
            rows = Counter(row.status for row in read_rows(open_store(out)))
            return runs, "" if rows == {RowStatus.DONE: count} else f"rows: {dict(rows)}"
        if status >= 0 and disturb is nothing:
            return runs, f"exit status {status}: {errors[-300:]}"
        disturb = nothing if status >= 0 else disturb
    return RUNS, "never complete"


def nothing(command: Command) -> None:
    """Let a command run."""


def after(
    out: str, share: float, count: int, act: Callable[[Command], object]
) -> Callable[[Command], None]:
    """Return a function that acts once, when that share of the recordings is done."""
    used = threading.Event()

    def disturb(command: Command) -> None:
        while command.is_running and not used.is_set():
            if documents_in(out) >= share * count:
                used.set()
                act(command)
            time.sleep(POLL_S)

    return disturb


# ---------------------------------------------------------------------------------- trials


Trial = tuple[str, int, float, str]  # what, runs, seconds, problem


def trials(options: argparse.Namespace, folder: Path) -> Iterator[Trial]:
    """Yield the trials."""
    write_tones(folder / "in", options.recordings, seconds=2)
    source, count = str(folder / "in"), options.recordings
    with contextlib.closing(ObjectStore()) as server:
        way = Outage(server.port)
        os.environ.update(server.environment | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{way.port}"})
        try:
            yield from prepare_trials(options, server, way, source, count)
            yield from caption_trials(options, server, source, count, folder)
            yield two_drivers(server, source, count)
            yield two_paying_drivers(server, source, count, folder)
        finally:
            way.close()


def prepare_trials(
    options: argparse.Namespace, server: ObjectStore, way: Outage, source: str, count: int
) -> Iterator[Trial]:
    """Yield the trials of `prepare`."""
    kinds: tuple[tuple[str, int, Callable[[Command, random.Random], object]], ...] = (
        ("none", 1, lambda command, _: None),
        ("SIGKILL of a worker", options.workers, lambda command, r: command.kill_worker(r)),
        ("SIGKILL of the driver", options.drivers, lambda command, _: command.kill()),
        (f"store away for {OUTAGE_S:.0f} s", options.stores, lambda command, _: way.cut()),
    )
    reference: dict[str, str] = {}
    for name, seeds, act in kinds:
        first = 0 if name == "none" else options.first_seed
        for seed in range(first, first + seeds):
            randomness = random.Random(seed)  # noqa: S311 - chooses moments, keeps no secret
            out = f"s3://{server.create_bucket()}/out"
            begun_s = time.monotonic()
            disturb = after(out, randomness.random(), count, partial(_swapped, act, randomness))
            runs, problem = until_complete(
                ["prepare", source, "-o", out, "--cluster", f"local:{WORKERS}"],
                out,
                count,
                nothing if name == "none" else disturb,
            )
            results = bytes_in(out)
            reference = reference or results
            if not problem and results != reference:
                problem = "other bytes than without faults"
            yield f"prepare, {name}, seed {seed}", runs, time.monotonic() - begun_s, problem


def caption_trials(
    options: argparse.Namespace, server: ObjectStore, source: str, count: int, folder: Path
) -> Iterator[Trial]:
    """Yield the trials of captions from a service with faults, while workers die."""
    for seed in range(options.first_seed, options.first_seed + options.captions):
        randomness = random.Random(seed)  # noqa: S311 - as above
        with Emulator(faults=["error500=3%", "throttle=2"], seed=seed) as emulator:
            out = f"s3://{server.create_bucket()}/out"
            begun_s = time.monotonic()
            arguments = caption_arguments(source, out, emulator, folder / f"ledger-{seed}.sqlite3")
            kill = partial(_swapped, Command.kill_worker, randomness)
            act = after(out, 0.9 * randomness.random(), count, kill)
            runs, problem = until_complete(arguments, out, count, act)
            problem = problem or paid_twice(emulator, count)
            yield (
                f"captions, SIGKILL of a worker, seed {seed}",
                runs,
                time.monotonic() - begun_s,
                problem or key_in(out),
            )


def _swapped(
    act: Callable[[Command, random.Random], object], randomness: random.Random, command: Command
) -> None:
    act(command, randomness)


def caption_arguments(source: str, out: str, emulator: Emulator, ledger: Path) -> list[str]:
    """Return the arguments of captions from the emulator."""
    return [
        *("caption", source, "-o", out, "--cluster", f"local:{WORKERS}"),
        *("--captioner", "dashscope", "--base-url", emulator.native_url, "--region", "singapore"),
        *("--rpm", "6000", "--tpm", "10000000", "--concurrency", "8"),
        *("--ledger", str(ledger), "--yes"),
    ]


def paid_twice(emulator: Emulator, count: int) -> str:
    """Return a problem if a segment was answered twice, or not at all."""
    answered = Counter(each.audio_sha256 for each in emulator.requests if each.status == 200)
    if len(answered) == count == answered.total():
        return ""
    return f"{answered.total()} answers for {len(answered)} of {count} segments"


def key_in(out: str) -> str:
    """Return a problem if the key is in OUT."""
    store = open_store(out)
    names = [file.name for file in store.list() if KEY.encode() in store.read(file.name)]
    return f"the key is in {names[0]}" if names else ""


def two_drivers(server: ObjectStore, source: str, count: int) -> Trial:
    """Run two drivers on one OUT at once."""
    out = f"s3://{server.create_bucket()}/out"
    begun_s = time.monotonic()
    arguments = ["prepare", source, "-o", out, "--cluster", "local:1"]
    ends = [command.finish() for command in [Command(arguments), Command(arguments)]]
    rows = Counter(row.status for row in read_rows(open_store(out)))
    is_right = [status for status, _ in ends] == [0, 0] and rows == {RowStatus.DONE: count}
    problem = "" if is_right else f"{ends} {dict(rows)}"
    return "prepare, two drivers at once", 2, time.monotonic() - begun_s, problem


def two_paying_drivers(server: ObjectStore, source: str, count: int, folder: Path) -> Trial:
    """Run two drivers that ask about one OUT at once: one of them is refused."""
    out = f"s3://{server.create_bucket()}/out"
    begun_s = time.monotonic()
    with Emulator() as emulator:
        commands = [
            Command(caption_arguments(source, out, emulator, folder / f"two-{number}.sqlite3"))
            for number in range(2)
        ]
        ends = sorted(command.finish() for command in commands)
        problem = paid_twice(emulator, count)
    if [status for status, _ in ends] != [0, 1] or "another run asks" not in ends[1][1]:
        problem = problem or f"{ends}"
    return "captions, two drivers at once", 2, time.monotonic() - begun_s, problem


def main() -> int:
    """Run the trials and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=int, default=300)
    parser.add_argument("--workers", type=int, default=3, help="seeds with a killed worker")
    parser.add_argument("--drivers", type=int, default=2, help="seeds with a killed driver")
    parser.add_argument("--stores", type=int, default=1, help="seeds with a store that is away")
    parser.add_argument("--captions", type=int, default=1, help="seeds of captions")
    parser.add_argument("--first-seed", type=int, default=0, help="of the seeds of each kind")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="captoolkit-faults-"))
    failed = False
    print("| trial | runs | seconds | result |\n| --- | --- | --- | --- |", flush=True)
    try:
        for name, runs, seconds, problem in trials(options, folder):
            failed = failed or bool(problem)
            print(f"| {name} | {runs} | {seconds:.0f} | {problem or 'right'} |", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
