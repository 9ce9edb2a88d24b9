"""Tests of recordings on a worker: in place, or fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit.errors import InputError, SourceNotFoundError, UsageError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.opened_input import open_input
from captoolkit.jobs.stores.object_store import open_store
from tests.support.tones import write_tone

STALE = "etag:stale"


def test_a_file_is_read_in_place_and_watched(tmp_path: Path) -> None:
    """The row gets size and version of the bytes that were read; a later change is refused."""
    path = write_tone(tmp_path / "a.wav", 1)
    opened = open_input(Input(id="a.wav", url=str(path), relative="a.wav"), tmp_path / "unused")
    described = opened.described(Input(id="a.wav", url=str(path), relative="a.wav"))
    assert (opened.path, described.size_bytes) == (path, path.stat().st_size)
    assert described.version == f"mtime_ns:{path.stat().st_mtime_ns}"
    opened.refuse_changed()
    write_tone(path, 2, seconds=2)
    with pytest.raises(InputError, match="changed while it was read"):
        opened.refuse_changed()
    path.unlink()
    with pytest.raises(SourceNotFoundError):
        opened.refuse_changed()


def test_a_recording_that_changed_since_its_listing_is_fetched_as_it_is(
    s3: str, tmp_path: Path
) -> None:
    """The row states the version that was read, not that of the listing."""
    store = open_store(s3)
    store.write("a.wav", write_tone(tmp_path / "a.wav", 1).read_bytes())
    listed = Input(id="a.wav", url=f"{s3}/a.wav", relative="a.wav", size_bytes=5, version=STALE)
    opened = open_input(listed, tmp_path)
    described, now = opened.described(listed), store.stat("a.wav")
    assert (described.size_bytes, described.version) == (now.size_bytes, now.version)
    assert opened.path is not None
    assert opened.path.read_bytes() == store.read("a.wav")


def test_what_no_worker_can_read_is_refused(tmp_path: Path) -> None:
    """An error of the listing is raised as it is; standard input and folders are no recordings."""
    error = InputError("the line names no recording")
    with pytest.raises(InputError) as caught:
        open_input(Input(id="m:2", url="m:2", relative="line-2", error=error), tmp_path)
    assert caught.value is error
    with pytest.raises(UsageError, match="reads no standard input"):
        open_input(Input(id="-", url="-", relative="-"), tmp_path)
    with pytest.raises(InputError, match="it is a folder"):
        open_input(Input(id="x", url=str(tmp_path), relative="x"), tmp_path)
