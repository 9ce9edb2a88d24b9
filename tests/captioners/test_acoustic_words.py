"""The words of the local captioner, and their table."""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import pytest

from captoolkit.captioners.acoustic import table
from captoolkit.captioners.acoustic.words import SCALES, TERMS

if TYPE_CHECKING:
    pass
from tests.support.acoustic import SOURCES, examples, vocabulary


def test_every_word_is_plain_or_in_the_table() -> None:
    """Every word of every text is in the vocabulary."""
    allowed = vocabulary()
    for text in examples():
        words = {word.lower() for word in re.findall(r"[A-Za-z]+", text)}
        assert words <= allowed, f"{sorted(words - allowed)} in {text!r}"


def test_no_word_but_speech_and_music_says_what_made_the_sound() -> None:
    """Neither the vocabulary nor the table names another source of sound."""
    assert not SOURCES.search(" ".join(sorted(vocabulary())))
    assert not SOURCES.search(table())


def test_the_table_has_every_judging_word_with_its_threshold() -> None:
    """The table has one row per word of the scales and one per term."""
    rows = [line.strip("| ").split(" | ") for line in table().splitlines()[2:]]
    assert [word for word, _ in rows] == [
        *(word for scale in SCALES for word in scale.words),
        *TERMS,
    ]
    assert all(len(when) > 10 for _, when in rows)


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.words[0])
def test_words_change_exactly_at_their_thresholds(scale: object) -> None:
    """A word is valid from its threshold up to the next one."""
    found = next(each for each in SCALES if each is scale)
    starts = [start for start, _ in found.steps]
    assert starts[0] == -inf
    assert starts == sorted(starts)
    for before, (start, word) in zip(found.words, found.steps[1:], strict=False):
        assert found.word(start) == word
        assert found.word(float(np.nextafter(start, -inf))) == before
