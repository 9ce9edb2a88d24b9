from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.frame_files import (
    APE,
    ID3V1,
    Listing,
    Made,
    contents,
    id3v2,
    indexed,
    packets_of,
    written,
)


@pytest.mark.parametrize("extension", ["mp3", "aac"])
@pytest.mark.parametrize(
    "front",
    [b"", id3v2(0), id3v2(300_000), id3v2(5) + id3v2(200), id3v2(7, footer=True)],
    ids=["none", "empty", "long", "two", "footer"],
)
@pytest.mark.parametrize("tail", [b"", ID3V1, APE, APE + ID3V1], ids=["", "id3v1", "ape", "both"])
def test_tags_are_no_frames(
    tmp_path: Path, made: Made, listing: Listing, extension: str, front: bytes, tail: bytes
) -> None:
    """Tags before and after the sound are skipped, as by ffmpeg, and are no junk."""
    sound = made(extension, "-ar 44100 -id3v2_version 0" if extension == "mp3" else "")
    path = written(tmp_path / "talk", front, sound, tail)
    assert packets_of(path) == listing(path)
    assert (indexed(path).id3_bytes, indexed(path).junk_bytes) == (len(front), 0)


@pytest.mark.parametrize("extension", ["mp3", "aac"])
@pytest.mark.parametrize("letters", [b"TAG", b"ID3", b"ID3\4\0\0\0\x7f\x7f\x7f", b"APETAGEX"])
def test_bytes_that_only_begin_like_a_tag_are_junk(
    tmp_path: Path, made: Made, extension: str, letters: bytes
) -> None:
    """A tag needs more than its first letters, and a size that the file has."""
    path = written(tmp_path / "talk", made(extension, "-ar 44100"))
    parts = contents(path, indexed(path))
    written(path, *parts[:9], letters, *parts[9:])
    assert contents(path, indexed(path)) == parts
    assert indexed(path).junk_bytes == len(letters)
