from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.timeline.breaking import (
    MORE,
    columns,
    sentences,
    shortened,
    words_with_spaces,
    wrapped,
)
from tests.support.timelines import prose

lines = prose.map(lambda text: " ".join(text.split()))


@given(prose)
def test_sentences_and_words_together_are_the_text(text: str) -> None:
    """The pieces joined are the text, and no piece is empty unless the text is."""
    for pieces in (sentences(text), words_with_spaces(text)):
        assert "".join(pieces) == text
        assert all(pieces) or pieces == [""]


@given(lines, st.integers(4, 60))
def test_a_wrapped_line_loses_nothing_but_spaces_and_fits(line: str, width: int) -> None:
    """Each line fits unless it cannot be broken."""
    found = wrapped(line, width=width)
    assert "".join("".join(found).split()) == "".join(line.split())
    for part in found:
        assert part == part.strip(" ")
        if columns(part) > width:
            assert " " not in part
            assert wrapped(part, width=width) == [part]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pitch about 249 Hz, 3", ["pitch about", "249 Hz, 3"]),
        ("it peaks at -17 dBFS.", ["it peaks at", "-17 dBFS."]),
        ("pitch about 249 Herz", ["pitch about 249", "Herz"]),
        ("pitch about many Hz", ["pitch about many", "Hz"]),
        ("123456789012345 Hz and more", ["123456789012345", "Hz and more"]),
        ("a 12345678901234 Hz", ["a 12345678901234", "Hz"]),
        ("“Ton” mit über 249 Hz", ["“Ton” mit über", "249 Hz"]),
    ],
)
def test_a_number_stays_with_its_unit(line: str, expected: list[str]) -> None:
    """A number goes to the line of its unit, unless it is alone or both do not fit."""
    assert wrapped(line, width=16) == expected


@given(lines, st.integers(6, 80))
def test_a_title_fits_and_says_when_it_is_not_all(line: str, width: int) -> None:
    """A title is the line, or its beginning with a mark."""
    found = shortened(line, width=width)
    assert columns(found) <= width
    if found != line:
        assert found.endswith(f" {MORE}")
        assert line.startswith(found.removesuffix(f" {MORE}").rstrip())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four… Five", ["One. ", "Two! ", "Three? ", "Four… ", "Five"]),
        ("At 3.5 s, approx. ten dogs.", ["At 3.5 s, approx. ten dogs."]),
        ('He says “Stop.” "Now!" She goes.', ["He says “Stop.” ", '"Now!" ', "She goes."]),
        ("1. Rain. 2. Hail.", ["1. Rain. ", "2. Hail."]),
        ("一位女士在说话。背景有雨声！", ["一位女士在说话。", "背景有雨声！"]),
        ("बारिश हो रही है। हवा।", ["बारिश हो रही है। ", "हवा।"]),
        ("A list\n\nof two", ["A list\n\n", "of two"]),
        ("1.5.\n \n \nA “list.”  Ten... \n more", ["1.5.\n \n \nA “list.”  ", "Ten... \n more"]),
        ("雨。。。", ["雨。。。"]),
        ("雨。”", ["雨。”"]),
        ("  Rain. \n\n\n", ["  Rain. \n\n\n"]),
        ("", [""]),
    ],
)
def test_sentences_end_where_readers_of_each_script_expect(text: str, expected: list[str]) -> None:
    """Full stops, question marks and paragraphs; not decimals, abbreviations and list numbers."""
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "made",
    [
        r"'Rain.' + '\n' * 200_000",
        r"'\n' * 200_000",
        r"'Rain' + '.' * 200_000 + 'a'",
        r"'雨' + '。' * 200_000",
        r"'1. ' * 100_000",
        r"'Rain.' + ' \n' * 100_000 + 'a'",
        r"'é' * 100_000",
        r"'雨。' * 50_000",
        r"' ' * 200_000",
    ],
)
def test_no_text_takes_forever(made: str) -> None:
    """Endless repetition in a text takes linear time."""
    code = (
        "from captoolkit.model import Entry, Span, Status;"
        "from captoolkit.timeline import breaking, editing;"
        f"text = {made};"
        "breaking.shortened(text); breaking.wrapped(text); breaking.words_with_spaces(text);"
        "span = Span(start_samples=0, end_samples=10**7, rate_hz=8000);"
        "entry = Entry(index=1, source_span=span, status=Status.OK, text=text);"
        "editing.spread(entry); editing.merged(editing.split(entry, 5 * 10**6))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_closing_marks_stay_with_what_they_close() -> None:
    """No line of Chinese begins with a comma or ends with an opening quote."""
    text = "一位女士在说话，“背景有雨声”，然后是风声。" * 6
    found = wrapped(text, width=12)
    assert len(found) > 5
    assert not any(re.match("[，。”]", line) for line in found)
    assert not any(line.endswith("“") for line in found)
