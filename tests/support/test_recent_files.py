"""Tests of facts about recent files."""

from __future__ import annotations

import os
from pathlib import Path

from captoolkit.support.recent_files import RecentFiles, state_of


def test_a_fact_counts_while_the_file_is_the_same(tmp_path: Path) -> None:
    """Another content is another file, even if its time of change is set back."""
    path = tmp_path / "a.m4a"
    path.write_bytes(b"one")
    recent: RecentFiles[int] = RecentFiles(2)
    state = state_of(path)
    recent.put(state, "key", 1)
    assert recent.get(state_of(path), "key") == 1
    assert recent.get(state_of(path), "another") is None
    before = path.stat()
    path.write_bytes(b"three")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert recent.get(state_of(path), "key") is None


def test_only_the_last_facts_are_kept(tmp_path: Path) -> None:
    """The oldest one goes first."""
    recent: RecentFiles[int] = RecentFiles(2)
    (tmp_path / "a").touch()
    state = state_of(tmp_path / "a")
    for number in range(3):
        recent.put(state, number, number)
    assert [recent.get(state, number) for number in range(3)] == [None, 1, 2]


def test_a_missing_file_has_no_facts(tmp_path: Path) -> None:
    """Nothing is kept about it."""
    recent: RecentFiles[int] = RecentFiles(2)
    recent.put(state_of(tmp_path / "none"), "key", 1)
    assert recent.get(state_of(tmp_path / "none"), "key") is None
