"""Files whose time stamps are known by construction: gaps, overlaps, late sound, edit lists."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

RATE_HZ = 48_000
SECONDS = 14
MARKS_S = tuple(range(1, SECONDS, 2))  # a tone of 0.2 s begins at each of them
AAC_FRAME = 1024


class ClockedFiles:
    """Makes files of one recording with marks, by ffmpeg and byte for byte."""

    def __init__(self, folder: Path, ffmpeg: str) -> None:
        self.folder = folder
        self._ffmpeg = ffmpeg
        self.wav = folder / "marks.wav"
        sound = np.random.default_rng(7).normal(0, 1e-3, SECONDS * RATE_HZ).astype(np.float32)
        for at_s in MARKS_S:
            length = RATE_HZ // 5
            tone = 0.4 * np.sin(2 * np.pi * (300 + 50 * at_s) * np.arange(length) / RATE_HZ)
            sound[at_s * RATE_HZ : at_s * RATE_HZ + length] += tone.astype(np.float32)
        sf.write(self.wav, sound, RATE_HZ, subtype="PCM_16")

    def run(self, *arguments: str | Path) -> None:
        """Run ffmpeg in the folder."""
        argv = [self._ffmpeg, "-v", "error", "-y", "-nostdin", *map(str, arguments)]
        subprocess.run(argv, check=True, cwd=self.folder)

    def encoded(self, name: str, *options: str) -> Path:
        """Return the recording in another container and codec."""
        self.run("-i", self.wav, *options, name)
        return self.folder / name

    def with_gap(self, name: str, codec: str, first_s: float, last_s: float) -> Path:
        """Return the recording without the packets of a stretch."""
        dropped = f"noise=drop='between(pts*tb,{first_s},{last_s})'"
        return self.encoded(name, "-c:a", codec, "-bsf:a", dropped)

    def joined_stream(self, name: str, cut_s: float, resume_s: float, at_s: float) -> Path:
        """Return a transport stream that ends at `cut_s` and goes on from `resume_s` at `at_s`."""
        self.run("-i", self.wav, "-t", str(cut_s), "-c:a", "aac", "first.ts")
        offset = ["-output_ts_offset", str(at_s)]
        self.run("-ss", str(resume_s), "-i", self.wav, "-c:a", "aac", *offset, "second.ts")
        parts = (self.folder / part for part in ("first.ts", "second.ts"))
        path = self.folder / name
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        return path

    def without_pages(self, name: str, codec: str, first_s: float, last_s: float) -> Path:
        """Return the recording in Ogg without the pages that end inside a stretch."""
        whole = self.encoded(f"whole-{name}", "-c:a", codec).read_bytes()
        kept, at = b"", 0
        while at < len(whole):
            segments = whole[at + 26]
            size = 27 + segments + sum(whole[at + 27 : at + 27 + segments])
            (granule,) = struct.unpack("<q", whole[at + 6 : at + 14])
            if not first_s * RATE_HZ < granule < last_s * RATE_HZ:
                kept += whole[at : at + size]
            at += size
        path = self.folder / name
        path.write_bytes(kept)
        return path

    def with_picture(self, name: str, *codecs: str, late_s: float = 0, early_s: float = 0) -> Path:
        """Return the recording beneath a picture that begins before it, or after it."""
        picture = f"testsrc2=s=32x32:r=25:d={SECONDS}"
        self.run(
            *("-itsoffset", str(early_s), "-f", "lavfi", "-i", picture),
            *("-itsoffset", str(late_s), "-i", self.wav),
            *("-map", "0:v", "-map", "1:a", *codecs, name),
        )
        return self.folder / name

    def with_edits(self, name: str, edits: Sequence[tuple[float, float | None]]) -> Path:
        """Return the recording as AAC with an edit list: durations and starts in the recording.

        A start of None is an empty edit.
        """
        whole = self.folder / "whole.m4a"
        if not whole.exists():
            self.encoded(whole.name, "-c:a", "aac", "-b:a", "96k")
        data = bytearray(whole.read_bytes())
        clock = data.find(b"mvhd") + 16
        (movie_hz,) = struct.unpack(">I", data[clock : clock + 4])
        rows = (
            struct.pack(
                ">iiI",
                round(duration_s * movie_hz),
                -1 if start_s is None else AAC_FRAME + round(start_s * RATE_HZ),
                0x10000,
            )
            for duration_s, start_s in edits
        )
        box = struct.pack(">II", 0, len(edits)) + b"".join(rows)
        box = struct.pack(">I", len(box) + 8) + b"elst" + box
        at = data.find(b"elst") - 4
        (size,) = struct.unpack(">I", data[at : at + 4])
        data[at : at + size] = box
        for parent in (b"edts", b"trak", b"moov"):
            place = data.rfind(parent, 0, at + 8) - 4
            (old,) = struct.unpack(">I", data[place : place + 4])
            data[place : place + 4] = struct.pack(">I", old + len(box) - size)
        path = self.folder / name
        path.write_bytes(data)
        return path

    def marks(self, path: Path) -> list[float]:
        """Return where the marks begin in a file, as ffmpeg decodes it, in seconds."""
        argv = [self._ffmpeg, "-v", "error", "-i", str(path), "-ac", "1", "-ar", "16000"]
        done = subprocess.run([*argv, "-f", "f32le", "-"], check=True, capture_output=True)
        return _begins(np.frombuffer(done.stdout, np.float32), 16_000)


def marks_by_libsndfile(path: Path) -> list[float]:
    """Return where the marks begin in a file, as libsndfile reads it, in seconds."""
    sound, rate_hz = sf.read(path, dtype="float32", always_2d=True)
    return _begins(sound[:, 0], rate_hz)


def _begins(sound: NDArray[np.float32], rate_hz: int) -> list[float]:
    loud = np.flatnonzero(np.abs(sound) > 0.05)
    is_first = np.diff(loud, prepend=-rate_hz) > rate_hz // 10
    return [float(at) / rate_hz for at in loud[is_first]]


def are_at(found: Iterable[float], expected: Iterable[float], *, within_s: float) -> bool:
    """Return whether marks are where they should be, each to within a bound."""
    pairs = (sorted(found), sorted(expected))
    if len(pairs[0]) != len(pairs[1]):
        return False
    return all(abs(one - other) <= within_s for one, other in zip(*pairs, strict=True))
