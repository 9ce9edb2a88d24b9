"""The names of segments and manifests, and the templates that users write for them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.errors import UsageError
from captoolkit.pipeline.segment_names import DEFAULT_TEMPLATE, NameTemplate, SegmentNames

VALUES = {"stem": "talk", "parent": "album", "path": "2024/album/talk"}


@pytest.mark.parametrize("stem", ["", ".", "..", "a/b", "/", "a\0b"])
def test_a_stem_is_a_plain_name(stem: str) -> None:
    """Anything else could lead out of the folder."""
    with pytest.raises(UsageError, match="must be a plain name"):
        SegmentNames.of(stem)
    SegmentNames.of("会议 %d")


@pytest.mark.parametrize(
    ("index", "segments", "name"),
    [
        (1, 1, "talk.001.mp3"),
        (12, 999, "talk.012.mp3"),
        (12, 1_000, "talk.0012.mp3"),
        (1_234, 12_345, "talk.01234.mp3"),
        (1_000, 999, "talk.1000.mp3"),
    ],
)
def test_names_sort_as_their_numbers(index: int, segments: int, name: str) -> None:
    """All numbers have as many digits as the last one, at least three."""
    assert SegmentNames.of("talk").segment(index, segments, ".mp3") == name


@pytest.mark.parametrize("stem", ["talk", "a.b", "会议 %d", "(x|y)+", "-i"])
@pytest.mark.parametrize("index", [1, 999, 1_000, 12_345])
def test_segment_names_are_recognised(stem: str, index: int) -> None:
    """The stem is matched literally."""
    names = SegmentNames.of(stem)
    assert names.is_segment(names.segment(index, 20, ".mp3"))


@pytest.mark.parametrize(
    "name",
    [
        "talk.mp3",
        "talk.01.mp3",
        "talk.001",
        "talk.001.",
        "talk.001.mp3.bak",
        "xtalk.001.mp3",
        "talkx001.mp3",
        "talk.manifest.json",
        "a/talk.001.mp3",
        "talk.0x1.mp3",
        "talk.001.mp3\n",
    ],
)
def test_other_names_are_not_recognised(name: str) -> None:
    """Names of other forms are not segments."""
    assert not SegmentNames.of("talk").is_segment(name)


@pytest.mark.parametrize(
    ("template", "folder", "segment", "manifest"),
    [
        (DEFAULT_TEMPLATE, "2024/album", "talk.007.mp3", "talk.manifest.json"),
        ("{stem}.{index:03}", "", "talk.007.mp3", "talk.manifest.json"),
        ("{stem}.{index:03}.{ext}", "", "talk.007.mp3", "talk.manifest.json"),
        ("{parent}/{stem}_{index}", "album", "talk_7.mp3", "talk.manifest.json"),
        ("{index:05} - {stem}", "", "00007 - talk.mp3", "talk.manifest.json"),
        ("all/{stem} ({index:02})", "all", "talk (07).mp3", "talk.manifest.json"),
        ("{stem}/{index:03}", "talk", "007.mp3", "talk.manifest.json"),
        ("{stem}/part{index:02}", "talk", "part07.mp3", "part.manifest.json"),
        ("{{{stem}}}.{index:03}", "", "{talk}.007.mp3", "{talk}.manifest.json"),
        ("x-{parent}-{stem}-{index:03}", "", "x-album-talk-007.mp3", "x-album-talk.manifest.json"),
    ],
)
def test_a_template_names_the_files(
    template: str, folder: str, segment: str, manifest: str
) -> None:
    """The ending is added; the manifest has the name without the number."""
    parsed = NameTemplate(template)
    names = parsed.names(**VALUES)
    assert parsed.folder(**VALUES) == folder
    assert names.segment(7, 20, ".mp3") == segment
    assert names.manifest == manifest
    assert names.is_segment(segment)
    assert not names.is_segment(manifest)


def test_numbers_have_as_many_digits_as_the_template_states() -> None:
    """A padded number grows with the recording, so that names sort; `{index}` is not padded."""
    padded, plain = (NameTemplate(f"{{stem}}.{{index{spec}}}") for spec in (":02", ""))
    assert padded.names(**VALUES).segment(7, 1200, ".wav") == "talk.0007.wav"
    assert plain.names(**VALUES).segment(7, 1200, ".wav") == "talk.7.wav"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("", "is no path"),
        ("{stem}", "needs {index} once"),
        ("{stem}.{index}.{index}", "needs {index} once"),
        ("../{stem}.{index}", "is no path below"),
        ("/tmp/{stem}.{index}", "is no path below"),
        ("a//{stem}.{index}", "is no path below"),
        ("{stem}.{index}/", "is no path below"),
        ("a\\{stem}.{index}", "is no path below"),
        ("{stem}.{number}", "unknown field {number}"),
        ("{stem.upper}.{index}", "unknown field {stem.upper}"),
        ("{stem!r}.{index}", "unknown field {stem!r}"),
        ("{}.{index}", "unknown field {}"),
        ("{stem:>9}.{index}", "has a format for {stem}"),
        ("{stem}.{index:3}", "has the format 3 for {index}"),
        ("{stem}.{index:x}", "has the format x for {index}"),
        ("{stem}.{index", "is malformed"),
        ("{index}/{stem}", "has {index} in a folder"),
        ("{stem}{index:03}", "nothing between {index} and another field"),
        ("{stem}0{index:03}", "nothing between {index} and another field"),
        ("{index:03}{stem}", "nothing between {index} and another field"),
        ("{parent}.{index:03}.{stem}", "{index} between other fields"),
        ("{ext}/{stem}.{index}", "has {ext} before its end"),
    ],
)
def test_a_template_that_cannot_be_kept_is_wrong_usage(template: str, problem: str) -> None:
    """It could give two files one name, leave the folder, or have no meaning."""
    with pytest.raises(UsageError) as caught:
        NameTemplate(template)
    assert problem in str(caught.value)


def test_a_source_named_by_dots_stays_in_the_folder() -> None:
    """A folder named `..` would lead out of the output folder."""
    values = {"stem": "..", "parent": "", "path": ".."}
    assert NameTemplate("{parent}/{stem}/{index}").folder(**values) == "__"


def test_a_template_without_a_number_names_one_file() -> None:
    """Timelines have no number."""
    template = NameTemplate("{parent}/{stem}-captions", has_index=False)
    assert (template.folder(**VALUES), template.name(**VALUES)) == ("album", "talk-captions")
    with pytest.raises(UsageError, match="leave it out"):
        NameTemplate("{stem}.{index}", has_index=False)


STEMS = st.text("ab.-_0 1", min_size=1, max_size=4).filter(lambda stem: stem.strip("."))
TEMPLATES = ("{path}.{index:03}", "{stem}-{index}", "{index:02}_{stem}", "{stem}/{index}")


@given(st.sampled_from(TEMPLATES), st.lists(STEMS, min_size=2, max_size=4, unique=True))
def test_names_of_different_sources_never_meet(template: str, stems: list[str]) -> None:
    """All segments of all sources have different paths, whatever their stems end with."""
    parsed, paths = NameTemplate(template), []
    for stem in stems:
        values = {"stem": stem, "path": stem, "parent": ""}
        names, folder = parsed.names(**values), parsed.folder(**values)
        paths += [f"{folder}/{names.segment(index, 12, '.wav')}" for index in range(1, 13)]
        paths += [f"{folder}/{names.manifest}"]
    assert all(one != other for one, other in itertools.combinations(paths, 2))
