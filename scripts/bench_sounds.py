"""The sounds of scripts/bench.py: made by computing, looped to any length, in any format."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from captoolkit.media import ffmpeg, probe_file

Samples = NDArray[np.float32]  # (frames,), full scale 1.0

RATE_HZ = 44_100
UNIT_S = 240  # made by computing; what is longer is a loop of it
VOICE_SHARE = 0.6
PITCH_HZ = 120
HARMONICS = 24
VOWELS_HZ = np.array([(730, 1090), (270, 2290), (530, 1840), (570, 840), (300, 870)])
SCALE_HZ = (220.0, 261.6, 293.7, 329.6, 392.0, 440.0)
NOTE_S = 2.0
SEED = 20_262
PIECE_S = 5
MP3_BIT_RATE = "128k"
# How libsndfile writes pieces: rate, container, codec. ffmpeg's segments of FLAC have no length in
# the header, and its segments of Ogg no mark at their end.
BY_SNDFILE = {
    "wav": (RATE_HZ, "WAV", "PCM_16"),
    "flac": (RATE_HZ, "FLAC", "PCM_16"),
    "opus": (48_000, "OGG", "OPUS"),
}
# How ffmpeg writes the others.
BY_FFMPEG = {
    "m4a": ("-c:a", "aac", "-b:a", "128k"),
    "mp3": ("-c:a", "libmp3lame", "-b:a", MP3_BIT_RATE),
}
PIECE_FORMATS = (*BY_SNDFILE, *BY_FFMPEG)


def envelope(rng: np.random.Generator, frames: int) -> tuple[Samples, NDArray[np.intp]]:
    """Return how loud a voice is, with pauses between its sentences, and which vowel it speaks."""
    loud = np.zeros(frames, np.float32)
    vowel = np.zeros(frames, np.intp)
    at = 0
    while at < frames:
        for _ in range(rng.integers(8, 25)):  # syllables
            length = int(rng.uniform(0.12, 0.28) * RATE_HZ)
            room = len(loud[at : at + length])
            shape = np.sin(np.linspace(0, np.pi, length, dtype=np.float32)) * rng.uniform(0.4, 1)
            loud[at : at + room] = shape[:room]
            vowel[at : at + room] = rng.integers(len(VOWELS_HZ))
            at += length
        at += int(rng.uniform(0.3, 1.8) * RATE_HZ)
    return loud, vowel


def voice(rng: np.random.Generator, frames: int) -> Samples:
    """Return something like speech: voiced syllables and hiss, sentences and pauses."""
    loud, vowel = envelope(rng, frames)
    corners = np.arange(0, frames + RATE_HZ, RATE_HZ // 3)
    wander = np.interp(np.arange(frames), corners, rng.uniform(0.85, 1.25, len(corners)))
    phase = np.cumsum(2 * np.pi * PITCH_HZ / RATE_HZ * wander)
    sound = np.zeros(frames, np.float32)
    for harmonic in range(1, HARMONICS + 1):
        gains = np.exp(-(((VOWELS_HZ - harmonic * PITCH_HZ) / 150) ** 2)).sum(axis=1) + 0.3
        sound += (gains[vowel] / harmonic * np.sin(harmonic * phase)).astype(np.float32)
    hiss = rng.standard_normal(frames, np.float32) * (vowel == 1)
    return np.asarray(loud * (0.08 * sound + 0.02 * hiss), np.float32)


def music(rng: np.random.Generator, frames: int) -> Samples:
    """Return plucked notes that sound into one another."""
    times_s = np.arange(int(NOTE_S * RATE_HZ), dtype=np.float32) / RATE_HZ
    notes = [
        sum(
            np.exp(-3 * n * times_s) * np.sin(2 * np.pi * hz * n * times_s) / n for n in range(1, 9)
        )
        for hz in SCALE_HZ
    ]
    sound = np.zeros(frames + len(times_s), np.float32)
    for start in range(0, frames, RATE_HZ // 4):
        sound[start : start + len(times_s)] += 0.08 * notes[rng.integers(len(notes))]
    return sound[:frames]


def make_unit(path: Path, duration_s: float) -> None:
    """Write the sound that is looped."""
    rng = np.random.default_rng(SEED)
    frames = round(duration_s * RATE_HZ)
    spoken = round(VOICE_SHARE * frames)
    centre = np.concatenate([voice(rng, spoken), music(rng, frames - spoken)])
    room = 3e-4 * rng.standard_normal((frames, 2), np.float32)
    stereo = np.column_stack([centre, 0.8 * centre]) + room
    soundfile.write(path, np.clip(stereo, -1, 1), RATE_HZ, subtype="PCM_16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounds:
    """Where the sounds lie, and what they are made of."""

    folder: Path
    source: Path  # is looped, or cut, where a length is asked for
    tag: str = ""  # tells what is made of one source from what is made of another

    def of_length(self, duration_s: float) -> Path:
        """Return a file of that length, FLAC with 44.1 kHz, stereo, 16 bits."""
        options = ("-ar", f"{RATE_HZ}", "-ac", "2", "-sample_fmt", "s16", "-c:a", "flac")
        loop = ("-stream_loop", "-1", "-i", f"{self.source}", "-t", f"{duration_s:.3f}")
        name = f"{self.tag}sound-{duration_s:.0f}s.flac"
        return self._made(name, (*loop, "-map", "0:a:0"), options)

    def as_mp3(self, path: Path) -> Path:
        """Return an MP3 of a file."""
        options = ("-c:a", "libmp3lame", "-b:a", MP3_BIT_RATE, "-compression_level", "7")
        return self._made(f"{path.stem}.mp3", ("-i", f"{path}", "-map", "0:a:0"), options)

    def beginning(self, path: Path, longest_s: float) -> Path:
        """Return the beginning of a file as FLAC."""
        source = ("-i", f"{path}", "-t", f"{longest_s:.3f}", "-map", "0:a:0")
        options = ("-c:a", "flac", "-sample_fmt", "s16")
        return self._made(f"{path.stem}-{longest_s:.0f}s.flac", source, options)

    def as_wav(self, path: Path, longest_s: float, *options: str) -> Path:
        """Return the beginning of a file as WAV with 16 bits."""
        source = ("-i", f"{path}", "-t", f"{longest_s:.3f}", "-map", "0:a:0")
        shaped = (*options, "-c:a", "pcm_s16le")
        name = "-".join([f"{path.stem}-{longest_s:.0f}s", *(one.strip("-") for one in options)])
        return self._made(f"{name}.wav", source, shaped)

    def pieces(self, count: int) -> list[Path]:
        """Return so many short files, by turns WAV and FLAC."""
        return self._cut(f"pieces-{count}", count, ("wav", "flac"))

    def pieces_of(self, form: str, count: int) -> list[Path]:
        """Return so many short files of one format."""
        return self._cut(f"{form}-{count}", count, (form,))

    def _cut(self, name: str, count: int, forms: Sequence[str]) -> list[Path]:
        """Cut the looped source into so many files, whose formats take turns."""
        folder = self.folder / f"{self.tag}{name}"
        if not folder.exists():
            part = folder.with_name(f"{folder.name}.part")
            part.mkdir(exist_ok=True)
            loop = ("-stream_loop", "-1", "-i", f"{self.source}", "-t", f"{PIECE_S * count}")
            if forms[0] in BY_SNDFILE:
                rate_hz, _, _ = BY_SNDFILE[forms[0]]
                whole = part / "whole.wav"
                shape = ("-map", "0:a:0", "-ar", f"{rate_hz}", "-ac", "2", "-c:a", "pcm_s16le")
                run_ffmpeg(*loop, *shape, f"{whole}")
                for number, block in enumerate(soundfile.blocks(whole, PIECE_S * rate_hz)):
                    form = forms[number % len(forms)]
                    _, container, codec = BY_SNDFILE[form]
                    piece = part / f"{number:05d}.{form}"
                    soundfile.write(piece, block, rate_hz, format=container, subtype=codec)
                whole.unlink()
            else:
                (form,) = forms
                cut = ("-f", "segment", "-segment_time", f"{PIECE_S}", "-map", "0:a:0")
                run_ffmpeg(*loop, *cut, *BY_FFMPEG[form], f"{part}/%05d.{form}")
            part.rename(folder)
        return sorted(folder.iterdir())[:count]

    def _made(self, name: str, source: Sequence[str], options: Sequence[str]) -> Path:
        path = self.folder / name
        if not path.exists():
            part = path.with_name(f"part-{name}")
            run_ffmpeg(*source, *options, f"{part}")
            part.rename(path)
        return path


def quiet_ffmpeg() -> tuple[str, ...]:
    """Return how a command begins that runs the same ffmpeg as captoolkit does."""
    return ffmpeg.find().path, "-nostdin", "-hide_banner", "-loglevel", "error"


def run_ffmpeg(*options: str) -> None:
    """Run ffmpeg to make what is measured later."""
    subprocess.run([*quiet_ffmpeg(), "-y", *options], check=True, stdin=subprocess.DEVNULL)


def sounds_for(options: argparse.Namespace, folder: Path) -> tuple[Sounds, Path, float]:
    """Return where sounds come from, the long file, and how many seconds it lasts."""
    if options.sound:
        path = options.sound.resolve()
        duration_s = probe_file.probe(path).default_track.duration_s
        return Sounds(folder=folder, source=path, tag=f"{path.stem}-"), path, duration_s
    duration_s = options.hours * 3600
    unit_s = min(UNIT_S, duration_s)
    unit = folder / f"unit-{unit_s:.0f}s.wav"
    if not unit.exists():
        make_unit(unit, unit_s)
    sounds = Sounds(folder=folder, source=unit)
    return sounds, sounds.of_length(duration_s), duration_s
