"""Moves that SIGKILL ends at any operation are completed or taken back."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from captoolkit.support import files, group_moves, move_journal, staging_folders
from tests.support.killing import was_killed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")

BEFORE = {"a": "old a", "b": "stale", "d": "old d", "last": "old last", "notes": "mine"}
HEAD = f'"format": "{move_journal.FORMAT}"'
AFTER = {"a": "new a", "c": "new c", "d": "new d", "last": "new last", "notes": "mine"}


def fill(folder: Path, contents: dict[str, str]) -> None:
    """Write files into a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in contents.items():
        (folder / name).write_text(text)


def contents_of(folder: Path) -> dict[str, str]:
    """The text of each file by its name; a folder has the text None."""
    return {path.name: path.read_text() if path.is_file() else "" for path in folder.iterdir()}


def save(out: Path) -> None:
    """Do as `Prepared.save` does: stage files in `out`, then move them to their names."""
    with files.staging(out) as staged:
        for name in ("a", "c", "d", "last"):
            (staged / name).write_text(AFTER[name])
        group_moves.move_all(staged, out, ["a", "c", "d", "last"], stale=["b"])


def test_a_kill_at_any_operation_leaves_the_old_or_the_new_files(tmp_path: Path) -> None:
    """The next sweep leaves one complete set, even if a sweep before it was killed as well."""
    out = tmp_path / "out"
    number, results = 0, []
    while True:
        fill(out, BEFORE)
        if not was_killed(lambda: save(out), number, out):
            break
        was_killed(lambda: staging_folders.sweep(out), number % 7, out)
        staging_folders.sweep(out)
        results.append(contents_of(out))
        number += 1
    assert contents_of(out) == AFTER
    assert BEFORE in results
    assert AFTER in results
    assert [each for each in results if each not in (BEFORE, AFTER)] == []


def test_a_first_run_that_is_killed_leaves_no_segment(tmp_path: Path) -> None:
    """Segments without their manifest would bar the next run; they go."""
    out = tmp_path / "out"
    number = 0
    while True:
        fill(out, {"notes": "mine"})
        if not was_killed(lambda: save(out), number, out):
            break
        staging_folders.sweep(out)
        assert contents_of(out) in ({"notes": "mine"}, {**AFTER})
        number += 1


def killed_between_moves(out: Path) -> Path:
    """Return the hidden folder of a run that died with `a` and `c` in place, `d` and `last` not."""
    fill(out, BEFORE)
    aside = out / ".captoolkit-0123456789ab-aside-abcdefgh"
    fill(aside, {})
    staged = out.parent / "staged"
    fill(staged, {name: AFTER[name] for name in ("a", "c", "d", "last")})
    move_journal.write(aside, staged, ["a", "c", "d", "last"], ["b"])
    (out / "a").replace(aside / "a")
    (staged / "a").replace(out / "a")
    (staged / "c").replace(out / "c")
    return aside


def test_a_file_that_the_user_changed_meanwhile_stays(tmp_path: Path) -> None:
    """It has its name, and the earlier file stays where it can be found."""
    out = tmp_path / "out"
    aside = killed_between_moves(out)
    (out / "a").write_text("written by the user")
    move_journal.settle(aside)
    assert (out / "a").read_text() == "written by the user"
    assert contents_of(aside) == {"a": "old a"}
    assert not (out / "c").exists()


def test_nothing_is_touched_if_the_last_file_is_another(tmp_path: Path) -> None:
    """Another program has saved under the same names since: its files stay, and so do the old."""
    out = tmp_path / "out"
    aside = killed_between_moves(out)
    (out / "last").write_text("of another program")
    move_journal.settle(aside)
    assert contents_of(aside) == {"a": "old a"}
    assert contents_of(out) == {
        **BEFORE,
        "a": "new a",
        "c": "new c",
        "last": "of another program",
        aside.name: "",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"format": "captoolkit.mo',
        "[]",
        '{"format": "captoolkit.moves/1", "moves": [{}]}',
        f'{{{HEAD}, "moves": [{{"name": "aside", "new": [5, "x"], "old": null}}], "stale": []}}',
        f'{{{HEAD}, "moves": [{{"name": "\\ud800", "new": [5, 5], "old": []}}], "stale": []}}',
    ],
)
def test_a_journal_that_is_cut_off_or_wrong_moves_nothing(tmp_path: Path, text: str) -> None:
    """It was cut off before the first move, or captoolkit did not write it."""
    fill(tmp_path / "aside", {})
    journal = tmp_path / "aside" / move_journal.JOURNAL
    journal.write_text(text)
    move_journal.settle(tmp_path / "aside")
    assert contents_of(tmp_path) == {"aside": ""}
    assert not journal.exists()


@pytest.mark.parametrize(
    "name", ["../treasure", "/etc/treasure", "..", "a\\b", "", "\ud800", None, 3]
)
def test_a_journal_names_only_files_of_its_folder(tmp_path: Path, name: object) -> None:
    """A journal with any other name is ignored: captoolkit did not write it."""
    fill(tmp_path / "out", {})
    (tmp_path / "treasure").write_text("mine")
    aside = tmp_path / "out" / "aside"
    fill(aside, {})
    treasure = (tmp_path / "treasure").stat()
    state = [treasure.st_size, treasure.st_mtime_ns]
    rows = [{"name": name, "new": state, "old": None}, {"name": "x", "new": [1, 1], "old": None}]
    document = {"format": move_journal.FORMAT, "moves": rows, "stale": []}
    (aside / move_journal.JOURNAL).write_text(json.dumps(document))
    move_journal.settle(aside)
    assert (tmp_path / "treasure").read_text() == "mine"
