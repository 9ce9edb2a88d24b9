"""Recordings to prepare, and what tests look at afterwards."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from captoolkit.events import Event
from captoolkit.pipeline.segment import ReadySegment
from tests.support.sound import noise, write_wav

RATE_HZ = 44_100
PIECES: dict[str, Any] = {"format": "wav", "segment": "3s"}
MP3_PIECES: dict[str, Any] = {"format": "mp3", "segment": "3s"}
COUNT = 8  # the segments that these options make of `make_talk`
PAUSES_S = (6.5, 11.4, 18.0, 23.7)  # the middles of the silences in `make_clicks`
PAUSE_S = 0.4
LENGTH_S = 30.0
CLICKS_S = tuple(0.71 + 1.3 * number for number in range(22))


def make_talk(folder: Path) -> Path:
    """Write 24 s of noise at 16 kHz, one channel."""
    return write_wav(folder / "talk.wav", noise(24.0, rate_hz=16_000), rate_hz=16_000)


def make_clicks(folder: Path) -> Path:
    """Write 30 s of murmur with clicks at known samples and silences at known places, in stereo."""
    sound = noise(LENGTH_S, rate_hz=RATE_HZ, amplitude=0.05)
    for middle_s in PAUSES_S:
        first = round((middle_s - PAUSE_S / 2) * RATE_HZ)
        sound[first : first + round(PAUSE_S * RATE_HZ)] = 0
    for click_s in CLICKS_S:
        at = round(click_s * RATE_HZ)
        sound[at - 4 : at + 5] = 0.9 * np.hanning(11)[1:-1, None]
    path = folder / "clicks.flac"
    soundfile.write(str(path), np.repeat(sound, 2, axis=1), RATE_HZ)
    return path


def listing(folder: Path) -> list[str]:
    """Return everything below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def saved_names(stem: str, count: int, suffix: str = "wav") -> list[str]:
    """Return the names of the files of a saved preparation."""
    return [
        *(f"{stem}.{number:03d}.{suffix}" for number in range(1, count + 1)),
        f"{stem}.manifest.json",
    ]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def joined(segments: Iterator[ReadySegment] | tuple[ReadySegment, ...]) -> NDArray[np.float32]:
    """Return the sound of all segments, joined."""
    return np.concatenate([segment.to_array()[0] for segment in segments])


def raises_at(kind: type[Event], count: int = 1) -> Any:
    """Return an `on_event` that raises at the `count`-th event of a type."""
    seen = itertools.count(1)

    def on_event(event: Event) -> None:
        if isinstance(event, kind) and next(seen) == count:
            raise ZeroDivisionError(kind.__name__)

    return on_event
