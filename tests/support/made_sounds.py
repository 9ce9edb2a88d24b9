"""Made sounds of a known kind, 16 kHz, shape (frames, 1): music, rain, hum, strokes, a voice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000
CHORDS = (
    (261.6, 329.6, 392.0),
    (220.0, 261.6, 329.6),
    (174.6, 220.0, 261.6),
    (196.0, 246.9, 293.7),
)


def _times(seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * RATE)) / RATE


def _column(wave: NDArray[np.floating]) -> NDArray[np.float32]:
    return wave.astype(np.float32)[:, None]


def sine(frequency_hz: float, seconds: float, amplitude: float = 0.2) -> NDArray[np.float32]:
    """A sine."""
    return _column(amplitude * np.sin(2 * np.pi * frequency_hz * _times(seconds)))


def square(frequency_hz: float, seconds: float) -> NDArray[np.float32]:
    """A square wave: a tone with many multiples."""
    return _column(0.1 * np.sign(np.sin(2 * np.pi * frequency_hz * _times(seconds))))


def music(seconds: float, beats_a_minute: float = 110.0) -> NDArray[np.float32]:
    """Plucked chords with a bass, one chord for four beats."""
    beat_s = 60 / beats_a_minute
    wave = np.zeros(round((seconds + 2) * RATE))
    for beat in range(int(seconds / beat_s)):
        chord = CHORDS[beat // 4 % len(CHORDS)]
        start = round(beat * beat_s * RATE)
        times_s = _times(1.5 * beat_s)
        decay = np.minimum(1, times_s / 0.01) * np.exp(-3 * times_s)
        for pitch_hz in (*chord, chord[0] / 2, 2 * chord[beat % 3]):
            partials = sum(np.sin(2 * np.pi * pitch_hz * n * times_s) / n for n in range(1, 6))
            wave[start : start + len(times_s)] += 0.06 * decay * partials
    return _column(wave[: round(seconds * RATE)])


def rain(seconds: float) -> NDArray[np.float32]:
    """Pink noise with drops at random."""
    random = np.random.default_rng(5)
    frames = round(seconds * RATE)
    spectrum = np.fft.rfft(random.standard_normal(frames))
    wave = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), frames)
    wave *= 0.03 / wave.std()
    for start in random.integers(0, frames - 400, int(60 * seconds)):
        drop = random.standard_normal(400) * np.exp(-np.arange(400) / 40)
        wave[start : start + 400] += random.uniform(0.01, 0.1) * drop
    return _column(wave)


def hum(mains_hz: float, seconds: float, amplitude: float = 0.05) -> NDArray[np.float32]:
    """Lines at the first multiples of a frequency."""
    lines = [np.sin(2 * np.pi * mains_hz * n * _times(seconds) + n) / n for n in (1, 2, 3, 5)]
    return _column(amplitude * np.sum(lines, axis=0))


def strokes(every_s: float, seconds: float, fade_hz: float = 40.0) -> NDArray[np.float32]:
    """Blows that fade with a rate, over a faint noise."""
    random = np.random.default_rng(6)
    wave = 0.0005 * random.standard_normal(round(seconds * RATE))
    times_s = _times(0.25)
    for start in range(RATE // 2, len(wave) - len(times_s), round(every_s * RATE)):
        body = np.sin(2 * np.pi * 900 * times_s) + random.standard_normal(len(times_s))
        wave[start : start + len(times_s)] += 0.3 * np.exp(-fade_hz * times_s) * body
    return _column(wave)


def voice(
    seconds: float, *, pitch_hz: float = 130.0, syllables_hz: float = 4.0, glide: float = 0.12
) -> NDArray[np.float32]:
    """A buzz with a gliding pitch in syllables: what a voice has, without its words."""
    times_s = _times(seconds)
    pitch = pitch_hz * (1 + glide * np.sin(2 * np.pi * 1.3 * times_s))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    buzz = sum(np.sin(n * phase) / n for n in range(1, 16))
    envelope = np.maximum(0.0, np.sin(2 * np.pi * syllables_hz / 2 * times_s)) ** 2
    envelope += np.maximum(0.0, -np.sin(2 * np.pi * syllables_hz / 2 * times_s)) ** 2
    return _column(0.1 * buzz * envelope)
