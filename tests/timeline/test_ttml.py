"""TTML, read back with ttconv."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree as ET

from ttconv import model
from ttconv.imsc import reader

from captoolkit.timeline import render
from tests.support.timelines import TimelineOf, hours_of

TTML = "{http://www.w3.org/ns/ttml}"


def test_ttconv_finds_the_times_of_each_paragraph() -> None:
    """Times are media times, also after 100 hours."""
    text = render(hours_of(102), "ttml")
    body = reader.to_model(ET.ElementTree(ET.fromstring(text))).get_body()
    paragraphs = [one for one in body.dfs_iterator() if isinstance(one, model.P)]
    assert [(one.get_begin() or 0, one.get_end()) for one in paragraphs] == [
        (Fraction(3600 * hour), Fraction(3600 * (hour + 1))) for hour in range(102)
    ]


def test_the_document_has_the_parts_that_ebu_tt_d_requires(timeline_of: TimelineOf) -> None:
    """EBU-TT-D requires a time base, a language, a style, a region and identifiers."""
    root = ET.fromstring(render(timeline_of("A dog barks.\n\nRain."), "ttml"))
    assert root.attrib["{http://www.w3.org/ns/ttml#parameter}timeBase"] == "media"
    assert root.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "und"
    assert [one.tag for one in root] == [f"{TTML}head", f"{TTML}body"]
    head, body = root
    assert [one.tag.removeprefix(TTML) for one in head] == ["metadata", "styling", "layout"]
    standards = [one.text for one in head.iter("{urn:ebu:tt:metadata}conformsToStandard")]
    assert "urn:ebu:tt:distribution:2018-04" in standards
    (paragraph,) = body.iter(f"{TTML}p")
    assert paragraph.attrib["{http://www.w3.org/XML/1998/namespace}id"] == "cue1"
    assert "".join(paragraph.itertext()) == "A dog barks.Rain."
    assert len(list(paragraph.iter(f"{TTML}br"))) == 1


def test_a_document_without_cues_has_no_body(timeline_of: TimelineOf) -> None:
    """The schema does not allow an empty division."""
    assert len(ET.fromstring(render(timeline_of(), "ttml"))) == 1


def test_spread_times_are_a_comment(timeline_of: TimelineOf) -> None:
    """The note stands before the root."""
    text = render(timeline_of("One. Two."), "ttml", spread=True)
    assert text.splitlines()[1].startswith("<!-- The sentences of each segment")
