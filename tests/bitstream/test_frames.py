from __future__ import annotations

import itertools
import os
import subprocess
import time
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.bitstream import amr, frames
from captoolkit.bitstream.frames import FrameIndex
from captoolkit.media.frame_index import read_frame_index
from tests.support.sound import Convert, noise, starts, write_wav

Packet = tuple[int, int]  # bytes, checksum
Listing = Callable[[Path], list[Packet]]
Made = Callable[[str, str], bytes]

MPEG1_RATES_HZ = (32_000, 44_100, 48_000)
MP3_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, *MPEG1_RATES_HZ)
ADTS_RATES_HZ = (7_350, 8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000)

ID3V1 = b"TAG" + bytes(125)
APE_ITEMS = b"\5\0\0\0\0\0\0\0Title\0hello"


def id3v2(content_bytes: int, *, footer: bool = False) -> bytes:
    """An ID3v2 tag that is all padding."""
    size = bytes(content_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
    fields = b"\4\0" + bytes([0x10 if footer else 0]) + size
    return b"ID3" + fields + bytes(content_bytes) + (b"3DI" + fields if footer else b"")


def ape_frame(flags: int) -> bytes:
    """The header or footer of an APE tag."""
    fields = (2000, len(APE_ITEMS) + 32, 1, flags)
    return b"APETAGEX" + b"".join(field.to_bytes(4, "little") for field in fields) + bytes(8)


APE = ape_frame(0xA000_0000) + APE_ITEMS + ape_frame(0x8000_0000)


@pytest.fixture(scope="session")
def listing(ffmpeg: str) -> Listing:
    """What ffmpeg's demuxer makes of a file: each packet's size and checksum."""

    def packets(path: Path) -> list[Packet]:
        argv = [ffmpeg, "-v", "quiet", "-i", str(path), "-map", "0:a:0", "-c", "copy"]
        result = subprocess.run([*argv, "-f", "framecrc", "-"], check=True, capture_output=True)
        rows = (line.split(b",") for line in result.stdout.splitlines() if line[:1] != b"#")
        return [(int(row[4]), int(row[5], 16)) for row in rows]

    return packets


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file name that each example of a property may write to."""
    return tmp_path_factory.mktemp("scratch") / "talk"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, stereo: Path, convert: Convert) -> Made:
    """The bytes of a file that ffmpeg makes: `made("mp3", options)`; each is made once."""
    folder, files = tmp_path_factory.mktemp("made"), dict[tuple[str, str], bytes]()

    def make(extension: str, options: str = "") -> bytes:
        if (extension, options) not in files:
            path = convert(stereo, folder / f"talk.{extension}", options.split())
            files[extension, options] = path.read_bytes()
        return files[extension, options]

    return make


def written(path: Path, *parts: bytes) -> Path:
    """Write a file of these parts."""
    path.write_bytes(b"".join(parts))
    return path


def indexed(path: Path) -> FrameIndex:
    """The index of a file that has one."""
    index = read_frame_index(path)
    assert index is not None
    return index


def contents(path: Path, index: FrameIndex) -> list[bytes]:
    """The bytes of each frame."""
    data = path.read_bytes()
    places = zip(starts(index).tolist(), index.sizes.tolist(), strict=True)
    return [data[start : start + size] for start, size in places]


def checked(frame: bytes) -> Packet:
    """Size and checksum as framecrc has them: Adler-32 that begins with 0 instead of 1."""
    return len(frame), zlib.adler32(frame, 0)


def packets_of(path: Path) -> list[Packet]:
    """What `listing` should give."""
    return [checked(frame) for frame in contents(path, indexed(path))]


def patched(data: bytes, at: int, *values: int) -> bytes:
    """The same with other bytes at a place."""
    return data[:at] + bytes(values) + data[at + len(values) :]


# ----------------------------------------------------------- what ffmpeg takes as packets


@pytest.mark.parametrize(
    ("rate_hz", "options"),
    [
        *itertools.product(MP3_RATES_HZ, ("-ac 2 -b:a 64k", "-ac 1 -q:a 5")),
        *itertools.product((16_000, 44_100), ("-ac 1 -b:a 32k", "-ac 2 -q:a 1")),
        *itertools.product((16_000, 48_000), ("-abr 1 -b:a 80k", "-joint_stereo 0")),
        (48_000, "-b:a 320k"),
        (8_000, "-b:a 8k -ac 1"),
        (44_100, "-write_xing 0"),
        (44_100, "-reservoir 0"),
    ],
)
def test_frames_of_an_mp3_are_ffmpegs_packets(
    tmp_path: Path, made: Made, listing: Listing, rate_hz: int, options: str
) -> None:
    """Same number, sizes and bytes, at constant and variable bit rates of every MPEG version."""
    path = written(tmp_path / "talk.mp3", made("mp3", f"-ar {rate_hz} {options}"))
    assert packets_of(path) == listing(path)
    index = indexed(path)
    assert (index.format, index.codec, index.rate_hz) == ("mp3", "mp3", rate_hz)
    assert index.channels == (1 if "-ac 1" in options else 2)
    assert index.frame_samples == (1152 if rate_hz in MPEG1_RATES_HZ else 576)
    assert index.duration_samples == len(listing(path)) * index.frame_samples
    assert (index.head, index.junk_bytes, index.torn_bytes) == (b"", 0, 0)


@pytest.mark.parametrize(
    ("rate_hz", "channels"),
    [*itertools.product(ADTS_RATES_HZ, (1, 2)), *((44_100, channels) for channels in (4, 5, 6))],
)
def test_frames_of_adts_are_ffmpegs_packets(
    tmp_path: Path, convert: Convert, listing: Listing, rate_hz: int, channels: int
) -> None:
    """Same number, sizes and bytes, at every rate and number of channels."""
    source = tmp_path / "talk.wav"
    write_wav(source, noise(0.5, rate_hz=rate_hz, channels=channels), rate_hz=rate_hz)
    path = convert(source, tmp_path / "talk.aac", [])
    assert packets_of(path) == listing(path)
    index = indexed(path)
    assert (index.format, index.codec, index.frame_samples) == ("aac", "aac", 1024)
    assert (index.rate_hz, index.channels, index.head) == (rate_hz, channels, b"")


@pytest.mark.parametrize("options", ["-b:a 4.75k", "-b:a 7.4k", "-b:a 12.2k", "-dtx 1 -b:a 5.9k"])
def test_frames_of_amr_are_ffmpegs_packets(
    tmp_path: Path, made: Made, listing: Listing, options: str
) -> None:
    """Same number, sizes and bytes."""
    path = written(tmp_path / "talk.amr", made("amr", f"-ar 8000 -ac 1 {options}"))
    assert packets_of(path) == listing(path)
    index = indexed(path)
    assert (index.format, index.codec) == ("amr", "amr_nb")
    assert (index.rate_hz, index.channels, index.frame_samples) == (8_000, 1, 160)
    assert (index.head, starts(index)[0]) == (b"#!AMR\n", 6)


@pytest.mark.parametrize(
    ("codec", "magic", "types"),
    [
        ("amr_nb", b"#!AMR\n", (*range(9), 15)),
        ("amr_wb", b"#!AMR-WB\n", (*range(10), 14, 15)),
    ],
)
def test_amr_frames_of_every_type_are_ffmpegs_packets(
    tmp_path: Path, listing: Listing, codec: str, magic: bytes, types: Sequence[int]
) -> None:
    """Modes may change from frame to frame; of comfort noise and lost speech little is sent."""
    random = np.random.default_rng(5)
    table = amr.NB_FRAME_BYTES if codec == "amr_nb" else amr.WB_FRAME_BYTES
    order = [*types, *random.choice(types, 5_000).tolist()]
    parts = [bytes([kind << 3 | 4]) + random.bytes(table[kind] - 1) for kind in order]
    path = written(tmp_path / "talk.amr", magic, *parts)
    assert contents(path, indexed(path)) == parts
    assert packets_of(path) == listing(path)
    index = indexed(path)
    assert (index.codec, index.head, starts(index)[0]) == (codec, magic, len(magic))
    assert index.rate_hz == index.frame_samples * 50 == (8_000 if codec == "amr_nb" else 16_000)


def test_frames_of_a_real_mp3_are_ffmpegs_packets(corpus: Path, listing: Listing) -> None:
    """A recording that somebody else made."""
    path = corpus / "multilingual.mp3"
    assert packets_of(path) == listing(path)
    assert len(indexed(path).info) > 0


@pytest.mark.parametrize("extension", ["mp3", "aac"])
def test_a_checksum_makes_no_other_frame(
    tmp_path: Path, made: Made, listing: Listing, extension: str
) -> None:
    """The bit that tells of a checksum may be set or not, even in one stream."""
    path = written(tmp_path / "talk", made(extension, "-ar 44100"))
    data, places = path.read_bytes(), starts(indexed(path)).tolist()
    for start in places[::2]:
        data = patched(data, start + 1, data[start + 1] & 0xFE)
    written(path, data)
    assert starts(indexed(path)).tolist() == places
    assert packets_of(path) == listing(path)


# -------------------------------------------------------------------- what is no frame


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
    """What stands before and after the sound is passed over, as ffmpeg does; none of it is junk."""
    sound = made(extension, "-ar 44100 -id3v2_version 0" if extension == "mp3" else "")
    path = written(tmp_path / "talk", front, sound, tail)
    assert packets_of(path) == listing(path)
    assert (indexed(path).id3_bytes, indexed(path).junk_bytes) == (len(front), 0)


@pytest.mark.parametrize("rate_hz", MP3_RATES_HZ)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_info_frame_is_told_apart(
    tmp_path: Path, made: Made, rate_hz: int, channels: int
) -> None:
    """It holds a header for players; the sound begins behind it."""
    path = written(tmp_path / "talk.mp3", made("mp3", f"-ar {rate_hz} -ac {channels}"))
    index = indexed(path)
    assert b"Info" in index.info[:40]
    assert path.read_bytes().index(index.info) == index.id3_bytes > 0
    assert starts(index)[0] == index.id3_bytes + len(index.info)


def test_without_an_info_frame_all_frames_are_sound(tmp_path: Path, made: Made) -> None:
    """The first frame of a stream is told apart only by what is in it."""
    path = written(tmp_path / "talk.mp3", made("mp3", "-write_xing 0"))
    assert (indexed(path).info, starts(indexed(path))[0]) == (b"", indexed(path).id3_bytes)


@pytest.mark.parametrize(
    ("version", "totals", "is_known"), [(1, 7, True), (2, 7, False), (1, 0, False)]
)
def test_a_vbri_header_is_told_apart(
    tmp_path: Path, made: Made, listing: Listing, version: int, totals: int, is_known: bool
) -> None:
    """Another encoder's header for players; as ffmpeg has it, only of version 1 and if it tells."""
    sound = made("mp3", "-write_xing 0 -id3v2_version 0")
    delay_and_quality = bytes(4)
    vbri = b"VBRI" + version.to_bytes(2) + delay_and_quality + totals.to_bytes(4) * 2
    size = indexed(written(tmp_path / "talk.mp3", sound)).sizes[0]
    first = patched(sound[:size], 36, *vbri)
    path = written(tmp_path / "talk.mp3", first, sound)
    assert indexed(path).info == (first if is_known else b"")
    assert packets_of(path) == listing(path)


@pytest.mark.parametrize("flags", [0, 1, 2])
@pytest.mark.parametrize("totals", [0, 7])
@pytest.mark.parametrize("front", [b"", bytes(100)], ids=["first", "behind zeros"])
def test_an_info_frame_is_one_where_ffmpeg_finds_one(
    tmp_path: Path, made: Made, listing: Listing, flags: int, totals: int, front: bytes
) -> None:
    """That is the very first frame, if it tells how many frames or bytes there are."""
    sound = made("mp3", "-write_xing 0 -id3v2_version 0")
    size = indexed(written(tmp_path / "talk.mp3", sound)).sizes[0]
    xing = b"Xing" + flags.to_bytes(4) + totals.to_bytes(4)
    first = patched(sound[:size], 36, *xing)
    path = written(tmp_path / "talk.mp3", front, first, sound)
    assert bool(indexed(path).info) == bool(flags and totals and not front)
    assert packets_of(path) == listing(path)


@pytest.mark.parametrize("mode", range(3), ids=["stereo", "joint", "dual"])
def test_an_mp3_begins_where_ffmpeg_begins(
    tmp_path: Path, made: Made, listing: Listing, mode: int
) -> None:
    """Two headers alike are wanted there; after that ffmpeg is less strict."""
    sound = made("mp3", "-write_xing 0 -id3v2_version 0")
    places = starts(indexed(written(tmp_path / "talk.mp3", sound)))
    for start in places[[0, 5, 6, 20]].tolist():
        sound = patched(sound, start + 3, sound[start + 3] & 0x3F | mode << 6)
    path = written(tmp_path / "talk.mp3", sound)
    assert packets_of(path) == listing(path)


@pytest.mark.parametrize("extension", ["mp3", "aac"])
@pytest.mark.parametrize("front", [b"\0", bytes(2_000), b"<html>" * 30, b"\xff\xe0 \xff\xec"])
def test_junk_in_front_is_passed_over(
    tmp_path: Path, made: Made, listing: Listing, extension: str, front: bytes
) -> None:
    """A recording that was joined on the way begins anywhere."""
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
def test_junk_between_frames_is_passed_over(
    tmp_path: Path, made: Made, listing: Listing, extension: str, junk: bytes
) -> None:
    """The frames stay the same; ffmpeg has the same number, with the junk in front of some."""
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
    """As ffmpeg has it, the second file's header for players is a frame like any other."""
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
    """What is left of it is a packet for ffmpeg; here only its length is told."""
    path = written(tmp_path / "talk", made(extension, options)[:-missing_bytes])
    expected = listing(path)
    assert packets_of(path) == expected[:-1]
    assert indexed(path).torn_bytes == expected[-1][0]


@pytest.mark.parametrize(
    ("extension", "options"), [("mp3", ""), ("aac", ""), ("amr", "-ar 8000 -ac 1")]
)
def test_a_file_may_end_anywhere(tmp_path: Path, made: Made, extension: str, options: str) -> None:
    """All whole frames are there, and what follows them is a torn one, even within its header."""
    path = written(tmp_path / "talk", made(extension, options))
    whole, data = indexed(path), path.read_bytes()
    ends = starts(whole) + whole.sizes
    for length in range(int(ends[-3]), int(ends[-1]) + 1):
        index = indexed(written(path, data[:length]))
        assert starts(index).tolist() == starts(whole)[ends <= length].tolist()
        assert index.torn_bytes == length - int(ends[ends <= length][-1])
        assert index.junk_bytes == 0


@pytest.mark.parametrize("extension", ["mp3", "aac"])
@pytest.mark.parametrize("letters", [b"TAG", b"ID3", b"ID3\4\0\0\0\x7f\x7f\x7f", b"APETAGEX"])
def test_what_only_begins_like_a_tag_is_junk(
    tmp_path: Path, made: Made, extension: str, letters: bytes
) -> None:
    """Nothing is passed over for a few letters, nor for a length that the file does not have."""
    path = written(tmp_path / "talk", made(extension, "-ar 44100"))
    parts = contents(path, indexed(path))
    written(path, *parts[:9], letters, *parts[9:])
    assert contents(path, indexed(path)) == parts
    assert indexed(path).junk_bytes == len(letters)


@pytest.mark.parametrize("extension", ["mp3", "aac"])
@pytest.mark.parametrize("offset_bytes", [-600, -400, -5, -3, -1, 0, 1, 2])
def test_windows_leave_no_trace(
    tmp_path: Path, made: Made, extension: str, offset_bytes: int
) -> None:
    """A file is read in parts; where one ends there may be anything, at any place of it."""
    path = written(tmp_path / "talk", made(extension, "-ar 44100"))
    parts = contents(path, indexed(path)) * 40
    ends = np.cumsum([len(part) for part in parts])
    cut = int(np.searchsorted(ends, frames.WINDOW_BYTES - 3_000))
    fill = frames.WINDOW_BYTES + offset_bytes - int(ends[cut])
    for junk in (bytes(fill), id3v2(fill - 10)):
        written(path, *parts[: cut + 1], junk, *parts[cut + 1 :])
        assert contents(path, indexed(path)) == parts


def test_memory_does_not_grow_with_the_file(tmp_path: Path, made: Made) -> None:
    """Beside the index itself a window is held, and no more."""
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
    """Of any neighbours the places are those of all: sums of sizes, and of the holes between."""
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


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, made: Made) -> None:
    """Who asks again gets the same index; after any change of the file it is another."""
    path = written(tmp_path / "talk.mp3", made("mp3", ""))
    a_minute_ago = time.time() - 60
    os.utime(path, (a_minute_ago, a_minute_ago))
    index = indexed(path)
    assert indexed(path) is index
    longer = path.read_bytes()
    written(path, longer + longer[int(starts(index)[-1]) :])
    os.utime(path, (a_minute_ago, a_minute_ago))
    assert indexed(path).sizes.size == index.sizes.size + 1


def test_what_changes_at_this_moment_is_read_each_time(tmp_path: Path, made: Made) -> None:
    """Two contents of the same length within one tick of the clock are told apart."""
    path = written(tmp_path / "talk.mp3", made("mp3", ""))
    index = indexed(path)
    broken = bytearray(path.read_bytes())
    broken[int(starts(index)[-1]) :] = bytes(int(index.sizes[-1]))
    times = path.stat()
    written(path, bytes(broken))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    again = read_frame_index(path)
    assert again is None or again.sizes.size < index.sizes.size


# --------------------------------------------------------------------- what is not indexed


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xfb\x90", b"#!AMR\n", bytes(10_000)])
def test_scraps_are_not_indexed(tmp_path: Path, content: bytes) -> None:
    """There is no frame in them."""
    assert read_frame_index(written(tmp_path / "talk", content)) is None


@pytest.mark.parametrize(
    ("extension", "options"), [("mp3", ""), ("aac", ""), ("amr", "-ar 8000 -ac 1")]
)
def test_one_frame_is_not_indexed(tmp_path: Path, made: Made, extension: str, options: str) -> None:
    """Two are needed to believe that they are frames."""
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
    """Even if there are frames in them."""
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
    """Rate, channels and layer are those of the whole stream, or nobody knows how long it is."""
    one = made("aac" if extension == "aac" else "mp3", "-ar 44100 -ac 2")
    other = made(extension, options)
    assert read_frame_index(written(tmp_path / "talk", one, between, other)) is None
    assert read_frame_index(written(tmp_path / "talk", other, between, one)) is None


def test_a_free_bit_rate_is_not_indexed(tmp_path: Path, made: Made) -> None:
    """Its headers do not say how long the frames are."""
    path = written(tmp_path / "talk.mp3", made("mp3", "-b:a 64k -id3v2_version 0"))
    data = path.read_bytes()
    for start in starts(indexed(path)).tolist():
        data = patched(data, start + 2, data[start + 2] & 0x0F)
    assert read_frame_index(written(path, data)) is None


@pytest.mark.parametrize(("offset", "value"), [(6, 1), (6, 3)], ids=["two", "four"])
@pytest.mark.parametrize("step", [1, 40])
def test_several_raw_blocks_are_not_indexed(
    tmp_path: Path, made: Made, offset: int, value: int, step: int
) -> None:
    """An ADTS frame may hold up to four times as much sound, which counting would miss."""
    path = written(tmp_path / "talk.aac", made("aac", "-ar 44100"))
    data = path.read_bytes()
    for start in starts(indexed(path)).tolist()[::step]:
        data = patched(data, start + offset, data[start + offset] & 0xFC | value)
    assert read_frame_index(written(path, data)) is None


@pytest.mark.parametrize(("told", "channels"), [(0, None), (3, 3), (7, 8)])
def test_channels_are_as_told_or_the_file_is_not_indexed(
    tmp_path: Path, made: Made, told: int, channels: int | None
) -> None:
    """ADTS may leave the number of channels to what is in the frames; its 7 are 7.1."""
    path = written(tmp_path / "talk.aac", made("aac", "-ar 44100"))
    data = path.read_bytes()
    for start in starts(indexed(path)).tolist():
        packed = data[start + 2] & 0xFE | told >> 2, data[start + 3] & 0x3F | (told & 3) << 6
        data = patched(data, start + 2, *packed)
    index = read_frame_index(written(path, data))
    assert (index.channels if index else None) == channels


@pytest.mark.parametrize("header", [9 << 3, 14 << 3, 0x80, 0x03])
def test_odd_amr_frames_are_not_indexed(tmp_path: Path, made: Made, header: int) -> None:
    """Types of no known length, and bits that should be 0; from there on all would be guessed."""
    path = written(tmp_path / "talk.amr", made("amr", "-ar 8000 -ac 1"))
    data = patched(path.read_bytes(), int(starts(indexed(path))[7]), header)
    assert read_frame_index(written(path, data)) is None


@pytest.mark.parametrize("magic", [b"#!AMR_MC1.0\n", b"#!AMR-WB_MC1.0\n", id3v2(0) + b"#!AMR\n"])
def test_amr_behind_other_words_is_not_indexed(tmp_path: Path, made: Made, magic: bytes) -> None:
    """Several channels, or a tag in front: ffmpeg reads neither."""
    data = made("amr", "-ar 8000 -ac 1").removeprefix(b"#!AMR\n")
    assert read_frame_index(written(tmp_path / "talk.amr", magic, data)) is None


@pytest.mark.parametrize(
    "junk",
    [bytes(frames.MAX_JUNK_BYTES + 1), b"\xff\xfb" * 40_000, bytes(9_000)],
    ids=["too long", "like headers", "too much of a short file"],
)
@pytest.mark.parametrize("frame", [0, 50, None], ids=["front", "middle", "end"])
def test_much_junk_is_not_indexed(
    tmp_path: Path, made: Made, junk: bytes, frame: int | None
) -> None:
    """A file that is in good part something else is left to ffmpeg."""
    path = written(tmp_path / "talk.mp3", made("mp3", "-b:a 64k"))
    cut = path.stat().st_size if frame is None else int(starts(indexed(path))[frame])
    data = path.read_bytes()
    assert read_frame_index(written(path, data[:cut], junk, data[cut:])) is None


def test_many_holes_are_not_indexed(tmp_path: Path, made: Made) -> None:
    """Between all frames there is something: they are no stream, but in one."""
    path = written(tmp_path / "talk.mp3", made("mp3", "-b:a 64k"))
    parts = contents(path, indexed(path))
    data = b"".join(part + b"-" for part in parts * (frames.MAX_HOLES // len(parts) + 1))
    assert read_frame_index(written(path, data)) is None
    tags = id3v2(0) * (frames.MAX_HOLES * 2)
    assert read_frame_index(written(path, *parts, tags, *parts)) is None
    assert read_frame_index(written(path, tags, *parts)) is None


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Whether a file can be read is not a question of what is in it."""
    with pytest.raises(FileNotFoundError):
        read_frame_index(tmp_path / "talk.mp3")


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
    """There is no index, or one whose frames lie in the file, one behind another."""
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
    """Whatever is in a file, there is no error, and no frame that is not there."""
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
    """A real stream with bytes overwritten, lost or put in, and the end missing."""
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
def test_what_lies_between_frames_changes_none(
    scratch: Path, made: Made, extension: str, places: list[int], junk: bytes
) -> None:
    """Junk without a sync word is counted; of the frames none is lost that another follows."""
    path = written(scratch, made(extension, "-ar 44100"))
    parts = contents(path, indexed(path))
    mixed = (part + junk * (number in places) for number, part in enumerate(parts, start=1))
    written(path, *mixed)
    assert contents(path, indexed(path)) == parts
    assert indexed(path).junk_bytes == len(junk) * len(places)


def test_random_files_hold_no_stream(scratch: Path) -> None:
    """In noise there are sync words by the thousand, and none leads on."""
    random = np.random.default_rng(3)
    for _ in range(20):
        assert read_frame_index(written(scratch, random.bytes(1 << 20))) is None
