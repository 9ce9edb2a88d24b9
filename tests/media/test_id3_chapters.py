"""Chapters in ID3 tags, read by mutagen, and the bytes that stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mutagen.id3 import ID3

from captoolkit.bitstream.id3 import id3v2_bytes
from captoolkit.media.id3_chapters import (
    Id3Chapter,
    frames_not_carried,
    read_chapters,
    write_chapters,
)
from tests.support.embedded import add_rare_frames

CHAPTERS = [
    Id3Chapter(start_ms=0, end_ms=1000, title="雨声。"),
    Id3Chapter(start_ms=1000, end_ms=3_000_000, title="A \\ = ; dog"),
]
read: Any = ID3


def behind_tag(path: Path) -> bytes:
    """Return the bytes behind the ID3v2 tag."""
    data = path.read_bytes()
    return data[id3v2_bytes(data[:10]) :]


@pytest.mark.parametrize("version", [3, 4])
def test_every_other_frame_keeps_its_bytes(version: int, fixtures: Path, tmp_path: Path) -> None:
    """Rare frames, a second artist, the sound and the ID3v1 tag stay; the chapters are added."""
    source, out = tmp_path / "a.mp3", tmp_path / "b.mp3"
    source.write_bytes((fixtures / "cover-art.mp3").read_bytes())
    add_rare_frames(source, version=version)
    assert write_chapters(source, out, CHAPTERS) == []
    before, after = read(source, translate=False), read(out, translate=False)
    assert after.version == (2, version, 0)
    assert {name: after[name] for name in before} == dict(before)
    assert sorted(set(after) - set(before)) == ["CHAP:ch0", "CHAP:ch1", "CTOC:toc"]
    assert behind_tag(out) == behind_tag(source)
    assert read_chapters(out) == CHAPTERS


def test_new_chapters_replace_the_old(fixtures: Path, tmp_path: Path) -> None:
    """A tag has no chapters of an earlier run."""
    first, second = tmp_path / "a.mp3", tmp_path / "b.mp3"
    write_chapters(fixtures / "cover-art.mp3", first, CHAPTERS)
    write_chapters(first, second, CHAPTERS[:1])
    assert read_chapters(second) == CHAPTERS[:1]
    assert len(read(second).getall("CTOC")[0].child_element_ids) == 1


def test_a_file_without_a_tag_gets_one(fixtures: Path, tmp_path: Path) -> None:
    """The tag is ID3v2.3, and the sound follows it."""
    source = tmp_path / "a.mp3"
    source.write_bytes(behind_tag(fixtures / "cover-art.mp3"))
    write_chapters(source, tmp_path / "b.mp3", CHAPTERS)
    assert read(tmp_path / "b.mp3").version == (2, 3, 0)
    assert behind_tag(tmp_path / "b.mp3") == source.read_bytes()


def test_an_old_tag_is_rewritten_with_a_note(fixtures: Path, tmp_path: Path) -> None:
    """ID3v2.2 has no chapters, so that its frames become those of ID3v2.3."""
    source, out = tmp_path / "a.mp3", tmp_path / "b.mp3"
    frame = b"TT2" + (7).to_bytes(3, "big") + b"\0Night!"
    head = b"ID3\2\0\0" + bytes([0, 0, 0, len(frame)])
    source.write_bytes(head + frame + behind_tag(fixtures / "cover-art.mp3"))
    assert write_chapters(source, out, CHAPTERS) == [
        "Its ID3 tag was rewritten as ID3v2.3, with all its frames."
    ]
    assert str(read(out)["TIT2"]) == "Night!"
    assert behind_tag(out) == behind_tag(source)
    assert read_chapters(out) == CHAPTERS


def test_frames_that_other_containers_lack_are_named(fixtures: Path, tmp_path: Path) -> None:
    """Ffmpeg carries texts, lyrics and covers, but only the first artist."""
    source = tmp_path / "a.mp3"
    source.write_bytes((fixtures / "cover-art.mp3").read_bytes())
    assert frames_not_carried(source) == []
    add_rare_frames(source, version=4)
    assert frames_not_carried(source) == [
        "GEOB",
        "POPM",
        "SYLT",
        "UFID",
        "WXXX",
        "further values of TPE1",
    ]
