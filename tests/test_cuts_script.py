"""scripts/cuts.py: what counts as speech, and which cuts are inside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts import cuts
from tests.support.sound import noise, silence, write_wav


def test_speech_begins_above_one_threshold_and_ends_below_another() -> None:
    """A dip of less than 0.1 s does not end speech; a probability between the two changes none."""
    hops = [0.1] * 5 + [0.9] * 5 + [0.2] * 5 + [0.9] * 5 + [0.4] * 5 + [0.2] * 20 + [0.6] * 5
    found = np.array(cuts.speech_of(np.array(hops), 0.01))
    assert found == pytest.approx(np.array([(0.05, 0.25), (0.45, 0.50)]))


def test_share_of_cuts_inside_speech() -> None:
    """The begin of speech is inside, its end is not; without cuts the share is zero."""
    speech = [(1.0, 2.0), (3.0, 4.0)]
    assert cuts.share_inside([0.5, 1.0, 2.0, 3.5], speech) == 50
    assert cuts.share_inside([], speech) == 0


def test_rules_find_the_only_pause(tmp_path: Path) -> None:
    """captoolkit, its older rule and silencedetect all cut a minute in the pause at its middle."""
    rate_hz = cuts.RATE_HZ
    loud = noise(29, rate_hz=rate_hz)
    path = write_wav(tmp_path / "a.wav", loud, silence(2, rate_hz=rate_hz), loud, rate_hz=rate_hz)
    found = [
        cuts.by_captoolkit(path, segment="31s"),
        cuts.by_own_window(cuts.read(path), 31),
        cuts.by_silencedetect(path, 31, 60),
    ]
    assert [len(places) for places in found] == [1, 1, 1]
    assert all(29 < places[0] < 31 for places in found)
