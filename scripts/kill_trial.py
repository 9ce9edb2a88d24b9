"""Kill captoolkit at random moments, and look for what it leaves behind.

    python scripts/kill_trial.py --rounds 10
    python scripts/kill_trial.py --rounds 0 --operations

With `--operations` SIGKILL ends a run that replaces the segments of an earlier run, before each of
its operations on files in turn. The next run must leave a complete set of segments, the old or the
new one.

In each other round captoolkit prepares a recording of three hours, or does so in threads of a
library's user, or prepares many short files in worker processes, and SIGKILL ends the program, or
one of its workers, after a random time. Two seconds later no ffmpeg may be left that belongs to the
round, and the next run may leave no hidden folder. Exit status 0 if nothing was left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

# Runs the command line, and dies before operation N on a file in the folder.
DIES_BEFORE = (
    "import os, signal, sys\n"
    "left, folder = int(sys.argv.pop(1)), sys.argv.pop(1)\n"
    "events = {'open', 'os.mkdir', 'os.remove', 'os.rename', 'os.rmdir', 'shutil.rmtree'}\n"
    "def count(event, arguments):\n"
    "    global left\n"
    "    if event in events and str(arguments[0]).startswith(folder):\n"
    "        if left == 0:\n"
    "            os.kill(os.getpid(), signal.SIGKILL)\n"
    "        left -= 1\n"
    "sys.addaudithook(count)\n"
    "from captoolkit.cli import main\n"
    "sys.exit(main())\n"
)
HOURS, RATE_HZ = 3, 16_000
SHORT_FILES = 640  # so many that the command takes processes for four jobs
WITHIN_S = 2.0
ROUND_VARIABLE = "CAPTOOLKIT_TRIAL"  # ffmpeg inherits it, so that a round finds its own
CLI = (sys.executable, "-m", "captoolkit")
LIBRARY = (
    "import sys, threading; from captoolkit import prepare\n"
    "def work(number):\n"
    "    with prepare(sys.argv[1], segment='10m', jobs=1) as prepared:\n"
    "        prepared.save(sys.argv[2], stem=f'part{number}', overwrite=True)\n"
    "threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]\n"
    "[thread.start() for thread in threads]\n"
    "[thread.join() for thread in threads]\n"
)


def main() -> int:
    """Run all rounds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="of each kind")
    parser.add_argument("--hours", type=float, default=HOURS, help="length of the long recording")
    parser.add_argument("--operations", action="store_true", help="kill before each operation")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory(prefix="kill-trial-") as folder:
        faults = [
            fault
            for kind in (kill_cli, kill_library, kill_worker, kill_parent_of_workers)
            for number in range(options.rounds)
            for fault in run_round(kind, number, Path(folder), options.hours, rng)
        ]
        if options.operations:
            faults += kill_before_each_operation(Path(folder))
    print(f"{len(faults)} things were left behind")
    return 1 if faults else 0


def run_round(
    kind: Callable[[Path, dict[str, str], random.Random], Sequence[str]],
    number: int,
    folder: Path,
    hours: float,
    rng: random.Random,
) -> list[str]:
    """Run one round; print and return what it left behind."""
    long, short = folder / "long.wav", folder / "short"
    if not long.exists():
        make_sounds(long, short, hours)
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    mark = f"{os.getpid()}-{kind.__name__}-{number}"
    environment = os.environ | {"TMPDIR": str(temporary), ROUND_VARIABLE: mark}
    faults = [*kind(folder, environment, rng)]
    time.sleep(WITHIN_S)
    faults += [f"still runs: {name}" for name in running(mark)]
    out = folder / "out"
    between = [path.name for path in (*out.glob(".*"), *temporary.glob("*"))]
    sweep = [*CLI, "prepare", str(short / "0.wav"), "-o", str(out), "-y", "--format", "mp3"]
    subprocess.run(sweep, check=True, stdout=subprocess.DEVNULL, env=environment)
    faults += [f"stays: {path}" for path in (*out.glob(".*"), *temporary.glob("*"))]
    print(
        f"{kind.__name__} {number}: {len(between)} hidden before the next run, {faults or 'clean'}"
    )
    shutil.rmtree(out)
    return faults


def kill_before_each_operation(folder: Path) -> list[str]:
    """Kill runs that replace an earlier run's segments; return what is wrong after the next run."""
    sound, out, faults = folder / "sound.wav", folder / "saved", list[str]()
    make_sound(sound, 0)
    options = ("-o", str(out), "-y", "--format", "mp3", "--segment")
    command, earlier = ("prepare", str(sound), *options), folder / "earlier"
    subprocess.run([*CLI, *command, "1"], check=True, stdout=subprocess.DEVNULL)
    out.rename(earlier)
    for number in range(10_000):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(earlier, out)
        dying = [sys.executable, "-c", DIES_BEFORE, str(number), str(out), *command, "2.5"]
        status = subprocess.run(dying, check=False, stdout=subprocess.DEVNULL).returncode
        if status != -signal.SIGKILL:
            faults += [f"status {status}"] if status else []
            print(f"{number} operations, {faults or 'clean'}")
            return faults
        hidden = len(list(out.glob(".*")))
        other = [*CLI, "prepare", "-", "--stem", "other", *options, "9"]
        with sound.open("rb") as stream:
            subprocess.run(other, check=True, stdin=stream, stdout=subprocess.DEVNULL)
        found = sorted(path.name for path in out.iterdir() if not path.name.startswith("other."))
        segments = json.loads((out / "sound.manifest.json").read_text())["segments"]
        described = sorted([*(segment["file"] for segment in segments), "sound.manifest.json"])
        print(f"before operation {number}: {hidden} hidden, then {len(segments)} segments")
        if found != described:
            faults.append(f"killed before operation {number}: {found}")
    return faults


def make_sounds(long: Path, short: Path, hours: float) -> None:
    """Write a long recording and many short ones, of noise."""
    short.mkdir()
    make_sound(long, round(hours * 60))
    make_sound(short / "0.wav", 0)
    for number in range(1, SHORT_FILES):
        os.link(short / "0.wav", short / f"{number}.wav")


def make_sound(path: Path, minutes: int) -> None:
    """Write a recording of some minutes and five seconds of noise."""
    block = random.Random(1).randbytes(2 * RATE_HZ * 60)  # noqa: S311 - sound
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        for _ in range(minutes):
            sound.writeframesraw(block)
        sound.writeframesraw(block[: 2 * RATE_HZ * 5])


def start(argv: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a program whose output nobody reads."""
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(argv, env=environment, stdout=nowhere, stderr=nowhere)


def kill_after(program: subprocess.Popen[bytes], folder: Path, seconds: float) -> list[str]:
    """Kill a program some seconds after it has made its first hidden folder."""
    while not any((folder / "out").glob(".*")) and program.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    if program.poll() is not None:
        return [f"it had ended before, with status {program.returncode}"]
    program.kill()
    program.wait()
    return []


def kill_cli(folder: Path, environment: dict[str, str], rng: random.Random) -> list[str]:
    """Kill the command line while it encodes the long recording."""
    argv = [*CLI, "prepare", str(folder / "long.wav"), "-o", str(folder / "out")]
    return kill_after(start(argv, environment), folder, rng.uniform(0, 4))


def kill_library(folder: Path, environment: dict[str, str], rng: random.Random) -> list[str]:
    """Kill a program that uses the library in three threads."""
    argv = [sys.executable, "-c", LIBRARY, str(folder / "long.wav"), str(folder / "out")]
    return kill_after(start(argv, environment), folder, rng.uniform(0, 4))


def kill_worker(folder: Path, environment: dict[str, str], rng: random.Random) -> list[str]:
    """Kill a worker process; the program reports one file, or none if the worker was idle."""
    argv = short_files(folder)
    with subprocess.Popen(
        argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as program:
        time.sleep(rng.uniform(1, 4))
        workers = [process for process in processes() if is_worker_of(process, program.pid)]
        if not workers:
            program.kill()
            return []
        os.kill(rng.choice(workers), signal.SIGKILL)
        _, errors = program.communicate()
    lines = errors.splitlines()
    made = len(list((folder / "out").glob("*.manifest.json")))
    is_told = made + len(lines) == SHORT_FILES and all("SIGKILL" in line for line in lines)
    return [] if is_told else [f"{made} files and {lines}"]


def kill_parent_of_workers(
    folder: Path, environment: dict[str, str], rng: random.Random
) -> list[str]:
    """Kill the program while its workers prepare many short files."""
    return kill_after(start(short_files(folder), environment), folder, rng.uniform(0, 2))


def short_files(folder: Path) -> list[str]:
    """Return the command that encodes each of the short files with ffmpeg."""
    out = ("-o", str(folder / "out"), "--jobs", "4", "--format", "mp3")
    return [*CLI, "prepare", str(folder / "short"), *out]


def processes() -> list[int]:
    """Return the numbers of all processes."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def is_worker_of(process: int, program: int) -> bool:
    """Return whether a process is a grandchild of a program: a worker that its server forked."""
    try:
        return (
            parent_of(parent_of(process)) == program
            and b"forkserver" in Path(f"/proc/{process}/cmdline").read_bytes()
        )
    except OSError:
        return False


def parent_of(process: int) -> int:
    """Return the number of a process's parent."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def running(mark: str) -> list[str]:
    """Return the commands of all processes of a round that have not ended."""
    found = []
    for process in processes():
        try:
            environment = Path(f"/proc/{process}/environ").read_bytes()
            command = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if f"{ROUND_VARIABLE}={mark}".encode() in environment.split(b"\0"):
            found.append(command.replace(b"\0", b" ").decode(errors="replace")[:120])
    return found


if __name__ == "__main__":
    sys.exit(main())
