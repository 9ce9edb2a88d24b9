#!/usr/bin/env python3
"""Measure what a batch costs beyond the work itself: overhead, start, memory, resume.

    .venv/bin/python scripts/bench_batch.py                    the figures of docs/guides/batch.md
    .venv/bin/python scripts/bench_batch.py --files 200 --listed 100000 --resumed 1000 --rounds 1
    .venv/bin/python scripts/bench_batch.py --only overhead    or start, resume, memory
    .venv/bin/python scripts/bench_batch.py --only again --files 10000 --rounds 1
    .venv/bin/python scripts/bench_batch.py --only work        seconds of work for each recording
    .venv/bin/python scripts/bench_batch.py --ways             threads against processes

The overhead compares the CPU time of `captoolkit batch prepare --cluster local:1` with that of
`captoolkit prepare --jobs 1` on the same FLACs of 15 to 30 s (22.05 kHz, mono), processes included,
in turn, and in the same round that of both on one file, which is the start. The memory is the peak
(PSS) of driver and scheduler with a listing of a million recordings, half of them done. The resume
is a second run over finished recordings; it starts no ffmpeg.

`--only again` measures `captoolkit prepare` of short WAVs, the same with `-y`, and the first again.
`--only work` measures the constants of `captoolkit/jobs/chunks.py`: the CPU time of a recording as
a line over its length, for each verb, on FLACs of 44.1 kHz, stereo.

All commands run with compiled modules, as an installed program does.

`--ways` measures `captoolkit prepare` of few and of many short files in threads and in processes:
the constants of `captoolkit/jobs/commands/input_pool.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from captoolkit.jobs.batch_options import recipe_of  # noqa: E402
from captoolkit.jobs.listing.inputs import Input  # noqa: E402
from captoolkit.jobs.listing.listings import list_inputs  # noqa: E402
from captoolkit.jobs.results.recipe import open_job  # noqa: E402
from captoolkit.jobs.results.recording_rows import RecordingRow, RowStatus, write_rows  # noqa: E402
from captoolkit.jobs.stores.object_store import open_store  # noqa: E402
from scripts.bench_sounds import UNIT_S, make_unit  # noqa: E402
from tests.support.tones import write_tone, write_tones  # noqa: E402

MEASURED = ("start", "resume", "memory", "overhead")
WORK_FILES = {10: 24, 310: 4}  # recordings of each length in seconds
WORK_SEGMENT = ("--segment", "30s")
POLL_S = 0.1
FEW = 10
PREPARE = """
import sys
from captoolkit.jobs.commands import input_pool
input_pool.are_many_short = lambda inputs, workers: sys.argv[1] == "1"
from captoolkit.cli import main
sys.exit(main(sys.argv[2:]))
"""
ROWS_OF_FILE = 200


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took."""

    wall_s: float
    cpu_s: float
    peak_mb: float  # of the first process, which is driver and scheduler


def measure(*argv: object) -> Cost:
    """Run `captoolkit` and return what it took, with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun_s = time.monotonic()
    command = [sys.executable, "-m", "captoolkit", *map(str, argv)]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak_mb = 0.0
    while process.poll() is None:
        peak_mb = max(peak_mb, pss_mb(process.pid))
        time.sleep(POLL_S)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command} ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - begun_s, cpu_s, peak_mb)


def pss_mb(process_id: int) -> float:
    """Return the proportional set size of a process; 0 when it has ended."""
    try:
        text = Path(f"/proc/{process_id}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    line = next((each for each in text.splitlines() if each.startswith("Pss:")), "Pss: 0 kB")
    return int(line.split()[1]) / 1000


def write_flacs(folder: Path, lengths_s: Iterable[float], *, thinning: int = 1) -> list[Path]:
    """Write FLACs of made sound, each another part of it.

    Args:
        folder: is created.
        lengths_s: the lengths in seconds.
        thinning: 1 for 44.1 kHz and stereo; 2 for 22.05 kHz and mono.
    """
    folder.mkdir(parents=True)
    whole = folder.with_name("unit.wav")
    make_unit(whole, UNIT_S)
    unit, rate_hz = soundfile.read(whole, dtype="int16")
    if thinning > 1:
        unit, rate_hz = unit[::thinning, 0], rate_hz // thinning
    paths = []
    for number, length_s in enumerate(lengths_s):
        path = folder / f"t{number:05}.flac"
        first = number * rate_hz // 7 % len(unit)
        frames = np.arange(first, first + round(length_s * rate_hz)) % len(unit)
        soundfile.write(path, unit[frames], rate_hz, subtype="PCM_16")
        paths.append(path)
    return paths


def pair_cpu_s(source: Path, out: Path) -> tuple[float, float]:
    """Return the CPU time of the plain command and of a batch with one worker, in turn."""
    plain = measure("prepare", source, "-o", out / "p", "--jobs", "1")
    batch = measure("batch", "prepare", source, "-o", out / "b", "--cluster", "local:1")
    shutil.rmtree(out)
    return plain.cpu_s, batch.cpu_s


def overhead(folder: Path, files: int, rounds: int) -> None:
    """Print the CPU time of the batch and of the plain command, and their ratio."""
    paths = write_flacs(folder / "in", [15 + number % 16 for number in range(files)], thinning=2)
    first = folder / "first" / paths[0].name
    first.parent.mkdir()
    first.hardlink_to(paths[0])
    all_files, one_file = [], []
    for _ in range(rounds):
        one_file.append(pair_cpu_s(first.parent, folder / "out"))
        all_files.append(pair_cpu_s(folder / "in", folder / "out"))
    for name, pairs in (("1 FLAC", one_file), (f"{files} FLACs of 15 to 30 s", all_files)):
        plain, batch = (statistics.median(each) for each in zip(*pairs, strict=True))
        ratio = statistics.median(batch / plain for plain, batch in pairs)
        print(
            f"{name}, CPU: plain {plain:.2f} s, batch {batch:.2f} s, {batch - plain:+.2f} s, "
            f"ratio {ratio:.3f}",
            flush=True,
        )


def again(folder: Path, files: int, rounds: int) -> None:
    """Print the time of a plain `prepare` of short WAVs, and of the same with `-y` between two."""
    write_tones(folder / "in", files, seconds=5)
    for _ in range(rounds):
        before = measure("prepare", folder / "in", "-o", folder / "out")
        second = measure("prepare", folder / "in", "-o", folder / "out", "-y")
        after = measure("prepare", folder / "in", "-o", folder / "anew")
        for name in ("out", "anew"):
            shutil.rmtree(folder / name)
        wall_s, cpu_s = (before.wall_s + after.wall_s) / 2, (before.cpu_s + after.cpu_s) / 2
        print(
            f"{files} files of 5 s: {before.wall_s:.1f} and {after.wall_s:.1f} s, "
            f"{before.cpu_s:.1f} and {after.cpu_s:.1f} s CPU; with -y {second.wall_s:.1f} s, "
            f"{second.cpu_s:.1f} s CPU, ratio {second.wall_s / wall_s:.2f} and "
            f"{second.cpu_s / cpu_s:.2f}",
            flush=True,
        )


def work(folder: Path, rounds: int) -> None:
    """Print the CPU time of a recording by its length, for each verb, from two lengths."""
    for length_s, count in WORK_FILES.items():
        write_flacs(folder / f"{length_s}", [length_s] * count)
    options = {"probe": (), "prepare": WORK_SEGMENT, "split": WORK_SEGMENT, "caption": WORK_SEGMENT}
    for verb, own in options.items():
        costs_s = {}
        for length_s, count in WORK_FILES.items():
            taken_s = []
            for _ in range(rounds):
                argv = ("batch", verb, folder / f"{length_s}", "-o", folder / "out", *own)
                idle_s = measure(*argv, "--cluster", "none", "--limit", "1").cpu_s
                shutil.rmtree(folder / "out")
                all_s = measure(*argv, "--cluster", "none").cpu_s
                shutil.rmtree(folder / "out")
                taken_s.append((all_s - idle_s) / (count - 1))
            costs_s[length_s] = statistics.median(taken_s)
        (short_s, short), (long_s, long) = costs_s.items()
        slope = (long - short) / (long_s - short_s)
        print(
            f"batch {verb}: {(short - slope * short_s) * 1000:.0f} ms for each recording, and a "
            f"second of CPU for {1 / slope:.0f} s of sound",
            flush=True,
        )


def ways(folder: Path, files: int, rounds: int) -> None:
    """Print the CPU time of short files in threads and in processes: the start, and each file."""
    write_tones(folder / "in", files, seconds=5)
    few = write_tones(folder / "few", FEW, seconds=5)
    for name, has_processes in (("threads", False), ("processes", True)):
        costs = []
        for inputs in (few, sorted((folder / "in").iterdir())):
            taken = []
            for _ in range(rounds):
                taken.append(tree_cpu_s(inputs, folder / "out", has_processes=has_processes))
                shutil.rmtree(folder / "out")
            costs.append(min(taken))
        each_s = (costs[1] - costs[0]) / (files - FEW)
        print(
            f"{os.cpu_count()} jobs in {name}: {costs[0] - FEW * each_s:.1f} s CPU, and "
            f"{each_s * 1000:.1f} ms for each file of 5 s",
            flush=True,
        )


def tree_cpu_s(inputs: list[Path], out: Path, *, has_processes: bool) -> float:
    """Run `captoolkit prepare` and return the CPU time of all its processes."""
    command = [sys.executable, "-c", PREPARE, str(int(has_processes))]
    command += ["prepare", *map(str, inputs), "-o", str(out), "-q", "--jobs", str(os.cpu_count())]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
    seen: dict[str, float] = {}
    while process.poll() is None:  # a server of processes is no child that could be waited for
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = status.read_text().rpartition(")")[2].split()
                if int(fields[3]) == process.pid:
                    ticks = int(fields[11]) + int(fields[12])
                    seen[status.parent.name] = ticks / os.sysconf("SC_CLK_TCK")
        time.sleep(POLL_S / 5)
    return sum(seen.values())


def start(folder: Path) -> None:
    """Print the time of a batch of one short file, with a worker for each core."""
    write_tone(folder / "one" / "a.wav", 1)
    cost = measure("batch", "probe", folder / "one", "-o", folder / "start")
    print(f"start and end of a cluster: {cost.wall_s:.1f} s, {cost.cpu_s:.1f} s CPU", flush=True)


def finished_batch(folder: Path, name: str, count: int) -> tuple[Path, Path]:
    """Write the manifest and the rows of a batch of `count` recordings that are done."""
    listing, out = folder / f"{name}.jsonl", folder / name
    store = open_store(str(out))
    open_job(store, recipe_of("probe", {}))
    with listing.open("w") as stream:
        for number in range(count):
            stream.write(manifest_line(number))
    rows: list[RecordingRow] = []
    for number, each in enumerate(list_inputs([str(listing)])):
        rows.append(row_of(each))
        if len(rows) == ROWS_OF_FILE:
            write_rows(store, "20260101T000000Z-bench", f"{number:016x}", rows)
            rows = []
    write_rows(store, "20260101T000000Z-bench", "last", rows)
    return listing, out


def manifest_line(number: int) -> str:
    """Return the line of a recording in a manifest."""
    path = f"/data/{number // 1000:04}/recording-{number:07}.wav"
    return json.dumps({"id": path[6:], "audio_filepath": path, "duration": 30.0}) + "\n"


def row_of(recording: Input) -> RecordingRow:
    """Return the row of a recording that is done."""
    return RecordingRow(
        id=recording.id,
        url=recording.url,
        size_bytes=recording.size_bytes,
        version=recording.version,
        status=RowStatus.DONE,
        duration_s=30.0,
    )


def resume(folder: Path, count: int) -> None:
    """Print the time of a run over finished recordings."""
    listing, out = finished_batch(folder, "resumed", count)
    cost = measure("batch", "probe", listing, "-o", out)
    print(
        f"resume of {count} finished recordings: {cost.wall_s:.1f} s, {cost.cpu_s:.1f} s CPU",
        flush=True,
    )


def memory(folder: Path, count: int) -> None:
    """Print the peak memory of driver and scheduler with a long listing."""
    listing, out = finished_batch(folder, "listed", count // 2)
    with listing.open("a") as stream:  # the second half is still to do, and fails at once
        for number in range(count // 2, count):
            stream.write(manifest_line(number))
    cost = measure(
        *("batch", "probe", listing, "-o", out, "--cluster", "local:1", "--max-failures", "2000")
    )
    print(
        f"driver and scheduler at {count} recordings, half of them done: {cost.peak_mb:.0f} MB, "
        f"{cost.wall_s:.0f} s",
        flush=True,
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--resumed", type=int, default=10_000)
    parser.add_argument("--listed", type=int, default=1_000_000)
    parser.add_argument("--ways", action="store_true")
    parser.add_argument("--only", choices=(*MEASURED, "again", "work"))
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="captoolkit-bench-") as name:
        folder = Path(name)
        measures: dict[str, Callable[[], None]] = {
            "start": lambda: start(folder),
            "resume": lambda: resume(folder, options.resumed),
            "memory": lambda: memory(folder, options.listed),
            "overhead": lambda: overhead(folder, options.files, options.rounds),
            "again": lambda: again(folder, options.files, options.rounds),
            "work": lambda: work(folder, options.rounds),
            "ways": lambda: ways(folder, options.files, options.rounds),
        }
        only = "ways" if options.ways else options.only
        for each in (only,) if only else MEASURED:
            measures[each]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
