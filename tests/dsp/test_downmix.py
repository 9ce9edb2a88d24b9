from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from captoolkit.dsp.downmix import LAYOUT_ROWS, Mix, average_mix, choose_mix
from tests.support.sound import tone

Sound = NDArray[np.float32]
RATE_HZ = 16_000
LEFT, RIGHT, EVEN = (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)
SECONDS = 10


def voice(seed: int, *, seconds: float = SECONDS) -> Sound:
    """Noise that swells and fades, shape (frames,)."""
    frames = round(seconds * RATE_HZ)
    swell = 0.55 + 0.45 * np.sin(np.arange(frames) / RATE_HZ * 2 * np.pi * 0.7 + seed)
    made = np.random.default_rng(seed).standard_normal(frames) * 0.1 * swell
    return made.astype(np.float32)


def stereo(left: Sound, right: Sound) -> list[Sound]:
    """Two channels, in blocks of a second."""
    both = np.stack([left, right], axis=1).astype(np.float32)
    return np.array_split(both, max(1, len(both) // RATE_HZ))


def chosen(blocks: Sequence[Sound]) -> Mix:
    """The mix that is chosen for a stereo sound."""
    return choose_mix(blocks, rate_hz=RATE_HZ, layout="stereo", channels=2)


def inverted(sound: Sound, *, share: float) -> Sound:
    """The sound with its last part inverted."""
    turned = sound.copy()
    turned[round((1 - share) * len(sound)) :] *= -1
    return turned


# ------------------------------------------------------------------------ what cancels


def test_what_cancels_is_not_averaged() -> None:
    """If the right channel is inverted, the mix is one channel, with a reason."""
    mix = chosen(stereo(voice(1), -voice(1)))
    assert mix.weights in (LEFT, RIGHT)
    assert mix.reason == (
        "Left and right cancel each other: their average would lose 100 % of the audible sound, "
        "so the mix is the left channel alone."
    )


def test_music_out_of_phase_under_a_voice_in_phase() -> None:
    """If a large part of the sound cancels, the mix is one channel."""
    speech, music = 0.1 * voice(1), voice(2)
    assert chosen(stereo(speech + music, speech - music)).weights in (LEFT, RIGHT)


@pytest.mark.parametrize(("share", "is_average"), [(0.1, True), (0.3, False), (0.6, False)])
def test_partly_inverted(share: float, is_average: bool) -> None:
    """A tenth that cancels is accepted, three tenths are not."""
    mix = chosen(stereo(voice(1), inverted(voice(1), share=share)))
    assert (mix.weights == EVEN) == is_average
    assert bool(mix.reason) != is_average


@pytest.mark.parametrize("period_s", [0.05, 0.025, 0.0475, 0.1])
@pytest.mark.parametrize("phase", [0.0, 0.5])
def test_what_cancels_in_bursts_cannot_hide_between_frames(period_s: float, phase: float) -> None:
    """Loud bursts at any regular interval are measured, not only the soft sound between them."""
    sound = voice(1)
    is_burst = (np.arange(len(sound)) / RATE_HZ / period_s + phase) % 1 >= 0.5
    soft = 0.01 * voice(2)
    mix = chosen(stereo(np.where(is_burst, sound, soft), np.where(is_burst, -sound, soft)))
    assert mix.weights in (LEFT, RIGHT)


def test_level_does_not_matter() -> None:
    """A soft recording gets the same mix as a loud one."""
    soft = np.float32(1e-3) * voice(1)
    assert chosen(stereo(soft, -soft)).weights == chosen(stereo(voice(1), -voice(1))).weights


# --------------------------------------------------------------------- what stays averaged


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(voice(1), voice(1), id="mono in two channels"),
        pytest.param(voice(1), voice(2), id="two sounds"),
        pytest.param(voice(1), np.float32(0.1) * voice(2), id="one speaker is soft"),
        pytest.param(voice(1) + 0.3 * voice(2), voice(1) - 0.3 * voice(2), id="wide stereo"),
        pytest.param(np.zeros(16_000, np.float32), np.zeros(16_000, np.float32), id="silence"),
    ],
)
def test_ordinary_stereo_is_averaged(left: Sound, right: Sound) -> None:
    """Sound that does not cancel is averaged, without a reason."""
    assert chosen(stereo(left, right)) == Mix(weights=EVEN)


def test_speakers_hard_left_and_right_are_both_kept() -> None:
    """Two speakers, each in one channel, are both in the mix."""
    turns = np.arange(SECONDS * RATE_HZ) // (2 * RATE_HZ) % 2 == 0
    left, right = np.where(turns, voice(1), 0), np.where(turns, 0, voice(2))
    assert chosen(stereo(left, right)) == Mix(weights=EVEN)


def test_channel_that_would_lose_more_is_not_taken() -> None:
    """A single channel is not taken if it would lose more than the average."""
    second = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    left = np.where((second < 3.5) | (second >= 7), voice(1), 0)
    right = np.where(second >= 3.5, voice(1), 0) * np.where(second >= 7, -1, 1)
    assert chosen(stereo(left, right)) == Mix(weights=EVEN)


# -------------------------------------------------------------------------- dead channels


@pytest.mark.parametrize("hum", [0.0, 1e-5])
def test_dead_channel_is_left_out(hum: float) -> None:
    """A silent or nearly silent channel does not halve the level of the other."""
    dead = (hum * np.ones(SECONDS * RATE_HZ)).astype(np.float32)
    mix = chosen(stereo(voice(1), dead))
    assert mix.weights == LEFT
    assert mix.reason.startswith("Only the left channel has sound")
    mix = chosen(stereo(dead, voice(1)))
    assert mix.weights == RIGHT
    assert mix.reason.startswith("Only the right channel has sound")


@pytest.mark.parametrize(
    ("layout", "weights", "gains"),
    [
        ("3 channels", (0.5, -0.5, 0.0), [(1, 0, 0), (0, 1, 0)]),
        ("4 channels", (1.0, -1.0, 1.0, -1.0), [(1, 0, 0, 0), (0, 1, 0, 0)]),
        ("8 channels", (0, 0, 0, 1, 0, 0, 0, 0), [(0, 0, 0, 1, 0, 0, 0, 0)]),
        ("5.1", (0, 0, 1, 0, 0, 0), [(0, 0, 1, 0, 0, 0)]),
    ],
    ids=["cancelling-and-dead", "cancelling", "one-of-eight", "centre-only"],
)
def test_more_than_two_channels_neither_cancel_nor_fade(
    layout: str, weights: tuple[float, ...], gains: list[tuple[float, ...]]
) -> None:
    """Sound in some of many channels keeps the level of one channel."""
    sound = np.outer(voice(1), weights).astype(np.float32)
    mix = choose_mix([sound], rate_hz=RATE_HZ, layout=layout, channels=len(weights))
    assert mix.weights in gains
    assert mix.reason


def test_channel_that_speaks_once_is_not_dead() -> None:
    """A channel with one sentence in ten is kept."""
    once = voice(2)
    once[RATE_HZ:] = 0
    assert chosen(stereo(voice(1), once)) == Mix(weights=EVEN)


# ------------------------------------------------------------------------- odd excerpts


@pytest.mark.parametrize("frames", [[], [0], [1], [10, 0, 399], [400]], ids=str)
def test_short_excerpts_are_no_trouble(frames: list[int]) -> None:
    """Very short or empty excerpts give the average."""
    blocks = [np.full((count, 2), 0.1, np.float32) for count in frames]
    assert chosen(blocks) == Mix(weights=EVEN)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("right", [1, -1], ids=["in phase", "out of phase"])
def test_impossible_samples_decide_nothing(bad: float, right: int) -> None:
    """NaN and infinity count as silence and do not change the choice."""
    blocks = stereo(voice(1), right * voice(1))
    expected = chosen(blocks).weights
    blocks = [block.copy() for block in blocks]
    blocks[3][100:110, 0] = bad
    blocks[4][7] = bad
    assert chosen(blocks).weights == expected


def test_low_rates_are_no_trouble() -> None:
    """At a rate below the model's bands the mix is the average."""
    sound = tone(60, rate_hz=40, frequency_hz=5)[:, 0]
    mix = choose_mix(stereo(sound, -sound), rate_hz=40, layout="stereo", channels=2)
    assert mix == Mix(weights=EVEN)


# ------------------------------------------------------------------------- other layouts


@pytest.mark.parametrize("layout", ["5.1", "5.1(side)", "7.1"])
def test_surround_keeps_the_dialogue(layout: str) -> None:
    """The centre has the largest weight, the low-frequency channel none, and nothing clips."""
    channels = len(LAYOUT_ROWS[layout])
    weights = average_mix(channels, layout).weights
    left, right, centre, low, *around = weights
    assert sum(weights) == pytest.approx(1)
    assert centre > left == right > max(around)
    assert low == 0
    assert min(around) > 0


@given(channels=st.integers(1, 24), layout=st.sampled_from(["", "odd", "stereo", *LAYOUT_ROWS]))
@settings(deadline=None)
def test_no_average_clips(channels: int, layout: str) -> None:
    """For any layout name there is a weight for each channel, and the weights sum to 1."""
    weights = average_mix(channels, layout).weights
    assert len(weights) == channels
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0
