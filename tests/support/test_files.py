from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from captoolkit.dispatch.ledger import Ledger
from captoolkit.errors import OutputError, OutputExistsError, UsageError
from captoolkit.jobs.results.datasets import export_rows
from captoolkit.jobs.stores.folder_store import FolderStore
from captoolkit.jobs.stores.object_store import open_store
from captoolkit.support import files, group_moves
from captoolkit.timeline import save
from tests.support.folders import folder_with, names_in
from tests.support.timelines import timeline_of

FULL_DEVICE = Path("/dev/full")
OTHER_DISK = Path("/dev/shm")


# ------------------------------------------------------------------------------ write_whole


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    """The file holds the text in UTF-8 with its own line ends, and no other file is left."""
    path = tmp_path / "new" / "deep" / "说.srt"
    files.write_whole(path, "1\n说\r\n", overwrite=False)
    assert path.read_bytes() == "1\n说\r\n".encode()
    assert names_in(path.parent) == ["说.srt"]


def test_existing_file_is_refused(tmp_path: Path) -> None:
    """An existing file is replaced only with `overwrite`."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(
        OutputExistsError, match=r"a\.txt exists; choose another name or folder, or pass overwrite="
    ):
        files.write_whole(path, "new", overwrite=False)
    assert path.read_text() == "old"
    files.write_whole(path, "new", overwrite=True)
    assert path.read_text() == "new"


def test_a_file_of_another_process_is_not_replaced(tmp_path: Path) -> None:
    """A name that another process takes after the first check is refused as well."""
    (tmp_path / "staged").write_text("mine")
    (tmp_path / "a.txt").write_text("of another process")
    with pytest.raises(OutputExistsError, match=r"a\.txt exists"):
        files.place(tmp_path / "staged", tmp_path / "a.txt", overwrite=False)
    assert (tmp_path / "a.txt").read_text() == "of another process"


def save_timeline(link: Path) -> None:
    """Write a timeline."""
    save(timeline_of("A bell."), link, overwrite=True)


def back_up_a_ledger(link: Path) -> None:
    """Copy a ledger."""
    with Ledger(link.parent / "ledger.sqlite3") as ledger:
        ledger.backup(link)


def export_rows_of_a_batch(link: Path) -> None:
    """Write the rows of a batch."""
    export_rows(open_store(str(link.parent / "none")), link, overwrite=True)


def replace_within_a_folder(path: Path, target: Path) -> None:
    """Move a file as if the folder `mounted` was a mount of the same disk."""
    if ("mounted" in path.parts) != ("mounted" in target.parts):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    os.rename(path, target)  # noqa: PTH104 - the method is replaced


WRITERS = [save_timeline, back_up_a_ledger, export_rows_of_a_batch]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("target", ["near", "mounted", "far", "missing"])
def test_every_writer_writes_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], target: str
) -> None:
    """The link stays, its target is new, with the old permissions, also on another disk.

    Two mounts of one disk (volumes of a container) have one device number, and no moves between.
    """
    with contextlib.ExitStack() as stack:
        folder = tmp_path
        if target == "mounted":
            folder = folder_with(tmp_path / "mounted")
            monkeypatch.setattr(Path, "replace", replace_within_a_folder)
        if target == "far":
            if not OTHER_DISK.is_dir() or OTHER_DISK.stat().st_dev == tmp_path.stat().st_dev:
                pytest.skip("there is no second file system")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=OTHER_DISK)))
        original, link = folder / "original.jsonl", tmp_path / "link.jsonl"
        if target != "missing":
            original.touch(mode=0o640)
            inode = original.stat().st_ino
        link.symlink_to(original)
        write(link)
        assert link.is_symlink()
        assert original.is_file()
        if target != "missing":
            assert original.stat().st_ino != inode, "the file was not replaced as a whole"
            assert original.stat().st_mode & 0o777 == 0o640
        assert [name for name in names_in(folder) if name.startswith(".")] == []


def write_to_a_store(link: Path) -> None:
    """Write a result of a batch."""
    FolderStore(str(link.parent)).write(link.name, b"new")


def move_a_group(link: Path) -> None:
    """Move files that appear together, as `prepare` does."""
    staged = folder_with(link.parent / "staged", **{link.name: "new", "last": "last"})
    group_moves.move_all(staged, link.parent, [link.name, "last"])
    assert (link.parent / "last").read_text() == "last"


@pytest.mark.parametrize("write", [write_to_a_store, move_a_group])
def test_results_replace_a_link_and_not_the_file_behind_it(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    """The user has not named the link, and it may lead to a recording."""
    recording, link = tmp_path / "recording.wav", tmp_path / "out" / "recording.001.wav"
    recording.write_text("sound")
    link.parent.mkdir()
    link.symlink_to(recording)
    write(link)
    assert (link.is_symlink(), link.read_text()) == (False, "new")
    assert recording.read_text() == "sound"


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    """The link stays as it is."""
    (tmp_path / "c").symlink_to(tmp_path / "c")
    with pytest.raises(OutputError, match="c cannot be written"):
        files.write_whole(tmp_path / "c", "new", overwrite=True)
    assert (tmp_path / "c").is_symlink()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="a system without /proc")
def test_a_pipe_is_named_as_the_caller_named_it(tmp_path: Path) -> None:
    """The link of /dev/stdout leads to a pipe, which has no path."""
    reads, writes = os.pipe()
    try:
        (tmp_path / "out").symlink_to(f"/proc/self/fd/{writes}")
        with pytest.raises(OutputError, match=r"out cannot be written \(the name is taken by"):
            files.write_whole(tmp_path / "out", "new", overwrite=True)
    finally:
        os.close(reads)
        os.close(writes)


def a_file_as_folder(folder: Path) -> Path:
    """A path below a file."""
    (folder / "file").write_text("old")
    return folder / "file" / "a.txt"


def a_folder(folder: Path) -> Path:
    """A path with a folder."""
    (folder / "a.txt").mkdir()
    return folder / "a.txt"


def too_long_a_name(folder: Path) -> Path:
    """A name that is too long for the file system."""
    return folder / ("a" * 300)


@pytest.mark.parametrize("place", [a_file_as_folder, a_folder, too_long_a_name])
def test_failed_write_leaves_nothing(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    """The error names the file, and the folder does not change."""
    path = place(tmp_path)
    before = names_in(tmp_path)
    with pytest.raises(OutputError, match=r"choose a(nother place| shorter name)") as raised:
        files.write_whole(path, "new", overwrite=True)
    assert raised.value.path in (str(path), str(path.parent))
    assert names_in(tmp_path) == before


def test_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that fails half-way leaves the old file and no other."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        files.write_whole(path, "x" * 100_000 + "\ud800", overwrite=True)
    assert (path.read_text(), names_in(tmp_path)) == ("old", ["a.txt"])


# ----------------------------------------------------------------------------- staging, copy


def test_staging_is_hidden_and_gone_afterwards(tmp_path: Path) -> None:
    """A staging folder is hidden in its parent and removed with its content, even on a failure."""
    with pytest.raises(ZeroDivisionError), files.staging(tmp_path / "out") as folder:  # noqa: PT012
        (folder / "half.mp3").write_text("half")
        assert folder.parent == tmp_path / "out"
        assert folder.name.startswith(".")
        raise ZeroDivisionError
    assert names_in(tmp_path / "out") == []


def test_staging_without_a_parent_is_elsewhere(tmp_path: Path) -> None:
    """Without a parent the folder is created in the system's temporary folder and removed."""
    with files.staging(None) as folder:
        assert folder.is_dir()
    assert not folder.exists()


def test_copied_bytes_are_the_same(tmp_path: Path) -> None:
    """A copy has the bytes of the original."""
    source = tmp_path / "a"
    source.write_bytes(bytes(range(256)))
    files.copy(source, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == source.read_bytes()


@pytest.mark.skipif(not FULL_DEVICE.exists(), reason="there is no device that is always full")
def test_full_disk_is_called_full(tmp_path: Path) -> None:
    """The error says that there is no room."""
    source = tmp_path / "a"
    source.write_bytes(bytes(100_000))
    with pytest.raises(OutputError, match="there is no room left on the disk; free"):
        files.copy(source, FULL_DEVICE)


def test_a_file_over_the_limit_of_sizes_has_advice(tmp_path: Path) -> None:
    """The error names the file and not its staging folder."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"^a\.txt would be larger .* shorter segments"):
            files.write_whole(tmp_path / "a.txt", "x" * 5000, overwrite=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names_in(tmp_path) == []


# ------------------------------------------------------------------------- what exists


@pytest.mark.parametrize("other", ["b.srt", "folder/../b.srt", "link.srt", "hard.srt"])
def test_two_outputs_at_one_place_are_refused(tmp_path: Path, other: str) -> None:
    """Two names of one file are one place, and two devices are none."""
    path = tmp_path / "b.srt"
    if other == "hard.srt":
        path.touch()
        (tmp_path / other).hardlink_to(path)
    if other == "link.srt":
        (tmp_path / other).symlink_to("b.srt")
    with pytest.raises(UsageError, match=r"^-o and --report are one file: .*srt; give each a "):
        files.refuse_shared([("-o", path), ("--picture", None), ("--report", tmp_path / other)])
    files.refuse_shared([("-o", path), ("--report", tmp_path / "c"), ("--picture", tmp_path / "d")])
    files.refuse_shared([("-o", "/dev/null"), ("--report", "/dev/null")])
    impossible = tmp_path / ("a" * 300)  # the writer names the reason
    files.refuse_shared([("-o", impossible), ("--report", tmp_path / "c")])


def test_first_of_the_existing_is_named(tmp_path: Path) -> None:
    """The error names the first path that exists."""
    (tmp_path / "b").touch()
    (tmp_path / "c").mkdir()
    with pytest.raises(OutputExistsError) as raised:
        files.refuse_existing([tmp_path / "a", tmp_path / "b", tmp_path / "c"])
    assert raised.value.path == str(tmp_path / "b")


def test_nothing_is_refused_where_nothing_is(tmp_path: Path) -> None:
    """Paths that do not exist are free to be written."""
    files.refuse_existing([tmp_path / "a", tmp_path / "none" / "b"])
    assert names_in(tmp_path) == []


def test_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    """A dangling link counts as an existing file."""
    link = tmp_path / "a.txt"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError):
        files.write_whole(link, "new", overwrite=False)
    assert link.is_symlink()
    assert not (tmp_path / "nowhere").exists()


def test_one_file_has_many_names(tmp_path: Path) -> None:
    """Links of either kind and detours lead to the same file; a missing path leads to no file."""
    source, other = tmp_path / "a.wav", tmp_path / "b.wav"
    source.touch()
    other.touch()
    hard, soft, detour = tmp_path / "hard", tmp_path / "soft", tmp_path / "none" / ".." / "a.wav"
    hard.hardlink_to(source)
    soft.symlink_to(source)
    (tmp_path / "none").mkdir()
    missing = tmp_path / "missing"
    sources = files.FileSet([missing, str(source)])
    paths = [hard, other, soft, detour, missing]
    assert sources.among(paths) == [hard, soft, detour]
    assert files.FileSet([other], others=sources).among(paths) == [hard, other, soft, detour]
    with pytest.raises(OutputError, match="soft is an input"):
        files.FileSet([source]).refuse([other, soft])


def test_inputs_are_identified_once_and_only_where_something_would_be_replaced(
    tmp_path: Path,
) -> None:
    """A thousand outputs and a thousand inputs do not take a million look-ups."""
    first, second = tmp_path / "first", tmp_path / "second"
    inputs = files.FileSet([first, second])
    assert inputs.among([first]) == []  # no such file: the inputs were not looked at
    first.touch()
    assert inputs.among([first]) == [first]
    second.touch()
    assert inputs.among([second]) == []


def test_a_digest_is_of_all_bytes(tmp_path: Path) -> None:
    """The SHA-256 covers the whole file."""
    data = os.urandom(3_000_001)
    (tmp_path / "a").write_bytes(data)
    assert files.sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_a_file_of_another_kind_is_neither_replaced_nor_extended(tmp_path: Path) -> None:
    """A missing or empty file is free, and so is one of the kind."""
    path = tmp_path / "log"
    files.refuse_foreign(path, b"LOG", "log")
    for content in (b"", b"LOG 1"):
        path.write_bytes(content)
        files.refuse_foreign(path, b"LOG", "log")
    for content in (b"LO", b"RIFF"):
        path.write_bytes(content)
        with pytest.raises(OutputExistsError, match=r"log exists and is no log; choose another"):
            files.refuse_foreign(path, b"LOG", "log")
