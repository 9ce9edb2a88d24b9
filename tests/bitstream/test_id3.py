from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit.media.probe_file import probe
from tests.support.frame_files import (
    APE,
    ID3V1,
    TAILS,
    Listing,
    Made,
    ape_frame,
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


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
@pytest.mark.parametrize("options", ["", "-write_xing 0"], ids=["lame", "bare"])
def test_no_byte_behind_the_last_frame_is_sound(
    tmp_path: Path, made: Made, options: str, tail: bytes
) -> None:
    """Tags, padding and junk behind the sound change neither its frames nor its length."""
    sound = made("mp3", f"-ar 44100 -id3v2_version 0 {options}")
    clean, path = written(tmp_path / "clean", sound), written(tmp_path / "talk", sound, tail)
    assert contents(path, indexed(path)) == contents(clean, indexed(clean))
    assert (indexed(path).junk_bytes, indexed(path).tail_bytes) == (0, len(tail))
    info = probe(path)
    assert info.default_track.duration_samples == probe(clean).default_track.duration_samples
    assert info.warnings == ()


@pytest.mark.parametrize("size", [0, 5, 31, 4_000, 1 << 31])
def test_a_footer_with_a_wrong_size_hides_no_frame(tmp_path: Path, made: Made, size: int) -> None:
    """A size that points into the sound, or before the file, moves no frame out of the index."""
    path = written(tmp_path / "talk", made("mp3", "-ar 44100"))
    parts = contents(path, indexed(path))
    footer = bytearray(ape_frame(0))
    footer[12:16] = size.to_bytes(4, "little")
    written(path, *parts, bytes(footer))
    assert contents(path, indexed(path)) == parts
