from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from captoolkit.media.frame_index import read_frame_index
from tests.support.frame_files import (
    indexed,
    written,
)
from tests.support.sound import Convert, starts


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, stereo: Path, convert: Convert
) -> None:
    """A second read returns the cached index; after any change of the file a new one."""
    path = convert(stereo, tmp_path / "talk.mp3")
    a_minute_ago = time.time() - 60
    os.utime(path, (a_minute_ago, a_minute_ago))
    index = indexed(path)
    assert indexed(path) is index
    longer = path.read_bytes()
    written(path, longer + longer[int(starts(index)[-1]) :])
    os.utime(path, (a_minute_ago, a_minute_ago))
    assert indexed(path).sizes.size == index.sizes.size + 1


def test_a_file_that_has_just_changed_is_read_each_time(
    tmp_path: Path, stereo: Path, convert: Convert
) -> None:
    """Two contents of the same size within one tick of the clock get different indices."""
    path = convert(stereo, tmp_path / "talk.mp3")
    index = indexed(path)
    broken = bytearray(path.read_bytes())
    broken[int(starts(index)[-1]) :] = bytes(int(index.sizes[-1]))
    times = path.stat()
    written(path, bytes(broken))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    again = read_frame_index(path)
    assert again is None or again.sizes.size < index.sizes.size


def test_a_missing_file_raises(tmp_path: Path) -> None:
    """A file that cannot be read raises instead of returning None."""
    with pytest.raises(FileNotFoundError):
        read_frame_index(tmp_path / "talk.mp3")
