"""Short files: how often ffmpeg starts for one, and that each combined answer is the usual one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import captoolkit
from captoolkit.media import decode, ffmpeg, ffmpeg_process, short_files
from captoolkit.media.packets import PacketListing
from captoolkit.media.probe_file import probe
from tests.support.processes import posix
from tests.support.sound import Convert, noise, write_wav

KINDS = {
    "aac": ("-c:a", "aac"),
    "amr": ("-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1"),
    "avi": ("-c:a", "libmp3lame"),
    "flac": ("-c:a", "flac"),
    "m4a": ("-c:a", "aac"),
    "mkv": ("-c:a", "aac"),
    "mp3": ("-c:a", "libmp3lame"),
    "mp4": ("-c:a", "libmp3lame"),
    "ogg": ("-c:a", "libvorbis"),
    "opus": ("-c:a", "libopus", "-ar", "48000"),
    "ts": ("-c:a", "mp2"),
    "wav": ("-c:a", "pcm_s16le"),
    "webm": ("-c:a", "libopus", "-ar", "48000"),
    "wma": ("-c:a", "wmav2"),
}
MOST_STARTS = 2
IN_PROCESS = ("flac", "ogg", "opus", "wav")
CLAIMING = ("m4a",)  # its header says that one run can do everything

Make = Callable[[str], Path]


@pytest.fixture
def make(convert: Convert, tmp_path: Path) -> Make:
    """Return a function that makes a short file of a kind."""
    source = write_wav(
        tmp_path / "source.wav", noise(2.5, rate_hz=44_100, channels=2), rate_hz=44_100
    )
    return lambda kind: convert(source, tmp_path / f"short.{kind}", KINDS[kind])


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that gets a line whenever ffmpeg starts."""
    log, program = tmp_path / "starts", tmp_path / "ffmpeg"
    program.write_text(f'#!/bin/sh\necho start >>"{log}"\nexec "{ffmpeg.find().path}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv(ffmpeg.ENVIRONMENT_VARIABLE, str(program))
    ffmpeg.find()  # its version and its encoders
    log.write_text("")
    return log


@posix
@pytest.mark.parametrize("kind", KINDS)
def test_a_short_file_takes_few_starts(kind: str, starts: Path, make: Make) -> None:
    """Probing, planning and making share one or two runs of ffmpeg; some kinds need none."""
    path = make(kind)
    starts.write_text("")
    with captoolkit.prepare(path) as prepared:
        assert len([*prepared]) == 1
    limit = 0 if kind in IN_PROCESS else 1 if kind in CLAIMING else MOST_STARTS
    assert len(starts.read_text().splitlines()) <= limit


@posix
def test_a_part_of_a_longer_flac_takes_two_starts(
    starts: Path, make: Make, convert: Convert, tmp_path: Path
) -> None:
    """A FLAC may state no length, and its first frame may have a number above zero."""
    cut = ("-c:a", "flac", "-f", "segment", "-segment_time", "1")
    convert(make("wav"), tmp_path / "part%d.flac", cut)
    starts.write_text("")
    with captoolkit.prepare(tmp_path / "part1.flac") as prepared:
        assert abs(sum(each.source_span.duration_s for each in prepared) - 1) < 0.2
    assert len(starts.read_text().splitlines()) == MOST_STARTS


@pytest.mark.parametrize(
    ("kind", "decodes"),
    [
        *((kind, False) for kind in ("avi", "m4a", "mkv", "ts", "wma")),
        *((kind, True) for kind in CLAIMING),
    ],
)
def test_kept_answers_are_those_of_runs_of_their_own(
    kind: str, decodes: bool, make: Make, tmp_path: Path
) -> None:
    """Packets, samples and time stamps equal those of an ffmpeg for each question alone."""
    path = make(kind)
    track = probe(path, decodes=decodes).default_track
    again = shutil.copy(path, tmp_path / "again")
    assert track == probe(again, decodes=not decodes).default_track
    assert (short_files.cached_samples(path, track) is not None) >= (decodes and kind in CLAIMING)
    listed = short_files.listing(path, 0)
    if listed is not None:
        with PacketListing(path) as packets:
            usual = [line for line in packets.lines() if line[:1] != b"#" or line[:3] == b"#tb"]
        assert listed[0] == usual
    kept = short_files.samples(path, track)
    assert kept is not None
    with ffmpeg_process.Process(_decoding(path)) as process:
        alone = np.frombuffer(process.read_all(1 << 24), "<f4").reshape(-1, track.channels)
        process.finish()
    assert np.array_equal(kept, alone)


def _decoding(path: Path) -> list[str]:
    node = ffmpeg.source(path)["a:0"].output("pipe:1", f="f32le", acodec="pcm_f32le")
    return ffmpeg.compile_argv(node)


def test_nothing_is_kept_of_a_long_or_large_track() -> None:
    """A header that states a great length leaves each question to a run of its own."""
    assert short_files.is_short(stated_s=30, rate_hz=48_000, channels=2)
    assert not short_files.is_short(stated_s=40, rate_hz=48_000, channels=2)
    assert not short_files.is_short(stated_s=30, rate_hz=192_000, channels=8)


def test_a_file_that_has_changed_is_read_anew(make: Make) -> None:
    """Kept samples belong to the bytes that they were decoded from."""
    path = make("m4a")
    track = probe(path).default_track
    assert short_files.samples(path, track) is not None
    path.write_bytes(path.read_bytes() + b"\0" * 8)
    assert short_files.cached_samples(path, track) is None


def test_a_decoder_reads_kept_samples(make: Make) -> None:
    """Samples from memory give the same result as those of ffmpeg."""
    path = make("m4a")
    track = probe(path).default_track

    def heard() -> decode.Block:
        options = {"rate_hz": 16_000, "dtype": "int16", "seek": False}
        with decode.TrackDecoder(path, track=track, **options) as decoder:  # type: ignore[arg-type]
            return np.concatenate([*decoder])

    by_ffmpeg = heard()
    assert short_files.samples(path, track) is not None
    assert np.array_equal(heard(), by_ffmpeg)
