"""A timeline inside a media file, found there by ffmpeg and mutagen, and all the rest untouched."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mutagen
import pytest
import srt
import webvtt
from mutagen.id3 import ID3

import captoolkit
from captoolkit.bitstream.containers import captioned_containers
from captoolkit.errors import (
    InputError,
    NotMediaError,
    OutputError,
    OutputExistsError,
    SourceNotFoundError,
    ToolError,
    UsageError,
)
from captoolkit.media import ffmpeg as tool
from captoolkit.media import ffmpeg_process, probe_by_ffmpeg, probe_file
from captoolkit.model import CaptionerInfo, Entry, SourceInfo, Span, Status
from captoolkit.timeline import Timeline, save
from tests.support import timelines
from tests.support.captions import NASTY
from tests.support.processes import posix, script

Convert = Callable[[Path, Path, Sequence[str]], Path]
Packets = Callable[[Path, str], str]
Header = Callable[[Path], str]

read_id3: Callable[[Path], Any] = ID3  # mutagen has no types

TEXTS = ("A dog barks.\n\nQ&A <b>loud</b> {x} C:\\new", "雨声。“滴答” = ; # \\", "")


def timeline_of(duration_samples: int, *, rate_hz: int = 44_100, track: int = 1) -> Timeline:
    """Return a timeline of a caption, another one and a failure, with equal durations."""
    edges = [duration_samples * part // 3 for part in range(4)]
    entries = tuple(
        Entry(
            index=number + 1,
            source_span=Span(
                start_samples=edges[number], end_samples=edges[number + 1], rate_hz=rate_hz
            ),
            status=Status.OK if text else Status.FAILED,
            text=text,
            error=None if text else "timed out",
        )
        for number, text in enumerate(TEXTS)
    )
    source = SourceInfo(
        path="/in/a.flac",
        sha256="",
        size_bytes=1,
        container="flac",
        codec="flac",
        sample_rate_hz=rate_hz,
        channels=1,
        track=track,
        duration_samples=duration_samples,
    )
    return Timeline(source=source, captioner=CaptionerInfo(name="a", model="a"), entries=entries)


@pytest.fixture
def packets(ffmpeg: str) -> Packets:
    """Return a function that hashes every packet of some streams, without tags and times."""

    def read(path: Path, streams: str) -> str:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", streams, "-c", "copy"]
        done = subprocess.run(
            [*argv, "-f", "streamhash", "-hash", "sha256", "-"],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    return read


@pytest.fixture
def header(ffmpeg: str) -> Header:
    """Return a function that returns ffmpeg's description of a file."""

    def read(path: Path) -> str:
        argv = [ffmpeg, "-hide_banner", "-i", str(path)]
        return subprocess.run(argv, capture_output=True, check=False).stderr.decode()

    return read


@pytest.fixture
def subtitles(ffmpeg: str) -> Callable[[Path, str], str]:
    """Return a function that extracts the last subtitle track of a file, as SRT or WebVTT."""

    def read(path: Path, form: str) -> str:
        argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:s:0", "-f", form]
        argv += ["-c", "copy", "-"] if form == "webvtt" else ["-"]
        return subprocess.run(argv, check=True, capture_output=True).stdout.decode()

    return read


def chapters_in(text: str) -> list[tuple[float, float]]:
    """The start and end of each chapter in ffmpeg's description."""
    found = re.findall(r"Chapter #0:\d+: start ([\d.]+), end ([\d.]+)", text)
    return [(float(start), float(end)) for start, end in found]


SOUNDS = {
    ".m4a": ["-c:a", "aac"],
    ".m4b": ["-c:a", "aac"],
    ".mka": ["-c:a", "flac"],
    ".webm": ["-c:a", "libopus"],
    ".mp3": ["-c:a", "libmp3lame"],
}


@pytest.mark.parametrize("suffix", [f".{suffix}" for suffix in captioned_containers()])
def test_every_container_gets_chapters_and_subtitles_and_keeps_its_streams(
    suffix: str,
    fixtures: Path,
    convert: Convert,
    packets: Packets,
    header: Header,
    tmp_path: Path,
) -> None:
    """The packets of each stream have the same hash, in the same order, and the tags are kept."""
    tags = ["-metadata", "title=Night; = # harbour", "-metadata", "artist=夜"]
    source, options = fixtures / "tones-and-silences.wav", SOUNDS.get(suffix)
    if options is None:
        source, options = fixtures / "two-languages.mp4", ["-map", "0", "-c", "copy"]
    media = convert(source, tmp_path / f"in{suffix}", [*options, *tags])
    before = media.read_bytes()
    length = probe_file.probe(media).tracks[0]
    timeline = timeline_of(length.duration_samples, rate_hz=length.sample_rate_hz)
    made = captoolkit.embed(media, timeline, out=tmp_path / f"out{suffix}")

    assert media.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"in{suffix}", f"out{suffix}"]
    for kind in ("0:a", "0:v?") if suffix != ".mp3" else ("0:a",):
        if kind == "0:a" or "Video" in header(media):
            assert packets(made.path, kind) == packets(media, kind)
    told = header(made.path)
    assert [round(end, 2) for _, end in chapters_in(told)] == [
        pytest.approx(entry.source_span.end_s, abs=0.02) for entry in timeline.entries
    ]
    assert made.chapters == 3
    assert "Night; = # harbour" in told
    assert "夜" in told
    assert ("Subtitle: " in told) == (made.subtitles is not None)
    assert made.subtitles is None or f"Subtitle: {made.subtitles}" in told
    assert "Captions" in told or made.subtitles is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_the_subtitles_are_the_captions_at_their_times(
    suffix: str,
    fixtures: Path,
    convert: Convert,
    subtitles: Callable[[Path, str], str],
    tmp_path: Path,
) -> None:
    """Subtitles extracted by ffmpeg have the captions' text and times, markup included."""
    if suffix == ".webm":
        options = ["-c:a", "libopus"]
        media = convert(fixtures / "tones-and-silences.wav", tmp_path / "in.webm", options)
    else:
        media = fixtures / "two-languages.mp4"
    timeline = timeline_of(3 * 44_100)
    made = captoolkit.embed(media, timeline, out=tmp_path / f"out{suffix}")
    if suffix == ".webm":
        cues = webvtt.from_string(subtitles(made.path, "webvtt"), strict=True).captions
        times = [cue.start_time.in_milliseconds() for cue in cues]
        said = [cue.raw_text for cue in cues]
        assert "&lt;b&gt;loud" in said[0]
    else:
        parsed = list(srt.parse(subtitles(made.path, "srt")))
        times = [round(cue.start.total_seconds() * 1000) for cue in parsed]
        said = [cue.content for cue in parsed]
        assert "Q&A ＜b>loud＜/b> ｛x｝ C:＼new" in said[0]
    # In Matroska ffmpeg puts Opus a few milliseconds late, and all that is muxed with it.
    late_ms = 20 if suffix == ".webm" else 0
    assert times == [pytest.approx(time, abs=late_ms) for time in (0, 1000, 2000)]
    assert "雨声。“滴答” = ; #" in said[1]
    assert said[2] == "[no caption: timed out]"


def test_mp3_chapters_are_id3_frames_beside_tags_and_cover(
    fixtures: Path, tmp_path: Path, packets: Packets
) -> None:
    """Mutagen reads the chapters in milliseconds, and the cover of the source."""
    source = fixtures / "cover-art.mp3"
    made = captoolkit.embed(source, timeline_of(3 * 44_100), out=tmp_path / "out.mp3")
    tags = read_id3(made.path)
    frames = sorted(tags.getall("CHAP"), key=lambda frame: frame.start_time)
    assert [(frame.start_time, frame.end_time) for frame in frames] == [
        (0, 1000),
        (1000, 2000),
        (2000, 3000),
    ]
    assert frames[1].sub_frames["TIT2"].text == ["雨声。“滴答” = ; # \\"]
    assert tags.getall("APIC")[0].data == read_id3(source).getall("APIC")[0].data
    assert packets(made.path, "0") == packets(source, "0")
    assert made.subtitles is None
    assert any("chapters only" in note for note in made.notes)


def test_decoded_sound_is_the_same_to_the_sample(
    fixtures: Path, tmp_path: Path, decoded_samples: Callable[[Path], int]
) -> None:
    """The new file decodes to the same samples: no delay and no padding is added."""
    for name, suffix in [("cover-art.mp3", ".mp3"), ("two-languages.mp4", ".mp4")]:
        made = captoolkit.embed(
            fixtures / name, timeline_of(3 * 44_100), out=tmp_path / f"out{suffix}"
        )
        assert decoded_samples(made.path) == decoded_samples(fixtures / name)


def test_a_cameras_timecode_comes_along_or_is_told(
    fixtures: Path, convert: Convert, header: Header, tmp_path: Path
) -> None:
    """MOV keeps a data stream; for Matroska, which cannot hold it, a note reports it."""
    options = ["-map", "0", "-c", "copy", "-timecode", "01:00:00:00"]
    media = convert(fixtures / "two-languages.mp4", tmp_path / "camera.mov", options)
    assert [stream.kind for stream in probe_by_ffmpeg.probe_streams(media).streams] == [
        "Video",
        "Audio",
        "Audio",
        "Data",
    ]
    assert len(probe_file.probe(media).tracks) == 2
    kept = captoolkit.embed(media, timeline_of(5 * 44_100), out=tmp_path / "out.mov")
    assert header(kept.path).count("timecode ") == header(media).count("timecode ")
    moved = captoolkit.embed(media, timeline_of(5 * 44_100), out=tmp_path / "out.mkv")
    assert "The container cannot hold 1 data stream." in moved.notes


@pytest.mark.parametrize("suffix", [".m4a", ".mka"])
def test_cover_art_stays_cover_art(
    suffix: str, fixtures: Path, convert: Convert, header: Header, packets: Packets, tmp_path: Path
) -> None:
    """A cover stays a cover in Matroska too, where a copied one would become a video."""
    options = ["-map", "0", "-c:a", "aac", "-c:v", "copy", "-disposition:v", "attached_pic"]
    cover = convert(fixtures / "cover-art.mp3", tmp_path / "cover.m4a", options)
    made = captoolkit.embed(cover, timeline_of(3 * 44_100), out=tmp_path / f"out{suffix}")
    assert header(made.path).count("(attached pic)") == 1
    assert packets(made.path, "0:v") == packets(cover, "0:v")
    again = captoolkit.embed(made.path, timeline_of(3 * 44_100), out=tmp_path / f"again{suffix}")
    assert header(again.path).count("(attached pic)") == 1
    assert packets(again.path, "0:v") == packets(cover, "0:v")


def test_chapters_are_replaced_and_subtitles_added(
    fixtures: Path, header: Header, tmp_path: Path
) -> None:
    """A second timeline adds a subtitle track and replaces the chapters, with a note."""
    first = captoolkit.embed(
        fixtures / "two-languages.mp4", timeline_of(5 * 44_100), out=tmp_path / "1.mp4"
    )
    one = timeline_of(5 * 44_100).slice(0, 1)
    second = captoolkit.embed(first.path, one, out=tmp_path / "2.mp4")
    assert "Its own chapters were replaced." in second.notes
    assert "Its own chapters were replaced." not in first.notes
    told = header(second.path)
    assert chapters_in(told) == [(0.0, 1.0)]
    assert told.count("Subtitle: mov_text") == 2


def test_a_track_that_begins_late_has_its_captions_late(
    ffmpeg: str,
    fixtures: Path,
    header: Header,
    subtitles: Callable[[Path, str], str],
    tmp_path: Path,
) -> None:
    """Times move from the clock of the sound track to that of the container."""
    media, source = tmp_path / "late.mkv", str(fixtures / "two-languages.mp4")
    argv = [ffmpeg, "-v", "error", "-i", source, "-itsoffset", "0.7", "-i", source]
    maps = ["-map", "0:v", "-map", "0:a:0", "-map", "1:a:0", "-c", "copy", str(media)]
    subprocess.run([*argv, *maps], check=True, stdin=subprocess.DEVNULL)
    line = timeline_of(3 * 44_100)
    late = replace(line, source=replace(line.source, track=2))
    for timeline, start_s in [(line, 0.0), (late, 0.7)]:
        made = captoolkit.embed(media, timeline, out=tmp_path / f"out{start_s}.mkv")
        cue = next(iter(srt.parse(subtitles(made.path, "srt"))))
        assert cue.start.total_seconds() == pytest.approx(start_s, abs=0.002)
        assert chapters_in(header(made.path))[0][0] == pytest.approx(start_s, abs=0.002)


def test_chapters_of_a_cut_film_stay_with_its_subtitles(
    ffmpeg: str,
    fixtures: Path,
    header: Header,
    subtitles: Callable[[Path, str], str],
    tmp_path: Path,
) -> None:
    """An edit list hides the beginning of a film; Matroska has none, so everything moves."""
    media, start = tmp_path / "cut.mp4", ["-ss", "0.5", "-i", str(fixtures / "two-languages.mp4")]
    argv = [ffmpeg, "-v", "error", *start, "-map", "0:v", "-map", "0:a:0", "-c", "copy"]
    subprocess.run([*argv, str(media)], check=True, stdin=subprocess.DEVNULL)
    made = captoolkit.embed(media, timeline_of(3 * 44_100), out=tmp_path / "cut.mkv")
    cue = next(iter(srt.parse(subtitles(made.path, "srt"))))
    assert cue.start.total_seconds() > 0.3
    assert chapters_in(header(made.path))[0][0] == pytest.approx(
        cue.start.total_seconds(), abs=0.002
    )


@posix
def test_copying_may_last_longer_than_a_stall(
    ffmpeg: str, stereo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that prints nothing for minutes is not stopped."""
    slow = script(
        tmp_path / "slow",
        f"exec {shlex.quote(sys.executable)} -c '",
        "import os, sys",
        f'words = ["{ffmpeg}", "-readrate", "3", *sys.argv[1:]]',
        'words[-2:-2] = ["-flush_packets", "1"] if words[-1] == "-y" else []',
        'os.execv(words[0], words)\' "$@"',
    )
    monkeypatch.setenv(tool.ENVIRONMENT_VARIABLE, str(slow))
    assert tool.find().path == str(slow)
    monkeypatch.setattr(ffmpeg_process, "STALL_S", 0.7)
    made = captoolkit.embed(stereo, timeline_of(round(3.217 * 44_100)), out=tmp_path / "out.mov")
    assert made.path.stat().st_size > stereo.stat().st_size


@pytest.fixture(scope="module")
def two_hours(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of silence as AAC."""
    path = tmp_path_factory.mktemp("long") / "long.m4a"
    argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "7200"]
    subprocess.run([*argv, "-b:a", "8k", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.mark.parametrize("suffix", [".m4a", ".mp4", ".mka"])
def test_segments_as_long_as_services_take_keep_their_times(
    suffix: str, ffmpeg: str, header: Header, two_hours: Path, tmp_path: Path
) -> None:
    """Subtitles and chapters of 40 minutes keep their times, against ffmpeg's default clocks."""
    timeline = timeline_of(7200 * 8000, rate_hz=8000)
    made = captoolkit.embed(two_hours, timeline, out=tmp_path / f"out{suffix}")
    told = header(made.path)
    assert "chapter track not found" not in told
    assert chapters_in(told) == [(0.0, 2400.0), (2400.0, 4800.0), (4800.0, 7200.0)]
    argv = [ffmpeg, "-v", "error", "-i", str(made.path), "-map", "0:s", "-f", "srt", "-"]
    text = subprocess.run(argv, check=True, capture_output=True).stdout.decode()
    times = [(cue.start.total_seconds(), cue.end.total_seconds()) for cue in srt.parse(text)]
    assert times == [(0, 2400), (2400, 4800), (4800, 7200)]


def test_sentences_can_be_spread(
    fixtures: Path, subtitles: Callable[[Path, str], str], tmp_path: Path
) -> None:
    """With `spread` each sentence is a subtitle, and each segment stays one chapter."""
    made = captoolkit.embed(
        fixtures / "two-languages.mp4",
        timeline_of(5 * 44_100),
        out=tmp_path / "out.mkv",
        spread=True,
    )
    assert len(list(srt.parse(subtitles(made.path, "srt")))) > 3
    assert made.chapters == 3
    assert any("in proportion" in note for note in made.notes)


def test_a_timeline_may_be_a_file(fixtures: Path, tmp_path: Path) -> None:
    """`embed` reads the timeline from a path."""
    save(timeline_of(3 * 44_100), tmp_path / "t.json")
    made = captoolkit.embed(
        fixtures / "cover-art.mp3", tmp_path / "t.json", out=str(tmp_path / "out.MP3")
    )
    assert mutagen.File(made.path) is not None


def test_one_entry_is_one_subtitle(
    fixtures: Path, subtitles: Callable[[Path, str], str], tmp_path: Path
) -> None:
    """A timeline of one entry loses nothing in any container."""
    timeline = timeline_of(5 * 44_100)
    timeline = replace(timeline, entries=timeline.entries[:1])
    for suffix in (".mp4", ".mkv"):
        made = captoolkit.embed(
            fixtures / "two-languages.mp4", timeline, out=tmp_path / f"out{suffix}", language="zho"
        )
        (cue,) = srt.parse(subtitles(made.path, "srt"))
        assert cue.end.total_seconds() == pytest.approx(5 / 3, abs=0.002)
        streams = probe_by_ffmpeg.probe_streams(made.path)
        assert sum(stream.kind == "Subtitle" for stream in streams.streams) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_captions_may_begin_late(suffix: str, fixtures: Path, tmp_path: Path) -> None:
    """An MP4 gets a chapter for the time before the first caption; other containers none."""
    timeline = timeline_of(5 * 44_100)
    timeline = replace(timeline, entries=timeline.entries[1:], notes=("see [CHAPTER] 1",))
    made = captoolkit.embed(fixtures / "two-languages.mp4", timeline, out=tmp_path / f"out{suffix}")
    titles = [chapter.title for chapter in probe_file.probe(made.path).chapters]
    has_first = suffix != ".mkv"
    assert titles[:-2] == ["[no caption]"] * has_first
    assert made.chapters == len(titles) == 2 + has_first
    assert any("begin at 0:00" in note for note in made.notes) == has_first


@pytest.mark.parametrize("suffix", [".m4a", ".mka", ".webm"])
def test_difficult_captions_are_whole(
    suffix: str,
    fixtures: Path,
    convert: Convert,
    subtitles: Callable[[Path, str], str],
    tmp_path: Path,
) -> None:
    """Markup, control characters and words of 20,000 letters lose nothing in the read-back."""
    media = convert(fixtures / "tones-and-silences.wav", tmp_path / f"in{suffix}", SOUNDS[suffix])
    timeline = timelines.timeline_of(*NASTY.values())
    made = captoolkit.embed(media, timeline, out=tmp_path / f"out{suffix}")
    text = subtitles(made.path, "webvtt" if suffix == ".webm" else "srt")
    assert text.count(" --> ") == len(NASTY)
    assert "".join(text.split()).count("x" * 20_000) == 1


def losing_ffmpeg(folder: Path, ffmpeg: str) -> Path:
    """Make a program that is ffmpeg, but loses the last subtitle of an SRT file."""
    return script(
        folder / "losing",
        f"exec {shlex.quote(sys.executable)} -c '",
        "import os, pathlib, sys",
        "words = []",
        "for word in sys.argv[1:]:",
        '    path = pathlib.Path(word.removeprefix("file:"))',
        '    if path.name == "timeline.srt":',
        '        blocks = path.read_text().rstrip("\\n").split("\\n\\n")',
        '        path = path.with_name("shorter.srt")',
        '        path.write_text("\\n\\n".join(blocks[:-1]) + "\\n")',
        '        word = "file:" + str(path)',
        "    words.append(word)",
        f'os.execv("{ffmpeg}", ["{ffmpeg}", *words])\' "$@"',
    )


@posix
def test_a_lost_caption_is_repaired_or_an_error(
    ffmpeg: str, fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ffmpeg that loses the last caption makes a whole MP4, and no MKV at all."""
    media = fixtures / "two-languages.mp4"
    monkeypatch.setenv(tool.ENVIRONMENT_VARIABLE, str(losing_ffmpeg(tmp_path, ffmpeg)))
    captoolkit.embed(media, timeline_of(5 * 44_100), out=tmp_path / "out.mp4")
    with pytest.raises(ToolError, match="the subtitle track has 2 captions, not 3"):
        captoolkit.embed(media, timeline_of(5 * 44_100), out=tmp_path / "out.mkv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["losing", "out.mp4"]


def test_subtitles_are_converted_and_fonts_are_named(
    ffmpeg: str, fixtures: Path, header: Header, tmp_path: Path
) -> None:
    """MP4 to MKV and back: the old subtitles stay, and a font that an MP4 lacks is named."""
    timeline = timeline_of(5 * 44_100)
    first = captoolkit.embed(fixtures / "two-languages.mp4", timeline, out=tmp_path / "1.mp4")
    second = captoolkit.embed(first.path, timeline, out=tmp_path / "2.mkv")
    assert any("Stream 3 (subtitle, mov_text) was converted to subrip" in n for n in second.notes)
    assert header(second.path).count("Subtitle: subrip") == 2
    font, attached = tmp_path / "a.ttf", tmp_path / "3.mkv"
    font.write_bytes(b"\0\1\0\0" + bytes(100))
    argv = [ffmpeg, "-v", "error", "-i", str(second.path), "-map", "0", "-c", "copy"]
    argv += ["-attach", str(font), "-metadata:s:t", "mimetype=font/ttf", str(attached)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    third = captoolkit.embed(attached, timeline, out=tmp_path / "4.mp4")
    assert header(third.path).count("Subtitle: mov_text") == 3
    assert any("(attachment" in note and "left out" in note for note in third.notes)


def test_a_phones_tags_and_rotation_are_kept(
    ffmpeg: str, fixtures: Path, header: Header, tmp_path: Path
) -> None:
    """Make and place in QuickTime's keys survive in MP4, MOV and MKV, and so does the rotation."""
    media = tmp_path / "phone.mov"
    argv = [ffmpeg, "-v", "error", "-display_rotation", "90"]
    argv += ["-i", str(fixtures / "two-languages.mp4"), "-map", "0", "-c", "copy"]
    argv += ["-movflags", "use_metadata_tags", "-metadata", "com.apple.quicktime.make=Apple"]
    argv += ["-metadata", "com.apple.quicktime.location.ISO6709=+52.5+013.4/", str(media)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    for suffix in (".mp4", ".mov", ".mkv"):
        made = captoolkit.embed(media, timeline_of(5 * 44_100), out=tmp_path / f"out{suffix}")
        text = header(made.path).lower()
        assert "com.apple.quicktime.make" in text
        assert "+52.5+013.4/" in text
        assert "rotation of 90.00" in text or any("rotation" in note for note in made.notes)


def test_a_cut_off_file_is_named(fixtures: Path, tmp_path: Path) -> None:
    """A part of an MKV makes a file with its sound, and a note on its end."""
    whole = captoolkit.embed(
        fixtures / "two-languages.mp4", timeline_of(5 * 44_100), out=tmp_path / "whole.mkv"
    )
    data = whole.path.read_bytes()
    part = tmp_path / "part.mkv"
    part.write_bytes(data[: len(data) // 2])
    made = captoolkit.embed(part, timeline_of(5 * 44_100), out=tmp_path / "out.mkv")
    assert any("The media file is cut off" in note for note in made.notes)


# ------------------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize("language", ["zh", "Chinese", "ZHO", "", "zh "])
def test_a_language_has_three_letters(language: str, fixtures: Path, tmp_path: Path) -> None:
    """Containers hold codes of ISO 639-2."""
    with pytest.raises(UsageError, match="must have three small letters"):
        captoolkit.embed(
            fixtures / "cover-art.mp3", timeline_of(9), out=tmp_path / "o.mp3", language=language
        )


@pytest.mark.parametrize("name", ["out.wav", "out.flac", "out", "out.srt"])
def test_a_container_that_holds_neither_is_refused_before_any_work(
    name: str, fixtures: Path, tmp_path: Path
) -> None:
    """The error names the endings of the containers that carry a timeline."""
    with pytest.raises(UsageError, match=r"no container for subtitles or chapters; .*\.mkv"):
        captoolkit.embed(fixtures / "cover-art.mp3", timeline_of(44_100), out=tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unless_asked_and_an_input_never(
    fixtures: Path, tmp_path: Path
) -> None:
    """An existing file needs `overwrite`, and an input is never replaced."""
    media = tmp_path / "a.mp3"
    media.write_bytes((fixtures / "cover-art.mp3").read_bytes())
    before = media.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="is an input"):
            captoolkit.embed(media, timeline_of(44_100), out=media, overwrite=overwrite)
    there = tmp_path / "there.mp3"
    there.write_bytes(b"kept")
    with pytest.raises(OutputExistsError):
        captoolkit.embed(media, timeline_of(44_100), out=there)
    assert (media.read_bytes(), there.read_bytes()) == (before, b"kept")
    captoolkit.embed(media, timeline_of(44_100), out=there, overwrite=True)
    assert probe_file.probe(there).tracks


def test_what_the_container_cannot_hold_leaves_nothing_behind(
    fixtures: Path, tmp_path: Path
) -> None:
    """A video in an MP3 or H.264 in a WebM is an error that names another container."""
    for suffix in (".mp3", ".webm"):
        with pytest.raises(InputError, match=rf"^{suffix} files cannot hold .*end in \.mp4"):
            captoolkit.embed(
                fixtures / "two-languages.mp4", timeline_of(44_100), out=tmp_path / f"out{suffix}"
            )
    assert list(tmp_path.iterdir()) == []


def test_a_caption_too_long_for_the_container_is_refused_whole(
    fixtures: Path, tmp_path: Path
) -> None:
    """A mov_text sample holds 65,535 bytes; Matroska or `spread` hold a longer caption."""
    line = timeline_of(5 * 44_100)
    long = replace(line.entries[0], text="It rains and rains. " * 4000)
    line = replace(line, entries=(long, *line.entries[1:]))
    media = fixtures / "two-languages.mp4"
    with pytest.raises(UsageError, match=r"entry 1 .* 79,999 bytes .*spread=True"):
        captoolkit.embed(media, line, out=tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []
    captoolkit.embed(media, line, out=tmp_path / "out.mkv")
    captoolkit.embed(media, line, out=tmp_path / "out.mp4", spread=True)


@pytest.mark.parametrize("entries", [255, 256])
def test_an_mp3_gets_no_more_chapters_than_it_counts(
    stereo: Path, convert: Convert, tmp_path: Path, entries: int
) -> None:
    """An MP3's table of contents counts chapters in one byte, so 256 are an error."""
    media, line = convert(stereo, tmp_path / "a.mp3", []), timeline_of(entries * 400)
    spans = [
        Span(start_samples=400 * one, end_samples=400 * (one + 1), rate_hz=44_100)
        for one in range(entries)
    ]
    parts = [
        replace(line.entries[0], index=number, source_span=span)
        for number, span in enumerate(spans, start=1)
    ]
    line = replace(line, entries=tuple(parts))
    made = tmp_path / "out.mp3"
    if entries > 255:
        with pytest.raises(UsageError, match=r"MP3 files hold 255 chapters.* 256 entries; make an"):
            captoolkit.embed(media, line, out=made)
        assert not made.exists()
        return
    captoolkit.embed(media, line, out=made)
    assert len(read_id3(made).getall("CTOC")[0].child_element_ids) == entries


def test_the_chapter_before_the_first_caption_counts_in_the_short_list(
    fixtures: Path, tmp_path: Path
) -> None:
    """255 captions that begin late are 256 chapters, and some players list 255."""
    line = timeline_of(5 * 44_100)
    parts = tuple(
        replace(
            line.entries[0],
            index=one,
            source_span=Span(
                start_samples=700 * (9 + one), end_samples=700 * (10 + one), rate_hz=44_100
            ),
        )
        for one in range(1, 256)
    )
    made = captoolkit.embed(
        fixtures / "two-languages.mp4", replace(line, entries=parts), out=tmp_path / "out.mp4"
    )
    assert made.chapters == 256
    assert "Some players list only the first 255 chapters." in made.notes


def test_a_timeline_of_another_length_is_told(fixtures: Path, tmp_path: Path) -> None:
    """A note reports that the timeline may belong to another recording."""
    made = captoolkit.embed(
        fixtures / "cover-art.mp3", timeline_of(60 * 44_100), out=tmp_path / "out.mp3"
    )
    assert any("may not belong together" in note for note in made.notes)


@pytest.mark.parametrize(
    ("name", "error"), [("none.mp3", SourceNotFoundError), ("not-media.wav", NotMediaError)]
)
def test_what_is_no_media_is_the_inputs_fault(
    name: str, error: type[InputError], fixtures: Path, tmp_path: Path
) -> None:
    """A file without media is an `InputError`."""
    with pytest.raises(error):
        captoolkit.embed(fixtures / name, timeline_of(44_100), out=tmp_path / "out.mkv")
    assert list(tmp_path.iterdir()) == []
