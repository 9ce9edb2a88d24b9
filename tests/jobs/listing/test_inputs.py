"""The recordings that names on the command line stand for."""

from __future__ import annotations

import io
import os
import pickle
import sys
from pathlib import Path

import pytest

import captoolkit
from captoolkit.errors import InputError, SourceNotFoundError, UsageError
from captoolkit.jobs.listing.inputs import Input, find_inputs, read_listing
from tests.support.sound import noise, write_wav


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a few recordings: only names matter here."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "talks/b.wav", "talks/old/c.mp3", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    (tmp_path / "empty").mkdir()
    return tmp_path


def pipe_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let standard input hold some bytes."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def urls(inputs: list[Input]) -> list[str]:
    """The paths of inputs."""
    return [each.url for each in inputs]


def test_a_named_file_is_an_input_whatever_it_holds(here: Path) -> None:
    """The verb reports that a text is no media, and that a file is missing."""
    wav, text, missing = find_inputs(["./a.wav", "notes.txt", "gone/x.wav"])
    assert (wav.id, wav.url, wav.relative, wav.size_bytes) == ("./a.wav", "./a.wav", "a.wav", 5)
    assert wav.version == f"mtime_ns:{(here / 'a.wav').stat().st_mtime_ns}"
    assert text.url == "notes.txt"
    assert (missing.url, missing.relative, missing.size_bytes, missing.error) == (
        "gone/x.wav",
        "x.wav",
        None,
        None,
    )
    assert wav.source() == "./a.wav"


def test_files_of_a_folder_have_ids_relative_to_it(here: Path) -> None:
    """The id does not change if the folder moves."""
    first, second = find_inputs(["talks"])
    assert (first.id, first.url, first.relative) == ("b.wav", "talks/b.wav", "b.wav")
    assert (second.id, second.url) == ("old/c.mp3", "talks/old/c.mp3")
    assert [each.id for each in find_inputs([str(here / "talks")])] == ["b.wav", "old/c.mp3"]


def test_a_search_skips_files_that_are_inputs_already(here: Path) -> None:
    """A folder inside another, or a file that is named as well, is done once."""
    assert urls(find_inputs(["talks/b.wav", "talks", "."])) == [
        "talks/b.wav",
        "talks/old/c.mp3",
        "./a.wav",
    ]
    assert urls(find_inputs(["talks", "talks/b.wav"])) == ["talks/b.wav", "talks/old/c.mp3"]


def test_ids_are_distinct(here: Path) -> None:
    """A file that is named twice is two inputs; equal paths in two folders keep their folder."""
    (here / "other").mkdir()
    (here / "other/b.wav").write_bytes(b"")
    assert [each.id for each in find_inputs(["a.wav", "a.wav"])] == ["a.wav", "a.wav#2"]
    ids = [each.id for each in find_inputs(["talks", "other"])]
    assert ids == ["b.wav", "old/c.mp3", "other/b.wav"]


def test_a_folder_without_recordings_is_an_input_that_fails(here: Path) -> None:
    """The others are done; the message names the patterns if there are any."""
    empty, wav = find_inputs(["empty", "a.wav"])
    assert wav.error is None
    with pytest.raises(InputError, match="the folder holds no recordings; name another"):
        empty.source()
    (unmatched,) = find_inputs(["talks"], include=["*.ogg"])
    assert "matches --include" in str(unmatched.error)
    assert pickle.loads(pickle.dumps(unmatched)).url == "talks"


def test_a_folder_of_segments_alone_is_named_so(here: Path) -> None:
    """The message does not deny the files that the search leaves out."""
    write_wav(here / "long.wav", noise(4.0, rate_hz=8_000), rate_hz=8_000)
    captoolkit.split(here / "long.wav", parts=2).save(here / "pieces")
    (pieces,) = find_inputs(["pieces"])
    assert "holds only segments that a manifest" in str(pieces.error)


def test_urls_keep_their_secrets_out_of_their_ids() -> None:
    """The id is shown and stored."""
    good, bad = find_inputs(["https://me:pw@host/talk%201.mp3?sig=x", "https://me:pw@/"])
    assert (good.id, good.relative) == ("https://host/talk%201.mp3", "talk 1.mp3")
    assert good.url == "https://me:pw@host/talk%201.mp3?sig=x"
    assert bad.id == "the URL"
    with pytest.raises(UsageError, match="malformed"):
        bad.source()
    unusable = find_inputs(["https:/host/talk.mp3?sig=x", "s3://me:pw@talks/a.wav"])
    assert [one.id for one in unusable] == ["https://(malformed)", "s3://talks/a.wav"]


def test_standard_input_is_one_recording(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` is the stream itself; a file of that name is `./-`."""
    pipe_in(monkeypatch, b"sound")
    (one,) = find_inputs(["-"])
    assert one.is_standard_input
    assert find_inputs(["/dev/stdin"]) == [one]
    assert one.relative == "stdin"
    assert one.source() is sys.stdin.buffer
    (here / "-").write_bytes(b"")
    (here / "list").write_text("-\n")
    assert urls(find_inputs(["./-"])) == ["./-"]
    assert urls(find_inputs([], files_from="list")) == ["./-"]


def test_an_empty_name_is_no_folder(here: Path) -> None:
    """It is an input of its own, which the verb refuses."""
    assert urls(find_inputs([""])) == [""]


# ------------------------------------------------------------------------------------ listings


@pytest.mark.parametrize(
    ("data", "is_null_separated"),
    [
        (b"a.wav\n\ntalks\n", False),
        (b"\xef\xbb\xbfa.wav\r\ntalks", False),
        (b"a.wav\0talks\0", True),
    ],
)
def test_a_listing_names_files_and_folders(
    here: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, is_null_separated: bool
) -> None:
    """One name a line, also with the line breaks of Windows; or NUL after each name."""
    (here / "list").write_bytes(data)
    expected = ["a.wav", "talks/b.wav", "talks/old/c.mp3"]
    found = find_inputs([], files_from="list", is_null_separated=is_null_separated)
    assert urls(found) == expected
    pipe_in(monkeypatch, data)
    found = find_inputs([], files_from="-", is_null_separated=is_null_separated)
    assert urls(found) == expected


def test_names_in_a_listing_may_hold_any_byte(here: Path) -> None:
    """Names that are no UTF-8, and names with a line break, reach the file system unchanged."""
    odd = b"caf\xe9 1.wav"
    try:
        (Path(os.fsdecode(bytes(here) + b"/" + odd))).write_bytes(b"1")
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    (here / "two\nlines.wav").write_bytes(b"22")
    (here / "list").write_bytes(odd + b"\0two\nlines.wav\0")
    first, second = find_inputs([], files_from="list", is_null_separated=True)
    assert (first.size_bytes, second.size_bytes) == (1, 2)


def test_a_listing_that_cannot_be_used_is_an_input_that_fails(here: Path) -> None:
    """The named files are done all the same."""
    (here / "blank").write_text("\n\n")
    (here / "utf16").write_bytes("a.wav\n".encode("utf-16"))
    for name, problem in (
        ("gone", "cannot be read (No such file or directory)"),
        ("empty", "cannot be read (Is a directory)"),
        ("blank", "holds no names"),
        ("utf16", "holds NUL characters; pass -0"),
    ):
        wav, listing = find_inputs(["a.wav"], files_from=name)
        assert wav.error is None
        assert listing.id == name
        assert problem in str(listing.error)
    with pytest.raises(SourceNotFoundError):
        read_listing("gone")


def test_wrong_combinations_are_refused(here: Path) -> None:
    """Standard input can be read once, and -0 is about a listing."""
    with pytest.raises(UsageError, match="no FILE is given"):
        find_inputs([])
    with pytest.raises(UsageError, match="read once"):
        find_inputs(["-", "a.wav", "-"])
    with pytest.raises(UsageError, match="read once"):
        find_inputs(["-"], files_from="-")
    with pytest.raises(UsageError, match="-0 needs a listing"):
        find_inputs(["a.wav"], is_null_separated=True)
