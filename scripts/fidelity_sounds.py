"""The sounds of scripts/fidelity.py: recordings, and music, rain, hammering and a room made here.

A sound belongs to a kind, for which the ladder has figures: speech, music, environment or quiet.
Each recording, or its first 4 minutes, becomes one channel at 48 kHz.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captoolkit.dsp import downmix
from captoolkit.errors import InputError
from captoolkit.media import decode, probe_file
from captoolkit.planning import ladder

Samples = NDArray[np.floating[Any]]  # (frames,), full scale 1.0

ROOT = Path(__file__).resolve().parents[1]
SOURCE_RATE_HZ = 48_000
LONGEST_S = 240
SHORTEST_S = 0.5
KINDS = tuple(field.name for field in dataclasses.fields(ladder.Fidelity))
GIVEN = "given"  # the kind of a sound that is given without one
CORPUS = ROOT.parent / "shared" / "corpus"
RECORDINGS = {
    "speech": ["english-60s.flac", "multilingual.mp3", "arabic.wav", "german.wav", "jfk.flac"],
    "music": ["bach.ogg"],
}
SPOKEN = ROOT / "fixtures" / "speech"
SEED = 20_261
MADE_S = 20
# Of a steel bar: how high above the lowest, how strong, how fast each dies away; and the blow.
BAR_PARTIALS = ((1, 0.6, 0.12), (2.76, 1, 0.09), (5.4, 0.7, 0.05), (11, 2, 0.002))
SCALE_HZ = (220.0, 261.6, 293.7, 329.6, 392.0, 440.0)
LOWEST_HZ = 40  # below it, the power of noise rises no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One recording, or a sound made here."""

    name: str
    kind: str
    samples: Samples  # at SOURCE_RATE_HZ

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return len(self.samples) / SOURCE_RATE_HZ


def at_level(samples: Samples, dbfs: float) -> Samples:
    """Return the sound at that RMS level."""
    return np.asarray(samples * (10 ** (dbfs / 20) / np.sqrt(np.mean(samples**2))))


def noise(rng: np.random.Generator, slope: float, dbfs: float) -> Samples:
    """Return noise whose power falls with that power of the frequency: white 0, pink 1."""
    spectrum = np.fft.rfft(rng.standard_normal(MADE_S * SOURCE_RATE_HZ))
    pitch = np.maximum(1.0, np.arange(len(spectrum)) / (MADE_S * LOWEST_HZ))
    return at_level(np.fft.irfft(spectrum * pitch ** (-slope / 2)), dbfs)


def ring(frequency_hz: float, decay_s: float, duration_s: float) -> Samples:
    """Return a sine that falls to 1/e in each `decay_s`."""
    time_s = np.arange(round(duration_s * SOURCE_RATE_HZ)) / SOURCE_RATE_HZ
    return np.asarray(np.exp(-time_s / decay_s) * np.sin(2 * np.pi * frequency_hz * time_s))


def repeated(stroke: Samples, starts_s: Samples, gains: Samples) -> Samples:
    """Return MADE_S seconds in which a stroke sounds again and again."""
    strokes = np.zeros(MADE_S * SOURCE_RATE_HZ + len(stroke))
    for start, gain in zip(np.rint(starts_s * SOURCE_RATE_HZ).astype(int), gains, strict=True):
        strokes[start : start + len(stroke)] += gain * stroke
    return strokes[: MADE_S * SOURCE_RATE_HZ]


def room(rng: np.random.Generator) -> Samples:
    """A quiet room: a rumble at -60 dBFS, and a clock."""
    ticks_s = np.arange(0.5, MADE_S, 0.5)
    clock = repeated(ring(3_100, 0.004, 0.05), ticks_s, rng.uniform(0.001, 0.003, len(ticks_s)))
    return noise(rng, 1.3, -60) + clock


def rain(rng: np.random.Generator) -> Samples:
    """Rain at -50 dBFS, drop upon drop, that swells and falls."""
    starts_s = rng.uniform(0, MADE_S, 40 * MADE_S)
    drops = repeated(ring(2_500, 0.002, 0.02), starts_s, rng.exponential(1.0, len(starts_s)))
    swell = 1 + 0.5 * np.sin(2 * np.pi * np.linspace(0, 3, len(drops)))
    return at_level((at_level(drops, 0) + noise(rng, 0.7, 0)) * swell, -50)


def hammering(rng: np.random.Generator) -> Samples:
    """Blows of a hammer on metal in a quiet room, about every 0.55 s."""
    stroke = sum(gain * ring(640 * ratio, decay_s, 0.5) for ratio, gain, decay_s in BAR_PARTIALS)
    starts_s = np.arange(0.2, MADE_S, 0.55)
    gains = rng.uniform(0.1, 0.15, len(starts_s))
    return repeated(np.asarray(stroke), starts_s, gains) + room(rng)


def tune(rng: np.random.Generator) -> Samples:
    """Plucked notes, each of many partials, that sound into one another at -20 dBFS."""
    notes = np.zeros(MADE_S * SOURCE_RATE_HZ)
    for base_hz in SCALE_HZ:
        pluck = sum(ring(base_hz * n, 0.8 / n, 2) / n for n in range(1, 17))
        notes += repeated(np.asarray(pluck), rng.uniform(0, MADE_S, 8), np.ones(8))
    return at_level(notes, -20) + noise(rng, 1.0, -70)


MADE = {tune: "music", rain: "environment", hammering: "environment", room: "quiet"}


def usual_parts() -> Iterator[Part]:
    """Yield the recordings that are there, and the sounds made here."""
    present = [(CORPUS / name, kind) for kind, names in RECORDINGS.items() for name in names]
    present = [(path, kind) for path, kind in present if path.is_file()]
    for path, kind in present or [(path, "speech") for path in sorted(SPOKEN.glob("*.flac"))]:
        yield recording(path, kind)
    for make, kind in MADE.items():
        yield Part(name=make.__name__, kind=kind, samples=make(np.random.default_rng(SEED)))


def given_part(argument: str) -> Part:
    """Return the sound that `PATH` or `KIND=PATH` names."""
    kind, _, path = argument.partition("=")
    return recording(Path(path), kind) if kind in KINDS else recording(Path(argument), GIVEN)


def recording(path: Path, kind: str) -> Part:
    """Return the first minutes of a media file.

    Raises:
        InputError: it is too short, or silent.
    """
    samples = decoded(path, SOURCE_RATE_HZ, longest_s=LONGEST_S)
    if len(samples) < SHORTEST_S * SOURCE_RATE_HZ or not samples.any():
        raise InputError("there is less than half a second to hear in it", path=path)
    return Part(name=path.name, kind=kind, samples=samples)


def decoded(path: Path, rate_hz: int, *, longest_s: int | None = None) -> Samples:
    """Return a file's sound, or the first seconds of it, as one channel at that rate."""
    track = probe_file.probe(path).default_track
    mix = downmix.choose_mix(
        decode.excerpts(path, track=track),
        rate_hz=track.sample_rate_hz,
        layout=track.layout,
        channels=track.channels,
    )
    longest = longest_s and longest_s * track.sample_rate_hz
    end = longest if longest and longest < track.duration_samples else None
    with decode.TrackDecoder(
        path, track=track, rate_hz=rate_hz, mix=[mix.weights], end_samples=end
    ) as decoder:
        return np.concatenate([block[:, 0] for block in decoder])
