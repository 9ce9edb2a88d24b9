"""The measurer as a whole: blocks, faults, sparse events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.captioners.acoustic.measure import Measurer
from captoolkit.errors import UsageError
from tests.support.sound import tone

if TYPE_CHECKING:
    pass
from tests.support.measured import RATE, bursts, clicks, measured, noise


@st.composite
def cuts_of(draw: st.DrawFn, samples: int) -> list[int]:
    """Some places at which to cut a sound of that many samples."""
    return sorted(draw(st.lists(st.integers(0, samples), max_size=12)))


EVENTFUL = np.concatenate(
    [
        np.hstack([noise(1.3), noise(1.3, level_db=-30.0)]),
        np.hstack([tone(1.1, rate_hz=RATE, amplitude=1.2).clip(-1, 1)] * 2),
        np.zeros((14_321, 2), np.float32),
        np.hstack([clicks(0.1, 0.4, 0.7, seconds=1.0), noise(1.0, level_db=-70.0)]),
    ]
)


@settings(max_examples=25, deadline=None)
@given(cuts=cuts_of(len(EVENTFUL)))
def test_figures_do_not_depend_on_the_blocks(cuts: list[int]) -> None:
    """The same samples give the same figures to the last bit, wherever they are cut."""
    measurer = Measurer(rate_hz=RATE, channels=2)
    for start, end in zip([0, *cuts], [*cuts, len(EVENTFUL)], strict=True):
        measurer.feed(EVENTFUL[start:end])
    assert measurer.finish() == measured(EVENTFUL)


def test_figures_do_not_depend_on_single_samples_as_blocks() -> None:
    """Blocks of one frame give the figures of one large block."""
    sound = EVENTFUL[:7000]
    assert measured(sound, block=1) == measured(sound)


def test_blocks_are_left_as_they_are() -> None:
    """Faulty samples are set to zero in a copy, not in the caller's block."""
    block = np.array([[np.nan], [0.5]], np.float32)
    measurer = Measurer(rate_hz=RATE, channels=1)
    measurer.feed(block)
    assert measurer.finish().faulty == 1
    assert np.isnan(block[0, 0])


@pytest.mark.parametrize(("rate_hz", "channels"), [(0, 1), (16_000, 0)])
def test_a_clip_without_rate_or_channels_is_refused(rate_hz: int, channels: int) -> None:
    """A rate or a number of channels below 1 is an error."""
    with pytest.raises(UsageError, match="must be at least 1"):
        Measurer(rate_hz=rate_hz, channels=channels)


def test_sparse_events_are_described_apart_from_what_lies_between() -> None:
    """Tones over noise have one character, the noise between them another."""
    sound = bursts(10.0, 30.0, length_s=2.0, seconds=60.0, bed_db=-50.0)
    found = measured(sound)
    assert found.has_sparse_events
    assert found.character is not None
    assert found.character_between is not None
    assert found.character.tonal_share > 0.9
    assert found.character.pitch_low_hz == pytest.approx(660, rel=0.01)
    assert found.character_between.noise_share > 0.95


def test_faulty_samples_are_counted_and_poison_nothing() -> None:
    """NaN, infinity and absurd values count as zero and change no other figure."""
    sound = noise(6.0)
    sound[[100, 40_000, 40_001, 90_000]] = 0.0
    spoilt = sound.copy()
    spoilt[[100, 40_000, 40_001, 90_000], 0] = (np.nan, np.inf, -np.inf, 1e30)
    found = measured(spoilt)
    assert found.faulty == 4
    assert replace(found, faulty=0) == measured(sound)
