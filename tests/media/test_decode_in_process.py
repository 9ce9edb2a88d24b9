"""Decoding by libsndfile in this process: which files, faults, and the end of the process."""

from __future__ import annotations

import dataclasses
import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit.media import decode, decode_in_process
from captoolkit.media.probe_file import probe
from tests.support.paths import ROOT
from tests.support.processes import own_children, posix

RATE_HZ = 16_000


@pytest.fixture
def flac(tmp_path: Path) -> Path:
    """Ten seconds of noise."""
    path = tmp_path / "noise.flac"
    sound = np.random.default_rng(3).normal(0, 0.2, 10 * RATE_HZ).clip(-1, 1)
    soundfile.write(path, sound, RATE_HZ, subtype="PCM_16")
    return path


def decoded(path: Path, **options: Any) -> NDArray[np.int16]:
    """All samples of a file's track."""
    track = probe(path).default_track
    with decode.TrackDecoder(path, track=track, dtype="int16", **options) as decoder:
        return np.concatenate([*decoder])


def test_no_ffmpeg_runs(flac: Path) -> None:
    """A FLAC is decoded without a child process."""
    track = probe(flac).default_track
    with decode.TrackDecoder(flac, track=track, dtype="int16") as decoder:
        next(iter(decoder))
        assert own_children() == set()


@pytest.mark.parametrize(
    "change", [{"counted": True}, {"duration_samples": 5}, {"channels": 2}, {"is_steady": False}]
)
def test_a_doubt_leaves_the_file_to_ffmpeg(flac: Path, change: dict[str, Any]) -> None:
    """Another length, rate or number of channels than the probe found, or joined files."""
    track = dataclasses.replace(probe(flac).default_track, **change)
    assert (
        decode_in_process.open_sndfile(flac, track, start=0, end=None, rest=lambda _: iter(()))
        is None
    )


def test_a_fault_on_the_way_leaves_the_rest_to_ffmpeg(flac: Path, tmp_path: Path) -> None:
    """Of a damaged FLAC the sound before and after the damage is heard."""
    whole = decoded(flac)[:, 0]
    data = bytearray(flac.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    damaged = tmp_path / "damaged.flac"
    damaged.write_bytes(data)
    heard = decoded(damaged)[:, 0]
    assert np.array_equal(heard[: 4 * RATE_HZ], whole[: 4 * RATE_HZ])
    assert np.array_equal(heard[-3 * RATE_HZ :], whole[-3 * RATE_HZ :])


def test_a_closed_decoder_holds_no_sound(flac: Path) -> None:
    """Its memory is free when it is closed, not at some later search for cycles of objects."""
    decoded(flac)  # imports
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            decoded(flac)
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    assert kept < 10 * RATE_HZ  # half of what a single decode holds


def test_a_closed_decoder_reads_no_further(flac: Path) -> None:
    """`close` ends the loop at the next block; a second `close` does nothing."""
    track = probe(flac).default_track
    decoder = decode.TrackDecoder(flac, track=track, rate_hz=8000)
    blocks = iter(decoder)
    next(blocks)
    decoder.close()
    decoder.close()
    assert len([*blocks]) <= 1  # the rest of the resampler


CRASH = """
import ctypes, sys
from captoolkit.media import decode
from captoolkit.media.probe_file import probe
path = sys.argv[1]
with decode.TrackDecoder(path, track=probe(path).default_track) as decoder:
    for block in decoder:
        if sys.argv[2] == "crash":
            ctypes.string_at(0)
"""


@posix
@pytest.mark.parametrize(("way", "lines"), [("crash", 1), ("end", 0)])
def test_a_crash_of_the_decoder_leaves_one_clear_line(flac: Path, way: str, lines: int) -> None:
    """Libsndfile is C code: if it kills the process, a watcher names the file and the way out."""
    argv = [sys.executable, "-c", CRASH, str(flac), way]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.count("error: ") == lines
    assert (done.returncode == 0) == (lines == 0)
    if lines:
        assert done.stderr.startswith(f"error: {flac}: captoolkit ended")
        assert "CAPTOOLKIT_DECODER=ffmpeg" in done.stderr
