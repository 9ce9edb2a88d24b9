"""The names of the files that are made from several inputs."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from captoolkit.errors import UsageError
from captoolkit.jobs.commands.output_names import output_names
from captoolkit.jobs.listing.inputs import Input


def item(relative: str, *, url: str | None = None) -> Input:
    """An input of that path below the folder that was searched."""
    return Input(id=relative, url=relative if url is None else url, relative=relative)


def manifests(*inputs: Input, template: str | None = None, stem: str | None = None) -> list[str]:
    """The path of each input's manifest."""
    names = output_names(inputs, template, stdin_stem=stem)
    return [f"{each.folder}/{each.segments.manifest}" for each in names if each.segments]


def test_the_folders_of_a_search_are_kept() -> None:
    """Equal names in two folders need no number."""
    made = manifests(item("a/talk.wav"), item("b/talk.wav"), item("talk.wav"))
    assert made == ["a/talk.manifest.json", "b/talk.manifest.json", "/talk.manifest.json"]


def test_names_that_are_alike_get_a_number() -> None:
    """So do names that differ only in case or in the encoding of an accent."""
    made = manifests(item("a.wav"), item("a.mp3"), item("A.ogg"), item("a-2.wav"), item("a.aac"))
    assert [name[1:].partition(".")[0] for name in made] == ["a", "a-2", "A-3", "a-2-2", "a-4"]
    made = manifests(item("e\u0301.wav"), item("\u00e9.wav"))
    assert made[1] == "/\u00e9-2.manifest.json"


def test_a_template_is_numbered_as_well() -> None:
    """The number follows the stem, wherever that is."""
    first, second = item("x/talk.wav"), item("y/talk.wav")
    made = manifests(first, second, template="all/{stem}_{index}")
    assert made == ["all/talk.manifest.json", "all/talk-2.manifest.json"]
    made = manifests(first, second, template="{parent}/{index:02} {stem}")
    assert made == ["x/talk.manifest.json", "y/talk.manifest.json"]


def test_a_template_without_the_source_is_for_one_input() -> None:
    """It would give all inputs the same names."""
    assert manifests(item("talk.wav"), template="part{index}") == ["/part.manifest.json"]
    with pytest.raises(UsageError, match="gives all inputs the same names"):
        manifests(item("a.wav"), item("b.wav"), template="{parent}/{index}")


def test_standard_input_has_the_name_that_the_user_gives() -> None:
    """`--stem` needs standard input, and is a plain name."""
    stdin = item("stdin", url="-")
    assert manifests(stdin) == ["/stdin.manifest.json"]
    assert manifests(stdin, item("a.wav"), stem="talk")[0] == "/talk.manifest.json"
    with pytest.raises(UsageError, match="pass - as FILE"):
        manifests(item("a.wav"), stem="talk")
    with pytest.raises(UsageError, match="must be a plain name"):
        manifests(stdin, stem="../talk")


def test_a_timeline_has_no_number() -> None:
    """Each input has one file in each format."""
    names = output_names([item("a/talk.wav"), item("a/talk.mp3")], has_index=False)
    assert [(each.folder, each.stem) for each in names] == [("a", "talk"), ("a", "talk-2")]


STEMS = st.text(st.sampled_from("aAéÉe\u0301ßs-23. "), min_size=1, max_size=4)


@given(st.lists(STEMS, max_size=8))
@example(["talk", "Talk", "talk-2"])
@example(["\u00e9", "e\u0301", "E\u0301"])
@example(["a", "A", "a-2", "A-2", "a"])
def test_names_are_distinct_on_any_file_system(stems: list[str]) -> None:
    """All names differ, also without case and with accents encoded in another way."""
    made = manifests(*(item(f"{stem}.wav") for stem in stems))
    for form in ("NFC", "NFD"):
        assert len({unicodedata.normalize(form, name).casefold() for name in made}) == len(stems)
