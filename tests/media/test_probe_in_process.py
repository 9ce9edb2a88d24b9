from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.media.probe_by_ffmpeg import probe_by_ffmpeg
from captoolkit.media.probe_in_process import probe_in_process
from tests.support.media_files import KINDS, Kind, MediaMaker
from tests.support.sound import noise

BY_NAME = {one.name: one for one in KINDS}
Made = Callable[[Kind], Path]


@pytest.mark.parametrize("one", KINDS, ids=BY_NAME)
def test_it_finds_the_same_as_ffmpeg(made: Made, one: Kind) -> None:
    """A file probed in process has the same values in every field."""
    path = made(one)
    size_bytes = path.stat().st_size
    found = probe_in_process(path, size_bytes=size_bytes)
    assert (found is not None) == one.in_process
    if found is not None:
        assert found == probe_by_ffmpeg(path, size_bytes=size_bytes)


SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


@settings(max_examples=25)
@given(
    shape=st.sampled_from([*itertools.product(("WAV", "WAVEX"), SUBTYPES), ("FLAC", "PCM_16")]),
    rate_hz=st.sampled_from((50, 8_000, 12_345, 44_100, 192_000)),
    channels=st.integers(1, 2),
    samples=st.one_of(st.integers(1, 50), st.integers(1, 100_000)),
    title=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
)
def test_it_finds_the_same_as_ffmpeg_at_any_length(
    bench: MediaMaker,
    shape: tuple[str, str],
    rate_hz: int,
    channels: int,
    samples: int,
    title: str,
) -> None:
    """Both probes give the same result for any shape and length."""
    path = bench.folder / "any-shape"
    with soundfile.SoundFile(
        str(path), "w", rate_hz, channels, format=shape[0], subtype=shape[1]
    ) as file:
        file.title = title
        file.write(noise(samples / rate_hz, rate_hz=rate_hz, channels=channels))
    size_bytes = path.stat().st_size
    found = probe_in_process(path, size_bytes=size_bytes)
    assert found == probe_by_ffmpeg(path, size_bytes=size_bytes)


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
    "thousands of chunks": wav(*[riff_chunk(b"JUNK", b"")] * 1000, FORMAT, DATA),
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
    """A WAV that may hold more than sound, or less than it states, is not probed in process."""
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
    """Both probes skip it, before the format and behind the sound, padded or not."""
    path = tmp_path / "talk.wav"
    silent = riff_chunk(name, bytes(size))
    for content in (wav(silent, FORMAT, DATA), wav(FORMAT, DATA, silent)):
        path.write_bytes(content)
        found = probe_in_process(path, size_bytes=len(content))
        assert found == probe_by_ffmpeg(path, size_bytes=len(content))
        assert found.default_track.duration_samples == 10_000


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
    "thousands of blocks": flac_block(1, b"") * 1000,
}


@pytest.mark.parametrize("block", ODD_FLACS.values(), ids=ODD_FLACS)
def test_an_unusual_flac_is_left_to_ffmpeg(made: Made, tmp_path: Path, block: bytes) -> None:
    """Chapters, and blocks that only ffmpeg can read, are not probed in process."""
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
    """Pictures are found as ffmpeg finds them; plain comments do not change the track."""
    whole = made(BY_NAME["stereo.flac"]).read_bytes()
    path = tmp_path / "talk.flac"
    path.write_bytes(whole[:42] + block + whole[42:])
    size_bytes = path.stat().st_size
    found = probe_in_process(path, size_bytes=size_bytes)
    assert found == probe_by_ffmpeg(path, size_bytes=size_bytes)


@pytest.mark.parametrize("length", [4, 7, 41, 42, 100])
def test_a_torn_flac_head_is_left_to_ffmpeg(made: Made, tmp_path: Path, length: int) -> None:
    """A FLAC that ends before its sound is not probed in process."""
    path = tmp_path / "talk.flac"
    path.write_bytes(made(BY_NAME["stereo.flac"]).read_bytes()[:length])
    assert probe_in_process(path, size_bytes=length) is None
