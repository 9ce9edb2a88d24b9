"""Channel layouts: how many channels a name has, and which sound is too large to decode."""

from __future__ import annotations

import pytest

from captoolkit.bitstream.channel_layouts import (
    MAX_CHANNELS,
    MAX_RATE_HZ,
    MAX_VALUES_PER_S,
    channels,
    excess,
)


@pytest.mark.parametrize(
    ("layout", "number"),
    [
        ("mono", 1),
        ("stereo", 2),
        ("2.1", 3),
        ("5.1(side)", 6),
        ("7.1.4", 12),
        ("octagonal", 8),
        ("3 channels (FL+FR+LFE)", 3),
        ("ambisonic 1", 4),
        ("ambisonic 2+stereo", 11),
        ("", 0),
        ("unknown", 0),
    ],
)
def test_a_layout_has_so_many_channels(layout: str, number: int) -> None:
    """Each kind of name that ffmpeg prints has a number; other texts have none."""
    assert channels(layout) == number


@pytest.mark.parametrize(
    ("rate_hz", "number", "problem"),
    [
        (48_000, 2, ""),
        (384_000, MAX_CHANNELS, ""),
        (8_000, MAX_CHANNELS + 1, "has 65 channels, more than the 64"),
        (MAX_RATE_HZ + 1, 1, "has 3,000,001 samples a second"),
        (MAX_VALUES_PER_S // 32 + 1, 32, "has 32 channels of 768,001 samples a second"),
    ],
)
def test_sound_that_is_too_large_is_refused(rate_hz: int, number: int, problem: str) -> None:
    """Channels, rate and both together have a limit, and the text names the one that is broken."""
    text = excess(rate_hz=rate_hz, channels=number)
    assert text.startswith(problem)
    assert bool(text) == bool(problem)
