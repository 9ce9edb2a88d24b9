"""Tests of the names of results."""

from __future__ import annotations

import pytest

from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.results.result_names import (
    hash_named,
    is_segment,
    named_by_file,
    plain_named,
    result_folder,
    tar_key,
    tar_names,
)


def talk(relative: str) -> Input:
    """A recording by the path in its listing."""
    return Input(id=relative, url=relative, relative=relative)


@pytest.mark.parametrize(
    ("relative", "folder"),
    [
        ("nul.wav", "_nul"),
        ("COM1.old/a.wav", "_COM1.old/a"),
        ("console.wav", "console"),
        ("what?/talk .wav", "what_/talk_"),
        ("a..wav", "a_"),
        (".captoolkit/a.wav", "_.captoolkit/a"),
        ("talks\\a.wav", "talks/a"),
    ],
)
def test_a_name_fits_into_every_system(relative: str, folder: str) -> None:
    """Devices of Windows, ends that it drops, and the folder of the state get another name."""
    assert result_folder(talk(relative)) == folder


def test_long_names_that_differ_at_their_end_stay_distinct() -> None:
    """A name that is cut off ends with a hash of the whole."""
    names = {result_folder(talk(f"{'語' * 300}{end}.wav")) for end in "ab"}
    assert len(names) == 2
    assert max(len(name.encode()) for name in names) <= 200


def test_a_recording_is_found_under_either_of_its_names() -> None:
    """The file of a result tells which one it has; another file changes nothing."""
    plain, hashed = talk("talks/a.wav"), hash_named(talk("talks/a.wav"))
    assert named_by_file(plain, f"{result_folder(hashed)}/x.001.wav") == hashed
    assert named_by_file(hashed, "talks/a/a.001.wav") == plain
    assert named_by_file(plain, "elsewhere/a.001.wav") == named_by_file(plain, "") == plain
    assert plain_named(talk("talks/a-12345678.wav")).relative == "talks/a-12345678.wav"


@pytest.mark.parametrize("file", ["b.001.wav", "a.manifest.json", "x/a.001.wav", "a.001.wav/..", 5])
def test_a_manifest_names_no_other_files(file: object) -> None:
    """Only a segment of the same stem in the same folder counts."""
    assert not is_segment(file, "talks/a/a.manifest.json")


def test_keys_and_files_of_tars_are_distinct() -> None:
    """WebDataset ends a key at its first dot, so a name with dots gets a hash."""
    assert len({tar_key(talk(name)) for name in ("a.b.wav", "a.c.wav", "a_b.wav")}) == 3
    assert tar_names(7) == ("shard-000007.tar", "shard-000007.jsonl")
    assert tar_names(7, chunk_id="ab")[0] == "shard-000007-ab.tar"
