from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from captoolkit.media import ffmpeg, ffmpeg_process, id3_chapters, tags
from captoolkit.media.id3_chapters import Id3Chapter
from captoolkit.media.probe_file import probe
from captoolkit.model import Chapter
from tests.support.sound import Convert

SAID = {"title": "One = two; # three", "artist": "Ålesund 夜 \\ back", "comment": "two\nlines"}
OPTIONS = [word for name, text in SAID.items() for word in ("-metadata", f"{name}={text}")]
CODECS = {
    "a.mp3": "libmp3lame",
    "a.m4a": "aac",
    "a.mka": "aac",
    "a.ogg": "libvorbis",
    "a.opus": "libopus",
    "a.flac": "flac",
    "a.wma": "wmav2",
    "a.wav": "pcm_s16le",
}


@pytest.mark.parametrize("name", CODECS)
def test_tags_are_read(stereo: Path, convert: Convert, tmp_path: Path, name: str) -> None:
    """Tags are the same in every container, on the file and on the track."""
    path = convert(stereo, tmp_path / name, ["-c:a", CODECS[name], *OPTIONS])
    info = probe(path)
    told = tags.read(info, info.default_track)
    assert told.tags == SAID
    assert told.chapters == ()


def test_chapters_are_read(stereo: Path, convert: Convert, tmp_path: Path) -> None:
    """Their beginnings are exact, and a title is one line."""
    listing = tmp_path / "chapters.txt"
    listing.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=3000\ntitle=Two\\\nlines\n"
    )
    path = tmp_path / "book.m4a"
    convert(stereo, path, ["-i", str(listing), "-map", "0:a", "-map_chapters", "1"])
    info = probe(path)
    assert tags.read(info, info.default_track).chapters == (
        Chapter(start_s=Fraction(0), title="One"),
        Chapter(start_s=Fraction(3, 2), title="Two lines"),
    )


def test_chapters_of_an_mp3_count_from_its_first_sample(
    stereo: Path, convert: Convert, tmp_path: Path
) -> None:
    """`probe` and `split` have the times that `embed` wrote, without the encoder's delay."""
    starts_s = (Fraction(0), Fraction(3, 2))
    path = tmp_path / "b.mp3"
    marks = [
        Id3Chapter(start_ms=int(1000 * start_s), end_ms=3000, title="a") for start_s in starts_s
    ]
    id3_chapters.write_chapters(
        convert(stereo, tmp_path / "a.mp3", ["-c:a", "libmp3lame"]), path, marks
    )
    info = probe(path)
    chapters = (info.chapters, tags.read(info, info.default_track).chapters)
    assert [tuple(one.start_s for one in each) for each in chapters] == [starts_s, starts_s]


def test_chapters_are_on_the_clock_of_the_track(
    stereo: Path, convert: Convert, tmp_path: Path
) -> None:
    """Where the sound begins later than the picture, its chapters begin so much earlier in it."""
    listing = tmp_path / "chapters.txt"
    listing.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=2000\nEND=4000\ntitle=Two\n"
    )
    late = ["-itsoffset", "0.5", "-i", str(stereo), "-i", str(listing), "-map", "0:a", "-map"]
    options = [*late, "1:a", "-map_chapters", "2", "-c:a", "flac"]
    info = probe(convert(stereo, tmp_path / "late.mkv", options))
    starts_s = [
        [float(one.start_s) for one in tags.read(info, track).chapters] for track in info.tracks
    ]
    assert starts_s == [[0.0, 2.0], [0.0, 1.5]]


def test_tags_are_written_as_they_were_read(stereo: Path, tmp_path: Path) -> None:
    """Tags of any content and length: no argument list could hold this."""
    said = SAID | {"copyright": "ends in \\", "genre": "a\\\\", "album": "# =;"}
    said |= {f"tag{number}": "x" * tags.MAX_TAG_CHARS for number in range(700)}
    listed = tags.write(said, tmp_path)
    made = tmp_path / "a.flac"
    node = tags.tagged(ffmpeg.source(stereo)["a:0"], listed, made, acodec="flac")
    with ffmpeg_process.Process(ffmpeg.compile_argv(node)) as process:
        process.finish()
    info = probe(made)
    assert tags.read(info, info.default_track).tags == said


def test_a_tag_that_is_left_out_is_told(stereo: Path, convert: Convert, tmp_path: Path) -> None:
    """A document among the tags is left out of the pieces, with a note."""
    words = ["-metadata", f"lyrics={'la ' * 2000}", "-metadata", "title=Song"]
    info = probe(convert(stereo, tmp_path / "a.flac", words))
    told = tags.read(info, info.default_track)
    assert told.tags == {"title": "Song"}
    assert told.notes == ("Its tag lyrics is longer than 4,000 characters and is left out.",)
