"""Made sounds, and their figures by the local captioner's measurer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from captoolkit.captioners.acoustic.measure import Measurements, Measurer
from tests.support.sound import silence, tone

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000


def measured(
    *parts: NDArray[np.floating], rate_hz: int = RATE, block: int = 65_536
) -> Measurements:
    """Measure arrays of shape (frames, channels) one after another, in blocks."""
    sound = np.concatenate(parts).astype(np.float32)
    measurer = Measurer(rate_hz=rate_hz, channels=sound.shape[1])
    for start in range(0, len(sound), block):
        measurer.feed(sound[start : start + block])
    return measurer.finish()


def noise(
    seconds: float, *, level_db: float = -20.0, rate_hz: int = RATE, channels: int = 1
) -> NDArray[np.float32]:
    """White noise of a given RMS level, the same each time, shape (frames, channels)."""
    random = np.random.default_rng(20_240_229)
    wave = random.standard_normal((round(seconds * rate_hz), channels)) * 10 ** (level_db / 20)
    return wave.astype(np.float32)


def clicks(*at_s: float, seconds: float, rate_hz: int = RATE) -> NDArray[np.float32]:
    """Single samples of 0.8 in digital silence, shape (frames, 1)."""
    sound = silence(seconds, rate_hz=rate_hz)
    sound[[round(place * rate_hz) for place in at_s]] = 0.8
    return sound


def places_s(found: Measurements) -> list[tuple[float, float]]:
    """The near-silences of a clip in seconds."""
    step_s = found.step_samples / found.rate_hz
    return [
        (round(each.start_step * step_s, 3), round(each.end_step * step_s, 3))
        for each in found.near_silences
    ]


def bursts(*starts_s: float, length_s: float, seconds: float, bed_db: float) -> NDArray[np.float32]:
    """Tones of 660 Hz that begin and break off hard, over a bed of noise."""
    sound = noise(seconds, level_db=bed_db)
    burst = tone(length_s, rate_hz=RATE, frequency_hz=660.0, amplitude=0.3)
    for start_s in starts_s:
        start = round(start_s * RATE)
        sound[start : start + len(burst)] += burst
    return sound


def pair(left: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.floating]:
    """Two channels of shape (frames, 1) as one sound."""
    return np.hstack([left, right])
