"""The sound of a finished file by two independent readers, a plain ffmpeg and libsndfile."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

HOP_S = 0.01
LOUD = 0.1  # the peak of a hop within a mark
MARK_S = 0.5


def marked(
    seconds: float, *, rate_hz: int, at_s: tuple[float, ...], murmur: float = 1e-3
) -> NDArray[np.float32]:
    """Return a murmur with tones of half a second at known places, shape (frames, 1)."""
    sound = np.random.default_rng(0).normal(0, murmur, round(seconds * rate_hz))
    length = round(MARK_S * rate_hz)
    tone = 0.4 * np.sin(2 * np.pi * 500 * np.arange(length) / rate_hz)
    for start_s in at_s:
        start = round(start_s * rate_hz)
        sound[start : start + length] += tone
    return sound.astype(np.float32)[:, None]


def read_by_ffmpeg(path: Path, *, rate_hz: int, channels: int) -> NDArray[np.float32]:
    """Return a file's samples by a plain ffmpeg command, shape (frames, channels)."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path)]
    argv += ["-map", "0:a:0", "-f", "f32le", "-ar", str(rate_hz), "-ac", str(channels), "-"]
    raw = subprocess.run(argv, check=True, capture_output=True).stdout
    return np.frombuffer(raw, "<f4").reshape(-1, channels)


def read_by_both(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Return a file's samples by ffmpeg and by libsndfile, and their rate in Hz."""
    by_libsndfile, rate_hz = soundfile.read(str(path), dtype="float32", always_2d=True)
    channels = by_libsndfile.shape[1]
    return read_by_ffmpeg(path, rate_hz=rate_hz, channels=channels), by_libsndfile, rate_hz


def onsets_s(sound: NDArray[np.float32], rate_hz: int) -> list[float]:
    """Return where the tones of `marked` begin, to a hop."""
    hop = round(HOP_S * rate_hz)
    mono = np.abs(sound[:, 0])
    loud = np.flatnonzero(mono[: len(mono) // hop * hop].reshape(-1, hop).max(1) > LOUD)
    firsts = [at for number, at in enumerate(loud) if not number or at - loud[number - 1] > 10]
    return [int(at) * HOP_S for at in firsts]
