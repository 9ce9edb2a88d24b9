"""Recordings whose sample rate or channels change on the way, as joined files do."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from captoolkit import prepare, probe, split
from captoolkit.errors import NotMediaError
from tests.support.sound import Convert, write_wav
from tests.support.two_readers import marked, onsets_s, read_by_both

FIRST_S, SECOND_S = 2.5, 3.0
MARKS_S = (0.5, 1.5)  # in each part
CLOSE_S = 0.09  # padding, the delay of two encoders, and a hop
AAC = ["-c:a", "aac", "-f", "adts"]
MP3 = ["-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"]
MP2_IN_TS = ["-c:a", "mp2", "-f", "mpegts"]
AC3 = ["-c:a", "ac3", "-f", "ac3"]

Shape = tuple[int, int]  # rate in Hz, channels
MORE_CHANNELS: tuple[Shape, Shape] = ((44_100, 1), (44_100, 2))
FEWER_CHANNELS: tuple[Shape, Shape] = ((44_100, 2), (44_100, 1))
FASTER: tuple[Shape, Shape] = ((32_000, 2), (48_000, 2))
SLOWER: tuple[Shape, Shape] = ((44_100, 1), (32_000, 1))
BOTH: tuple[Shape, Shape] = ((44_100, 2), (32_000, 1))


def flac(seconds: float, shape: Shape, *, subtype: str = "PCM_16") -> bytes:
    """Return a FLAC with a tone at each mark."""
    rate_hz, channels = shape
    sound = np.repeat(marked(seconds, rate_hz=rate_hz, at_s=MARKS_S), channels, axis=1)
    stream = io.BytesIO()
    soundfile.write(stream, sound, rate_hz, format="FLAC", subtype=subtype)
    return stream.getvalue()


def check_marks(source: Path) -> None:
    """Fail unless both readers find each mark of both parts at its place, whichever the verb."""
    marks_s = [*MARKS_S, *(FIRST_S + at for at in MARKS_S)]
    for run in (prepare(source, format="wav"), split(source, parts=2, exact=True)):
        with run as prepared:
            segments = list(prepared)
            end_s = segments[-1].source_span.end_s
            assert end_s == pytest.approx(FIRST_S + SECOND_S, abs=0.1)
            found: tuple[list[float], list[float]] = ([], [])
            for segment in segments:
                *sounds, rate_hz = read_by_both(segment.path)
                for reader, sound in enumerate(sounds):
                    begin_s = segment.source_span.start_s
                    found[reader].extend(begin_s + at for at in onsets_s(sound, rate_hz))
                    length_s = len(sound) / rate_hz
                    assert length_s == pytest.approx(segment.source_span.duration_s, abs=0.005)
        for places_s in found:
            assert places_s == pytest.approx(marks_s, abs=CLOSE_S)


@pytest.mark.parametrize("shapes", [MORE_CHANNELS, FEWER_CHANNELS, FASTER, SLOWER])
def test_joined_flacs_keep_their_places(tmp_path: Path, shapes: tuple[Shape, Shape]) -> None:
    """A change of the sample rate or of the channels in a FLAC loses and moves no sound."""
    path = tmp_path / "joined.flac"
    path.write_bytes(flac(FIRST_S, shapes[0]) + flac(SECOND_S, shapes[1]))
    check_marks(path)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (flac(2, (44_100, 1)), flac(2, (44_100, 1), subtype="PCM_24")),
        (flac(2, (44_100, 2), subtype="PCM_24"), flac(2, (44_100, 2))),
        (flac(2, (22_050, 2)), flac(2, (48_000, 1))),
    ],
    ids=["deeper", "less deep", "rate and channels"],
)
def test_flacs_that_no_decoder_joins_are_refused(
    tmp_path: Path, first: bytes, second: bytes
) -> None:
    """Ffmpeg decodes joined FLACs of other depths, or of two changes at once, wrong."""
    path = tmp_path / "joined.flac"
    path.write_bytes(first + second)
    with pytest.raises(NotMediaError, match="FLAC sound of several formats") as caught:
        probe(path)
    assert "separate the joined files" in caught.value.fix


def test_joined_flacs_of_one_length_are_both_heard(tmp_path: Path) -> None:
    """A seek that lands in a second FLAC of the same length does not hide it."""
    path = tmp_path / "joined.flac"
    path.write_bytes(2 * flac(3, (44_100, 1)))
    assert probe(path).default_track.duration_s == 6


@pytest.mark.parametrize(
    ("suffix", "options", "shapes"),
    [
        ("aac", AAC, BOTH),
        ("mp3", MP3, BOTH),
        ("ac3", AC3, FASTER),
        ("ts", MP2_IN_TS, MORE_CHANNELS),
        ("ts", MP2_IN_TS, BOTH),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_joined_streams_keep_their_places(
    tmp_path: Path,
    convert: Convert,
    suffix: str,
    options: list[str],
    shapes: tuple[Shape, Shape],
) -> None:
    """A change of rate and channels in a stream of frames loses and moves no sound."""
    joined = tmp_path / f"joined.{suffix}"
    for number, (rate_hz, channels) in enumerate(shapes):
        seconds = (FIRST_S, SECOND_S)[number]
        wav = write_wav(
            tmp_path / f"{number}.wav",
            np.repeat(marked(seconds, rate_hz=rate_hz, at_s=MARKS_S), channels, axis=1),
            rate_hz=rate_hz,
        )
        part = convert(wav, tmp_path / f"{number}.{suffix}", options)
        with joined.open("ab") as stream:
            stream.write(part.read_bytes())
    check_marks(joined)
