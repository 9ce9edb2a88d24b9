"""Tests of the files of `prepare` and `split`: the pool of inputs, and pictures."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from captoolkit import prepare
from captoolkit.cli.prepared_files import InputPool
from captoolkit.errors import InputError
from captoolkit.events import Event, Warned, ignore
from captoolkit.media import ffmpeg
from tests.support.command_line import Run
from tests.support.processes import has_children

TIMEOUT_S = 30.0
AN_EVENT = Warned(path="a.wav", message="odd")


@pytest.mark.parametrize(
    ("inputs", "jobs", "shares"),
    [
        (1, 1, [1]),
        (1, 4, [4]),
        (2, 4, [2, 4]),
        (5, 2, [1, 1, 1, 1, 2]),
        (3, 8, [2, 4, 8]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_jobs_are_shared_out(inputs: int, jobs: int, shares: list[int]) -> None:
    """All inputs together keep to the number of jobs; the last one gets all of them."""
    with InputPool(inputs, jobs=jobs) as pool:
        made = [get() for _, get in pool.run(lambda index, share: share)]
    assert made == shares


def test_results_are_in_the_order_of_the_inputs() -> None:
    """The second input finishes before the first, and is reported after it."""
    second_is_done = threading.Event()

    def work(index: int, share: int) -> str:
        if index == 0:
            assert second_is_done.wait(TIMEOUT_S)
        else:
            second_is_done.set()
        return f"{index} of {share}"

    with InputPool(2, jobs=2) as pool:
        results = [(index, get()) for index, get in pool.run(work)]
    assert results == [(0, "0 of 1"), (1, "1 of 2")]


def test_a_failing_input_does_not_affect_the_others() -> None:
    """Its result function raises; the others return."""

    def work(index: int, share: int) -> int:
        if index == 1:
            raise InputError("it is no media")
        return index

    with InputPool(3, jobs=2) as pool:
        (_, first), (_, second), (_, third) = pool.run(work)
        assert (first(), third()) == (0, 2)
        with pytest.raises(InputError, match="it is no media"):
            second()


def test_closing_ends_running_work_and_starts_no_more() -> None:
    """Work ends at its next event; inputs that have not started never start."""
    started: list[int] = []
    runs = threading.Event()

    def work(index: int, share: int) -> None:
        started.append(index)
        report = pool.stopping(ignore)
        while True:
            report(AN_EVENT)
            runs.set()

    with InputPool(9, jobs=1) as pool:
        next(pool.run(work))
        assert runs.wait(TIMEOUT_S)
    assert started == [0]


def test_closing_ends_work_that_waits_for_a_program() -> None:
    """Work that reports no event ends with the program that it waits for."""
    waits = threading.Event()

    def work(index: int, share: int) -> None:
        silent = [sys.executable, "-c", "import time; time.sleep(600)"]
        with ffmpeg.Process(silent) as process:
            waits.set()
            process.read(1)
            process.finish()

    with InputPool(3, jobs=2) as pool:
        next(pool.run(work))
        assert waits.wait(TIMEOUT_S)
    assert not has_children()


def test_a_single_input_runs_in_the_callers_thread() -> None:
    """An interrupt reaches the work directly."""
    with InputPool(1, jobs=4) as pool:
        ((_, get),) = pool.run(lambda index, share: threading.current_thread())
        assert get() is threading.main_thread()


def test_closing_removes_the_files_of_a_preparation(fixtures: Path, tmp_path: Path) -> None:
    """An unfinished file is removed, and its ffmpeg ends."""
    runs = threading.Event()

    def show(event: Event) -> None:
        runs.set()

    def work(index: int, share: int) -> None:
        source = fixtures / "hammering-mandarin.flac"
        with prepare(source, segment="1s", on_event=pool.stopping(show)) as prepared:
            prepared.save(tmp_path / "out")

    with InputPool(50, jobs=2) as pool:
        next(pool.run(work))
        assert runs.wait(TIMEOUT_S)
    assert not [one for one in (tmp_path / "out").iterdir() if one.name.startswith(".")]
    assert not has_children()


# ------------------------------------------------------------------------------------ pictures


def test_plan_and_prepare_draw_pictures(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """`--picture` names a file for one input, a folder for several; `-y` is needed to replace."""
    source = fixtures / "hammering-mandarin.flac"
    planned, made = tmp_path / "plan.svg", tmp_path / "made.svg"
    assert run("plan", source, "--segment", "15s", "--picture", planned).status == 0
    assert "Bands: how far a cut may move; dots:" in planned.read_text(encoding="utf-8")
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
    """Any extension works; an existing folder receives the file; standard error has its path."""
    source = fixtures / "speech.amr"
    named = tmp_path / "plan.png"
    result = run("plan", source, "--picture", named)
    assert result.status == 0
    assert named.read_text().startswith("<svg")
    assert f"picture: {named}" in result.err
    assert "picture:" not in result.out
    (tmp_path / "there").mkdir()
    result = run("prepare", source, "--picture", tmp_path / "there", "-o", tmp_path / "ready")
    assert f"picture: {tmp_path / 'there' / 'speech.svg'}" in result.err
    assert (tmp_path / "there" / "speech.svg").is_file()
