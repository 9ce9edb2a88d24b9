from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from captoolkit.model import CaptionerInfo
from captoolkit.timeline import render
from captoolkit.timeline.markdown import escape
from tests.support.timelines import TimelineOf


def test_a_markdown_page_looks_like_this(timeline_of: TimelineOf) -> None:
    """A page has the recording's name, the captioner, and a section for each entry."""
    assert render(timeline_of("A dog\nbarks.\n\nRain.", silences=1), "md") == (
        "# night in the harbour.flac\n"
        "\n"
        "Captions by acoustic, model acoustic-1.\n"
        "\n"
        "## 0:00.000 - 0:01.000\n\nA dog\\\nbarks.\n\nRain.\n"
        "\n"
        "## 0:01.000 - 0:02.000\n\n\\[silence\\]\n"
    )


@pytest.mark.parametrize(
    "name",
    ["<img src=x>.wav", "a # b #", "`x` [y](z) *w*.mp3", "two\nlines.wav", "esc\x1b[2J.wav", "- a"],
)
def test_a_hostile_file_name_stays_a_title(name: str, timeline_of: TimelineOf) -> None:
    """Markup in a file name is shown as text."""
    timeline = timeline_of("x")
    named = replace(timeline, source=replace(timeline.source, path=f"/in/{name}"))
    heading = MarkdownIt("commonmark").parse(render(named, "md"))[1]
    assert heading.children is not None
    assert {child.type for child in heading.children} == {"text"}
    shown = heading.children[0].content
    assert shown == " ".join(name.replace("\x1b", "\ufffd").split())


def test_who_was_asked_is_text_too(timeline_of: TimelineOf) -> None:
    """Markup in a model's name is shown as text."""
    info = CaptionerInfo(name="openai", model="<b>qwen_3*</b>")
    page = render(replace(timeline_of("x"), captioner=info), "md")
    assert "Captions by openai, model \\<b\\>qwen\\_3\\*\\</b\\>." in page


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain text, 3.5 m - or 4-5 (so)", "plain text, 3.5 m - or 4-5 (so)"),
        ("5:30 in the morning!", "5:30 in the morning!"),
        ("12. a", r"12\. a"),
        ("12) a", r"12\) a"),
        ("- a", r"\- a"),
        ("from $5 to $6", r"from \$5 to \$6"),
        ("http://a www.b c@d", r"http\://a www\.b c\@d"),
    ],
)
def test_only_what_would_be_markup_is_escaped(text: str, escaped: str) -> None:
    """Backslashes stand only before markup, so the source stays readable."""
    assert escape(text) == escaped
