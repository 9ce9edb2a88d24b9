from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from captoolkit.bitstream.pcm_layout import PcmLayout, read_layout, sample_bytes
from captoolkit.errors import NotMediaError
from scripts import compare_headers
from scripts.compare_headers import Kind, fmt, packed, truth, verdict, wav

KINDS = tuple(compare_headers.kinds())
# Kinds of which no reader can know the samples.
LIES = ("states PCM",)
REFUSED = ("low bytes in", "24 low bits", "block of 32", "float 16,")
LEFT_TO_FFMPEG = ("ambisonic", "CAF ulaw", "CAF alaw")
LAWS = ("alaw", "mulaw")  # the formulas stand in `compare_headers`; ffmpeg decodes them


def name_of(kind: Kind) -> str:
    """The kind as a test's name."""
    return kind.name


def samples(data: bytes, layout: PcmLayout) -> NDArray[np.float64]:
    """Return the samples at the place that a layout gives, by numpy alone."""
    raw = data[layout.start_bytes : layout.start_bytes + layout.size_bytes]
    name, width = layout.codec.removeprefix("pcm_"), sample_bytes(layout.codec)
    order = ">" if name.endswith("be") else "<"
    if name.startswith("f"):
        found = np.frombuffer(raw, f"{order}f{width}").astype(np.float64)
    elif name == "u8":
        found = np.frombuffer(raw, np.uint8) / 128.0 - 1
    else:
        octets = np.frombuffer(raw, np.uint8).reshape(-1, width)
        octets = octets if order == ">" else octets[:, ::-1]
        wide = np.pad(octets, ((0, 0), (0, 4 - width))).copy()
        found = np.frombuffer(wide.tobytes(), ">i4") / 2.0**31
    return found.reshape(-1, layout.channels)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_samples_are_where_the_layout_says(kind: Kind) -> None:
    """Under every header the samples at the layout's place are the known ones."""
    if any(words in kind.name for words in REFUSED):
        with pytest.raises(NotMediaError):
            read_layout(io.BytesIO(kind.data))
        return
    layout = read_layout(io.BytesIO(kind.data))
    if any(words in kind.name for words in LEFT_TO_FFMPEG):
        assert layout is None
        return
    assert layout is not None
    assert (layout.rate_hz, layout.channels) == (compare_headers.RATE_HZ, kind.channels)
    assert layout.frames == len(truth(kind.channels))
    if not layout.codec.endswith(LAWS) and not any(words in kind.name for words in LIES):
        assert verdict(samples(kind.data, layout), kind.channels) == "right"


def layout_of(data: bytes) -> PcmLayout:
    """Return the layout of a file that must have one."""
    layout = read_layout(io.BytesIO(data))
    assert layout is not None
    return layout


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("riff_bytes", "data_bytes", "is_true"),
    [(None, None, True), (0, 0, False), (2**32 - 1, 2**32 - 1, False), (1234, None, False)],
)
def test_true_sizes_are_known(
    channels: int, riff_bytes: int | None, data_bytes: int | None, is_true: bool
) -> None:
    """A header states true sizes only if both are those of the file."""
    shape, sound = fmt(1, 16, 2 * channels, channels), packed(truth(channels), 16, 2)
    made = wav(shape, sound, riff_bytes=riff_bytes, data_bytes=data_bytes)
    layout = layout_of(made)
    assert layout.has_true_sizes is is_true
    assert layout.size_bytes == len(sound)
    assert not layout.is_wrapped


@pytest.mark.parametrize(
    "behind",
    [
        np.random.default_rng(1).bytes(40_000),
        b"A text that some program has left here, and that is no sound at all. " * 500,
    ],
    ids=["random", "text"],
)
def test_other_bytes_behind_the_stated_end_are_no_sound(behind: bytes) -> None:
    """Bytes that do not continue the sound stay unread, and their number is known."""
    sound = packed(truth(1), 16, 2)
    made = wav(fmt(1, 16, 2, 1), sound, behind=behind)
    layout = layout_of(made)
    assert (layout.size_bytes, layout.unread_bytes) == (len(sound), len(behind))
    assert not layout.has_true_sizes


def chunk(name: bytes, size: int) -> bytes:
    """Return a chunk of smooth bytes, which would pass for sound."""
    content = packed(truth(1), 16, 2) * 2
    return name + struct.pack("<I", size) + content[:size] + bytes(size % 2)


BEHIND = {
    "smpl": chunk(b"smpl", 36_000),
    "LIST": chunk(b"LIST", 100),
    "odd": chunk(b"id3 ", 99_999),
    "two": chunk(b"cue ", 28) + chunk(b"ABCD", 4_000),
    "large": chunk(b"PEAK", 120_000) + chunk(b"LIST", 26),
}


@pytest.mark.parametrize("name", BEHIND)
@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF])
def test_chunks_without_samples_are_no_sound(name: str, stated: int) -> None:
    """Chunks that fill the rest of the file behind an empty `data` chunk hold no samples."""
    made = wav(fmt(1, 16, 2, 1), b"", data_bytes=stated, behind=BEHIND[name])
    layout = layout_of(made)
    assert (layout.frames, layout.unread_bytes) == (0, 0)


def test_second_chunk_of_samples_is_read() -> None:
    """An empty `data` chunk before the one with the samples changes nothing."""
    sound = packed(truth(1), 16, 2)
    behind = b"data" + struct.pack("<I", len(sound)) + sound
    made = wav(fmt(1, 16, 2, 1), b"", behind=behind)
    layout = layout_of(made)
    assert made[layout.start_bytes :][: layout.size_bytes] == sound
    assert layout.is_misread_as("pcm_s16le")


@pytest.mark.parametrize("name", [*list(BEHIND)[:2], "two"])
def test_chunks_behind_sound_of_unknown_size_are_no_sound(name: str) -> None:
    """Chunks that end with the file are left out, under any name, and where names occur before."""
    sound = packed(truth(1), 16, 2) + b"LIST" + packed(truth(1), 16, 2)[:2000]
    for stated in (0, 0xFFFFFFFF):
        made = wav(fmt(1, 16, 2, 1), sound, data_bytes=stated, behind=BEHIND[name])
        layout = layout_of(made)
        assert layout.size_bytes == len(sound)
        assert layout.has_other_chunks


@pytest.mark.parametrize("count", [1, 2, 4, 8, 9])
def test_last_samples_are_no_padding(count: int) -> None:
    """Very short sound of an unknown size is sound, and not the padding behind chunks."""
    made = wav(fmt(1, 16, 2, 1), b"\x41\x42" * count, data_bytes=0)
    assert layout_of(made).frames == count


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_sound_behind_the_stated_end_is_read(share: float) -> None:
    """Samples that go on behind the stated end belong to the sound."""
    sound = packed(truth(2), 16, 2)
    stated = int(len(sound) * share) // 4 * 4
    made = wav(fmt(1, 16, 4, 2), sound, riff_bytes=stated + 36, data_bytes=stated)
    layout = layout_of(made)
    assert (layout.size_bytes, layout.unread_bytes) == (len(sound), 0)
    assert layout.is_misread_as("pcm_s16le")


@pytest.mark.parametrize("rounds", [1, 2])
def test_size_that_wrapped_is_the_size_of_the_file(tmp_path: Path, rounds: int) -> None:
    """A WAV beyond 4 GiB, the size of which wrapped, is read to its end."""
    path, size = tmp_path / "long.wav", rounds * 2**32 + 96_000
    header = wav(fmt(1, 16, 2, 1), b"", riff_bytes=size + 36, data_bytes=size)
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(len(header) + size)
    with path.open("rb") as stream:
        layout = read_layout(stream)
    assert layout is not None
    assert layout.is_wrapped
    assert layout.size_bytes == size


def test_large_tags_behind_a_size_that_wrapped_are_no_sound(tmp_path: Path) -> None:
    """The size that wrapped tells where the sound ends, however large the tags behind it are."""
    path, size = tmp_path / "long.wav", 2**32 + 96_000
    header = wav(fmt(1, 16, 2, 1), b"", riff_bytes=size + 36, data_bytes=size)
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(len(header) + size)
        stream.seek(0, 2)
        stream.write(BEHIND["large"])
    with path.open("rb") as stream:
        layout = read_layout(stream)
    assert layout is not None
    assert (layout.size_bytes, layout.unread_bytes) == (size, 0)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.channels == 1], ids=name_of)
def test_torn_headers_are_no_fault(kind: Kind) -> None:
    """A file that ends within its header has no layout, or a refusal in words."""
    for length in range(0, 120, 7):
        try:
            layout = read_layout(io.BytesIO(kind.data[:length]))
        except NotMediaError:
            continue
        assert layout is None or layout.size_bytes <= length


@pytest.mark.parametrize("stated", [(1 << 63) - 1, (1 << 64) - 1])
def test_chunk_larger_than_any_file_is_no_fault(stated: int) -> None:
    """A size that no file has ends the search for samples in W64 and CAF."""
    w64 = b"riff" + bytes(36) + b"junk" + bytes(12) + struct.pack("<Q", stated)
    caf = b"caff\x00\x01\x00\x00" + b"free" + struct.pack(">Q", stated)
    for data in (w64 + bytes(64), caf + bytes(64)):
        assert read_layout(io.BytesIO(data)) is None
