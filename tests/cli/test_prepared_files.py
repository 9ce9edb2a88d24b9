"""Tests of the files of `prepare` and `split`: many short inputs, pictures."""

from __future__ import annotations

import os
import shutil
import signal
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as Xml

from tests.support.command_line import Run, start_captoolkit, wait_for
from tests.support.processes import has_ended, members_of_session, posix


@posix
def test_ctrl_c_ends_many_short_inputs_at_once(fixtures: Path, tmp_path: Path) -> None:
    """A terminal sends it to all processes: one line, status 130, nothing left but whole files."""
    (tmp_path / "in").mkdir()
    for number in range(600):
        shutil.copy(fixtures / "tones-and-silences.wav", tmp_path / "in" / f"{number}.wav")
    out = tmp_path / "out"
    command = ("prepare", tmp_path / "in", "-o", out, "--jobs", "4")
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    program = start_captoolkit(*command, start_new_session=True, env=environment)
    wait_for(lambda: len(list(out.glob("*.manifest.json"))) > 1)
    members = members_of_session(program.pid)
    os.killpg(program.pid, signal.SIGINT)
    _, err_text = program.communicate(timeout=60)
    assert len(members) >= 4  # the program, the server of workers, at least two workers
    assert program.returncode == 130
    assert "error: interrupted" in err_text
    assert "Traceback" not in err_text
    names = {path.name for path in out.iterdir()}
    stems = {name.partition(".")[0] for name in names}
    assert names == {f"{stem}.{rest}" for stem in stems for rest in ("001.wav", "manifest.json")}
    assert len(stems) < 600
    for member in members:
        wait_for(partial(has_ended, member))
    assert list((tmp_path / "temporary").iterdir()) == []


def test_plan_and_prepare_draw_pictures(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`--picture` names a file for one input, a folder for several; `-y` is needed to replace."""
    source = fixtures / "hammering-mandarin.flac"
    planned, made = tmp_path / "plan.svg", tmp_path / "made.svg"
    assert run("plan", source, "--segment", "15s", "--picture", planned).status == 0
    assert "Bands: how far a cut may move; dashed:" in planned.read_text(encoding="utf-8")
    options = ("--segment", "15s", "--picture", made, "-o", tmp_path / "ready")
    assert run("prepare", source, *options).status == 0
    assert "The loudest cut is at" in made.read_text(encoding="utf-8")
    assert run("plan", source, "--picture", planned).status == 1
    several = (source, fixtures / "tones-and-silences.wav")
    assert run("plan", *several, "--picture", planned).status == 2
    assert run("plan", *several, "--picture", tmp_path / "both").status == 0
    drawn = sorted((tmp_path / "both").iterdir())
    assert [path.name for path in drawn] == ["hammering-mandarin.svg", "tones-and-silences.svg"]
    assert all(Xml.parse(path) for path in drawn)


def test_a_picture_may_go_into_the_new_folder_of_the_files(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """The folder of `-o` is no name of a file, although it does not exist when the run begins."""
    ready = tmp_path / "ready"
    ran = run("prepare", fixtures / "speech.amr", "-o", ready, "--picture", ready)
    assert (ran.status, (ready / "speech.svg").is_file()) == (0, True)


def test_a_loudness_is_recorded(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`--normalize` is an option of the manifest, by which `--skip-existing` keeps the files."""
    argv = ("prepare", fixtures / "speech.amr", "-o", tmp_path, "--skip-existing", "--normalize")
    assert run(*argv, "-23").status == 0
    assert ": kept, 1 segment" in run(*argv, "-23,-1", "-v").err
    assert "with --normalize -23,-1, not with --normalize -20,-1" in run(*argv, "-20").err


def test_a_kept_input_gets_its_missing_picture(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`--skip-existing` keeps the segments, and draws the picture that an earlier run did not."""
    source, picture = fixtures / "hammering-mandarin.flac", tmp_path / "late.svg"
    options = ("--segment", "15s", "--skip-existing", "-o", tmp_path / "ready")
    assert run("prepare", source, *options).status == 0
    segments = {path: path.stat().st_mtime_ns for path in (tmp_path / "ready").iterdir()}
    for _ in range(2):  # the second run keeps the picture too
        ran = run("prepare", source, *options, "--picture", picture, "-v")
        assert (ran.status, ": kept, 3 segments" in ran.err) == (0, True)
    assert "The loudest cut is at" in picture.read_text(encoding="utf-8")
    assert {path: path.stat().st_mtime_ns for path in segments} == segments


def test_an_unwritable_picture_is_refused_before_the_work(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """Nothing is prepared if the picture cannot be written."""
    (tmp_path / "file").write_text("")
    out = tmp_path / "ready"
    ran = run(
        "prepare", fixtures / "speech.amr", "-o", out, "--picture", tmp_path / "file" / "a.svg"
    )
    assert (ran.status, out.exists()) == (1, False)


def test_the_picture_of_one_input_has_the_given_name(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """An existing folder receives the file; standard error has its path; a PNG is refused."""
    source = fixtures / "speech.amr"
    assert run("plan", source, "--picture", tmp_path / "plan.png").status == 2
    named = tmp_path / "plan.drawing"
    result = run("plan", source, "--picture", named)
    assert result.status == 0
    assert named.read_text().startswith("<svg")
    assert f"picture: {named}" in result.err
    assert "picture:" not in result.out
    (tmp_path / "there").mkdir()
    result = run("prepare", source, "--picture", tmp_path / "there", "-o", tmp_path / "ready")
    assert f"picture: {tmp_path / 'there' / 'speech.svg'}" in result.err
    assert (tmp_path / "there" / "speech.svg").is_file()
