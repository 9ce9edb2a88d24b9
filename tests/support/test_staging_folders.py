"""Tests of staging folders: their owners, and the sweep of those of dead owners."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from captoolkit.support import staging_folders
from captoolkit.support.staging_folders import FOREIGN_AGE_S, make, make_aside, remove, sweep

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs flock")

# Makes a staging folder with a file and waits for the end of its input.
OTHER_RUN = """
import os, sys
from pathlib import Path
from captoolkit.support import staging_folders
parent = Path(sys.argv[1])
kind = sys.argv[2]
if kind == "aside":
    folder = staging_folders.make_aside(parent)
else:
    folder = staging_folders.make(parent, is_hidden=True)
    (folder / "half.mp3").write_text("half")
is_fork = kind == "forks" and os.fork() == 0
if is_fork or kind != "forks":  # the fork has given up its parent's lock by then
    print(folder, flush=True)
sys.stdin.read()
os._exit(0)
"""


@contextlib.contextmanager
def other_run(parent: Path, kind: str = "") -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """Start another process that makes a folder; yield the folder and the process."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_RUN, str(parent), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield Path(process.stdout.readline().strip()), process
        process.kill()


def killed_run(parent: Path, kind: str = "") -> Path:
    """Return the folder that a process leaves that SIGKILL has ended."""
    with other_run(parent, kind) as (folder, process):
        process.kill()
        process.wait()
    return folder


def owner_of(folder: Path) -> Path:
    """Return the path of a folder's owner file."""
    return folder.parent / f"{'-'.join(folder.name.split('-')[:2])}.owner"


def make_old(*paths: Path) -> None:
    """Let files look as if nothing had changed them for longer than a foreign owner is trusted."""
    for path in paths:
        for one in (*path.rglob("*"), path):
            os.utime(one, (one.stat().st_atime, one.stat().st_mtime - FOREIGN_AGE_S - 60))


def test_a_folder_has_an_owner_file_as_long_as_it_exists(tmp_path: Path) -> None:
    """Two folders in one place share it; the last one takes it away."""
    one, two = make(tmp_path, is_hidden=True), make(tmp_path, is_hidden=True)
    assert owner_of(one) == owner_of(two)
    assert owner_of(one).is_file()
    remove(one)
    assert owner_of(two).is_file()
    remove(two)
    remove(two)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_inside_a_staging_folder_needs_no_owner(tmp_path: Path) -> None:
    """It goes with the outer one."""
    outer = make(tmp_path, is_hidden=True)
    inner = make(outer, is_hidden=True)
    assert list(outer.iterdir()) == [inner]
    remove(inner)
    remove(outer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["", "forks"])
def test_the_folder_of_a_killed_run_is_swept(tmp_path: Path, kind: str) -> None:
    """The next folder in the same place removes it, even if a fork of that run lives."""
    with other_run(tmp_path, kind) as (left, process):
        process.kill()
        process.wait()
        assert (left / "half.mp3").is_file()
        own = make(tmp_path, is_hidden=True)
        assert sorted(tmp_path.iterdir()) == sorted([own, owner_of(own)])
    remove(own)


def test_the_folder_of_a_living_run_stays(tmp_path: Path) -> None:
    """However old it is, no sweep of another process or of its own removes it."""
    with other_run(tmp_path) as (living, process):
        make_old(living, owner_of(living))
        own = make(tmp_path, is_hidden=True)
        make_old(own, owner_of(own))
        sweep(tmp_path)
        assert living.is_dir()
        assert own.is_dir()
        process.kill()
        process.wait()
        sweep(tmp_path)
        assert not living.exists()
    remove(own)


def test_replaced_files_are_never_swept(tmp_path: Path) -> None:
    """A folder that keeps files which could not be restored stays; an empty one goes."""
    kept = killed_run(tmp_path, "aside")
    (kept / "talk.001.mp3").write_text("the only copy")
    empty = killed_run(tmp_path, "aside")
    make_old(kept)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
    assert (kept / "talk.001.mp3").read_text() == "the only copy"
    assert not empty.exists()


def test_other_files_stay(tmp_path: Path) -> None:
    """Only a name that captoolkit gives is swept, and no link is followed."""
    left = killed_run(tmp_path)
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "file").touch()
    names = (f"{left.name}x", f"x{left.name}", ".captoolkit-notes", f"{left.name[:-1]}A")
    for name in names:
        (tmp_path / name).mkdir()
    link = tmp_path / f"{left.name[:-8]}linklink"
    link.symlink_to(treasure, target_is_directory=True)
    plain = tmp_path / f"{left.name[:-8]}filefile"
    plain.touch()
    sweep(tmp_path)
    assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        *names,
        "treasure",
        link.name,
        plain.name,
    }
    assert (treasure / "file").is_file()


@pytest.mark.parametrize("about", ['{"host": "another", "pid": 1}', "", "[]", None])
def test_only_age_decides_about_an_owner_elsewhere(tmp_path: Path, about: str | None) -> None:
    """A lock of another machine may not show here: the folder stays until it is a week old."""
    left = killed_run(tmp_path)
    if about is None:
        owner_of(left).unlink()
    else:
        owner_of(left).write_text(about)
    sweep(tmp_path)
    assert left.is_dir()
    make_old(left, *filter(Path.exists, [owner_of(left)]))
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user")
def test_the_folder_of_another_user_stays(tmp_path: Path) -> None:
    """In a shared temporary folder each user sweeps their own."""
    left = killed_run(tmp_path)
    os.chown(left, 12345, -1)
    sweep(tmp_path)
    assert left.is_dir()


def test_a_lost_owner_file_is_replaced(tmp_path: Path) -> None:
    """A person may have removed it by hand: later folders have an owner again."""
    first = make(tmp_path, is_hidden=True)
    owner_of(first).unlink()
    second = make(tmp_path, is_hidden=True)
    assert owner_of(second).is_file()
    assert owner_of(second) != owner_of(first)
    remove(first)
    remove(second)
    assert list(tmp_path.iterdir()) == []


def test_a_fork_owns_nothing(tmp_path: Path) -> None:
    """Its end leaves the folder and the owner file of its parent, and it can have its own."""
    folder = make(tmp_path, is_hidden=True)
    child = os.fork()
    if child == 0:
        own = make(tmp_path, is_hidden=True)
        os._exit(0 if owner_of(own) != owner_of(folder) else 1)
    assert os.waitpid(child, 0)[1] == 0
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([folder, owner_of(folder)])
    remove(folder)


def test_an_aside_folder_with_files_outlives_its_owner(tmp_path: Path) -> None:
    """`remove_if_empty` removes the owner file in any case."""
    empty, kept = make_aside(tmp_path), make_aside(tmp_path)
    (kept / "file").touch()
    staging_folders.settle_aside(empty)
    staging_folders.settle_aside(kept)
    assert list(tmp_path.iterdir()) == [kept]
