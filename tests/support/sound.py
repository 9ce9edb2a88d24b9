"""Sounds with a known truth, and small measurements of sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from captoolkit.bitstream.frames import FrameIndex

Sound = NDArray[np.float32]
Convert = Callable[..., Path]
Count = Callable[[Path], int]

ODD_LENGTH_S = 3.217


def tone(
    seconds: float, *, rate_hz: int, frequency_hz: float = 440.0, amplitude: float = 0.5
) -> NDArray[np.float32]:
    """A sine, shape (frames, 1)."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = amplitude * np.sin(2 * np.pi * frequency_hz * time_s)
    return wave.astype(np.float32)[:, None]


def silence(seconds: float, *, rate_hz: int) -> NDArray[np.float32]:
    """Digital silence, shape (frames, 1)."""
    return np.zeros((round(seconds * rate_hz), 1), np.float32)


def write_wav(
    path: Path, *parts: NDArray[np.float32], rate_hz: int, subtype: str = "PCM_16"
) -> Path:
    """Write arrays of shape (frames, channels) one after another."""
    soundfile.write(str(path), np.concatenate(parts), rate_hz, subtype=subtype)
    return path


def noise(seconds: float, *, rate_hz: int, channels: int = 1, amplitude: float = 0.3) -> Sound:
    """The same noise each time, shape (frames, channels)."""
    random = np.random.default_rng(20)
    wave = amplitude * random.uniform(-1, 1, (round(seconds * rate_hz), channels))
    return wave.astype(np.float32)


def tones_with_pauses(
    seconds: float, middles_s: Sequence[float], *, pause_s: float, rate_hz: int
) -> Sound:
    """Tones that differ, over a murmur, with silent pauses around `middles_s`; (frames, 1)."""
    wave = noise(seconds, rate_hz=rate_hz, amplitude=0.02)[:, 0]
    time_s = np.arange(len(wave)) / rate_hz
    wave += (0.4 * np.sin(2 * np.pi * (300 + 40 * np.floor(time_s / 3.1)) * time_s)).astype("f4")
    for middle_s in middles_s:
        first = round((middle_s - pause_s / 2) * rate_hz)
        wave[first : first + round(pause_s * rate_hz)] = 0
    return wave[:, None]


def level_dbfs(sound: Sound) -> float:
    """Root mean square of all samples, in dB under full scale; -200 for digital silence."""
    power = float(np.mean(np.square(sound, dtype=np.float64)))
    return 10 * float(np.log10(max(power, 1e-20)))


def starts(index: FrameIndex) -> NDArray[np.int64]:
    """Return the byte at which each frame of a file starts, shape (frames,)."""
    return index.starts_of(0, index.sizes.size)
