"""The list of formats, with what was done to each.

Every row is a file that is made here of a known sound (silence, then a tone), then probed, planned,
prepared and read back: container, codec, shape, length to the sample, where the tone begins.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

import captoolkit
from captoolkit.errors import NoAudioError
from captoolkit.media import decode
from captoolkit.media.probe_file import probe, probe_by_ffmpeg
from captoolkit.media.probe_in_process import probe_in_process
from captoolkit.model import Action
from tests.support.media_files import AMPLITUDE, KINDS, TONE_S, Kind, MediaMaker
from tests.support.sound import ODD_LENGTH_S, Count, noise

TONE_SHARE = 0.25  # of its amplitude: what is louder is the tone
LATE_S = 0.03  # codecs smear, and some delay what they do not tell
ROUNDED_S = 0.001  # a length at another rate
PADDED_S = 0.12  # whole frames, and an encoder's delay that is not told
FRAME_SAMPLES = 1152  # the longest frame of a format that is remuxed; a delay is no longer

BY_NAME = {one.name: one for one in KINDS}
every_kind = pytest.mark.parametrize("one", KINDS, ids=BY_NAME)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> MediaMaker:
    """A folder with what files are made of."""
    return MediaMaker(tmp_path_factory.mktemp("bench"), ffmpeg)


@pytest.fixture(scope="session")
def made(bench: MediaMaker) -> Callable[[Kind], Path]:
    """Make the file of a row, once."""

    def make(one: Kind) -> Path:
        path = bench.folder / one.name
        if not path.exists():
            one.make(bench, one, path)
        return path

    return make


Made = Callable[[Kind], Path]


@every_kind
def test_a_file_is_what_it_was_made_as(made: Made, decoded_samples: Count, one: Kind) -> None:
    """Container, codec and shape are told, and the length is that of a full decode."""
    path = made(one)

    info = probe(path)

    track = info.default_track
    found = (info.container, track.codec, track.sample_rate_hz, track.channels, track.number)
    assert found == (one.container, one.codec, one.rate_hz, one.channels, 1)
    assert track.duration_samples == decoded_samples(path)
    assert track.duration_s == pytest.approx(ODD_LENGTH_S - TONE_S + one.tone_s, abs=PADDED_S)
    assert (info.size_bytes, info.path) == (path.stat().st_size, str(path))
    assert (len(info.tracks), info.warnings) == (1, ())
    covers = [picture.is_cover for picture in info.pictures]
    assert covers == ["cover" in one.name] * one.pictures


@every_kind
def test_a_glance_finds_what_ffmpeg_finds(made: Made, one: Kind) -> None:
    """What is read in process is found to be the same in every field."""
    path = made(one)
    size_bytes = path.stat().st_size
    glanced = probe_in_process(path, size_bytes=size_bytes)
    assert (glanced is not None) == one.glanced
    if glanced is not None:
        assert glanced == probe_by_ffmpeg(path, size_bytes=size_bytes)


@every_kind
def test_a_file_is_prepared_for_the_service(made: Made, tmp_path: Path, one: Kind) -> None:
    """Whatever is done to it, the service takes the result, and no sound is lost or moved."""
    path = made(one)
    planned = captoolkit.plan(path)

    with captoolkit.prepare(path) as prepared:
        (segment,) = prepared.save(tmp_path)
    sound, rate_hz = segment.to_array()

    assert planned.action in set(Action)
    assert captoolkit.plan(segment.path).action is Action.PASS_THROUGH
    # Frames that are not made anew bring their encoder's delay and padding with them.
    kept = planned.action in (Action.REMUX, Action.COPY)
    frame_s = FRAME_SAMPLES / one.rate_hz if kept else 0.0
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > TONE_SHARE * AMPLITUDE)
    assert loud[0] / rate_hz == pytest.approx(one.tone_s, abs=max(LATE_S, frame_s))
    whole_s = planned.track.duration_s
    assert len(sound) / rate_hz == pytest.approx(whole_s, abs=ROUNDED_S + 2 * frame_s)


# ------------------------------------------------------------------------------ any length

ANY_LENGTH = {
    "a.wav": ("-c:a pcm_s16le", (8_000, 12_345, 44_100, 192_000), (1, 2, 6), 1),
    "a.flac": ("", (8_000, 44_100, 96_000), (1, 2, 6), 16),
    "a.mp3": ("", (8_000, 16_000, 22_050, 44_100, 48_000), (1, 2), 1),
    # ffmpeg knows no shorter one
    "bare.mp3": ("-write_xing 0 -id3v2_version 0", (8_000, 16_000, 44_100), (1, 2), 5_000),
    "a.m4a": ("-c:a aac", (8_000, 16_000, 44_100, 96_000), (1, 2, 6), 1),
    # Of six channels ffmpeg's encoder dies where the last packet holds but a sample or two.
    "alac.m4a": ("-c:a alac", (8_000, 44_100, 96_000), (1, 2), 1),
    "opus.mp4": ("-c:a libopus", (16_000, 48_000), (1, 2, 6), 1),
    "vorbis.ogg": ("-c:a libvorbis", (8_000, 22_050, 32_000, 44_100, 48_000), (1, 2, 6), 1),
    "a.opus": ("", (8_000, 24_000, 48_000), (1, 2, 6), 1),
    "flac.ogg": ("-c:a flac", (8_000, 44_100), (1, 2), 16),
    "a.aac": ("-c:a aac", (8_000, 16_000, 44_100), (1, 2), 5_000),  # nor here
    "a.amr": ("", (8_000,), (1,), 1),
    "a.mka": ("-c:a libvorbis", (44_100,), (1, 2), 1),
}


@st.composite
def sounds(draw: st.DrawFn) -> tuple[str, int, int, int, int]:
    """A file's name, its rate and channels, samples of silence, then samples of noise."""
    name = draw(st.sampled_from(sorted(ANY_LENGTH)))
    _, rates_hz, channels, fewest = ANY_LENGTH[name]
    lengths = st.one_of(st.integers(0, 3_000), st.integers(0, 90_000))
    return (
        name,
        draw(st.sampled_from(rates_hz)),
        draw(st.sampled_from(channels)),
        draw(lengths),
        max(fewest, draw(lengths)),
    )


@settings(max_examples=40)
@given(sounds())
@example(("vorbis.ogg", 8_000, 1, 0, 1))  # a length below zero in ffmpeg's listing
@example(("vorbis.ogg", 22_050, 2, 0, 67_626))  # a packet's length wrong at a page's end
@example(("vorbis.ogg", 48_000, 6, 48_000, 96_000))
def test_any_length_is_told_to_the_sample(
    bench: MediaMaker, decoded_samples: Count, sound: tuple[str, int, int, int, int]
) -> None:
    """The length is that of a full decode, down to a single sample."""
    name, rate_hz, channels, silent, loud = sound
    source, path = bench.folder / "any.wav", bench.folder / f"any-{name}"
    quiet = np.zeros((silent, channels), np.float32)
    made = np.concatenate([quiet, noise(loud / rate_hz, rate_hz=rate_hz, channels=channels)])
    soundfile.write(str(source), made, rate_hz, subtype="PCM_16")
    bench.ffmpeg("-i", source, *ANY_LENGTH[name][0].split(), path)
    samples = decoded_samples(path)
    if samples:
        info = probe(path)
        assert (info.default_track.duration_samples, info.warnings) == (samples, ())
    else:  # some encoders make nothing of a few samples
        with pytest.raises(NoAudioError):
            probe(path)


SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


@settings(max_examples=25)
@given(
    shape=st.sampled_from([*itertools.product(("WAV", "WAVEX"), SUBTYPES), ("FLAC", "PCM_16")]),
    rate_hz=st.sampled_from((50, 8_000, 12_345, 44_100, 192_000)),
    channels=st.integers(1, 2),
    samples=st.one_of(st.integers(1, 50), st.integers(1, 100_000)),
    title=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
)
def test_any_glance_finds_what_ffmpeg_finds(
    bench: MediaMaker,
    shape: tuple[str, str],
    rate_hz: int,
    channels: int,
    samples: int,
    title: str,
) -> None:
    """Of whatever shape and length, both ways give the same."""
    path = bench.folder / "any-shape"
    with soundfile.SoundFile(
        str(path), "w", rate_hz, channels, format=shape[0], subtype=shape[1]
    ) as file:
        file.title = title
        file.write(noise(samples / rate_hz, rate_hz=rate_hz, channels=channels))
    size_bytes = path.stat().st_size
    glanced = probe_in_process(path, size_bytes=size_bytes)
    assert glanced == probe_by_ffmpeg(path, size_bytes=size_bytes)


# ------------------------------------------------------------------------ left to ffmpeg


def riff_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a WAV."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def wav(*chunks: bytes) -> bytes:
    """A WAV of these chunks."""
    return riff_chunk(b"RIFF", b"WAVE" + b"".join(chunks))


FORMAT = riff_chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 44_100, 176_400, 4, 16))
DATA = riff_chunk(b"data", bytes(40_000))
CUE = riff_chunk(b"cue ", struct.pack("<III4sIII", 1, 1, 100, b"data", 0, 0, 100))
DTS = b"\xfe\x7f\x01\x80" + bytes(9_996)

ODD_WAVS = {
    "chapters": wav(FORMAT, DATA, CUE),
    "tags that may hold a picture": wav(FORMAT, riff_chunk(b"id3 ", bytes(10)), DATA),
    "two data chunks": wav(FORMAT, DATA, DATA),
    "data before its format": wav(DATA, FORMAT),
    "no data": wav(FORMAT),
    "an empty list": wav(FORMAT, riff_chunk(b"LIST", b""), DATA),
    "half a description": wav(FORMAT, riff_chunk(b"bext", bytes(300)), DATA),
    "more chunks than anybody writes": wav(*[riff_chunk(b"JUNK", b"")] * 1000, FORMAT, DATA),
    "half a frame": wav(FORMAT, riff_chunk(b"data", bytes(40_001))),
    "something behind it": wav(FORMAT, DATA) + b"TAG" + bytes(125),
    "an end that is missing": wav(FORMAT, DATA)[:-1000],
    "a RIFF that is longer": wav(FORMAT, DATA)[:4] + b"\xff\xff\0\0" + wav(FORMAT, DATA)[8:],
    "DTS that poses as PCM": wav(FORMAT, riff_chunk(b"data", bytes(400) + DTS)),
    "a torn head": wav(FORMAT, DATA)[:30],
    "another codec": wav(FORMAT.replace(b"\1\0\2\0", b"\7\0\2\0"), DATA),
    "another RIFF": wav(FORMAT, DATA).replace(b"WAVE", b"AVI "),
}


@pytest.mark.parametrize("content", ODD_WAVS.values(), ids=ODD_WAVS)
def test_an_unusual_wav_is_left_to_ffmpeg(tmp_path: Path, content: bytes) -> None:
    """What may hold more than sound, or less than it says, is not judged at a glance."""
    path = tmp_path / "talk.wav"
    path.write_bytes(content)
    assert probe_in_process(path, size_bytes=len(content)) is None


@pytest.mark.parametrize(
    ("name", "size"),
    [(b"LIST", 4), (b"LIST", 27), (b"JUNK", 0), (b"JUNK", 60_001), (b"bext", 603), (b"fact", 4)],
)
def test_a_chunk_that_holds_no_sound_changes_nothing(
    tmp_path: Path, name: bytes, size: int
) -> None:
    """Both ways pass over it, before the format and behind the sound, padded or not."""
    path = tmp_path / "talk.wav"
    silent = riff_chunk(name, bytes(size))
    for content in (wav(silent, FORMAT, DATA), wav(FORMAT, DATA, silent)):
        path.write_bytes(content)
        glanced = probe_in_process(path, size_bytes=len(content))
        assert glanced == probe_by_ffmpeg(path, size_bytes=len(content))
        assert glanced.default_track.duration_samples == 10_000


def flac_block(kind: int, content: bytes) -> bytes:
    """A block of a FLAC that is not its last."""
    return bytes([kind]) + len(content).to_bytes(3) + content


def flac_comments(*comments: bytes) -> bytes:
    """A block of comments."""
    fields = (len(one).to_bytes(4, "little") + one for one in comments)
    return flac_block(4, bytes(4) + len(comments).to_bytes(4, "little") + b"".join(fields))


def flac_picture(media_type: bytes, picture: bytes, *, size: int | None = None) -> bytes:
    """A block with a picture."""
    length = len(picture) if size is None else size
    words = (3, len(media_type)), media_type, (0, 16, 16, 24, 0, length), picture
    return flac_block(
        6, b"".join(w if isinstance(w, bytes) else struct.pack(f">{len(w)}I", *w) for w in words)
    )


ODD_FLACS = {
    "chapters": flac_comments(b"chapter001=00:00:01.000"),
    "places of channels": flac_comments(b"WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x0600"),
    "a picture among the comments": flac_comments(b"METADATA_BLOCK_PICTURE=AAAA"),
    "comments without end": flac_comments(b"x=" + b"y" * 70_000),
    "a cue sheet": flac_block(5, bytes(400)),
    "a block of an unknown kind": flac_block(7, bytes(4)),
    "a picture of another kind": flac_picture(b"image/gif", b"GIF89a"),
    "a picture that is no PNG": flac_picture(b"image/png", b"GIF89a"),
    "a picture that is cut off": flac_picture(b"image/jpeg", b"\xff\xd8\xff", size=100),
    "a picture's head that is cut off": flac_block(6, bytes(6)),
    "more blocks than anybody writes": flac_block(1, b"") * 1000,
}


@pytest.mark.parametrize("block", ODD_FLACS.values(), ids=ODD_FLACS)
def test_an_unusual_flac_is_left_to_ffmpeg(made: Made, tmp_path: Path, block: bytes) -> None:
    """Chapters, and what only ffmpeg makes sense of, are not judged at a glance."""
    whole = made(BY_NAME["stereo.flac"]).read_bytes()
    path = tmp_path / "talk.flac"
    path.write_bytes(whole[:42] + block + whole[42:])
    assert probe_in_process(path, size_bytes=path.stat().st_size) is None


@pytest.mark.parametrize(
    "block",
    [
        flac_comments(b"LANGUAGE=deu", b"TITLE=a talk"),
        flac_picture(b"image/jpeg", b"\xff\xd8\xff\xe0"),
        flac_picture(b"image/png", b"\x89PNG\r\n\x1a\n") * 2,
        flac_block(1, bytes(300_000)),
    ],
    ids=["words", "a JPEG", "two PNGs", "padding"],
)
def test_a_block_before_the_sound_is_read_as_ffmpeg_does(
    made: Made, tmp_path: Path, block: bytes
) -> None:
    """Pictures are found where ffmpeg finds them, and words tell nothing about the track."""
    whole = made(BY_NAME["stereo.flac"]).read_bytes()
    path = tmp_path / "talk.flac"
    path.write_bytes(whole[:42] + block + whole[42:])
    size_bytes = path.stat().st_size
    glanced = probe_in_process(path, size_bytes=size_bytes)
    assert glanced == probe_by_ffmpeg(path, size_bytes=size_bytes)


@pytest.mark.parametrize("length", [4, 7, 41, 42, 100])
def test_a_torn_flac_head_is_left_to_ffmpeg(made: Made, tmp_path: Path, length: int) -> None:
    """A FLAC that ends before its sound is not judged at a glance."""
    path = tmp_path / "talk.flac"
    path.write_bytes(made(BY_NAME["stereo.flac"]).read_bytes()[:length])
    assert probe_in_process(path, size_bytes=length) is None


# --------------------------------------------------------------- one behind another


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Two files in one, and what is said of it."""

    suffix: str
    options: str
    second_rate_hz: int = 44_100
    second_channels: int = 2
    rate_hz: int = 44_100
    warning: str = ""


CHANGES = "changes on the way, to {second}; it is read as {first} throughout."
SECOND_S = 1.7  # of the second file; libFLAC is fooled by one that is as long as the first
STOPS = "cannot be read past 3.217 s ("  # ffmpeg says why
JOINED = {
    "ADTS": Joined(suffix=".aac", options="-c:a aac"),
    "ADTS, another rate": Joined(
        suffix=".aac", options="-c:a aac", second_rate_hz=22_050, warning=CHANGES
    ),
    "ADTS, other channels": Joined(
        suffix=".aac", options="-c:a aac", second_channels=1, warning=CHANGES
    ),
    "MP3, another rate": Joined(
        suffix=".mp3", options="-b:a 128k", second_rate_hz=48_000, warning=CHANGES
    ),
    "MP3, half the rate": Joined(
        suffix=".mp3", options="-b:a 128k", second_rate_hz=22_050, warning=CHANGES
    ),
    "bare MP3, another rate": Joined(
        suffix=".mp3", options="-write_xing 0", second_rate_hz=48_000, warning=CHANGES
    ),
    "MPEG-TS, another shape": Joined(
        suffix=".ts", options="-c:a aac", second_rate_hz=22_050, second_channels=1, warning=CHANGES
    ),
    "AC-3, another rate": Joined(
        suffix=".ac3", options="", rate_hz=48_000, second_rate_hz=32_000, warning=CHANGES
    ),
    "Vorbis": Joined(suffix=".ogg", options="-c:a libvorbis"),
    "Vorbis, another rate": Joined(
        suffix=".ogg", options="-c:a libvorbis", second_rate_hz=22_050, warning=STOPS
    ),
    "Opus": Joined(suffix=".opus", options="", rate_hz=48_000, second_rate_hz=48_000),
    "Opus, another input rate": Joined(
        suffix=".opus", options="", rate_hz=48_000, second_rate_hz=16_000
    ),
    "Opus, other channels": Joined(
        suffix=".opus",
        options="",
        rate_hz=48_000,
        second_rate_hz=48_000,
        second_channels=1,
        warning=STOPS,
    ),
    "FLAC in Ogg, another rate": Joined(
        suffix=".oga", options="-c:a flac", second_rate_hz=22_050, warning=CHANGES
    ),
    "FLAC": Joined(suffix=".flac", options=""),
    "FLAC, another rate": Joined(
        suffix=".flac", options="", second_rate_hz=22_050, warning=CHANGES
    ),
    "Matroska": Joined(suffix=".mka", options="-c:a aac"),
}


@pytest.mark.parametrize("one", JOINED.values(), ids=JOINED)
def test_files_put_one_behind_another(bench: MediaMaker, tmp_path: Path, one: Joined) -> None:
    """They last as long as they decode, and where not all is alike or readable it is told."""
    first, second = (tmp_path / f"{number}{one.suffix}" for number in (1, 2))
    bench.encode(one.options, one.rate_hz, 2, first)
    serial = " -serial_offset 7" if one.suffix in (".ogg", ".opus", ".oga") else ""
    more = f"{one.options} -t {SECOND_S}{serial}"
    bench.encode(more, one.second_rate_hz, one.second_channels, second)
    joined = tmp_path / f"joined{one.suffix}"
    joined.write_bytes(first.read_bytes() + second.read_bytes())

    info = probe(joined)

    track = info.default_track
    with decode.TrackDecoder(joined, track=track) as decoder:
        assert track.duration_samples == sum(len(block) for block in decoder)
    layout = "stereo" if one.second_channels == 2 else "mono"
    told = one.warning.format(
        first=f"{one.rate_hz} Hz, stereo", second=f"{one.second_rate_hz} Hz, {layout}"
    )
    assert [warning[: len(told) + 14] for warning in info.warnings] == (
        [f"Sound track 1 {told}"] if told else []
    )


# -------------------------------------------------------------------------- several tracks


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4", "film.mov", "film.ts", "film.webm"])
def test_the_track_in_the_language_asked_for_is_prepared(
    bench: MediaMaker, tmp_path: Path, name: str
) -> None:
    """Each track keeps its language in any container that knows languages, and is found by it."""
    tones = {"eng": 440.0, "ita": 1_000.0}
    argv: list[str | Path] = []
    for frequency_hz in tones.values():
        argv += ["-f", "lavfi", "-i", f"sine=f={frequency_hz}:r=48000:d=2"]
    codec = "libopus" if name.endswith("webm") else "aac"
    argv += ["-map", "0", "-map", "1", "-c:a", codec]
    for number, language in enumerate(tones):
        argv += [f"-metadata:s:a:{number}", f"language={language}"]
    path = tmp_path / name
    bench.ffmpeg(*argv, path)

    assert [track.language for track in probe(path).tracks] == [*tones]
    for language, frequency_hz in tones.items():
        with captoolkit.prepare(path, track=language, format="wav") as prepared:
            sound, rate_hz = next(iter(prepared)).to_array()
        spectrum = np.abs(np.fft.rfft(sound[:rate_hz, 0]))
        assert int(spectrum.argmax()) == pytest.approx(frequency_hz, abs=2)
