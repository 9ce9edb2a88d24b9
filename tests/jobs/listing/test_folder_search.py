"""The search of a folder for recordings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from captoolkit.jobs.listing.folder_search import FolderSearch


def names(folder: Path, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> str:
    """The relative paths that a search finds, separated by spaces."""
    search = FolderSearch(include, exclude)
    return " ".join(each.relative for each in search.files(str(folder)))


def fill(folder: Path, *relative: str, content: bytes = b"") -> Path:
    """Create files below a folder."""
    for each in relative:
        path = folder / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_a_search_takes_recordings_and_leaves_the_files_next_to_them(tmp_path: Path) -> None:
    """Texts, pictures and tables yield no input; folders are searched in the order of paths."""
    fill(tmp_path, "b/2.FLAC", "b/10.mp3", "a.wav", "c/d/e/talk.mkv", "z.opus")
    fill(tmp_path, "a.txt", "a.json", "b/cover.jpg", "README", "notes", "c/list.csv", "b.wav.part")
    assert names(tmp_path) == "a.wav b/10.mp3 b/2.FLAC c/d/e/talk.mkv z.opus"


def test_a_link_to_itself_stops_no_search(tmp_path: Path) -> None:
    """The verb reports it, if it has the ending of a recording."""
    fill(tmp_path, "a.wav")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    assert names(tmp_path) == "a.wav loop.wav"


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    """So are the staging folders of captoolkit and the resource forks of macOS."""
    fill(tmp_path, ".a.wav", "._talk.wav", ".captoolkit-x/talk.001.wav", ".git/b.wav", "c.wav")
    assert names(tmp_path) == "c.wav"


def test_the_content_decides_where_the_ending_says_too_little(tmp_path: Path) -> None:
    """A WAV without an ending is a recording; a picture in a RIFF and a TypeScript are not."""
    fill(tmp_path, "recording", "call.0012", content=b"RIFF\0\0\0\0WAVEfmt ")
    fill(tmp_path, "picture.dat", content=b"RIFF\0\0\0\0WEBPVP8 ")
    fill(tmp_path, "photo.bin", content=b"\0\0\0\x18ftypheic\0\0\0\0")
    fill(tmp_path, "film.bin", content=b"\0\0\0\x18ftypisom\0\0\0\0")
    fill(tmp_path, "program.ts", "tree.dts", content=b"export const a = 1;\n")
    fill(tmp_path, "stream.ts", content=b"G@\0\x10\0\0\xb0\x0d" + bytes(200))
    assert names(tmp_path) == "call.0012 film.bin recording stream.ts"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.wav", "a.WAV talks/b.wav talks/old/c.wav"),
        ("talks/*.wav", "talks/b.wav"),
        ("talks/**", "talks/b.wav talks/old/c.wav talks/old/d.mp3"),
        ("**/c.*", "talks/old/c.wav"),
        ("./talks/old/?.mp3", "talks/old/d.mp3"),
        ("[!ab].{wav,mp3}", "talks/old/c.wav talks/old/d.mp3"),
        ("*.odd", "talks/e.odd"),
        ("x[1].wav", ""),
    ],
)
def test_patterns_choose_what_a_search_takes(tmp_path: Path, pattern: str, found: str) -> None:
    """A pattern with an ending also takes files whose ending is not known."""
    fill(tmp_path, "a.WAV", "talks/b.wav", "talks/old/c.wav", "talks/old/d.mp3", "talks/e.odd")
    fill(tmp_path, "talks/b.txt")
    assert names(tmp_path, include=(pattern,)) == found


def test_an_excluded_folder_is_not_searched(tmp_path: Path) -> None:
    """`--exclude` wins over `--include`, for files and for folders with all their contents."""
    fill(tmp_path, "a.wav", "old/b.wav", "talks/old/c.wav", "talks/d.wav", "talks/e.mp3")
    assert names(tmp_path, exclude=("old/",)) == "a.wav talks/d.wav talks/e.mp3"
    assert names(tmp_path, exclude=("/old",)) == "a.wav talks/d.wav talks/e.mp3 talks/old/c.wav"
    assert names(tmp_path, include=("*.wav",), exclude=("d.*", "old")) == "a.wav"


def test_accents_match_however_they_are_encoded(tmp_path: Path) -> None:
    """A name that macOS stored in decomposed form matches the pattern that a user types."""
    fill(tmp_path, "cafe\u0301.wav")
    assert names(tmp_path, include=("caf\u00e9.*",)) == "cafe\u0301.wav"


def test_segments_next_to_their_manifest_are_left_out(tmp_path: Path) -> None:
    """A folder that holds recordings and their segments yields the recordings only."""
    fill(tmp_path, "talk.wav", "talk.001.wav", "talk.002.wav", "other.001.wav", "bad.manifest.json")
    rows = [{"file": f"talk.00{i}.wav", "sha256": "0"} for i in (1, 2)]
    (tmp_path / "talk.manifest.json").write_text(json.dumps({"segments": rows}))
    assert names(tmp_path) == "other.001.wav talk.wav"


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    """A link to the folder itself makes no endless search; a broken link is an input that fails."""
    fill(tmp_path / "elsewhere", "talk.wav")
    fill(tmp_path / "here", "a.wav")
    try:
        (tmp_path / "here/link.wav").symlink_to(tmp_path / "elsewhere/talk.wav")
    except OSError:
        pytest.skip("this platform has no links")
    (tmp_path / "here/broken.wav").symlink_to(tmp_path / "missing.wav")
    (tmp_path / "here/loop").symlink_to(tmp_path / "here", target_is_directory=True)
    assert names(tmp_path / "here") == "a.wav broken.wav link.wav"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_pipes_are_left_out(tmp_path: Path) -> None:
    """Opening a pipe that no program writes to would never end."""
    os.mkfifo(tmp_path / "pipe.wav")
    os.mkfifo(tmp_path / "pipe")
    assert names(tmp_path) == ""


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_searched(tmp_path: Path) -> None:
    """The unreadable folder is one result with an error."""
    fill(tmp_path, "a/1.wav", "b/2.wav")
    (tmp_path / "a").chmod(0)
    try:
        if os.access(tmp_path / "a", os.R_OK):
            pytest.skip("this user may read everything")
        closed, found = FolderSearch((), ()).files(str(tmp_path))
        assert "cannot be read (Permission denied)" in str(closed.error)
        assert found.relative == "b/2.wav"
    finally:
        (tmp_path / "a").chmod(0o700)
