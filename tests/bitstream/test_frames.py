from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.bitstream import frames
from captoolkit.bitstream.frames import FrameIndex
from captoolkit.media.frame_index import read_frame_index
from tests.support.frame_files import (
    APE,
    ID3V1,
    Listing,
    Made,
    checked,
    contents,
    id3v2,
    indexed,
    packets_of,
    patched,
    written,
)
from tests.support.sound import starts


@pytest.mark.parametrize("extension", ["mp3", "aac"])
def test_frames_with_and_without_a_checksum_are_one_stream(
    tmp_path: Path, made: Made, listing: Listing, extension: str
) -> None:
    """The checksum bit may change from frame to frame."""
    path = written(tmp_path / "talk", made(extension, "-ar 44100"))
    data, places = path.read_bytes(), starts(indexed(path)).tolist()
    for start in places[::2]:
        data = patched(data, start + 1, data[start + 1] & 0xFE)
    written(path, data)
    assert starts(indexed(path)).tolist() == places
    assert packets_of(path) == listing(path)


@pytest.mark.parametrize("extension", ["mp3", "aac"])
@pytest.mark.parametrize("front", [b"\0", bytes(2_000), b"<html>" * 30, b"\xff\xe0 \xff\xec"])
def test_junk_in_front_is_skipped(
    tmp_path: Path, made: Made, listing: Listing, extension: str, front: bytes
) -> None:
    """The index begins at the first frame, wherever that is."""
    sound = made(extension, "-ar 44100" + " -write_xing 0" * (extension == "mp3"))
    path = written(tmp_path / "talk", front, sound[sound.index(b"\xff") :])
    assert packets_of(path) == listing(path)
    assert (indexed(path).junk_bytes, starts(indexed(path))[0]) == (len(front), len(front))


JUNK = {
    "zeros": bytes(700),
    "few bytes": b"0123456789",
    "text": b"a line of text\n" * 9,
    "tag": id3v2(300),
    "tail tags": APE + ID3V1,
    "both": b"LYRICSBEGIN" + ID3V1 + id3v2(20),
}


@pytest.mark.parametrize("extension", ["mp3", "aac"])
@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_between_frames_is_skipped(
    tmp_path: Path, made: Made, listing: Listing, extension: str, junk: bytes
) -> None:
    """The frames stay the same; ffmpeg lists as many packets, with the junk in front of some."""
    path = written(tmp_path / "talk", made(extension, "-ar 44100"))
    parts = contents(path, indexed(path))
    head = path.read_bytes()[: starts(indexed(path))[0]]
    written(path, head, *parts[:30], junk, *parts[30:32], junk, *parts[32:])
    assert contents(path, indexed(path)) == parts
    expected = [checked(part) for part in parts]
    if extension == "mp3":
        expected[30], expected[32] = checked(junk + parts[30]), checked(junk + parts[32])
    assert listing(path) == expected


@pytest.mark.parametrize("extension", ["mp3", "aac"])
def test_joined_files_are_one_stream(
    tmp_path: Path, made: Made, listing: Listing, extension: str
) -> None:
    """The second file's information frame counts as sound, as it does in ffmpeg."""
    one = made(extension, "-ar 44100")
    path = written(tmp_path / "talk", one, one)
    index = indexed(path)
    assert starts(index).size == len(listing(path))
    assert contents(path, index)[: starts(index).size // 2] == contents(
        path, indexed(written(tmp_path / "one", one))
    )
    assert index.junk_bytes == 0


@pytest.mark.parametrize(
    ("extension", "options"), [("mp3", ""), ("aac", ""), ("amr", "-ar 8000 -ac 1")]
)
@pytest.mark.parametrize("missing_bytes", [1, 5, 9])
def test_a_torn_frame_is_left_out(
    tmp_path: Path, made: Made, listing: Listing, extension: str, options: str, missing_bytes: int
) -> None:
    """A torn last frame is a packet for ffmpeg; the index states only its size."""
    path = written(tmp_path / "talk", made(extension, options)[:-missing_bytes])
    expected = listing(path)
    assert packets_of(path) == expected[:-1]
    assert indexed(path).torn_bytes == expected[-1][0]


@pytest.mark.parametrize(
    ("extension", "options"), [("mp3", ""), ("aac", ""), ("amr", "-ar 8000 -ac 1")]
)
def test_a_file_may_end_anywhere(tmp_path: Path, made: Made, extension: str, options: str) -> None:
    """The index has all whole frames; the rest is a torn frame, even within its header."""
    path = written(tmp_path / "talk", made(extension, options))
    whole, data = indexed(path), path.read_bytes()
    ends = starts(whole) + whole.sizes
    for length in range(int(ends[-3]), int(ends[-1]) + 1):
        index = indexed(written(path, data[:length]))
        assert starts(index).tolist() == starts(whole)[ends <= length].tolist()
        assert index.torn_bytes == length - int(ends[ends <= length][-1])
        assert index.junk_bytes == 0


@pytest.mark.parametrize("extension", ["mp3", "aac"])
@pytest.mark.parametrize("offset_bytes", [-600, -400, -5, -3, -1, 0, 1, 2])
def test_windows_leave_no_trace(
    tmp_path: Path, made: Made, extension: str, offset_bytes: int
) -> None:
    """A window may end anywhere in a frame, tag or junk without changing the index."""
    path = written(tmp_path / "talk", made(extension, "-ar 44100"))
    parts = contents(path, indexed(path)) * 40
    ends = np.cumsum([len(part) for part in parts])
    cut = int(np.searchsorted(ends, frames.WINDOW_BYTES - 3_000))
    fill = frames.WINDOW_BYTES + offset_bytes - int(ends[cut])
    for junk in (bytes(fill), id3v2(fill - 10)):
        written(path, *parts[: cut + 1], junk, *parts[cut + 1 :])
        assert contents(path, indexed(path)) == parts


def test_memory_does_not_grow_with_the_file(tmp_path: Path, made: Made) -> None:
    """Memory holds the index and one window."""
    path = written(tmp_path / "talk.mp3", made("mp3", "-b:a 320k -write_xing 0") * 150)
    tracemalloc.start()
    index = indexed(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    arrays_bytes = 2 * index.sizes.nbytes  # in parts, and put together
    assert peak_bytes - arrays_bytes < 8 * frames.WINDOW_BYTES < path.stat().st_size / 8


@given(
    runs=st.lists(
        st.tuples(st.integers(0, 40), st.lists(st.integers(1, 1500), min_size=1, max_size=6)),
        min_size=1,
        max_size=6,
    ),
    data=st.data(),
)
def test_frames_start_where_the_one_before_ends_or_a_run_begins(
    runs: list[tuple[int, list[int]]], data: st.DataObject
) -> None:
    """The starts of any range of frames are sums of the sizes and holes before them."""
    at = 0
    places: list[int] = []
    run_frames, run_bytes = [], []
    for hole_bytes, sizes in runs:
        at += hole_bytes
        run_frames.append(len(places))
        run_bytes.append(at)
        for size in sizes:
            places.append(at)
            at += size
    index = FrameIndex(
        format="mp3",
        codec="mp3",
        rate_hz=44_100,
        channels=2,
        frame_samples=1152,
        sizes=np.array([size for _, sizes in runs for size in sizes], np.uint16),
        run_frames=np.array(run_frames),
        run_bytes=np.array(run_bytes),
        head=b"",
        id3_bytes=0,
        info=b"",
        junk_bytes=0,
        torn_bytes=0,
    )
    first = data.draw(st.integers(0, len(places)))
    last = data.draw(st.integers(first, len(places)))
    assert starts(index).tolist() == places
    assert index.starts_of(first, last).tolist() == places[first:last]


# ---------------------------------------------------------------------- files without an index


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xfb\x90", b"#!AMR\n", bytes(10_000)])
def test_scraps_are_not_indexed(tmp_path: Path, content: bytes) -> None:
    """A few bytes without a whole frame have no index."""
    assert read_frame_index(written(tmp_path / "talk", content)) is None


@pytest.mark.parametrize(
    ("extension", "options"), [("mp3", ""), ("aac", ""), ("amr", "-ar 8000 -ac 1")]
)
def test_one_frame_is_not_indexed(tmp_path: Path, made: Made, extension: str, options: str) -> None:
    """An index needs at least two frames."""
    path = written(tmp_path / "talk", made(extension, options))
    index = indexed(path)
    ends = (starts(index) + index.sizes).tolist()
    whole = path.read_bytes()
    assert read_frame_index(written(path, whole[: ends[0]])) is None
    assert read_frame_index(written(path, whole[: ends[1]])) is not None


@pytest.mark.parametrize(
    ("extension", "options"),
    [
        *(("wav", codec) for codec in ("", "-c:a libmp3lame", "-c:a aac")),
        *(("flac", ""), ("ogg", "-c:a flac"), ("m4a", ""), ("mp2", "")),
        *(("mp4", "-c:a libmp3lame"), ("mkv", "-c:a libmp3lame"), ("avi", "-c:a libmp3lame")),
        *(("ts", "-c:a libmp3lame"), ("ts", "-c:a aac"), ("flv", "-c:a libmp3lame")),
        *(("asf", "-c:a libmp3lame"), ("mpg", "-c:a libmp3lame"), ("caf", "-c:a libmp3lame")),
        *(("mov", "-c:a libmp3lame"), ("w64", "-c:a libmp3lame"), ("nut", "-c:a libmp3lame")),
        *(("3gp", "-ar 8000 -ac 1"), ("latm", "-c:a aac"), ("ac3", ""), ("au", "")),
    ],
)
def test_other_formats_are_not_indexed(
    tmp_path: Path, made: Made, extension: str, options: str
) -> None:
    """Other containers have no index, even if they hold frames."""
    bit_rates = "-b:a 32k" if "libmp3lame" in options else ""
    content = made(extension, f"{options} {bit_rates}")
    assert read_frame_index(written(tmp_path / "talk", content)) is None


@pytest.mark.parametrize(
    ("extension", "options"),
    [
        *(("mp3", "-ar 48000"), ("mp3", "-ar 22050"), ("mp3", "-ac 1"), ("mp2", "")),
        *(("aac", "-ar 48000"), ("aac", "-ac 1"), ("mp3", "-ar 8000")),
    ],
)
@pytest.mark.parametrize("between", [b"", id3v2(30), ID3V1], ids=["", "id3v2", "id3v1"])
def test_a_stream_that_changes_is_not_indexed(
    tmp_path: Path, made: Made, extension: str, options: str, between: bytes
) -> None:
    """A change of rate, channels or layer leaves the duration unknown, so there is no index."""
    one = made("aac" if extension == "aac" else "mp3", "-ar 44100 -ac 2")
    other = made(extension, options)
    assert read_frame_index(written(tmp_path / "talk", one, between, other)) is None
    assert read_frame_index(written(tmp_path / "talk", other, between, one)) is None


@pytest.mark.parametrize(
    "junk",
    [bytes(frames.MAX_JUNK_BYTES + 1), b"\xff\xfb" * 40_000, bytes(9_000)],
    ids=["too long", "like headers", "too much of a short file"],
)
@pytest.mark.parametrize("frame", [0, 50, None], ids=["front", "middle", "end"])
def test_much_junk_is_not_indexed(
    tmp_path: Path, made: Made, junk: bytes, frame: int | None
) -> None:
    """A file of which much is no frame is left to ffmpeg."""
    path = written(tmp_path / "talk.mp3", made("mp3", "-b:a 64k"))
    cut = path.stat().st_size if frame is None else int(starts(indexed(path))[frame])
    data = path.read_bytes()
    junk = junk if frame is not None else junk[:-1] + b"x"  # zeros at the end are padding
    assert read_frame_index(written(path, data[:cut], junk, data[cut:])) is None


def test_many_holes_are_not_indexed(tmp_path: Path, made: Made) -> None:
    """Frames with other bytes between all of them belong to another format."""
    path = written(tmp_path / "talk.mp3", made("mp3", "-b:a 64k"))
    parts = contents(path, indexed(path))
    data = b"".join(part + b"-" for part in parts * (frames.MAX_HOLES // len(parts) + 1))
    assert read_frame_index(written(path, data)) is None
    tags = id3v2(0) * (frames.MAX_HOLES * 2)
    assert read_frame_index(written(path, *parts, tags, *parts)) is None
    assert read_frame_index(written(path, tags, *parts)) is None


# ------------------------------------------------------------------------- hostile bytes

HEADERS = (b"\xff\xfb\x90\x44", b"\xff\xf3\x40\xc4", b"\xff\xf1\x50\x80\x01\xff\xfc", b"ID3\4\0\0")
WORDS = (*HEADERS, b"#!AMR\n", b"#!AMR-WB\n", b"APETAGEX", b"TAG", b"Xing\0\0\0\1", b"VBRI\0\1")
hostile_bytes = st.lists(
    st.one_of(
        st.sampled_from(WORDS),
        st.binary(max_size=40),
        st.builds(
            lambda word, fill: word + bytes(fill), st.sampled_from(WORDS), st.integers(0, 500)
        ),
    ),
    max_size=40,
).map(b"".join)


def assert_sound(path: Path) -> None:
    """Assert that the file has no index, or one of frames in order and inside the file."""
    index = read_frame_index(path)
    if index is None:
        return
    assert starts(index).shape == index.sizes.shape
    assert starts(index).size >= 2
    assert (starts(index).dtype, index.sizes.dtype) == (np.dtype(np.int64), np.dtype(np.uint16))
    ends = starts(index) + index.sizes
    assert starts(index)[0] >= index.id3_bytes + len(index.info) + len(index.head)
    assert index.sizes.min() > 0
    assert (starts(index)[1:] >= ends[:-1]).all()
    assert ends[-1] + index.torn_bytes <= path.stat().st_size
    told_bytes = index.id3_bytes + len(index.info) + len(index.head) + int(index.sizes.sum())
    assert told_bytes + index.junk_bytes + index.torn_bytes <= path.stat().st_size


@given(st.binary(max_size=4_000) | hostile_bytes)
def test_no_bytes_are_too_hostile(scratch: Path, content: bytes) -> None:
    """Any bytes give a valid index or none, and never an error."""
    assert_sound(written(scratch, content))


@given(
    kind=st.sampled_from([("mp3", ""), ("mp3", "-q:a 5"), ("aac", ""), ("amr", "-ar 8000 -ac 1")]),
    damages=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=20)), max_size=12),
    dropped_bytes=st.integers(0, 50),
    kept=st.floats(0, 1),
)
def test_no_damage_is_too_great(
    scratch: Path,
    made: Made,
    kind: tuple[str, str],
    damages: list[tuple[float, bytes]],
    dropped_bytes: int,
    kept: float,
) -> None:
    """A damaged and truncated stream gives a valid index or none."""
    data = made(*kind)
    for place, put in damages:
        at = int(place * len(data))
        data = data[:at] + put + data[at + dropped_bytes :]
    assert_sound(written(scratch, data[: int(kept * len(data))]))


@given(
    extension=st.sampled_from(["mp3", "aac"]),
    places=st.lists(st.integers(1, 55).map(lambda half: 2 * half), max_size=5, unique=True),
    junk=st.binary(min_size=1, max_size=60).map(lambda junk: junk.replace(b"\xff", b"\xfe")),
)
def test_bytes_between_frames_change_none(
    scratch: Path, made: Made, extension: str, places: list[int], junk: bytes
) -> None:
    """Junk without a sync word is counted, and no frame before another one is lost."""
    path = written(scratch, made(extension, "-ar 44100"))
    parts = contents(path, indexed(path))
    mixed = (part + junk * (number in places) for number, part in enumerate(parts, start=1))
    written(path, *mixed)
    assert contents(path, indexed(path)) == parts
    assert indexed(path).junk_bytes == len(junk) * len(places)


def test_random_files_hold_no_stream(scratch: Path) -> None:
    """Random bytes hold thousands of sync words and no stream."""
    random = np.random.default_rng(3)
    for _ in range(20):
        assert read_frame_index(written(scratch, random.bytes(1 << 20))) is None


def test_an_index_is_read_from_bytes(made: Made) -> None:
    """The index needs a binary stream and no file."""
    index = frames.read_index(io.BytesIO(made("mp3", "-ar 44100")))
    assert index is not None
    assert (index.format, index.rate_hz) == ("mp3", 44_100)
