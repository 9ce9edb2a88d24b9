"""The band that models hear: the mix and the rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from captoolkit.dsp.model_band import ModelBand
from tests.support.sound import tone

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mixed(sound: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """The band of a sound of shape (frames, channels), fed in tiles of 2 s."""
    band = ModelBand(rate_hz=rate_hz, channels=sound.shape[1])
    tiles = np.split(sound.T, range(2 * rate_hz, len(sound), 2 * rate_hz), axis=1)
    parts = [
        band.feed(tile, (tile @ tile.T).astype(np.float64), is_last=number == len(tiles))
        for number, tile in enumerate(tiles, 1)
    ]
    return np.concatenate(parts)


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100, 96_000])
def test_the_rate_is_16_khz_at_most(rate_hz: int) -> None:
    """Higher rates become 16 kHz and lower ones stay, with the same duration and level."""
    band = mixed(tone(5.0, rate_hz=rate_hz, frequency_hz=500.0), rate_hz)
    assert len(band) == 5 * min(rate_hz, 16_000)
    assert float(np.square(band).mean()) == pytest.approx(0.125, rel=0.02)


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (1, 0), (0, 1), (1, -1, 1, -1), (0, 0, 1)])
def test_no_combination_of_channels_is_lost(signs: tuple[int, ...]) -> None:
    """Opposite, dead and single channels all leave sound in the mix."""
    wave = tone(4.0, rate_hz=16_000, frequency_hz=500.0)
    band = mixed((wave * np.array(signs)).astype(np.float32), 16_000)
    assert float(np.square(band).mean()) >= 0.124 / len(signs) ** 2


def test_unrelated_channels_stay_mixed() -> None:
    """Channels with sounds of their own are both in the mix."""
    wave = np.hstack([tone(4.0, rate_hz=16_000, frequency_hz=f) for f in (500.0, 3000.0)])
    spectrum = abs(np.fft.rfft(mixed(wave, 16_000)))
    assert spectrum[2000] == pytest.approx(spectrum[12_000], rel=0.01)
    assert spectrum[2000] > 1000
