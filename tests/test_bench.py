from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import bench, measured_runs
from tests.support.sound import noise, write_wav

ALLOCATED_MB = 100
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

# The child starts a child of its own, which holds the memory.
HOLDING = f"""
import subprocess, sys
held = "import time; block = bytearray(b'x') * ({ALLOCATED_MB} * 10**6); time.sleep(0.7)"
subprocess.run([sys.executable, "-c", held], check=True)
"""


@ON_LINUX
def test_memory_of_a_grandchild_counts() -> None:
    """The peak of a tree holds what its leaves allocate."""
    process = subprocess.Popen([sys.executable, "-c", HOLDING])
    with process, measured_runs.PeakMemory(process.pid, measured_runs.memory_measure()) as memory:
        process.wait()
    assert memory.peak_bytes is not None
    assert ALLOCATED_MB * 1e6 < memory.peak_bytes < (ALLOCATED_MB + 80) * 1e6


@ON_LINUX
def test_a_tree_begins_at_its_root() -> None:
    """A process that has no children is its own tree, and belongs to its parent's."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert measured_runs.tree(process.pid) == {process.pid: process.pid}
        assert process.pid in measured_runs.tree(os.getpid())
        process.communicate(b"\n")


def test_without_a_measure_no_memory_is_told() -> None:
    """Where memory cannot be read, the peak is None."""
    with measured_runs.PeakMemory(1, None) as memory:
        pass
    assert memory.peak_bytes is None


def test_every_other_round_goes_backwards() -> None:
    """No way always comes first."""
    ways = bench.table_of("t", {"one": (), "two": ()}, 1)
    order = [(number, way.name) for number, way in measured_runs.in_turn(ways, 2)]
    assert order == [(0, "one"), (0, "two"), (1, "two"), (1, "one")]


def test_a_command_of_two_tables_runs_once_a_round(tmp_path: Path) -> None:
    """Both tables get the same figures, under their own names."""
    log = tmp_path / "log"
    argv = (sys.executable, "-S", "-c", f"open({str(log)!r}, 'a').write('x')")
    ways = [measured_runs.Way(table=table, name=table, argv=argv, amount=1) for table in "ab"]
    runs = measured_runs.run_in_turn(ways, rounds=2, scratch=tmp_path)
    assert log.read_text() == "xx"
    assert [(run.table, run.way, run.round) for run in runs] == [
        (table, table, number) for number in range(2) for table in "ab"
    ]
    assert runs[0].wall_s == runs[1].wall_s


def test_ratios_are_of_time_per_second_of_sound() -> None:
    """Half the sound in the same time is twice the reference's time; a failure has no figures."""
    reference, *others = bench.table_of("t", {"reference": (), "half": (), "broken": ()}, 60)
    half = measured_runs.Way(table="t", name="half", argv=(), amount=30)
    runs = [made_run(reference), made_run(half), made_run(others[1], problem="no")]
    text = bench.as_markdown("t", [reference, half, others[1]], runs, "PSS")
    assert "| reference | 2.00 s | 1.00 | 0.50 s | 1.00 | 30 x real time | 5 MB | 1 |  |" in text
    assert "| half | 2.00 s | 2.00 | 0.50 s | 2.00 | 15 x real time | 5 MB | 1 |  |" in text
    assert "| broken | failed |" in text


def made_run(way: measured_runs.Way, problem: str | None = None) -> measured_runs.Run:
    """A run of two seconds."""
    return measured_runs.Run(
        table=way.table,
        way=way.name,
        round=0,
        amount=way.amount,
        wall_s=2,
        user_s=0.25,
        system_s=0.25,
        peak_bytes=5_000_000,
        files=1,
        problem=problem,
    )


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    """The last line that a failed command wrote is kept, and its folder is gone."""
    argv = (sys.executable, "-c", "import sys; sys.exit('the reason')")
    way = measured_runs.Way(table="t", name="n", argv=argv, amount=1)
    failed = measured_runs.run(
        way, number=0, scratch=tmp_path, measure=measured_runs.memory_measure()
    )
    assert failed.problem == "exit status 1: the reason"
    assert not list(tmp_path.iterdir())


def test_all_ways_run_on_a_short_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each table has its rows, nothing fails, and the raw figures are written."""
    raw = tmp_path / "raw.json"
    arguments = ["--hours", "0.005", "--rounds", "1", "--many", "2", "--no-pydub"]
    arguments.append("--no-starts")  # each way runs once
    assert bench.main([*arguments, "--json", f"{raw}"]) == 0
    text = capsys.readouterr().out
    for name in (
        "ffmpeg, fixed cuts every 40 min, MP3 24k",
        "captoolkit prepare",
        "captoolkit prepare --segment 30s",
        "ffmpeg -c copy, fixed cuts every 450 s",
        "captoolkit split --segment 450s",
        "FLAC decoded by libsndfile, in process",
        "loudness curve, in process",
        "ffmpeg for each of 2 files, WAV 16 kHz",
        "one start of ffmpeg that does nothing",
        "captoolkit prepare, 2 files",
        "captoolkit prepare, 18 s",
        "captoolkit caption --captioner acoustic, 18 s",
        "captoolkit export -f html, 18 s",
    ):
        assert f"| {name} | " in text
    assert "Qwen3-ASR-Toolkit" in text
    assert "pydub" not in text
    assert f"{tmp_path}" not in text
    runs = json.loads(raw.read_text(encoding="utf-8"))["runs"]
    has_fast = all(importlib.util.find_spec(name) for name in bench.FAST_PACKAGES)
    assert (bench.FLAC_BY_MINIAUDIO in text) is (bench.MP3_BY_LAMEENC in text) is has_fast
    assert len(runs) == 21 + 2 * has_fast + ("VAD split" in text)
    made = [one for one in runs if not one["table"].startswith("CPU time of each stage")]
    assert all(one["files"] for one in made if "does nothing" not in one["way"])


def test_short_files_of_one_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each format has a row for one job, with the CPU time and the starts of all processes."""
    raw = tmp_path / "raw.json"
    arguments = ["--formats", "m4a", "--many", "2", "--rounds", "1", "--json", f"{raw}"]
    assert bench.main([*arguments, "--folder", f"{tmp_path}"]) == 0
    runs = json.loads(raw.read_text(encoding="utf-8"))["runs"]
    starts = {one["way"]: one["starts"] for one in runs}
    assert starts["captoolkit prepare --jobs 1, 2 files, m4a"] >= 2
    sound = write_wav(tmp_path / "a.flac", noise(1.0, rate_hz=16_000), rate_hz=16_000)
    argv = (*bench.PREPARE, f"{sound}", "-o", measured_runs.OUT)
    way = measured_runs.Way(table="t", name="n", argv=argv, amount=1)
    assert measured_runs.count_starts(way, tmp_path) == 0  # FLAC is decoded in process
    text = capsys.readouterr().out
    assert "| captoolkit prepare --jobs 1, 2 files, m4a | " in text
    assert " ms of CPU a file | " in text
