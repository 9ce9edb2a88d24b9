"""Rules for all formats; every file is read back by an independent parser."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import opentimelineio as otio
import pympi
import pysubs2
import pytest
import srt
import webvtt
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from praatio import textgrid
from ttconv import model as ttconv_model
from ttconv.imsc import reader as imsc_reader

from captoolkit.errors import UsageError
from captoolkit.timeline import FORMATS, Format, extension_of, format_of, render
from captoolkit.timeline.value import Timeline
from tests.support.captions import NASTY, shown_words, words
from tests.support.timelines import TimelineOf


def read_srt(text: str) -> list[str]:
    """Return the text of each SRT cue."""
    return [cue.content for cue in srt.parse(text)]


def read_srt_with_pysubs2(text: str) -> list[str]:
    """Return the text of each SRT cue, once pysubs2 has taken tags and breaks out of it."""
    return [cue.plaintext for cue in pysubs2.SSAFile.from_string(text, format_="srt")]


def read_vtt(text: str) -> list[str]:
    """Return the text of each WebVTT cue; webvtt-py takes out tags and leaves escapes."""
    cues = webvtt.from_string(text, strict=True).captions
    return [html.unescape(cue.text) for cue in cues]


def read_markdown(text: str) -> list[str]:
    """Return the text of each section; fail on anything that is not plain text in paragraphs."""
    sections: list[str] = []
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    in_heading = False
    for token in tokens:
        assert token.type.removesuffix("_open").removesuffix("_close") in {
            "heading",
            "paragraph",
            "inline",
        }
        if token.type.startswith("heading"):
            in_heading = token.type == "heading_open"
        if token.type == "heading_open" and token.tag == "h2":
            sections.append("")
        if token.type == "inline" and sections and not in_heading:
            for child in token.children or []:
                assert child.type in {"text", "text_special", "hardbreak"}
                sections[-1] += child.content or "\n"
            sections[-1] += "\n\n"
    return sections


class CaptionsOfPage(HTMLParser):
    """The text of each caption of an HTML page, in the elements of `class="said"`."""

    def __init__(self) -> None:
        super().__init__()
        self.captions: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a caption, or a paragraph or a line in it; nothing else may be in one."""
        if ("class", "said") in attrs:
            self.captions.append("")
            self._depth = 1
        elif self._depth:
            assert tag in {"p", "br"}
            self.captions[-1] += "\n"

    def handle_endtag(self, tag: str) -> None:
        """Close a caption."""
        if tag == "div":
            self._depth = 0

    def handle_data(self, data: str) -> None:
        """Keep what a caption says."""
        if self._depth:
            self.captions[-1] += data


def read_html(text: str) -> list[str]:
    """Return the text of each caption on the page."""
    reader = CaptionsOfPage()
    reader.feed(text)
    return reader.captions


def read_json(text: str) -> list[str]:
    """Return the text of each JSON entry."""
    return [entry["text"] for entry in json.loads(text)["entries"]]


def read_json_lines(text: str) -> list[str]:
    """Return the text of each line's object."""
    return [json.loads(line)["text"] for line in text.split("\n")[:-1]]


def read_ass(text: str) -> list[str]:
    """Return the text of each ASS event, once pysubs2 has taken codes and breaks out of it."""
    return [event.plaintext for event in pysubs2.SSAFile.from_string(text, format_="ass")]


def read_csv(text: str) -> list[str]:
    """Return the text of each row."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    return [row["text"] for row in rows]


def read_labels(text: str) -> list[str]:
    """Return the text of each Audacity label."""
    rows = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    return [label for start, end, label in rows]


def read_textgrid(text: str) -> list[str]:
    """Return the text of each interval that has one, as praatio reads a file."""
    if "xmax = 0.000000" in text:
        return []  # a grid without time: praatio, as Praat, has none
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.TextGrid"
        path.write_text(text, encoding="utf-8", newline="\n")
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    return [interval.label for interval in grid.getTier("captions").entries]


def read_otio(text: str) -> list[str]:
    """Return the comment of each marker on each clip."""
    timeline = otio.adapters.read_from_string(text, "otio_json")
    return [marker.comment for clip in timeline.find_clips() for marker in clip.markers]


def read_fcpxml(text: str) -> list[str]:
    """Return the note of each marker, without the times that it begins with."""
    notes = [marker.attrib["note"] for marker in ET.fromstring(text).iter("marker")]
    return [note.partition("] ")[2] for note in notes]


def read_edl(text: str) -> list[str]:
    """Return the note of each event's marker, without the times that it begins with."""
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=25)
    said = []
    for clip in timeline.find_clips():
        (comment,) = clip.metadata["cmx_3600"]["comments"]
        note, colour, name, length = comment.split("|")
        assert (colour[:14], name[:2], length[:2]) == ("C:ResolveColor", "M:", "D:")
        said.append(note.partition("] ")[2])
    return said


def read_ttml(text: str) -> list[str]:
    """Return the text of each paragraph, as ttconv reads IMSC."""
    document = imsc_reader.to_model(ET.ElementTree(ET.fromstring(text)))
    body = document.get_body()
    if body is None:
        return []
    paragraphs = [one for one in body.dfs_iterator() if isinstance(one, ttconv_model.P)]
    return ["".join(map(ttml_words, one.dfs_iterator())) for one in paragraphs]


def ttml_words(element: object) -> str:
    """Return the text of an element: of a text itself, a line end for a break."""
    if isinstance(element, ttconv_model.Text):
        return str(element.get_text())
    return "\n" if isinstance(element, ttconv_model.Br) else ""


def read_eaf(text: str) -> list[str]:
    """Return the value of each annotation, as pympi reads a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.eaf"
        path.write_text(text, encoding="utf-8", newline="\n")
        annotations = pympi.Eaf(str(path)).get_annotation_data_for_tier("captions")
    return [value for start, end, value in sorted(annotations)]


def read_label_studio(text: str) -> list[str]:
    """Return the text of each region's text area."""
    results = [one for task in json.loads(text) for one in task["predictions"][0]["result"]]
    return [one["value"]["text"][0] for one in results if one["type"] == "textarea"]


READERS: dict[str, tuple[str, Callable[[str], list[str]]]] = {
    "srt with srt": ("srt", read_srt),
    "srt with pysubs2": ("srt", read_srt_with_pysubs2),
    "vtt with webvtt-py": ("vtt", read_vtt),
    "md with markdown-it": ("md", read_markdown),
    "html with html.parser": ("html", read_html),
    "json with json": ("json", read_json),
    "jsonl with json": ("jsonl", read_json_lines),
    "ass with pysubs2": ("ass", read_ass),
    "csv with csv": ("csv", read_csv),
    "audacity with csv": ("audacity", read_labels),
    "textgrid with praatio": ("textgrid", read_textgrid),
    "otio with opentimelineio": ("otio", read_otio),
    "fcpxml with ElementTree": ("fcpxml", read_fcpxml),
    "edl with the otio adapter": ("edl", read_edl),
    "ttml with ttconv": ("ttml", read_ttml),
    "eaf with pympi": ("eaf", read_eaf),
    "label-studio with json": ("label-studio", read_label_studio),
    "nemo with json": ("nemo", read_json_lines),
}

every_reader = pytest.mark.parametrize(("name", "read"), READERS.values(), ids=READERS)

EXACT = ("json", "jsonl")  # their texts are the captions' own, character by character

OWN_CONTROLS = {"csv": {"\r"}, "audacity": {"\t"}}

DATA = (*EXACT, "csv", "nemo")  # a hole is told by its status, not in words

every_format = pytest.mark.parametrize("name", FORMATS)


@every_reader
@pytest.mark.parametrize("caption", NASTY.values(), ids=NASTY)
def test_a_nasty_caption_comes_back_word_for_word_between_others_and_at_the_end(
    name: str, read: Callable[[str], list[str]], caption: str, timeline_of: TimelineOf
) -> None:
    """An independent parser finds four cues, each with its own words in order."""
    captions = ("A dog barks.", caption, "A door.", caption)
    before, middle, after, last = read(render(timeline_of(*captions), name))
    assert (words(before), words(after)) == (["A", "dog", "barks."], ["A", "door."])
    if name in EXACT:
        assert middle == last == caption
    else:
        assert words(middle) == words(last) == shown_words(caption)


@pytest.mark.parametrize(
    "name", ["srt", "vtt", "md", "ass", "csv", "audacity", "textgrid", "otio", "fcpxml", "edl"]
)
@given(
    captions=st.lists(
        st.text(
            st.characters(categories=["L", "N", "P", "S", "Z", "C"])
            | st.sampled_from("-->\n\r\u2028 \t&<b/{}\\N0123:,.#*_[]()=+|~`1")
        ),
        max_size=4,
    )
)
@example(captions=["", " \n", "\n0\n0"])
def test_any_captions_come_back_as_so_many_cues_with_no_text_lost(
    name: str, captions: list[str], timeline_of: TimelineOf
) -> None:
    """Arbitrary captions stay separate cues and lose no letter or digit."""
    text = render(timeline_of(*captions), name)
    for format_name, read in READERS.values():
        if format_name == name:
            found = ["".join(words(cue)) for cue in read(text)]
            expected = ["".join(shown_words(caption)) for caption in captions]
            empty = "" if name in DATA else "[emptycaption]"
            assert found == [caption or empty for caption in expected]


@every_reader
def test_holes_and_silences_are_entries(
    name: str, read: Callable[[str], list[str]], timeline_of: TimelineOf
) -> None:
    """Failed and silent entries have the same words, and a status in data formats."""
    text = render(timeline_of("Rain.", holes=("timed\r\nout \x1b<b>", ""), silences=1), name)
    if name in DATA:
        statuses = re.findall(r'"status": "(\w+)"|,(ok|failed|silent),', text)
        assert ["".join(one) for one in statuses] == ["ok", "failed", "failed", "silent"]
    else:
        assert [" ".join(words(said)) for said in read(text)] == [
            "Rain.",
            "[no caption: timed out \ufffd<b>]",
            "[no caption: reason unknown]",
            "[silence]",
        ]


@every_format
@pytest.mark.parametrize("caption", NASTY.values(), ids=NASTY)
def test_a_file_can_be_encoded_and_holds_no_control_character(
    name: str, caption: str, timeline_of: TimelineOf
) -> None:
    """A file has no control character but its own, and ends in one newline."""
    text = render(timeline_of(caption, holes=(caption,)), name)
    controls = {c for c in set(text) if unicodedata.category(c) in {"Cc", "Zl", "Zp"}}
    assert controls == {"\n"} | OWN_CONTROLS.get(name, set())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert text.encode("utf-8").decode("utf-8") == text


@pytest.mark.parametrize(("name", "parts"), [("srt", 1), ("vtt", 2)])
@pytest.mark.parametrize("caption", NASTY.values(), ids=NASTY)
def test_a_subtitle_file_has_no_blank_line_and_no_arrow_but_its_own(
    name: str, parts: int, caption: str, timeline_of: TimelineOf
) -> None:
    """A reader that splits at blank lines finds one block per cue."""
    text = render(timeline_of(caption, caption), name)
    assert len(text.split("\n\n")) == parts + 1
    assert text.count("-->") == 2


def test_an_unknown_format_is_refused_with_the_names_of_the_known(timeline_of: TimelineOf) -> None:
    """The error lists the formats."""
    with pytest.raises(UsageError, match=r"'sub'.*json, jsonl, srt, vtt"):
        render(timeline_of("x"), "sub")
    with pytest.raises(UsageError, match="'sub'"):
        extension_of("sub")


@every_format
def test_each_format_is_registered_under_its_own_name(name: str) -> None:
    """Name and row agree, and the extension selects the format."""
    assert FORMATS[name].name == name
    assert extension_of(name).replace(".", "").isalnum()
    assert format_of(f"a.b/talk.{extension_of(name).upper()}") == name


def test_all_formats_of_one_timeline_can_lie_in_one_folder() -> None:
    """No two formats share an extension."""
    assert len({row.extension.lower() for row in FORMATS.values()}) == len(FORMATS)


def test_anyone_can_add_a_format(timeline_of: TimelineOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row in `FORMATS` may name a module anywhere."""
    row = Format(name="again", extension="t", title="", module="captoolkit.timeline.text")
    monkeypatch.setitem(FORMATS, "again", row)
    assert render(timeline_of("x"), "again") == render(timeline_of("x"), "txt")


@every_format
def test_entries_out_of_order_are_refused_before_anything_is_written(
    name: str, timeline_of: TimelineOf
) -> None:
    """A timeline with entries out of order is an error in every format."""
    good = timeline_of("a", "b")
    backwards = Timeline(source=good.source, captioner=good.captioner, entries=good.entries[::-1])
    with pytest.raises(UsageError, match=r"entry 2 starts at 0\.000000 s"):
        render(backwards, name)


@every_format
def test_a_timeline_without_entries_still_makes_a_file_of_its_kind(
    name: str, timeline_of: TimelineOf
) -> None:
    """A recording without a sample gives a file without cues in every format."""
    text = render(timeline_of(), name)
    assert text == "" or text.endswith("\n")
    assert all(read(text) == [] for format_name, read in READERS.values() if format_name == name)


def test_an_option_that_no_format_has_is_refused(timeline_of: TimelineOf) -> None:
    """An unknown option is an error that names the function; another format's option is ignored."""
    with pytest.raises(
        UsageError,
        match=r"render\(\) takes no option 'fps'; use csv_bom, drop_frame, frame_rate, ",
    ):
        render(timeline_of("Rain."), "edl", fps=24)  # type: ignore[call-arg]
    assert render(timeline_of("Rain."), "srt", frame_rate=24) == render(timeline_of("Rain."), "srt")


@pytest.mark.parametrize("name", FORMATS)
def test_a_formula_or_a_field_mark_is_only_text(name: str, timeline_of: TimelineOf) -> None:
    """Every format keeps text that is a formula in a table or a field mark in an EDL."""
    assert "SUM(A1" in render(timeline_of("=SUM(A1|B2)\tx"), name).replace("\\", "")


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_details_stand_in_documents_and_data_but_not_in_cues(
    name: str, timeline_of: TimelineOf
) -> None:
    """Details follow the text in documents and data; subtitles, chapters and markers omit them."""
    plain = timeline_of("A dog barks.", "Rain.")
    details = "Figures: <loud>.\n\nOthers."
    first = replace(plain.entries[0], details=details)
    detailed = replace(plain, entries=(first, *plain.entries[1:]))
    shows = name in {"csv", "html", "json", "jsonl", "md", "otio", "txt"}
    assert ("Figures" in render(detailed, name)) is shows
    assert "<loud>" not in render(detailed, "html")
    if not shows:
        assert render(detailed, name) == render(plain, name)
