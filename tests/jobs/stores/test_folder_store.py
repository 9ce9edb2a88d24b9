"""Tests of what only a folder does as a store; `test_object_store` has what all stores do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from captoolkit.errors import OutputError
from captoolkit.jobs.stores.folder_store import FolderStore
from captoolkit.support import files


def test_a_file_without_links_is_created_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without hard links the name is still created by one writer only."""

    def refuse_link(source: Path, path: Path) -> None:
        raise OSError(errno.EINVAL, "no links here")

    assert errno.EXDEV in files.NO_LINKS
    monkeypatch.setattr(os, "link", refuse_link)
    store = FolderStore(str(tmp_path / "out"))
    assert store.write_new("talks/a", b"first")
    (tmp_path / "out" / "b").symlink_to("nowhere")
    assert not store.write_new("talks/a", b"second")
    assert not store.write_new("b", b"not through a link")
    assert store.read("talks/a") == b"first"


def test_a_local_file_moves_to_its_name(tmp_path: Path) -> None:
    """Neither way of writing leaves the local file, so a chunk of many files needs no room."""
    store = FolderStore(str(tmp_path / "out"))
    made = tmp_path / "made"
    for write in (store.write, store.write_new):
        made.write_bytes(b"sound")
        write(f"talks/{write.__name__}", made)
        assert not made.exists()
        assert store.read(f"talks/{write.__name__}") == b"sound"


def test_a_listing_sees_no_staging_folder_and_no_broken_link(tmp_path: Path) -> None:
    """Files that another process is making are no files of the store."""
    (tmp_path / ".captoolkit-0123456789ab-abcdefgh").mkdir()
    (tmp_path / ".captoolkit-0123456789ab-abcdefgh" / "half.wav").touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "a").touch()
    assert [file.name for file in FolderStore(str(tmp_path)).list()] == ["a"]


def test_a_file_in_place_of_a_folder_is_one_error(tmp_path: Path) -> None:
    """The error names the file that is in the way, and the file keeps its content."""
    (tmp_path / "talks").write_text("a file")
    with pytest.raises(OutputError, match=r"talks is not a folder"):
        FolderStore(str(tmp_path)).write("talks/a", b"x")
    assert (tmp_path / "talks").read_text() == "a file"
