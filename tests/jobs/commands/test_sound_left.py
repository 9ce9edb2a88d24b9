"""How much sound many recordings hold, while most of them have not been opened."""

from __future__ import annotations

import pytest

from captoolkit.jobs.commands.sound_left import SoundLeft


def test_the_total_is_predicted_from_sizes() -> None:
    """A recording that is not open counts by the seconds a byte of those that are."""
    sound = SoundLeft([1000, 3000, 6000])
    assert sound.total_s is None
    sound.update("a", 1000, done_s=0, total_s=10)
    before_s = sound.total_s
    assert before_s == pytest.approx(100)
    sound.update("b", 3000, done_s=5, total_s=50)
    assert sound.done_s == pytest.approx(5)
    assert sound.total_s == pytest.approx(150)  # 60 s in 4000 bytes
    sound.finish("b", 3000)
    assert (sound.finished, sound.done_s) == (1, 50)


def test_recordings_without_a_size_count_with_the_mean_length() -> None:
    """A URL and standard input have no size before they are read."""
    sound = SoundLeft([None, None, None])
    sound.update("a", None, done_s=1, total_s=20)
    assert sound.total_s == 60


def test_what_is_kept_or_fails_leaves_the_total() -> None:
    """It takes no time; a recording that fails half way counts as done."""
    sound = SoundLeft([100, 100, 100, 100])
    sound.finish("kept", 100)
    sound.update("a", 100, done_s=4, total_s=10)
    assert sound.total_s == 30
    sound.finish("a", 100)
    sound.update("b", 100, done_s=10, total_s=10)
    sound.finish("b", 100)
    sound.finish("missing", 100)
    assert (sound.finished, sound.done_s, sound.total_s) == (4, 20, 20)
