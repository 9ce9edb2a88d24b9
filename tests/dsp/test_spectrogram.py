"""The spectrogram for a page: bands, columns, levels."""

from __future__ import annotations

import numpy as np

from captoolkit.dsp.spectrogram import BANDS, MOST_COLUMNS, SpectrogramMeter
from tests.support.sound import silence, tone

RATE_HZ = 16_000


def test_a_tone_is_one_line_and_silence_is_dark() -> None:
    """A tone fills its band at the highest level, in any channel; silence has level 0."""
    sound = np.concatenate(
        [tone(1, rate_hz=RATE_HZ, frequency_hz=1000), silence(1, rate_hz=RATE_HZ)]
    )
    meter = SpectrogramMeter(RATE_HZ, channels=2)
    opposite = np.concatenate([sound, -sound], axis=1)
    for block in np.array_split(opposite, 7):
        meter.feed(block)
    found = meter.spectrogram()
    levels = np.frombuffer(found.levels, np.uint8).reshape(-1, BANDS)
    assert (len(levels), found.column_samples) == (80, 400)
    assert levels[:39].max(axis=0).argmax() in range(20, 26)  # 15 of 45 mels, in 64 bands
    assert levels[5:35].max() == 31
    assert levels[:39, 60:].max() < 12
    assert not levels[41:].any()


def test_an_hour_has_no_more_columns_than_some_minutes() -> None:
    """Columns become longer with the sound, and their power is the mean."""
    meter = SpectrogramMeter(100, channels=1)
    for _ in range(10):
        meter.feed(np.ones((2_001, 1), np.float32))
    found = meter.spectrogram()
    columns = len(found.levels) // BANDS
    assert MOST_COLUMNS / 2 < columns <= MOST_COLUMNS
    assert columns == -(-20_010 // 2 // (found.column_samples // 2))
