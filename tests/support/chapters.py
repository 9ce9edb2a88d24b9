"""Checks for every format with chapters."""

from __future__ import annotations

from collections.abc import Callable

from captoolkit.timeline import losses, render
from captoolkit.timeline.breaking import MORE, TITLE_COLUMNS, columns
from tests.support.captions import shown_words, words
from tests.support.timelines import timeline_of

Read = Callable[[str], list[tuple[int, int, str]]]
"""Returns start and end in milliseconds, and the title, of each chapter in a file's text."""


def check_titles(name: str, read: Read, caption: str) -> None:
    """Check that a chapter's title is its caption or, with a mark, the caption's beginning."""
    found = read(render(timeline_of("A dog barks.", caption, "A door."), name))
    assert [times[:2] for times in found] == [(0, 1000), (1000, 2000), (2000, 3000)]
    assert (found[0][2], found[2][2]) == ("A dog barks.", "A door.")
    title = found[1][2]
    assert columns(title) <= TITLE_COLUMNS
    if not title.endswith(MORE):
        assert words(title) == shown_words(caption)
    else:
        beginning = "".join(words(title.removesuffix(MORE)))
        assert beginning
        assert "".join(shown_words(caption)).startswith(beginning)


def check_markers(name: str, read: Read) -> None:
    """Check that failed and silent entries are chapters."""
    found = read(render(timeline_of(holes=("timed out",), silences=1), name))
    assert [title for _, _, title in found] == ["[no caption: timed out]", "[silence]"]


def check_losses(name: str) -> None:
    """Check that `losses` counts the shortened titles, and is empty without any."""
    (loss,) = losses(timeline_of("A dog barks. " * 20, "Rain."), name)
    assert loss.startswith("Titles that hold only the beginning")
    assert loss.endswith("1 of 2.")
    assert losses(timeline_of("Rain."), name) == []
