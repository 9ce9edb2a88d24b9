from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest

from captoolkit.bitstream import mpeg_audio
from captoolkit.bitstream.mpeg_audio import EncoderDelay
from captoolkit.media.frame_index import read_frame_index
from captoolkit.media.probe_file import probe
from tests.support.frame_files import (
    Listing,
    Made,
    indexed,
    packets_of,
    patched,
    written,
)
from tests.support.sound import Convert, Count, starts

MP3_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def framed_samples(path: Path, ffmpeg: str, rate_hz: int) -> int:
    """The samples of all frames of an MP3, without its information frame."""
    argv = f"-v error -i {path} -map 0:a:0 -c copy -f framecrc -"
    listing = subprocess.run([ffmpeg, *argv.split()], check=True, capture_output=True, text=True)
    frames = sum(not line.startswith("#") for line in listing.stdout.splitlines())
    return frames * (1152 if rate_hz >= 32_000 else 576)


def delay_of(path: Path) -> EncoderDelay | None:
    """The encoder delay that a file's LAME tag states."""
    with path.open("rb") as stream:
        return mpeg_audio.read_encoder_delay(stream)


def audible_samples(path: Path, framed: int) -> int | None:
    """How many of an MP3's framed samples a decoder returns."""
    delay = delay_of(path)
    assert delay is not None
    return delay.audible_samples(framed)


RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "extra"),
    [
        *itertools.product(RATES_HZ, (1, 2), ("plain", "picture")),
        *itertools.product((44_100,), (1, 2), ("tags", "tags of version 4")),
    ],
)
def test_delay_and_padding_come_off_the_frames(
    tmp_path: Path,
    stereo: Path,
    convert: Convert,
    decoded_samples: Count,
    ffmpeg: str,
    fixtures: Path,
    rate_hz: int,
    channels: int,
    extra: str,
) -> None:
    """The LAME tag gives the samples of a decode at every rate, with any channels and tags."""
    shape = ["-ar", str(rate_hz), "-ac", str(channels)]
    options = {
        "plain": ["-id3v2_version", "0"],
        "tags": ["-id3v2_version", "3", "-metadata", f"comment={'long ' * 20_000}"],
        "picture": [
            *("-i", str(fixtures / "cover-art.mp3"), "-map", "0:a", "-map", "1:v"),
            *("-c:v", "copy", "-id3v2_version", "3"),
        ],
        "tags of version 4": ["-id3v2_version", "4", "-metadata", "title=会议"],
    }[extra]
    path = convert(stereo, tmp_path / "talk.mp3", [*options, *shape])

    framed = framed_samples(path, ffmpeg, rate_hz)

    heard = decoded_samples(path)
    assert audible_samples(path, framed) == heard < framed


def id3(size_bytes: int, *, footer: bool = False) -> bytes:
    """An ID3v2 tag with content of that size."""
    size = bytes(size_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
    flags = b"\x10" if footer else b"\0"
    foot = b"3DI\4\0" + flags + size if footer else b""
    return b"ID3\4\0" + flags + size + bytes(size_bytes) + foot


@pytest.mark.parametrize("footer", [False, True])
def test_the_delay_is_found_behind_several_id3_tags(
    tmp_path: Path,
    stereo: Path,
    convert: Convert,
    decoded_samples: Count,
    ffmpeg: str,
    footer: bool,
) -> None:
    """Delay and padding come off behind an ID3v2 tag that another tagger put before a cover."""
    plain = convert(stereo, tmp_path / "plain.mp3", ["-id3v2_version", "0"])
    path = tmp_path / "talk.mp3"
    path.write_bytes(id3(100, footer=footer) + id3(200_000) + plain.read_bytes())
    heard = decoded_samples(path)
    assert audible_samples(path, framed_samples(path, ffmpeg, 44_100)) == heard
    assert delay_of(path) == delay_of(plain)
    assert probe(path).default_track.duration_samples == heard


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
@pytest.mark.parametrize("share", [0.99, 0.6, 0.2])
def test_of_a_torn_file_only_the_delay_comes_off(
    tmp_path: Path,
    stereo: Path,
    convert: Convert,
    decoded_samples: Count,
    ffmpeg: str,
    rate_hz: int,
    share: float,
) -> None:
    """A truncated file has lost its padding, so only the delay comes off."""
    path = convert(stereo, tmp_path / "talk.mp3", ["-ar", str(rate_hz)])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    framed = framed_samples(path, ffmpeg, rate_hz)
    assert audible_samples(path, framed) == decoded_samples(path)


def test_without_a_lame_tag_there_is_no_delay(
    tmp_path: Path, stereo: Path, convert: Convert
) -> None:
    """An MP3 without an information frame states no encoder delay."""
    path = convert(stereo, tmp_path / "talk.mp3", ["-write_xing", "0"])
    assert delay_of(path) is None


def test_more_frames_than_the_tag_states_are_several_files(
    tmp_path: Path, stereo: Path, convert: Convert, ffmpeg: str
) -> None:
    """The tag of the first of several joined files does not count the others."""
    path = convert(stereo, tmp_path / "talk.mp3")
    framed = framed_samples(path, ffmpeg, 44_100)
    assert audible_samples(path, framed) is not None
    assert audible_samples(path, framed + 1152) is None


@pytest.mark.parametrize("content", [b"", b"ID3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb\x90"])
def test_scraps_have_no_tag(tmp_path: Path, content: bytes) -> None:
    """A file that ends before its first frame states no encoder delay."""
    path = tmp_path / "talk.mp3"
    path.write_bytes(content)
    assert delay_of(path) is None


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 24_000, 16_000, 8000])
@pytest.mark.parametrize("channels", [1, 2])
def test_ffmpeg_reads_the_written_xing_frame(
    stereo: Path,
    convert: Convert,
    decoded_samples: Count,
    tmp_path: Path,
    rate_hz: int,
    channels: int,
) -> None:
    """A written information frame is recognised before any stream, and adds no sound."""
    options = ["-c:a", "libmp3lame", "-q:a", "5", "-write_xing", "0", "-id3v2_version", "0"]
    options += ["-ar", str(rate_hz), "-ac", str(channels)]
    bare = convert(stereo, tmp_path / "bare.mp3", options)
    index = read_frame_index(bare)
    assert index is not None
    stream = bare.read_bytes()
    written_frame = mpeg_audio.write_information_frame(stream[:4], index.sizes)
    whole = tmp_path / "whole.mp3"
    whole.write_bytes(written_frame + stream)
    found = read_frame_index(whole)
    assert found is not None
    assert found.info == written_frame
    assert np.array_equal(found.sizes, index.sizes)
    assert decoded_samples(whole) == decoded_samples(bare)


# --------------------------------------------------------- frames and information frames


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
    """The frames equal ffmpeg's packets at constant and variable bit rates of every version."""
    path = written(tmp_path / "talk.mp3", made("mp3", f"-ar {rate_hz} {options}"))
    assert packets_of(path) == listing(path)
    index = indexed(path)
    assert (index.format, index.codec, index.rate_hz) == ("mp3", "mp3", rate_hz)
    assert index.channels == (1 if "-ac 1" in options else 2)
    assert index.frame_samples == (1152 if rate_hz >= 32_000 else 576)
    assert index.duration_samples == len(listing(path)) * index.frame_samples
    assert (index.head, index.junk_bytes, index.torn_bytes) == (b"", 0, 0)


def test_frames_of_a_real_mp3_are_ffmpegs_packets(corpus: Path, listing: Listing) -> None:
    """The frames of a real recording equal ffmpeg's packets."""
    path = corpus / "multilingual.mp3"
    assert packets_of(path) == listing(path)
    assert len(indexed(path).info) > 0


@pytest.mark.parametrize("rate_hz", MP3_RATES_HZ)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_information_frame_is_recognised(
    tmp_path: Path, made: Made, rate_hz: int, channels: int
) -> None:
    """The information frame is not among the frames; the sound begins behind it."""
    path = written(tmp_path / "talk.mp3", made("mp3", f"-ar {rate_hz} -ac {channels}"))
    index = indexed(path)
    assert b"Info" in index.info[:40]
    assert path.read_bytes().index(index.info) == index.id3_bytes > 0
    assert starts(index)[0] == index.id3_bytes + len(index.info)


def test_without_an_information_frame_all_frames_are_sound(tmp_path: Path, made: Made) -> None:
    """A first frame without a header for players is sound."""
    path = written(tmp_path / "talk.mp3", made("mp3", "-write_xing 0"))
    assert (indexed(path).info, starts(indexed(path))[0]) == (b"", indexed(path).id3_bytes)


@pytest.mark.parametrize(
    ("version", "totals", "is_known"), [(1, 7, True), (2, 7, False), (1, 0, False)]
)
def test_a_vbri_header_is_recognised(
    tmp_path: Path, made: Made, listing: Listing, version: int, totals: int, is_known: bool
) -> None:
    """A VBRI header counts, as in ffmpeg, if it has version 1 and states a number."""
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
def test_an_information_frame_is_one_where_ffmpeg_finds_one(
    tmp_path: Path, made: Made, listing: Listing, flags: int, totals: int, front: bytes
) -> None:
    """Only the very first frame counts, and only if it states frames or bytes."""
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
    """The first two headers must be alike; later ones may differ more, as in ffmpeg."""
    sound = made("mp3", "-write_xing 0 -id3v2_version 0")
    places = starts(indexed(written(tmp_path / "talk.mp3", sound)))
    for start in places[[0, 5, 6, 20]].tolist():
        sound = patched(sound, start + 3, sound[start + 3] & 0x3F | mode << 6)
    path = written(tmp_path / "talk.mp3", sound)
    assert packets_of(path) == listing(path)


def test_a_free_bit_rate_is_not_indexed(tmp_path: Path, made: Made) -> None:
    """Headers of the free bit rate do not state the size of a frame: no index."""
    path = written(tmp_path / "talk.mp3", made("mp3", "-b:a 64k -id3v2_version 0"))
    data = path.read_bytes()
    for start in starts(indexed(path)).tolist():
        data = patched(data, start + 2, data[start + 2] & 0x0F)
    assert read_frame_index(written(path, data)) is None


@pytest.mark.parametrize(
    ("header", "expected_bytes", "frame_samples"),
    [
        ("fffb9000", 32, 1152),  # MPEG-1, stereo
        ("fffb90c0", 17, 1152),  # MPEG-1, mono
        ("fff39000", 17, 576),  # MPEG-2, stereo
        ("fff390c0", 9, 576),  # MPEG-2, mono
        ("ffe39000", 17, 576),  # MPEG-2.5, stereo
    ],
)
def test_side_information_and_samples_follow_from_the_header(
    header: str, expected_bytes: int, frame_samples: int
) -> None:
    """MPEG version and mode give the side information; the version gives the samples."""
    data = bytes.fromhex(header)
    kind = mpeg_audio.frame_kind(data)
    assert kind is not None
    assert mpeg_audio.side_information_bytes(data) == expected_bytes
    assert kind.frame_samples == mpeg_audio.frame_samples_at(kind.rate_hz) == frame_samples


@pytest.mark.parametrize("header", ["fffd9000", "ffff9000", "fff19000", "ffeb9000", "fffb9c00", ""])
def test_other_headers_have_no_kind(header: str) -> None:
    """Layers I and II, ADTS, the reserved version and the reserved sample rate are refused."""
    assert mpeg_audio.frame_kind(bytes.fromhex(header)) is None
