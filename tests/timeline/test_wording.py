from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.model import Entry, Span, Status
from captoolkit.timeline.wording import one_line, paragraphs, plain


def entry(status: Status, text: str = "", error: str | None = None) -> Entry:
    """An entry with that status, text and error."""
    span = Span(start_samples=0, end_samples=1, rate_hz=1)
    return Entry(index=1, source_span=span, status=status, text=text, error=error)


@pytest.mark.parametrize(
    ("given_entry", "shown"),
    [
        (entry(Status.OK, "a\nb\n\nc"), [["a", "b"], ["c"]]),
        (entry(Status.OK, " \r\n\t"), [["[empty caption]"]]),
        (entry(Status.SILENT), [["[silence]"]]),
        (
            entry(Status.FAILED, error="HTTP 500;\n try again"),
            [["[no caption: HTTP 500; try again]"]],
        ),
        (entry(Status.FAILED), [["[no caption: reason unknown]"]]),
        (entry(Status.FAILED, "half a", error="cut off"), [["[no caption: cut off]"], ["half a"]]),
    ],
)
def test_an_entry_always_says_something(given_entry: Entry, shown: list[list[str]]) -> None:
    """Every status has visible text, and no text is dropped."""
    assert paragraphs(given_entry) == shown


@given(st.text(st.characters()))
def test_shown_text_holds_no_control_but_newlines_and_keeps_everything_else(text: str) -> None:
    """Only control characters, separators and lone surrogates are replaced, one for one."""
    shown = plain(text)
    assert {c for c in shown if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}} <= {"\n"}
    printable = [c for c in text if unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"}]
    kept = [c for c in shown if c not in "\n\ufffd "]
    assert kept == [c for c in printable if c not in "\ufffd "]
    assert "\n" not in one_line(text)
