from __future__ import annotations

import io
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
from captoolkit.errors import CaptoolkitError, InputError, LimitError, NotMediaError, UsageError
from captoolkit.model import Action
from captoolkit.pipeline.segment import ReadySegment
from tests.support.calls import write_call
from tests.support.processes import has_children
from tests.support.sound import Convert, noise, tones_with_pauses, write_wav

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
    "memo.caf": "-c:a alac",
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
OTHERS = {
    "disc.thd": "-c:a truehd -strict experimental",
    "radio.mkv": "-c:a libmp3lame -b:a 128k",
}
SUFFIXES = {
    "film.mp4": "m4a",
    "memo.caf": "m4a",
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
    return tones_with_pauses(LENGTH_S, PAUSES_S, pause_s=PAUSE_S, rate_hz=RATE_HZ)


@pytest.fixture(scope="module")
def make(
    tmp_path_factory: pytest.TempPathFactory, sound: NDArray[np.float32], convert: Convert
) -> Make:
    """Return a function that makes a source of the tables above, once."""
    folder = tmp_path_factory.mktemp("sources")
    master = write_wav(folder / "master.wav", sound, rate_hz=RATE_HZ, subtype="DOUBLE")

    def one(name: str) -> Path:
        path = folder / name
        if not path.exists():
            convert(master, path, [*(COPIED | KEPT | OTHERS)[name].split(), *TAGS])
        return path

    return one


@pytest.fixture(scope="module")
def packets(ffmpeg: str) -> Listed:
    """Return size and checksum of each packet of the first track, by a plain ffmpeg command."""

    def of(path: Path) -> list[str]:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-c", "copy"]
        done = subprocess.run([*argv, "-f", "framecrc", "-"], check=True, capture_output=True)
        lines = [line for line in done.stdout.decode().splitlines() if not line.startswith("#")]
        return [",".join(line.split(",")[4:6]) for line in lines]

    return of


@pytest.fixture(scope="module")
def decoded(ffmpeg: str) -> Decoded:
    """Return the samples of the first track, by a plain ffmpeg command."""

    def of(path: Path, form: str = "s32le") -> bytes:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-c:a", f"pcm_{form}"]
        return subprocess.run([*argv, "-f", form, "-"], check=True, capture_output=True).stdout

    return of


@pytest.fixture(scope="module")
def tags(ffmpeg: str) -> Callable[[Path], dict[str, str]]:
    """Return the tags of a file, by a plain ffmpeg command."""

    def of(path: Path) -> dict[str, str]:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-c", "copy"]
        argv += ["-f", "ffmetadata", "-"]
        text = subprocess.run(argv, check=True, capture_output=True).stdout.decode()
        pairs = (line.partition("=")[::2] for line in text.splitlines() if "=" in line)
        return {name.lower(): value.replace("\\", "") for name, value in pairs}

    return of


@pytest.fixture(autouse=True)
def spool(temporary: Path) -> Iterator[Path]:
    """The system's temporary folder, which must be empty after each test."""
    yield temporary
    assert not has_children()
    assert list(temporary.iterdir()) == []


def tiles(segments: tuple[ReadySegment, ...], path: Path) -> bool:
    """Return whether segments cover a file's sound without gap or overlap."""
    spans = [segment.source_span for segment in segments]
    joined = all(one.end_samples == two.start_samples for one, two in itertools.pairwise(spans))
    total = captoolkit.probe(path).default_track.duration_samples
    return joined and (spans[0].start_samples, spans[-1].end_samples) == (0, total)


def is_in_a_pause(at_s: float) -> bool:
    """Return whether a position is in a pause, or at most one packet outside."""
    return any(abs(at_s - middle_s) <= PAUSE_S / 2 + BESIDE_S for middle_s in PAUSES_S)


@pytest.mark.parametrize("name", COPIED)
def test_frames_are_copied(
    make: Make, packets: Listed, tags: Callable[[Path], dict[str, str]], tmp_path: Path, name: str
) -> None:
    """Each packet of the source is in one piece, in order; cuts are in pauses; tags are kept."""
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
    """The pieces hold the source's samples, in its codec and container, cut in pauses."""
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


def test_a_lossless_codec_that_begins_at_few_packets_is_kept_as_flac(
    make: Make, decoded: Decoded, tmp_path: Path
) -> None:
    """TrueHD cannot be cut between any two packets, so the pieces keep its samples instead."""
    source = make("disc.thd")
    pieces = captoolkit.split(source, segment=SEGMENT_S).save(tmp_path / "out")
    assert [piece.path.suffix for piece in pieces] == [".flac"] * COUNT
    assert b"".join(decoded(piece.path) for piece in pieces) == decoded(source)


def test_mp3_in_matroska_becomes_plain_mp3(
    make: Make, packets: Listed, decoded: Decoded, tmp_path: Path
) -> None:
    """MP3 in Matroska becomes MP3 files, because Matroska would cut the delay off each piece."""
    source = make("radio.mkv")
    pieces = captoolkit.split(source, segment=SEGMENT_S).save(tmp_path / "out")
    assert [piece.path.suffix for piece in pieces] == [".mp3"] * COUNT
    assert [one for piece in pieces for one in packets(piece.path)] == packets(source)
    for piece in pieces[1:]:
        assert len(decoded(piece.path)) // 4 >= piece.source_span.samples


# --------------------------------------------------------------------------- to the sample


@pytest.mark.parametrize("name", ["cbr.mp3", "talk.m4a", "song.ogg", "song.wma", "film.mp4"])
def test_exact_pieces_hold_the_decoded_samples(
    make: Make, decoded: Decoded, tmp_path: Path, name: str
) -> None:
    """With `exact` the pieces are 24-bit FLAC with the decoder's samples, rounded."""
    source = make(name)
    pieces = captoolkit.split(source, segment=SEGMENT_S, exact=True).save(tmp_path / "out")
    assert len(pieces) == COUNT
    assert tiles(pieces, source)
    assert {piece.path.suffix for piece in pieces} == {".flac"}
    assert {soundfile.info(piece.path).subtype for piece in pieces} == {"PCM_24"}
    found = b"".join(decoded(piece.path) for piece in pieces)
    whole = np.frombuffer(decoded(source), "<i4").astype(np.int64)
    assert np.abs(np.frombuffer(found, "<i4") - whole).max() <= 1 << 7


def test_clipped_samples_are_a_warning(make: Make, convert: Convert, tmp_path: Path) -> None:
    """The decoder of a loud MP3 exceeds full scale, which FLAC cannot hold."""
    loud = convert(make("s16.wav"), tmp_path / "loud.mp3", ["-af", "volume=9dB", "-b:a", "48k"])
    with captoolkit.split(loud, parts=2, exact=True) as pieces:
        found = np.concatenate([soundfile.read(piece.path)[0] for piece in pieces])
        said = [warning for warning in pieces.warnings if "clipped" in warning]
    highest = np.count_nonzero((found == -1) | (found >= 1 - 2**-23))
    assert 0 < int(said[0].split()[0].replace(",", "")) <= highest
    assert "of its samples are louder than flac can hold and are clipped" in said[0]
    with captoolkit.split(make("cbr.mp3"), parts=2, exact=True) as pieces:
        assert len(list(pieces)) == 2
        assert not pieces.warnings


@pytest.mark.parametrize("name", ["adpcm.wav", "call.amr"])
def test_exact_pieces_have_no_more_bits_than_the_decoder_gives(
    make: Make, tmp_path: Path, name: str
) -> None:
    """A codec that decodes to 16 bits becomes 16-bit FLAC; AMR decodes to floats."""
    depth = {"adpcm.wav": "PCM_16", "call.amr": "PCM_24"}[name]
    pieces = captoolkit.split(make(name), parts=2, exact=True).save(tmp_path / "out")
    assert {soundfile.info(piece.path).subtype for piece in pieces} == {depth}


@pytest.mark.parametrize("name", ["whole.alac.m4a", "memo.caf", "clip.mov"])
def test_exact_pieces_of_a_lossless_codec_stay_in_it(
    make: Make, decoded: Decoded, tmp_path: Path, name: str
) -> None:
    """A lossless source keeps codec and container when it is cut at the sample.

    ALAC in CAF becomes an M4A: ffmpeg writes a wrong end into a CAF.
    """
    source = make(name)
    pieces = captoolkit.split(source, segment=SEGMENT_S, exact=True).save(tmp_path / "out")
    codec = captoolkit.probe(source).default_track.codec
    assert {captoolkit.probe(piece.path).default_track.codec for piece in pieces} == {codec}
    suffix = SUFFIXES.get(name, source.suffix[1:])
    assert {piece.path.suffix[1:] for piece in pieces} == {suffix}
    assert b"".join(decoded(piece.path) for piece in pieces) == decoded(source)
    assert all(piece.source_span.end_samples % 1024 for piece in pieces)


def test_a_chain_of_oggs_is_encoded(make: Make, decoded: Decoded, tmp_path: Path) -> None:
    """A recorded radio has headers within, which a copy would leave out of the pieces."""
    path = tmp_path / "radio.ogg"
    path.write_bytes(make("song.ogg").read_bytes() * 2)
    pieces = captoolkit.split(path, parts=3)
    assert "It is a chain of several Ogg recordings" in pieces.plan.reasons[-1]
    saved = pieces.save(tmp_path / "out")
    assert {piece.path.suffix for piece in saved} == {".flac"}
    samples = sum(len(decoded(piece.path)) // 4 for piece in saved)
    assert samples == captoolkit.probe(path).default_track.duration_samples


def test_a_call_with_pauses_is_encoded(tmp_path: Path) -> None:
    """A piece of AMR frames without data could not be decoded."""
    pieces = captoolkit.split(write_call(tmp_path / "call.amr", b"#!AMR\n"), segment=3)
    assert "In pauses its amr_nb frames hold no data" in pieces.plan.reasons[-1]
    saved = pieces.save(tmp_path / "out")
    lengths = [captoolkit.probe(piece.path).default_track.duration_s for piece in saved]
    assert sum(lengths) == pytest.approx(19, abs=0.1)


def test_floats_beyond_full_scale_and_no_numbers_are_kept(tmp_path: Path) -> None:
    """A float WAV keeps every bit, also of NaN, infinity and values above full scale."""
    wave = noise(5, rate_hz=8000)
    wave[100], wave[200], wave[20_000], wave[30_000] = np.nan, np.inf, 2.5, -np.inf
    source = write_wav(tmp_path / "odd.wav", wave, rate_hz=8000, subtype="FLOAT")
    pieces = captoolkit.split(source, parts=2).save(tmp_path / "out")
    found = np.concatenate([soundfile.read(piece.path, dtype="float32")[0] for piece in pieces])
    assert found.tobytes() == wave.tobytes()


# ------------------------------------------------------------------------ chapters and tags

CHAPTERS = """;FFMETADATA1
title=The book
artist=Somebody
[CHAPTER]
TIMEBASE=1/1000
START=0
END=10000
title=One
[CHAPTER]
TIMEBASE=1/1000
START=10000
END=10400
title=Too short
[CHAPTER]
TIMEBASE=1/1000
START=10400
END=24300
title=Two\\; the \\= end
"""


@pytest.fixture(scope="module")
def book(make: Make, ffmpeg: str) -> Callable[[str], Path]:
    """A recording with three chapters, one of them shorter than a second."""

    def one(name: str) -> Path:
        source, path = make(name), make(name).parent / f"book.{name.rpartition('.')[2]}"
        told = path.with_suffix(".txt")
        told.write_text(CHAPTERS)
        argv = [ffmpeg, "-v", "error", "-y", "-i", str(source), "-i", str(told), "-map", "0:a"]
        argv += ["-c", "copy", "-map_metadata", "1", "-map_chapters", "1", str(path)]
        subprocess.run(argv, check=True)
        return path

    return one


@pytest.mark.parametrize("name", ["cbr.mp3", "talk.m4a", "talk.mkv", "song.opus"])
def test_chapters_are_cut_at_their_marks(
    book: Callable[[str], Path],
    packets: Listed,
    tags: Callable[[Path], dict[str, str]],
    tmp_path: Path,
    name: str,
) -> None:
    """Pieces begin at the marks and have the chapters' titles; long chapters are cut as well."""
    source = book(name)
    work = captoolkit.split(source, at="chapters", max_segment=12)
    pieces = work.save(tmp_path / "out")
    assert len(pieces) == COUNT
    assert tiles(pieces, source)
    assert pieces[1].source_span.start_s == pytest.approx(10.4, abs=0.06)
    assert is_in_a_pause(pieces[2].source_span.start_s)
    assert [packet for piece in pieces for packet in packets(piece.path)] == packets(source)
    said = [tags(piece.path) for piece in pieces]
    assert [one["title"] for one in said] == ["One", "Two; the = end (1/2)", "Two; the = end (2/2)"]
    assert {one["artist"] for one in said} == {tags(source)["artist"]}


def test_chapters_are_cut_to_the_sample_where_samples_are_kept(
    book: Callable[[str], Path], tmp_path: Path
) -> None:
    """With `exact` a piece begins at the sample of its chapter's mark."""
    source = book("talk.m4a")
    pieces = captoolkit.split(source, at="chapters", exact=True).save(tmp_path / "out")
    starts = [piece.source_span.start_samples for piece in pieces]
    assert starts == [0, round(10.4 * RATE_HZ)]


def test_a_recording_without_chapters_is_refused(make: Make) -> None:
    """`at="chapters"` of a recording without chapters is an error with a remedy."""
    with pytest.raises(InputError) as refusal:
        captoolkit.split(make("cbr.mp3"), at="chapters")
    assert str(refusal.value) == "it has no chapters; split it without at=chapters"


@pytest.mark.parametrize("name", ["cbr.mp3", "vbr.mp3"])
def test_players_know_how_long_a_piece_of_mp3_is(
    make: Make, tmp_path: Path, name: str, ffmpeg: str
) -> None:
    """The length in a piece's header is exact, also for variable bit rates."""
    pieces = captoolkit.split(make(name), segment=SEGMENT_S).save(tmp_path / "out")
    for piece in pieces:
        shown = subprocess.run([ffmpeg, "-i", str(piece.path)], capture_output=True, text=True)
        line = next(one for one in shown.stderr.splitlines() if "Duration:" in one)
        seconds = float(line.split(",")[0].rpartition(":")[2])
        assert seconds == pytest.approx(piece.source_span.duration_s, abs=0.1)


# --------------------------------------------------------------------------- what is left alone


def test_a_short_file_is_one_untouched_piece(make: Make, tmp_path: Path) -> None:
    """A source that is short enough keeps every byte and its suffix, pictures included."""
    source = make("film.mkv")
    work = captoolkit.split(source)
    (piece,) = work.save(tmp_path / "out")
    assert work.plan.action is Action.PASS_THROUGH
    assert piece.file == "film.001.mkv"
    assert piece.path.read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("container", "options", "ending"),
    [
        ("matroska", "-c:a aac", "mka"),
        ("webm", "-c:a libopus", "webm"),
        ("mpegts", "-c:a aac", "ts"),
        ("ogg", "-c:a libopus", "opus"),
        ("mp2", "-c:a mp2", "mp2"),
        ("mp3", "-c:a libmp3lame", "mp3"),
    ],
)
def test_an_untouched_source_in_memory_gets_its_proper_ending(
    make: Make, convert: Convert, tmp_path: Path, container: str, options: str, ending: str
) -> None:
    """The suffix is that of the source's name, else that of container and codec."""
    file = convert(make("s16.wav"), tmp_path / "nameless", [*options.split(), "-f", container])
    (piece,) = captoolkit.split(file.read_bytes()).save(tmp_path / "bytes")
    assert piece.file == f"source.001.{ending}"
    stream = io.BytesIO(file.read_bytes())
    for name, wanted in (("a/talk.MKV", "mkv"), ("https://example.com/get.php", ending)):
        stream.name = name
        stream.seek(0)
        (piece,) = captoolkit.split(stream).save(tmp_path / wanted / name[:1])
        assert piece.file.endswith(f".001.{wanted}")


def test_the_manifest_names_no_target(make: Make, tmp_path: Path) -> None:
    """The manifest of a split has no target, no way and no tokens."""
    captoolkit.split(make("talk.m4a"), parts=2).save(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "talk.manifest.json").read_text())
    assert (told["format"], told["action"]) == ("captoolkit.manifest/1", "copy")
    assert (told["target"], told["via"], told["tokens"]) == (None, None, {"audio": 0})
    assert told["encoding"]["format"] == "m4a"
    assert [one["file"] for one in told["segments"]] == ["talk.001.m4a", "talk.002.m4a"]


def test_chosen_track_is_extracted(
    make: Make, ffmpeg: str, packets: Listed, tmp_path: Path
) -> None:
    """The chosen track is extracted alone, in one piece if it is short enough."""
    source = tmp_path / "two.mkv"
    argv = [ffmpeg, "-v", "error", "-i", str(make("talk.m4a")), "-i", str(make("song.ogg"))]
    argv += ["-map", "0:a", "-map", "1:a", "-c", "copy", "-metadata:s:a:1", "language=zho"]
    subprocess.run([*argv, str(source)], check=True)
    (piece,) = captoolkit.split(source, track="zho").save(tmp_path / "out")
    (track,) = captoolkit.probe(piece.path).tracks
    assert (track.codec, track.language) == ("vorbis", "zho")
    assert packets(piece.path) == packets(make("song.ogg"))


@pytest.mark.parametrize("name", ["cbr.mp3", "talk.m4a", "s24.wav", "film.ac3"])
def test_the_cuts_are_the_same_each_time(make: Make, name: str) -> None:
    """The number of workers does not change the cuts."""
    with captoolkit.split(make(name), segment=3, jobs=1) as one:
        first = [piece.source_span for piece in one]
    with captoolkit.split(make(name), segment=3, jobs=3) as other:
        assert [piece.source_span for piece in other] == first
    assert len(first) == 9
    assert max(span.duration_s for span in first) < 3 * 1.4 + 0.1


def test_more_pieces_than_one_command_can_name_are_refused_at_once(
    tmp_path: Path, convert: Convert
) -> None:
    """The error comes before anything is decoded, and names the remedy."""
    hush = write_wav(tmp_path / "hush.wav", np.zeros((3_100 * 8_000, 1), np.float32), rate_hz=8_000)
    path = convert(hush, tmp_path / "hush.m4a", ["-c:a", "aac"])
    with (
        captoolkit.split(path, segment=1) as pieces,
        pytest.raises(LimitError, match=r"3,100 pieces .* than the 3,000 .* exact=True"),
    ):
        next(iter(pieces))


@pytest.mark.parametrize("name", ["cbr.mp3", "talk.m4a", "s16.flac", "song.wma"])
def test_no_piece_is_longer_than_is_allowed(make: Make, name: str) -> None:
    """`max_segment` holds for every piece, wherever cuts move, and no piece is a remnant."""
    with captoolkit.split(make(name), max_segment=5) as work:
        lengths_s = [piece.source_span.duration_s for piece in work]
    assert max(lengths_s) <= 5
    assert min(lengths_s) > 1


# --------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"at": "silences"},
            "at=silences is not a place to cut at; take chapters, or leave it out",
        ),
        ({"at": "chapters", "parts": 2}, "parts=2 and at=chapters both set the number of pieces"),
        ({"jobs": 0}, "jobs=0 must be at least 1"),
        ({"parts": 0}, "parts=0 must be at least 1"),
        ({"parts": 2, "max_segment": 5}, "parts=2 would each be longer than the 5 s allowed"),
        ({"segment": "soon"}, "segment='soon' is not a duration above zero"),
    ],
)
def test_invalid_options_are_refused(make: Make, options: dict[str, Any], said: str) -> None:
    """Options that no split can satisfy raise an error."""
    with pytest.raises(UsageError) as refusal:
        captoolkit.split(make("s16.wav"), **options)
    assert said in str(refusal.value)


def test_file_that_is_no_media_is_refused(tmp_path: Path) -> None:
    """A file that is no media raises an error."""
    path = tmp_path / "noise.mp3"
    path.write_bytes(np.random.default_rng(3).bytes(5000))
    with pytest.raises(NotMediaError):
        captoolkit.split(path)


@pytest.mark.parametrize("name", ["cbr.mp3", "vbr.mp3", "talk.aac", "s16.wav", "s16.flac"])
def test_truncated_file_is_split_to_its_end(make: Make, tmp_path: Path, name: str) -> None:
    """Pieces of a truncated file cover the part that exists."""
    source = tmp_path / name
    source.write_bytes(make(name).read_bytes()[: make(name).stat().st_size * 5 // 9])
    pieces = captoolkit.split(source, parts=2).save(tmp_path / "out")
    total = sum(piece.source_span.samples for piece in pieces)
    assert total == captoolkit.probe(source).default_track.duration_samples
    assert total > LENGTH_S / 2 * RATE_HZ


@pytest.mark.parametrize("name", ["cbr.mp3", "talk.m4a", "s16.flac", "song.wma"])
def test_closing_early_leaves_nothing(make: Make, name: str, spool: Path) -> None:
    """Closing after the first piece ends all work, and leaves no file and no child process."""
    work = captoolkit.split(make(name), segment=2)
    first = next(iter(work))
    assert first.path.is_file()
    work.close()
    assert not has_children()
    assert list(spool.iterdir()) == []


def test_an_event_that_raises_ends_the_work(make: Make, tmp_path: Path) -> None:
    """An exception in `on_event` reaches the caller, and no file is left."""

    def refuse(event: object) -> None:
        if type(event).__name__ == "SegmentReady":
            raise CaptoolkitError("enough")

    with pytest.raises(CaptoolkitError, match="enough"):
        captoolkit.split(make("talk.m4a"), segment=3, on_event=refuse).save(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_names_may_hold_anything(make: Make, packets: Listed, tmp_path: Path) -> None:
    """A per cent sign, a newline and a leading dash are ordinary characters in names."""
    folder = tmp_path / "100%d of\nit"
    folder.mkdir()
    source = folder / "-talk %03d.m4a"
    source.write_bytes(make("talk.m4a").read_bytes())
    pieces = captoolkit.split(source, parts=2).save(folder / "out %d")
    assert [piece.file for piece in pieces] == ["-talk %03d.001.m4a", "-talk %03d.002.m4a"]
    assert [packet for piece in pieces for packet in packets(piece.path)] == packets(source)


@pytest.mark.parametrize("name", ["multilingual.mp3", "video-aac.mp4", "bach.ogg", "jfk.flac"])
def test_real_recordings(corpus: Path, packets: Listed, decoded: Decoded, name: str) -> None:
    """Real files are split without loss: the same packets, or the same samples."""
    source = corpus / name
    with captoolkit.split(source, segment=1) as work:
        pieces = tuple(work)
        assert len(pieces) > 1
        assert tiles(pieces, source)
        if work.plan.action is Action.COPY:
            assert [one for piece in pieces for one in packets(piece.path)] == packets(source)
        else:
            assert b"".join(decoded(piece.path) for piece in pieces) == decoded(source)


@pytest.mark.parametrize("factor", [2, 3])
def test_wrong_packet_lengths_are_corrected_by_the_decode(
    convert: Convert, decoded: Decoded, sound: NDArray[np.float32], tmp_path: Path, factor: int
) -> None:
    """Pieces of a WMA whose packets jitter and state too short a sound last as long as stated."""
    master = write_wav(tmp_path / "master.wav", sound, rate_hz=RATE_HZ)
    options = ["-ac", "1", "-ar", "16000", "-c:a", "wmav2", "-b:a", "24k"]
    plain = convert(master, tmp_path / "plain.wma", options)
    jitter = ["-c", "copy", "-bsf:a", r"setts=ts=TS+mod(N\,3)*7"]
    path = convert(plain, tmp_path / "talk.wma", jitter)
    data = bytearray(path.read_bytes())
    # The format of the stream: WMA 2, one channel, 16 kHz, then the bytes of a second.
    at = data.index(bytes.fromhex("61010100803e0000")) + 8
    rate = int.from_bytes(data[at : at + 4], "little") * factor
    data[at : at + 4] = rate.to_bytes(4, "little")
    path.write_bytes(data)
    with captoolkit.split(path, parts=2) as prepared:
        pieces = [(one.source_span.duration_s, len(decoded(one.path)) / 64_000) for one in prepared]
    assert len(pieces) == 2
    assert all(abs(stated_s - held_s) < 0.1 for stated_s, held_s in pieces), pieces
    assert min(held_s for _, held_s in pieces) > 0.25 * LENGTH_S


def test_a_piece_that_decodes_to_another_length_is_refused(
    convert: Convert, sound: NDArray[np.float32], tmp_path: Path
) -> None:
    """Pieces of an Opus recording that drop a second each are refused with the way out."""
    master = write_wav(tmp_path / "master.wav", sound, rate_hz=RATE_HZ)
    options = ["-c:a", "libopus", "-ar", "48000", "-b:a", "32k"]
    path = convert(master, tmp_path / "talk.mka", options)
    data = path.read_bytes()
    at = data.index(b"OpusHead") + 10  # the samples that a decoder drops at the start
    delay = (312 * 1_000_000_000 // 48_000).to_bytes(3)
    assert data.count(delay) == 1
    data = data[:at] + (65_535).to_bytes(2, "little") + data[at + 2 :]
    longer = (65_535 * 1_000_000_000 // 48_000).to_bytes(4)
    path.write_bytes(data.replace(b"\x56\xaa\x83" + delay, b"\x56\xaa\x84" + longer))
    with (
        captoolkit.split(path, parts=2) as prepared,
        pytest.raises(LimitError, match=r"it decodes to .*exact=True"),
    ):
        list(prepared)
