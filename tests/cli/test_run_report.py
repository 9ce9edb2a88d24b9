"""The end of a run over several inputs: kept files, the report, the summary, and messages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import Run
from tests.support.tones import write_tones


@pytest.fixture
def folder(fixtures: Path, tmp_path: Path) -> Path:
    """Three recordings and a broken one, in two folders, with a text."""
    for name in ("a.amr", "deep/a.amr", "deep/b.amr"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(fixtures / "speech.amr", tmp_path / "in" / name)
    (tmp_path / "in/broken.wav").write_bytes(b"no sound")
    (tmp_path / "in/notes.txt").write_text("not an input")
    return tmp_path / "in"


def test_a_second_run_keeps_what_the_first_has_made(run: Run, folder: Path, tmp_path: Path) -> None:
    """The summary counts it once, a changed source is named, and the exit status tells."""
    (folder / "broken.wav").unlink()
    command = ("prepare", folder, "-o", tmp_path / "out", "--skip-existing")
    first = run(*command)
    assert (first.status, len(first.out.splitlines())) == (0, 3)
    assert (tmp_path / "out/deep/a.001.amr").exists()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    again = run(*command)
    assert (again.status, again.out) == (0, first.out)
    assert "0 made, 3 kept from an earlier run; 3 segments" in again.err
    other = run(*command, "--format", "wav")
    assert other.status == 1
    assert "was made with no format, not with --format wav; choose another" in other.err
    shutil.copy(folder / "a.amr", folder / "deep/b.amr")
    (folder / "a.amr").write_bytes((folder / "a.amr").read_bytes() + b"\x3c" * 32)
    changed = run(*command)
    assert "was made before its source changed; choose another" in changed.err
    assert "2 kept from an earlier run, 1 failed" in changed.err
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    assert run(*command, "-y").status == 0


def test_a_report_and_the_names_of_a_template(run: Run, folder: Path, tmp_path: Path) -> None:
    """A row for each input; files under the names that the template makes."""
    report, out = tmp_path / "report.jsonl", tmp_path / "out"
    ran = run("prepare", folder, "-o", out, "--report", report, "--name", "{parent}/{stem}_{index}")
    assert ran.status == 1
    rows = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    status = {row["input"]: row["status"] for row in rows}
    assert status == {
        "a.amr": "done", "broken.wav": "failed", "deep/a.amr": "done", "deep/b.amr": "done"
    }  # fmt: skip
    made = {path.relative_to(out).as_posix() for path in out.rglob("*.amr")}
    assert made == {"in/a_1.amr", "deep/a_1.amr", "deep/b_1.amr"}
    assert run("prepare", folder, "-o", out, "--name", "{stem}").status == 2
    assert run("prepare", folder, "-o", "").status == 2


def test_messages_can_be_silent_detailed_or_objects(run: Run, folder: Path, tmp_path: Path) -> None:
    """`-q` leaves the errors, `-v` adds a line for each input, `--progress json` has only JSON."""
    quiet = run("prepare", folder, "-o", tmp_path / "quiet", "-q")
    assert [line.partition(":")[0] for line in quiet.err.splitlines()] == ["error"]
    detailed = run("prepare", folder, "-o", tmp_path / "detailed", "-v")
    assert detailed.err.count(": done, 1 segment, ") == 3
    objects = run("prepare", folder, "-o", tmp_path / "objects", "--progress", "json")
    events = [json.loads(line) for line in objects.err.splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds.count("started"), kinds.count("finished"), kinds[-1]) == (3, 4, "summary")
    assert (events[-1]["done"], events[-1]["failed"]) == (3, 1)


@pytest.mark.parametrize("command", ["probe", "plan"])
def test_commands_that_make_no_files_report_as_well(
    run: Run, folder: Path, tmp_path: Path, command: str
) -> None:
    """A row for each input; a summary in text only for many inputs."""
    report = tmp_path / "report.jsonl"
    ran = run(command, folder, "--report", report)
    assert (ran.status, len(ran.err.splitlines())) == (1, 1)
    rows = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    assert [row["status"] for row in rows] == ["done", "failed", "done", "done"]
    assert (rows[0]["duration_s"], rows[0]["bytes"], rows[0]["out"]) == (4.52, 7238, None)
    for number in range(20):
        shutil.copy(folder / "a.amr", folder / f"{number}.amr")
    many = run(command, folder)
    done = {"probe": "probed", "plan": "planned"}[command]
    assert f"23 {done}, 1 failed; " in many.err
    assert "  1 failed: not a media file" in many.err
    foreign = (command, folder / "a.amr", "--report", folder / "notes.txt")
    assert run(*foreign).err.endswith(
        "is no report; choose another name, or pass -y to replace it\n"
    )
    assert run(*foreign, "-y").status == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_report_on_a_full_disk_ends_neither_the_work_nor_its_output(
    run: Run, tmp_path: Path
) -> None:
    """All files are made and named; the last line states that the report is not complete."""
    write_tones(tmp_path / "in", 2)
    ran = run("prepare", tmp_path / "in", "-o", tmp_path / "out", "--report", "/dev/full")
    assert (ran.status, len(ran.out.splitlines())) == (1, 2)
    *_, summary, last = ran.err.splitlines()
    assert summary.startswith("2 made; ")
    assert last.startswith("error: the report /dev/full is not complete: there is no room left")
