"""Folders of short recordings with distinct sound, for tests of many recordings."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

RATE_HZ = 8_000


def write_tone(path: Path, number: int, *, seconds: float = 1.0) -> Path:
    """Write a short WAV; each number has a sound of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n = np.arange(int(seconds * RATE_HZ))
    sound = 0.2 * np.sin(n * (0.05 + 0.0007 * number)) * (1 + 0.3 * np.sin(n / 900.0))
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE_HZ)
        stream.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


def write_tones(folder: Path, count: int, *, seconds: float = 1.0) -> list[Path]:
    """Write a folder of distinct recordings, `t000.wav` and so on."""
    return [
        write_tone(folder / f"t{number:03}.wav", number, seconds=seconds) for number in range(count)
    ]
