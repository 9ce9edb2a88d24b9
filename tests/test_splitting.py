from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import captoolkit
from captoolkit.audio.clip import ReadySegment
from captoolkit.errors import CaptoolkitError, InputError, NotMediaError, UsageError
from captoolkit.model import Action
from tests.audio.conftest import Convert, has_children, noise
from tests.conftest import write_wav

RATE_HZ = 44_100
LENGTH_S = 24.3
SEGMENT_S = 8.3  # makes three
COUNT = 3
PAUSE_S = 0.4
PAUSES_S = (7.2, 17.3)  # the middles, within the 1.6 s that a cut may move
BESIDE_S = 0.1  # how far out of its pause a cut may lie: half a frame or a packet

TAGS = ["-metadata", "title=A night = a day", "-metadata", "artist=Ålesund; # 夜"]
PICTURE = "-f lavfi -i color=s=64x48:r=5 -map 0:a -map 1:v -c:v mpeg4 -shortest"
# How each source is made; its name says in which container.
COPIED = {
    "cbr.mp3": "-c:a libmp3lame -b:a 128k",
    "vbr.mp3": "-c:a libmp3lame -q:a 4",
    "talk.aac": "-c:a aac -b:a 96k",
    "call.amr": "-c:a libopencore_amrnb -ar 8000 -b:a 12.2k",
    "radio.mp2": "-c:a mp2 -b:a 128k",
    "talk.m4a": "-c:a aac -b:a 96k",
    "whole.alac.m4a": "-c:a alac",
    "film.mp4": f"{PICTURE} -c:a aac",
    "film.mkv": f"{PICTURE} -c:a libvorbis",
    "talk.mkv": "-c:a aac",
    "talk.webm": "-c:a libopus -b:a 64k",
    "song.ogg": "-c:a libvorbis",
    "song.opus": "-c:a libopus -b:a 64k",
    "song.wma": "-c:a wmav2",
    "film.ac3": "-c:a ac3 -b:a 192k",
    "clip.avi": "-c:a libmp3lame -b:a 128k",
    "clip.ts": "-c:a aac",
    "clip.flv": "-c:a aac",
    "clip.mov": "-c:a pcm_s16be",
    "call.3gp": "-c:a aac",
    "adpcm.wav": "-c:a adpcm_ms",
}
KEPT = {
    "s16.wav": "-c:a pcm_s16le",
    "s24.wav": "-c:a pcm_s24le",
    "s32.wav": "-c:a pcm_s32le",
    "u8.wav": "-c:a pcm_u8",
    "float.wav": "-c:a pcm_f32le",
    "double.wav": "-c:a pcm_f64le",
    "mulaw.wav": "-c:a pcm_mulaw -ar 8000",
    "alaw.wav": "-c:a pcm_alaw -ar 8000",
    "surround.wav": "-c:a pcm_s16le -af pan=5.1(side)|c0=c0|c1=0.5*c0|c3=c0",
    "s16.aiff": "-c:a pcm_s16be",
    "s24.aiff": "-c:a pcm_s24be",
    "s16.w64": "-c:a pcm_s16le",
    "s24.caf": "-c:a pcm_s24le",
    "s16.au": "-c:a pcm_s16be",
    "s16.flac": "-c:a flac -sample_fmt s16",
    "s24.flac": "-c:a flac -sample_fmt s32 -bits_per_raw_sample 24",
    "in-ogg.oga": "-c:a flac -f ogg",
    "in-mka.mka": "-c:a flac",
    "s16.wv": "-c:a wavpack -sample_fmt s16p",
    "s16.tta": "-c:a tta -sample_fmt s16",
}
SUFFIXES = {
    "film.mp4": "m4a",
    "film.mkv": "mka",
    "talk.mkv": "mka",
    "in-mka.mka": "mka",
    "in-ogg.oga": "ogg",
}
CODECS = {"s16.flac": "flac", "s24.flac": "flac", "in-ogg.oga": "flac", "in-mka.mka": "flac"}
# What holds each of their samples.
WIDE = {"double.wav": "f64le", "float.wav": "f32le"}

Make = Callable[[str], Path]
Listed = Callable[[Path], list[str]]
Decoded = Callable[..., bytes]


@pytest.fixture(scope="module")
def sound() -> NDArray[np.float32]:
    """Tones over a murmur with a silent pause near each cut; shape (frames, 1)."""
    wave = noise(LENGTH_S, rate_hz=RATE_HZ, amplitude=0.02)[:, 0]
    time_s = np.arange(len(wave)) / RATE_HZ
    wave += (0.4 * np.sin(2 * np.pi * (300 + 40 * np.floor(time_s / 3.1)) * time_s)).astype("f4")
    for middle_s in PAUSES_S:
        first = round((middle_s - PAUSE_S / 2) * RATE_HZ)
        wave[first : first + round(PAUSE_S * RATE_HZ)] = 0
    return wave[:, None]


@pytest.fixture(scope="module")
def make(
    tmp_path_factory: pytest.TempPathFactory, sound: NDArray[np.float32], convert: Convert
) -> Make:
    """Make a source of the tables above, once."""
    folder = tmp_path_factory.mktemp("sources")
    master = write_wav(folder / "master.wav", sound, rate_hz=RATE_HZ, subtype="DOUBLE")

    def one(name: str) -> Path:
        path = folder / name
        if not path.exists():
            convert(master, path, [*(COPIED | KEPT)[name].split(), *TAGS])
        return path

    return one


@pytest.fixture(scope="module")
def packets(ffmpeg: str) -> Listed:
    """Size and checksum of each packet of the first sound, by a plain ffmpeg command."""

    def of(path: Path) -> list[str]:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-c", "copy"]
        done = subprocess.run([*argv, "-f", "framecrc", "-"], check=True, capture_output=True)
        lines = [line for line in done.stdout.decode().splitlines() if not line.startswith("#")]
        return [",".join(line.split(",")[4:6]) for line in lines]

    return of


@pytest.fixture(scope="module")
def decoded(ffmpeg: str) -> Decoded:
    """The samples of the first sound, by a plain ffmpeg command."""

    def of(path: Path, form: str = "s32le") -> bytes:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-c:a", f"pcm_{form}"]
        return subprocess.run([*argv, "-f", form, "-"], check=True, capture_output=True).stdout

    return of


@pytest.fixture(scope="module")
def tags(ffmpeg: str) -> Callable[[Path], dict[str, str]]:
    """The tags of a file, by a plain ffmpeg command."""

    def of(path: Path) -> dict[str, str]:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-c", "copy"]
        argv += ["-f", "ffmetadata", "-"]
        text = subprocess.run(argv, check=True, capture_output=True).stdout.decode()
        pairs = (line.partition("=")[::2] for line in text.splitlines() if "=" in line)
        return {name.lower(): value.replace("\\", "") for name, value in pairs}

    return of


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's temporary folder: empty afterwards, and no child runs any more."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield folder
    assert not has_children()
    assert list(folder.iterdir()) == []


def tiles(segments: tuple[ReadySegment, ...], path: Path) -> bool:
    """Whether segments are the whole of a file's sound, without gap or overlap."""
    spans = [segment.source_span for segment in segments]
    joined = all(one.end_samples == two.start_samples for one, two in itertools.pairwise(spans))
    total = captoolkit.probe(path).default_track.duration_samples
    return joined and (spans[0].start_samples, spans[-1].end_samples) == (0, total)


def is_in_a_pause(at_s: float) -> bool:
    return any(abs(at_s - middle_s) <= PAUSE_S / 2 + BESIDE_S for middle_s in PAUSES_S)


@pytest.mark.parametrize("name", COPIED)
def test_frames_are_copied(
    make: Make, packets: Listed, tags: Callable[[Path], dict[str, str]], tmp_path: Path, name: str
) -> None:
    """Each packet of the source is in one piece, in order; cuts lie in pauses; tags are kept."""
    source = make(name)
    work = captoolkit.split(source, segment=SEGMENT_S)
    pieces = work.save(tmp_path / "out")
    assert work.plan.action is Action.COPY
    assert len(pieces) == COUNT
    assert [packet for piece in pieces for packet in packets(piece.path)] == packets(source)
    assert tiles(pieces, source)
    assert all(is_in_a_pause(piece.source_span.end_s) for piece in pieces[:-1])
    suffix = SUFFIXES.get(name, source.suffix[1:])
    assert [piece.file for piece in pieces] == [f"{source.stem}.00{n}.{suffix}" for n in (1, 2, 3)]
    said = tags(source).get("artist"), tags(source).get("title")
    assert all(
        (tags(one.path).get("artist"), tags(one.path).get("title")) == said for one in pieces
    )
    for piece in pieces:
        found = captoolkit.probe(piece.path)
        assert not found.pictures
        assert found.default_track.codec == captoolkit.probe(source).default_track.codec
        assert found.default_track.duration_s == pytest.approx(
            piece.source_span.duration_s, abs=0.15
        )


@pytest.mark.parametrize("name", KEPT)
def test_samples_are_kept(
    make: Make, decoded: Decoded, tags: Callable[[Path], dict[str, str]], tmp_path: Path, name: str
) -> None:
    """The samples of all pieces are the source's, in its codec and container; cuts lie in pauses."""
    source = make(name)
    work = captoolkit.split(source, segment=SEGMENT_S)
    pieces = work.save(tmp_path / "out")
    form = WIDE.get(name, "s32le")
    assert work.plan.action is Action.ENCODE
    assert len(pieces) == COUNT
    assert b"".join(decoded(piece.path, form) for piece in pieces) == decoded(source, form)
    assert tiles(pieces, source)
    assert all(is_in_a_pause(piece.source_span.end_s) for piece in pieces[:-1])
    whole = captoolkit.probe(source)
    for piece in pieces:
        found = captoolkit.probe(piece.path)
        assert found.container == whole.container
        assert found.default_track.codec == whole.default_track.codec
        assert found.default_track.layout == whole.default_track.layout
        assert found.default_track.duration_samples == piece.source_span.samples
        assert piece.path.suffix[1:] == SUFFIXES.get(name, source.suffix[1:])
        told = tags(source)
        assert {tag: tags(piece.path).get(tag) for tag in ("title", "artist")} == {
            tag: told.get(tag) for tag in ("title", "artist")
        }
