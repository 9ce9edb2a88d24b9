from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from captoolkit.errors import OutputError
from captoolkit.support import group_moves
from tests.support.folders import folder_with, names_in


def test_files_move_together(tmp_path: Path) -> None:
    """All named files move and replace files of the same names; others stay."""
    staged = folder_with(tmp_path / "staged", a="new a", b="new b", c="c")
    out = folder_with(tmp_path / "out", a="old a", other="other")
    group_moves.move_all(staged, out, ["a", "b"])
    assert {name: (out / name).read_text() for name in names_in(out)} == {
        "a": "new a",
        "b": "new b",
        "other": "other",
    }
    assert names_in(staged) == ["c"]


def test_failed_move_is_taken_back(tmp_path: Path) -> None:
    """If one file cannot move, the moved files go back and the replaced files return."""
    staged = folder_with(tmp_path / "staged", a="a", b="b", c="c")
    out = folder_with(tmp_path / "out", other="other", b="old b")
    (out / "c").mkdir()
    with pytest.raises(OutputError) as raised:
        group_moves.move_all(staged, out, ["a", "b", "c"])
    assert raised.value.path == str(out / "c")
    assert names_in(out) == ["b", "c", "other"]
    assert (out / "b").read_text() == "old b"
    assert names_in(staged) == ["a", "b", "c"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_one_process_at_a_time_moves_files_into_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that, two runs at once leave the segments of one and the manifest of the other."""
    monkeypatch.setattr(group_moves, "MOVING_S", 0)
    with (
        group_moves.moving_alone(tmp_path),
        pytest.raises(OutputError, match="another process has been saving"),
        group_moves.moving_alone(tmp_path),
    ):
        pass
    with group_moves.moving_alone(tmp_path):  # the lock is released, and leaves no file
        assert names_in(tmp_path) == []
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    with group_moves.moving_alone(tmp_path / "missing"):  # the first move reports it
        pass
    with group_moves.moving_alone(tmp_path):  # a fork of the process does not hold it
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
