from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.errors import InputError, UsageError
from captoolkit.jobs.listing.inputs import Input
from captoolkit.jobs.listing.listings import list_inputs, refuse_missing
from captoolkit.jobs.results.result_names import result_folder
from captoolkit.jobs.stores.object_store import open_store

NAMES = ("b.wav", "talks/a.wav", "talks/deep/c.MP3", "talks/notes.txt", ".hidden/d.wav")


def fill(url: str, names: tuple[str, ...] = NAMES) -> str:
    """Write a byte under each name, and return the URL."""
    store = open_store(url)
    for name in names:
        store.write(name, b"1")
    return url


def ids(*names: str, **options: object) -> list[str]:
    """The ids of a listing."""
    return [each.id for each in list_inputs(names, **options)]  # type: ignore[arg-type]


@pytest.fixture(params=["folder", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, s3_server: object) -> str:
    """The path or URL of some recordings and other files."""
    if request.param == "s3":
        return fill(f"{request.getfixturevalue('s3')}/in")
    return fill(str(tmp_path / "in") if request.param == "folder" else f"memory://{tmp_path.name}")


def test_a_prefix_is_searched_like_a_folder(place: str) -> None:
    """Recordings are found below it, hidden and other files are left out, URLs keep the scheme."""
    found = list(list_inputs([place]))
    assert sorted(each.id for each in found) == ["b.wav", "talks/a.wav", "talks/deep/c.MP3"]
    assert all(each.url == f"{place}/{each.id}" for each in found)
    assert all(each.size_bytes == 1 and each.version for each in found)


def test_patterns_select(place: str) -> None:
    """`--include` and `--exclude` work on every store."""
    assert ids(place, include=["talks/**"], exclude=["deep"]) == ["talks/a.wav"]
    assert ids(place, include=["*.txt"]) == ["talks/notes.txt"]
    assert ids(place, exclude=["talks"]) == ["b.wav"]


def test_a_pattern_in_the_name_matches(place: str) -> None:
    """`**` stands for any number of folders, `*` for a part of one name."""
    assert sorted(ids(f"{place}/**/*.wav")) == ["b.wav", "talks/a.wav"]
    assert ids(f"{place}/talks/*") == ["a.wav"]
    assert ids(f"{place}/talks/*.txt") == ["notes.txt"]
    assert ids(f"{place}/talks/[ab].wav") == ["a.wav"]


def test_a_pattern_without_a_match_is_named(place: str) -> None:
    """The others are listed, and the pattern is an input with an error."""
    wrong, right = list_inputs([f"{place}/*.flac", f"{place}/b.wav"])
    assert "matches no file" in str(wrong.error)
    assert right.error is None


def test_a_name_without_recordings_is_refused_at_once(place: str) -> None:
    """One pattern or folder of several is enough; a recording of a bucket is not looked up."""
    for name in ("talks/**/*.flac", "nothing/", "talks/nothing*", "talks/n?ne/*.wav"):
        with pytest.raises(UsageError) as caught:
            refuse_missing([place, f"{place}/{name}"])
        assert str(caught.value).startswith(f"{place}/{name}"), caught.value
        assert "\n" not in str(caught.value)
    refuse_missing([place, f"{place}/talks", f"{place}/talks/*.wav", f"{place}/b.wav"])
    with pytest.raises(UsageError, match="--include"):
        refuse_missing([place], include=["*.flac"])
    with pytest.raises(UsageError, match=r"gone\.wav"):
        refuse_missing([f"{place}/gone.wav"])


def test_an_address_that_lost_a_slash_is_not_shown() -> None:
    """Its query may be a signature; `?` makes no pattern of it."""
    with pytest.raises(UsageError, match="the URL lost a slash") as caught:
        refuse_missing(["https:/host/talk.mp3?sig=secret"])
    assert "secret" not in str(caught.value)


def test_one_file_of_a_bucket_is_an_input(s3: str) -> None:
    """A URL that names a file is that file, whatever its ending; a missing one is an error."""
    fill(s3)
    (found,) = list_inputs([f"{s3}/talks/notes.txt"])
    assert found.url == f"{s3}/talks/notes.txt"
    assert found.relative == "notes.txt"
    (missing,) = list_inputs([f"{s3}/none.wav"])
    assert "none.wav" in str(missing.error)


def test_a_recording_that_is_named_twice_is_one(place: str) -> None:
    """A folder and a file of it, and the same name twice, give one input for each recording."""
    assert len(ids(place, place, f"{place}/b.wav")) == 3


def test_results_are_no_recordings(place: str) -> None:
    """The place of the results inside the folder of the recordings is left out."""
    out = f"{place}/ready"
    open_store(out).write("b/b.001.wav", b"2")
    assert len(ids(place, out=out)) == 3
    assert len(ids(place)) == 4


def test_names_from_a_file_may_be_urls(tmp_path: Path, s3: str) -> None:
    """A listing holds files and URLs, one a line."""
    fill(s3)
    listing = tmp_path / "names.txt"
    listing.write_text(f"{s3}/b.wav\n{s3}/talks/\nhttps://example.com/x.wav?key=1\n")
    found = list(list_inputs([], files_from=str(listing)))
    assert [each.url for each in found] == [
        f"{s3}/b.wav",
        f"{s3}/talks/a.wav",
        f"{s3}/talks/deep/c.MP3",
        "https://example.com/x.wav?key=1",
    ]
    assert "key" not in found[3].id


def test_web_addresses_have_no_patterns() -> None:
    """A web server lists no files."""
    with pytest.raises(UsageError, match="web servers list no files"):
        ids("https://example.com/*.wav")


def test_a_bucket_that_cannot_be_listed_is_one_error(s3: str) -> None:
    """The listing ends with the bucket's name."""
    with pytest.raises(InputError, match="there is no such bucket"):
        ids("s3://no-such-bucket/talks/")


def test_results_of_alike_names_have_folders_of_their_own(tmp_path: Path) -> None:
    """Recordings whose names differ in the ending or in case alone do not share a folder."""
    names = ("talk.mp3", "talk.wav", "Talk.flac", "talk/x.wav", "a.b.wav", "a.c.wav")
    fill(str(tmp_path / "in"), names)
    first = list(list_inputs([str(tmp_path / "in")]))
    folders = [result_folder(each) for each in first]
    assert len({folder.casefold() for folder in folders}) == len(names)
    assert folders == [result_folder(each) for each in list_inputs([str(tmp_path / "in")])]


def test_the_limit_counts_before_the_shard(tmp_path: Path) -> None:
    """`--limit` ends the listing, and shards share what is left."""
    place = fill(str(tmp_path / "in"), tuple(f"{number:02}.wav" for number in range(20)))
    limited = [ids(place, limit=10, shard=(number, 3)) for number in range(3)]
    assert sorted(name for names in limited for name in names) == [
        f"{number:02}.wav" for number in range(10)
    ]


PARTS = st.sampled_from(["a", "A", "b.c", "..", ".", "", "~", "talk", ".captoolkit", "x" * 300])


@settings(max_examples=200)
@given(st.lists(PARTS, max_size=3), st.sampled_from(["a.wav", ".wav", "a", "..", "a.b.wav", ""]))
def test_a_result_stays_inside_the_store(folders: list[str], name: str) -> None:
    """No name of a recording leads out of OUT, into its state, or to a name that is too long."""
    relative = "/".join([*folders, name])
    folder = result_folder(Input(id="1", url="u", relative=relative))
    parts = folder.split("/")
    assert not set(parts) & {"", ".", ".."}
    assert parts[0] != ".captoolkit"
    assert all(len(os.fsencode(part)) <= 200 for part in parts)
