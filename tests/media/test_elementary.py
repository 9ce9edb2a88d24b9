from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from captoolkit.media import elementary
from captoolkit.media.elementary import ElementaryStream
from captoolkit.media.probe_file import probe
from tests.support.sound import Convert, noise, starts, tone, write_wav

RATE_HZ = 16_000
LENGTH_S = 4
PCM = NDArray[np.int16]
Decode = Callable[[Path], PCM]

AAC, MP3 = ["-c:a", "aac", "-b:a", "48k"], ["-c:a", "libmp3lame", "-b:a", "64k"]
AMR = ["-c:a", "libopencore_amrnb", "-ar", "8000", "-b:a", "12.2k"]
NO_XING = ["-write_xing", "0", "-id3v2_version", "0"]
BARE = {"aac": ["-f", "adts"], "mp3": ["-f", "mp3", *NO_XING], "amr_nb": ["-f", "amr"]}
SOURCES = {
    "talk.m4a": AAC,
    "talk.mkv": AAC,
    "talk.mov": AAC,
    "talk.ts": AAC,
    "talk.aac": AAC,
    "song.avi": MP3,
    "song.mkv": MP3,
    "song.mp4": MP3,
    "song.mp3": MP3,
    "bare.mp3": [*MP3, *NO_XING],
    "call.3gp": AMR,
    "call.amr": AMR,
}
SBR_OFF, SBR_ON = b"\x56\xe5\x00", b"\x56\xe5\x98"  # the end of an AAC's setup: SBR to 48 kHz


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tone over noise: no two frames are alike."""
    wave = noise(LENGTH_S, rate_hz=RATE_HZ, amplitude=0.2)
    wave += tone(LENGTH_S, rate_hz=RATE_HZ, amplitude=0.3)
    return write_wav(tmp_path_factory.mktemp("raw") / "sound.wav", wave, rate_hz=RATE_HZ)


@pytest.fixture(scope="module")
def decode(ffmpeg: str) -> Decode:
    """Decode all samples of a file by a plain ffmpeg."""

    def run(path: Path) -> PCM:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "s16le", "-"]
        done = subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return np.frombuffer(done.stdout, "<i2")

    return run


def stream_of(path: Path, folder: Path) -> ElementaryStream | None:
    """The elementary stream of the default track; None where there is a reason against it."""
    folder.mkdir(exist_ok=True)
    info = probe(path)
    stream = elementary.extract_stream(info, info.default_track, folder)
    if isinstance(stream, str):
        assert "rame" in stream, path.name
        assert stream.endswith(".")
        return None
    return stream


def he_aac(sound: Path, folder: Path, convert: Convert) -> Path:
    """An AAC of 24 kHz that its container declares as 48 kHz after decoding."""
    path = convert(sound, folder / "he.m4a", [*AAC, "-ar", "24000"])
    content = path.read_bytes()
    assert content.count(SBR_OFF) == 1
    path.write_bytes(content.replace(SBR_OFF, SBR_ON))
    return path


@pytest.mark.parametrize("name", SOURCES)
def test_the_frames_equal_those_that_ffmpeg_extracts(
    sound: Path, tmp_path: Path, convert: Convert, name: str
) -> None:
    """The stream from any container has the frames' bytes, and so do consecutive pieces."""
    source = convert(sound, tmp_path / name, SOURCES[name])
    stream = stream_of(source, tmp_path / "made")
    assert stream is not None
    bare = convert(
        source,
        tmp_path / "bare",
        ["-map", "0:a:0", "-c", "copy", "-map_metadata", "-1", *BARE[stream.frames.codec]],
    )
    head, count = stream.frames.head, len(stream.frames.sizes)
    edges = [0, 1, 7, count // 2, count - 1, count]
    pieces = []
    for first, last in itertools.pairwise(edges):
        stream.copy(first, last, tmp_path / "piece")
        piece = (tmp_path / "piece").read_bytes()
        assert piece.startswith(head)
        assert len(piece) == len(head) + int(stream.framing.sizes[first:last].sum())
        pieces.append(piece[len(head) :])
    assert head + b"".join(pieces) == bare.read_bytes()
    information = stream.information_frame(0, count)
    assert stream.framing.file_bytes == len(information) + bare.stat().st_size


@pytest.mark.parametrize("name", SOURCES)
def test_the_lead_is_the_delay_that_the_container_skips(
    sound: Path, tmp_path: Path, convert: Convert, decode: Decode, name: str
) -> None:
    """Behind the lead the decoded stream equals the decoded source."""
    source = convert(sound, tmp_path / name, SOURCES[name])
    stream = stream_of(source, tmp_path / "made")
    assert stream is not None
    bare = tmp_path / f"frames.{stream.frames.format}"
    stream.copy(0, len(stream.frames.sizes), bare)
    expected, found = (decode(one).astype(int) for one in (source, bare))
    slips = RATE_HZ // 1000 if source.suffix == ".mkv" else 0  # its clock counts milliseconds
    begin, length = RATE_HZ // 2, RATE_HZ
    heard = found[begin + stream.lead_samples :][:length]
    off = [
        int(np.abs(heard - expected[begin + slip :][:length]).max())
        for slip in range(-slips, slips + 1)
    ]
    assert min(off) <= 2


def test_bytes_between_frames_are_left_out(sound: Path, tmp_path: Path, convert: Convert) -> None:
    """A tag in the middle of an MP3 is in no piece, not even in one around it."""
    whole = convert(sound, tmp_path / "bare.mp3", SOURCES["bare.mp3"])
    plain = stream_of(whole, tmp_path / "made")
    assert plain is not None
    content, at = whole.read_bytes(), int(starts(plain.frames)[20])
    tag = b"ID3\4\0\0\0\0\1\0" + bytes(128)
    tagged = tmp_path / "tagged.mp3"
    tagged.write_bytes(content[:at] + tag + content[at:])
    stream = stream_of(tagged, tmp_path / "made")
    assert stream is not None
    stream.copy(10, 30, tmp_path / "piece.mp3")
    expected = content[int(starts(plain.frames)[10]) : int(starts(plain.frames)[30])]
    assert (tmp_path / "piece.mp3").read_bytes() == expected


def test_untrusted_frames_are_no_stream(sound: Path, tmp_path: Path, convert: Convert) -> None:
    """HE-AAC, junk, a torn end and other codecs give a reason instead of a stream."""
    whole = convert(sound, tmp_path / "bare.mp3", SOURCES["bare.mp3"]).read_bytes()
    plain = stream_of(tmp_path / "bare.mp3", tmp_path / "made")
    assert plain is not None
    at = int(starts(plain.frames)[20])
    junky, torn = tmp_path / "junky.mp3", tmp_path / "torn.mp3"
    junky.write_bytes(whole[:at] + b"junk" * 30 + whole[at:])
    torn.write_bytes(whole[:-50])
    flac = convert(sound, tmp_path / "talk.flac", [])
    for path in (he_aac(sound, tmp_path, convert), junky, torn, flac, sound):
        assert stream_of(path, tmp_path / "made") is None, path.name


def test_the_source_is_not_touched(sound: Path, tmp_path: Path, convert: Convert) -> None:
    """The given folder is the only place written to; an elementary file needs no copy."""
    for name in ("talk.m4a", "talk.aac"):
        source = convert(sound, tmp_path / name, AAC)
        before = source.read_bytes(), source.stat().st_mtime_ns
        folder = tmp_path / f"made-{name}"
        stream = stream_of(source, folder)
        assert stream is not None
        assert (
            (stream.path == source)
            == elementary.is_elementary(probe(source))
            == (name == "talk.aac")
        )
        assert len(list(folder.iterdir())) == (name == "talk.m4a")
        assert (source.read_bytes(), source.stat().st_mtime_ns) == before
