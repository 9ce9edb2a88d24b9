from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from captoolkit.errors import (
    InputError,
    NoAudioError,
    NotMediaError,
    SourceNotFoundError,
)
from captoolkit.media import decode
from captoolkit.media.probe_by_ffmpeg import probe_streams
from captoolkit.media.probe_file import choose_track, probe
from captoolkit.model import Chapter, MediaInfo, Picture, SubtitleTrack
from tests.support.paths import CORPUS, FIXTURES
from tests.support.processes import posix
from tests.support.sound import ODD_LENGTH_S, Convert, Count, noise, tone, write_wav
from tests.support.subtitled import make_subtitled

FAST = "-movflags +faststart"
SPEECH = "-ar 8000 -ac 1"
OPTIONS = {
    "16-bit.wav": "-c:a pcm_s16le",
    "24-bit.wav": "-c:a pcm_s24le",
    "adpcm.wav": "-c:a adpcm_ms",
    "ima.wav": "-c:a adpcm_ima_wav",
    "be.aiff": "",
    "be.caf": "",
    "stereo.flac": "",
    "cbr.mp3": "-b:a 128k",
    "vbr.mp3": "-q:a 5",
    "no-xing.mp3": "-q:a 5 -write_xing 0",
    "adts.aac": "-c:a aac",
    "vorbis.ogg": "-c:a libvorbis",
    "opus.ogg": "-c:a libopus",
    "aac.ts": "-c:a aac",
    "phone.amr": SPEECH,
    "vorbis.mka": "-c:a libvorbis",
    "front.m4a": f"-c:a aac {FAST}",
    "front-alac.m4a": f"-c:a alac {FAST}",
    "front.mp4": f"-c:a aac {FAST} -ar 22050 -ac 1",
    "front-mp3.mp4": f"-c:a libmp3lame {FAST}",
    "front-opus.mp4": f"-c:a libopus {FAST}",
    "front.mov": f"-c:a aac {FAST}",
}


def number_of_samples(path: Path) -> int:
    """The duration of the first track."""
    return probe(path).tracks[0].duration_samples


@pytest.mark.parametrize(
    ("name", "container"),
    [("front.m4a", "m4a"), ("vbr.mp3", "mp3"), ("stereo.flac", "flac"), ("vorbis.ogg", "ogg")],
)
def test_a_name_does_not_make_a_container(
    tmp_path: Path, stereo: Path, convert: Convert, name: str, container: str
) -> None:
    """A container is recognised by its bytes; a wrong suffix changes nothing."""
    path = convert(stereo, tmp_path / name, OPTIONS[name].split()).rename(tmp_path / "talk.wav")
    assert probe(path).container == container


def test_sound_that_begins_later_than_the_picture(
    tmp_path: Path, stereo: Path, ffmpeg: str, decoded_samples: Count
) -> None:
    """A delay in the header shifts the sound and does not change its duration."""
    path = tmp_path / "late.m4a"
    argv = [ffmpeg, "-v", "error", "-itsoffset", "1.5", "-i", str(stereo), "-c:a", "aac", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    assert number_of_samples(path) == decoded_samples(path)


# ---------------------------------------------------------------------- truncated files


@pytest.mark.parametrize("name", OPTIONS)
def test_a_truncated_file_has_the_duration_that_is_left(
    tmp_path: Path, stereo: Path, convert: Convert, decoded_samples: Count, name: str
) -> None:
    """A truncated file has the duration of its decode, not that of its header."""
    whole = convert(stereo, tmp_path / f"whole-{name}", OPTIONS[name].split()).read_bytes()
    torn = tmp_path / name
    for share in (0.9, 0.7501, 0.4):
        torn.write_bytes(whole[: int(len(whole) * share)])
        assert number_of_samples(torn) == decoded_samples(torn), share


def test_a_promise_is_compared_on_the_clock_of_the_sound(
    tmp_path: Path, stereo: Path, convert: Convert
) -> None:
    """A header that states the end of the sound is compared after its start is subtracted."""
    whole = convert(stereo, tmp_path / "talk.mka", ["-output_ts_offset", "100"])
    assert probe(whole).warnings == ()
    torn = tmp_path / "torn.mka"
    torn.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (warning,) = probe(torn).warnings
    promised, found = re.findall(r"[\d.]+(?= s)", warning)
    assert float(promised) == pytest.approx(ODD_LENGTH_S, abs=0.1)
    assert float(found) < 0.6 * ODD_LENGTH_S


@pytest.mark.parametrize("name", ["two.mp4", "two.mkv"])
def test_a_torn_file_of_several_tracks_is_warned_of(
    tmp_path: Path, stereo: Path, convert: Convert, name: str
) -> None:
    """Its header states the length of no track alone, and the size of the whole."""
    tracks = ["-map", "0", "-map", "0", "-c:a", "aac", "-movflags", "+faststart"]
    whole = convert(stereo, tmp_path / name, tracks)
    assert probe(whole).warnings == ()
    (torn := tmp_path / f"torn-{name}").write_bytes(whole.read_bytes()[:-5000])
    assert probe(torn).warnings == ("5,000 bytes that its header promises are missing.",)


@pytest.mark.parametrize("left_over", [0, 1, 3, 4, 5, 6, 20, 40, 60, 200])
def test_an_mp3_truncated_anywhere_in_a_frame(
    tmp_path: Path, stereo: Path, convert: Convert, decoded_samples: Count, left_over: int
) -> None:
    """A torn last frame counts exactly if a decoder returns its samples."""
    whole = convert(stereo, tmp_path / "whole.mp3", ["-b:a", "128k"]).read_bytes()
    frame = whole.index(b"\xff\xfb", 20_000)
    torn = tmp_path / "torn.mp3"
    torn.write_bytes(whole[: frame + left_over])
    assert number_of_samples(torn) == decoded_samples(torn)


@pytest.mark.parametrize("claim", [0, 400, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_wav_whose_header_was_never_finished(
    tmp_path: Path, stereo: Path, decoded_samples: Count, claim: int
) -> None:
    """A recorder that died leaves any size in the header; the result is ffmpeg's."""
    data = bytearray(stereo.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = claim.to_bytes(4, "little")
    path = tmp_path / "talk.wav"
    path.write_bytes(data)
    assert number_of_samples(path) == decoded_samples(path)


@pytest.mark.parametrize("extra", [b"x", b"LIST\x04\0\0\0INFO", b"TAG" + bytes(125)])
@pytest.mark.parametrize("name", ["16-bit.wav", "stereo.flac", "vbr.mp3", "adts.aac"])
def test_bytes_appended_to_a_file_are_no_sound(
    tmp_path: Path,
    stereo: Path,
    convert: Convert,
    decoded_samples: Count,
    name: str,
    extra: bytes,
) -> None:
    """Tags and junk behind the sound change the duration only if they change the decode."""
    path = convert(stereo, tmp_path / name, OPTIONS[name].split())
    path.write_bytes(path.read_bytes() + extra)
    assert number_of_samples(path) == decoded_samples(path)


@pytest.mark.parametrize("second", ["-ac 2", "-ac 1", "-ar 22050"])
def test_joined_mp3s(
    tmp_path: Path, stereo: Path, convert: Convert, decoded_samples: Count, second: str
) -> None:
    """Joined MP3s have their total duration, although the first tag counts only its own."""
    parts = [
        convert(stereo, tmp_path / "1.mp3"),
        convert(stereo, tmp_path / "2.mp3", ["-t", "1.7", *second.split()]),
    ]
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert number_of_samples(joined) == decoded_samples(joined)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("talk.m4a", "-c:a aac"),
        ("talk.mov", "-c:a aac -ar 22050"),
        ("talk.m4a", "-c:a alac"),
        ("talk.mp4", "-c:a libopus"),
    ],
)
@pytest.mark.parametrize("how", ["two", "looped"])
def test_joined_mp4s(
    tmp_path: Path,
    stereo: Path,
    convert: Convert,
    decoded_samples: Count,
    ffmpeg: str,
    name: str,
    options: str,
    how: str,
) -> None:
    """A hole between two joined MP4s is no sound, and causes no warning."""
    part = convert(stereo, tmp_path / f"part-{name}", options.split())
    other = convert(stereo, tmp_path / f"other-{name}", ["-t", "1.7", *options.split()])
    listing = tmp_path / "list.txt"
    listing.write_text(f"file '{part.name}'\nfile '{other.name}'\n")
    joined = tmp_path / f"joined-{name}"
    read = {"two": f"-f concat -i {listing}", "looped": f"-stream_loop 5 -i {part}"}[how]
    argv = [ffmpeg, "-v", "error", *read.split(), "-c", "copy", str(joined)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    info = probe(joined)
    assert info.default_track.duration_samples == decoded_samples(joined)
    assert not info.warnings


# ------------------------------------------------------------------ tracks and pictures


def test_tracks_have_languages_and_one_is_the_default(
    tmp_path: Path, stereo: Path, ffmpeg: str
) -> None:
    """Tracks are numbered from 1 in file order; `und` is no language."""
    path = tmp_path / "film.mkv"
    argv = f"-v error -f lavfi -i color=s=64x48:r=5:d=1 -i {stereo} -map 0:v -map 1:a -map 1:a"
    argv += " -map 1:a -t 1 -c:v mpeg4 -c:a:0 aac -c:a:1 ac3 -ac:a:1 1 -c:a:2 flac"
    argv += " -metadata:s:a:0 language=deu -metadata:s:a:1 language=zh-Hant"
    argv += " -metadata:s:a:2 language=und"
    argv += " -disposition:a:0 0 -disposition:a:1 default -disposition:a:2 0"
    subprocess.run([ffmpeg, *argv.split(), str(path)], check=True, stdin=subprocess.DEVNULL)

    info = probe(path)

    assert [(t.number, t.stream_index, t.codec, t.channels) for t in info.tracks] == [
        (1, 1, "aac", 2),
        (2, 2, "ac3", 1),
        (3, 3, "flac", 2),
    ]
    assert [track.language for track in info.tracks] == ["deu", "zh-Hant", None]
    assert [track.default for track in info.tracks] == [False, True, False]
    assert info.default_track.number == 2
    assert info.pictures == (Picture(stream_index=0, codec="mpeg4", is_cover=False),)


def test_a_track_is_chosen_by_number_or_language(fixtures: Path) -> None:
    """A track is chosen by number or language; None chooses the default track."""
    info = probe(fixtures / "two-languages.mp4")
    options: list[tuple[str | int | None, int]] = [
        (None, 1), (1, 1), ("2", 2), ("zho", 2), ("ENG", 1)
    ]  # fmt: skip
    assert [choose_track(info, wish).number for wish, _ in options] == [n for _, n in options]


@pytest.mark.parametrize("wish", [0, 3, "fra", "", "-1"])
def test_a_missing_track_is_refused(fixtures: Path, wish: str | int) -> None:
    """The error lists the existing tracks."""
    info = probe(fixtures / "two-languages.mp4")
    with pytest.raises(NoAudioError, match=r"choose from 1 \(eng\), 2 \(zho\)"):
        choose_track(info, wish)


def test_a_text_that_is_named_flac_is_no_question_of_tracks(tmp_path: Path) -> None:
    """The demuxer goes by the ending and finds a track of no rate; the fix is about the file."""
    path = tmp_path / "report.flac"
    path.write_text('{"input": "long.flac", "status": "done"}\n' * 5)
    with pytest.raises(NoAudioError, match=r"cannot be decoded; check that the file is complete"):
        probe(path)


@pytest.mark.parametrize("fault", ["unknown codec", "no sound"])
def test_a_track_that_cannot_be_decoded_is_left_out(
    tmp_path: Path, stereo: Path, ffmpeg: str, fault: str
) -> None:
    """One bad track leaves the others usable, with a warning."""
    path = tmp_path / "film.mkv"
    argv = f"-v error -i {stereo} -map 0 -map 0 -c:a aac"
    argv += " -filter:a:0 atrim=end=0" if fault == "no sound" else ""
    subprocess.run([ffmpeg, *argv.split(), str(path)], check=True, stdin=subprocess.DEVNULL)
    if fault == "unknown codec":
        path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_XYZ", 1))

    info = probe(path)

    assert [track.number for track in info.tracks] == [2]
    assert info.default_track.stream_index == 1
    assert [warning.startswith("Sound track 1 is left out: ") for warning in info.warnings] == [
        True
    ]


def test_the_number_of_tracks_is_limited(tmp_path: Path, ffmpeg: str) -> None:
    """Of a file with more tracks only the first 64 are read, with a warning."""
    source = write_wav(tmp_path / "talk.wav", tone(0.1, rate_hz=8_000), rate_hz=8_000)
    path = tmp_path / "many.mka"
    maps = ["-map", "0:a"] * 66
    argv = [ffmpeg, "-v", "error", "-i", str(source), *maps, "-c", "copy", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    info = probe(path)
    assert [track.number for track in info.tracks] == list(range(1, 65))
    assert info.warnings == ("Of 66 sound tracks only the first 64 are read.",)


@pytest.mark.parametrize(("name", "codec"), [("film.mp4", "mov_text"), ("film.mkv", "subrip")])
def test_subtitle_tracks_and_chapters_are_listed(
    tmp_path: Path, ffmpeg: str, name: str, codec: str
) -> None:
    """Each has what the container states; a title is one line, and no stream."""
    info = probe(make_subtitled(tmp_path / name, ffmpeg))
    assert len(info.tracks) == 1
    assert info.subtitles == (
        SubtitleTrack(number=1, stream_index=1, codec=codec, language="eng", is_default=True),
        SubtitleTrack(number=2, stream_index=2, codec=codec, language="deu", is_forced=True),
    )
    assert info.chapters == (
        Chapter(
            start_s=Fraction(0),
            end_s=Fraction(3, 2),
            title="One: a Stream #0:9: Audio: mp3, 8000 Hz",
        ),
        Chapter(start_s=Fraction(3, 2), end_s=Fraction(2), title=""),
    )


def test_cover_art_is_no_film(fixtures: Path) -> None:
    """A cover is distinguished from a video track."""
    assert probe(fixtures / "cover-art.mp3").pictures == (
        Picture(stream_index=1, codec="png", is_cover=True),
    )


@pytest.mark.parametrize(
    "tag", ["title", "comment", "artist", "encoder", "lyrics-eng\n  Stream #0:8"]
)
@pytest.mark.parametrize("name", ["talk.mka", "talk.mp3", "talk.m4a", "talk.ogg", "talk.flac"])
def test_a_tag_cannot_fake_a_track(
    tmp_path: Path, stereo: Path, convert: Convert, name: str, tag: str
) -> None:
    """Line breaks and stream lines in a tag add no track."""
    fake = "x\n  Stream #0:9: Audio: mp3, 8000 Hz, mono, s16, 64 kb/s (default)\r\nInput #0, wav"
    path = convert(stereo, tmp_path / name, ["-metadata", f"{tag}={fake}"])

    info = probe(path)

    assert [track.stream_index for track in info.tracks] == [0]
    assert info.tracks[0].sample_rate_hz == 44_100


RESHAPED = "Reconfiguring filter graph because audio parameters changed to"


@pytest.mark.parametrize(
    "fake",
    [
        f"{RESHAPED} 8000 Hz, mono, flt",
        f"x\n[af#0:0 @ 0x5] [info] {RESHAPED} 8000 Hz, mono, flt",
        "[error] Error during demuxing: x",
        "x\n[in#0 @ 0x5] [error] Error during demuxing: x",
    ],
)
def test_a_tag_cannot_fake_a_warning(
    tmp_path: Path, stereo: Path, convert: Convert, fake: str
) -> None:
    """A tag that imitates ffmpeg's log causes no warning."""
    path = convert(stereo, tmp_path / "talk.mka", ["-metadata", f"title={fake}"])
    assert probe(path).warnings == ()


@pytest.mark.parametrize("name", ["talk.mka", "talk.ogg"])
def test_a_language_cannot_fake_a_track(
    tmp_path: Path, stereo: Path, convert: Convert, name: str
) -> None:
    """A language may be any text in some containers; it adds no track."""
    fake = "x\n  Stream #0:9: Audio: mp3, 8000 Hz, mono, s16, 64 kb/s (default)"
    path = convert(stereo, tmp_path / name, ["-metadata:s:a:0", f"language={fake}"])
    try:
        tracks = probe(path).tracks
    except InputError:
        tracks = ()
    assert {track.stream_index for track in tracks} <= {0}


@posix
def test_a_file_name_cannot_fake_a_track(tmp_path: Path, stereo: Path) -> None:
    """A file name with line breaks and a stream line adds no track."""
    fake = "x\n  Duration: 00:00:09.00, start: 0\n  Stream #0:9: Audio: mp3, 8000 Hz, mono\n.wav"
    path = tmp_path / fake
    path.write_bytes(stereo.read_bytes())

    assert [(t.stream_index, t.codec) for t in probe(path).tracks] == [(0, "pcm_s16le")]


@posix
def test_a_file_name_cannot_make_media_of_a_text(tmp_path: Path) -> None:
    """A text whose name imitates ffmpeg's output is no media."""
    fake = "x\nInput #0, wav, from 'y':\n  Duration: N\n  Stream #0:0: Audio: mp3, 8000 Hz, mono\n"
    (tmp_path / fake).write_text("nothing but words\n" * 100)
    with pytest.raises(InputError):
        probe(tmp_path / fake)


# ---------------------------------------------------------------------------- no sound


def test_a_film_without_sound_says_so(fixtures: Path) -> None:
    """A film without sound raises NoAudioError, not NotMediaError."""
    with pytest.raises(NoAudioError, match="only pictures"):
        probe(fixtures / "video-without-sound.mp4")


def test_a_wav_without_samples_has_no_sound(tmp_path: Path) -> None:
    """A WAV header alone raises NoAudioError."""
    path = tmp_path / "nothing.wav"
    soundfile.write(str(path), np.zeros((0, 1), np.float32), 8_000)
    with pytest.raises(NoAudioError, match="holds no sound"):
        probe(path)


def pcm_wav(path: Path, *, rate_hz: int, channels: int) -> Path:
    """Write a short WAV of silence with any values in its header."""
    sound = bytes(2 * channels * 100)
    shape = struct.pack(
        "<HHIIHH", 1, channels, rate_hz, rate_hz * channels * 2 % 2**32, channels * 2, 16
    )
    chunks = b"WAVEfmt \x10\0\0\0" + shape + b"data" + struct.pack("<I", len(sound)) + sound
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    return path


@pytest.mark.parametrize(
    ("rate_hz", "channels", "told"),
    [
        (50_000_000, 2, "has 50,000,000 samples a second, more than the 3,000,000"),
        (50_000_000, 5, "has 50,000,000 samples a second"),
        (2_000_000_000, 1, "has 2,000,000,000 samples a second"),
        (3_000_001, 1, "has 3,000,001 samples a second"),
        (16_000, 65, "has 65 channels, more than the 64"),
        (16_000, 1_000, "has 1,000 channels"),
        (3_000_000, 64, "has 64 channels of 3,000,000 samples a second, more than the 24,576,000"),
    ],
)
def test_a_header_that_asks_for_too_much_is_refused(
    tmp_path: Path, rate_hz: int, channels: int, told: str
) -> None:
    """A header with impossible values is refused before anything is decoded."""
    path = pcm_wav(tmp_path / "talk.wav", rate_hz=rate_hz, channels=channels)
    with pytest.raises(NoAudioError, match=told):
        probe(path)


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(2_822_400, 2), (1_411_200, 2), (384_000, 64), (8_000, 64)]
)
def test_much_is_not_too_much(tmp_path: Path, rate_hz: int, channels: int) -> None:
    """Decoded DSD and the largest microphone arrays are accepted."""
    path = pcm_wav(tmp_path / "talk.wav", rate_hz=rate_hz, channels=channels)
    track = probe(path).default_track
    assert (track.sample_rate_hz, track.channels) == (rate_hz, channels)


@pytest.mark.parametrize("content", ["nothing but words\n" * 50, "RIFF", "ID3", "<html></html>"])
def test_a_file_that_is_no_media_is_refused(tmp_path: Path, content: str) -> None:
    """Texts and fragments with a media suffix raise NotMediaError."""
    path = tmp_path / "talk.mp3"
    path.write_text(content)
    with pytest.raises(NotMediaError) as caught:
        probe(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile talk.m4a\n",
        "1\n00:00:01,000 --> 00:00:02,000\nHello.\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
)
def test_a_playlist_is_refused(tmp_path: Path, content: str) -> None:
    """The error names the kind of file, and not ffmpeg's list of demuxers."""
    path = tmp_path / "talk.mp3"
    path.write_text(content)
    with pytest.raises(NotMediaError) as caught:
        probe(path)
    assert "(a playlist, a script, subtitles or a picture)" in caught.value.problem
    assert len(caught.value.problem) < 100


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """The error says that the file is empty, not damaged."""
    (tmp_path / "talk.wav").touch()
    with pytest.raises(NotMediaError, match="the file is empty"):
        probe(tmp_path / "talk.wav")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A missing file raises SourceNotFoundError with its absolute path."""
    with pytest.raises(SourceNotFoundError, match="no such file") as caught:
        probe(tmp_path / "talk.wav")
    assert caught.value.path == str(tmp_path / "talk.wav")


def test_a_dangling_link_is_refused(tmp_path: Path) -> None:
    """A dangling link counts as a missing file."""
    (tmp_path / "talk.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(SourceNotFoundError, match="no such file"):
        probe(tmp_path / "talk.wav")


def test_a_link_is_followed(tmp_path: Path, stereo: Path) -> None:
    """A link to a recording is probed under the link's name."""
    (tmp_path / "talk.wav").symlink_to(stereo)
    assert probe(tmp_path / "talk.wav").path == str(tmp_path / "talk.wav")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """The error about a folder advises to give its files."""
    with pytest.raises(InputError, match="it is a folder; give the files in it"):
        probe(tmp_path)


@posix
@pytest.mark.parametrize("with_writer", [False, True])
def test_a_pipe_in_the_file_system_is_refused_at_once(tmp_path: Path, with_writer: bool) -> None:
    """A FIFO is refused without waiting for its writer."""
    path = tmp_path / "talk.wav"
    os.mkfifo(path)
    caught: list[Exception] = []

    def look() -> None:
        try:
            probe(path)
        except InputError as error:
            caught.append(error)

    held = os.open(path, os.O_RDWR) if with_writer else None
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(10)
    if held is not None:
        os.close(held)
    assert [str(error) for error in caught] == ["it is not a regular file; copy it to a file first"]


@posix
def test_a_device_is_refused() -> None:
    """A device, which never ends, is refused."""
    with pytest.raises(InputError, match="not a regular file"):
        probe("/dev/zero")


@posix
def test_an_unreadable_file_is_refused(tmp_path: Path, stereo: Path) -> None:
    """The error about a missing permission differs from that about a missing file."""
    path = tmp_path / "talk.wav"
    path.write_bytes(stereo.read_bytes())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(SourceNotFoundError, match="check its permissions"):
        probe(path)


@posix
@pytest.mark.parametrize("trouble", ["loop", "name too long", "below a file"])
def test_a_path_that_the_system_refuses_is_refused(
    tmp_path: Path, stereo: Path, trouble: str
) -> None:
    """Any error of the system becomes a SourceNotFoundError with its reason."""
    path = tmp_path / "talk.wav"
    if trouble == "loop":
        path.symlink_to(path)
    elif trouble == "name too long":
        path = tmp_path / ("x" * 300)
    else:
        path = stereo / "talk.wav"
    with pytest.raises(SourceNotFoundError, match="it cannot be read"):
        probe(path)


# ------------------------------------------------------------------------- known files


def truths() -> list[str]:
    """List the generated fixtures that hold sound."""
    return sorted(
        path.relative_to(FIXTURES).as_posix().removesuffix(".json")
        for path in FIXTURES.rglob("*.json")
        if json.loads(path.read_text(encoding="utf-8")).get("tracks")
    )


def described(info: MediaInfo) -> dict[str, object]:
    """Return a probe's result in the form of the fixtures' descriptions."""
    fields = ["number", "stream_index", "codec", "sample_rate_hz", "channels"]
    fields += ["language", "default", "duration_samples"]
    return {
        "container": info.container,
        "tracks": [{name: getattr(track, name) for name in fields} for track in info.tracks],
        "pictures": [
            {"stream_index": one.stream_index, "codec": one.codec, "is_cover": one.is_cover}
            for one in info.pictures
        ],
    }


@pytest.mark.parametrize("name", truths())
def test_the_fixtures_are_what_they_were_made_as(fixtures: Path, name: str) -> None:
    """The probe of every generated fixture equals its description."""
    truth = json.loads((fixtures / f"{name}.json").read_text(encoding="utf-8"))
    for track in truth["tracks"]:
        del track["duration_from"]
    expected = {part: truth[part] for part in ("container", "tracks", "pictures")}
    assert described(probe(fixtures / name)) == expected


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name", sorted(path.name for path in CORPUS.glob("*.*") if path.suffix != ".md")
)
def test_real_recordings_last_as_long_as_their_decode(
    corpus: Path, decoded_samples: Count, name: str
) -> None:
    """Real recordings have exactly the duration of their decode."""
    assert number_of_samples(corpus / name) == decoded_samples(corpus / name)


@pytest.mark.parametrize("layout", ["3.0", "quad", "5.1", "7.1"])
def test_channels_are_read_from_the_layout(tmp_path: Path, ffmpeg: str, layout: str) -> None:
    """A surround layout gives its number of channels."""
    wide = {"3.0": 3, "quad": 4, "5.1": 6, "7.1": 8}[layout]
    source = write_wav(tmp_path / "mono.wav", tone(0.5, rate_hz=16_000), rate_hz=16_000)
    path = tmp_path / "wide.flac"
    argv = f"-v error -i {source} -af aformat=channel_layouts={layout} {path}"
    subprocess.run([ffmpeg, *argv.split()], check=True, stdin=subprocess.DEVNULL)
    track = probe(path).default_track
    assert (track.channels, track.layout.partition("(")[0]) == (wide, layout)


def test_channels_without_places_are_counted(tmp_path: Path) -> None:
    """Channels without a layout, as of a microphone array, are counted."""
    path = tmp_path / "array.wav"
    soundfile.write(str(path), noise(0.2, rate_hz=16_000, channels=5), 16_000, format="WAV")
    assert probe(path).default_track.channels == 5


def test_ambisonic_channels_are_counted(tmp_path: Path, ffmpeg: str) -> None:
    """First-order ambisonic sound has four channels and its own duration."""
    path = tmp_path / "room.opus"
    layout = ["-f", "s16le", "-ar", "48000", "-ch_layout", "ambisonic 1", "-i", "pipe:0"]
    argv = [ffmpeg, "-v", "error", *layout, "-c:a", "libopus", "-mapping_family", "2", str(path)]
    subprocess.run(argv, input=bytes(2 * 4 * 48_000), check=True)
    (track,) = probe(path).tracks
    assert track.channels == 4
    assert track.duration_samples == 48_000
    with decode.TrackDecoder(path, track=track, mix=[[0.25] * 4]) as decoder:
        assert sum(len(block) for block in decoder) == 48_000


def test_a_file_with_ten_thousand_chapters_is_read(tmp_path: Path, convert: Convert) -> None:
    """Ffmpeg prints more than a megabyte about the chapters before it lists the streams."""
    title = "title=" + 60 * "a" + "\n"
    chapters = (
        f"[CHAPTER]\nTIMEBASE=1/10000\nSTART={at}\nEND={at + 1}\n{title}" for at in range(10_000)
    )
    listed = tmp_path / "chapters.txt"
    listed.write_text(f";FFMETADATA1\n{''.join(chapters)}")
    sound = write_wav(tmp_path / "a.wav", noise(1, rate_hz=8000), rate_hz=8000)
    options = ["-i", str(listed), "-map", "0:a", "-map_chapters", "1", "-c", "copy"]
    found = probe_streams(convert(sound, tmp_path / "a.mka", options))
    assert (found.container, found.has_chapters, len(found.streams)) == ("matroska", True, 1)
