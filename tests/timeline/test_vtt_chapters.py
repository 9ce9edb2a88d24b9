from __future__ import annotations

import html

import pytest
import webvtt

from tests.support.captions import NASTY
from tests.support.chapters import check_losses, check_markers, check_titles


def read_vtt(text: str) -> list[tuple[int, int, str]]:
    """Return the times in milliseconds and the title of each WebVTT chapter."""
    return [
        (cue.start_time.in_milliseconds(), cue.end_time.in_milliseconds(), html.unescape(cue.text))
        for cue in webvtt.from_string(text, strict=True).captions
    ]


@pytest.mark.parametrize("caption", NASTY.values(), ids=NASTY)
def test_a_title_is_its_caption_or_the_beginning(caption: str) -> None:
    """Difficult captions give titles that webvtt-py reads back."""
    check_titles("vtt-chapters", read_vtt, caption)


def test_failures_and_silences_are_chapters() -> None:
    """Entries without a caption have the same titles as in every format."""
    check_markers("vtt-chapters", read_vtt)


def test_losses_count_shortened_titles() -> None:
    """A sentence counts the titles that are not the whole caption."""
    check_losses("vtt-chapters")
