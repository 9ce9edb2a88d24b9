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
from tests.support.sound import Convert, Count


def framed_samples(path: Path, ffmpeg: str, rate_hz: int) -> int:
    """How many samples all frames of an MP3 hold, its tag frame left out."""
    argv = f"-v error -i {path} -map 0:a:0 -c copy -f framecrc -"
    listing = subprocess.run([ffmpeg, *argv.split()], check=True, capture_output=True, text=True)
    frames = sum(not line.startswith("#") for line in listing.stdout.splitlines())
    return frames * (1152 if rate_hz >= 32_000 else 576)


def delay_of(path: Path) -> EncoderDelay | None:
    """What the LAME tag of a file states."""
    with path.open("rb") as stream:
        return mpeg_audio.read_encoder_delay(stream)


def audible_samples(path: Path, framed: int) -> int | None:
    """How many of an MP3's framed samples are heard."""
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
def test_the_tag_tells_what_a_decoder_gives(
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
    """Delay and padding come off the frames, whatever rate, channels and tags in front."""
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
    """An ID3v2 tag with that much between its head and its end."""
    size = bytes(size_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
    flags = b"\x10" if footer else b"\0"
    foot = b"3DI\4\0" + flags + size if footer else b""
    return b"ID3\4\0" + flags + size + bytes(size_bytes) + foot


@pytest.mark.parametrize("footer", [False, True])
def test_the_tag_is_found_behind_all_that_stands_in_front(
    tmp_path: Path,
    stereo: Path,
    convert: Convert,
    decoded_samples: Count,
    ffmpeg: str,
    footer: bool,
) -> None:
    """One tagger put its tag before another's cover: delay and padding come off all the same."""
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
    """Where the end is missing so is its padding."""
    path = convert(stereo, tmp_path / "talk.mp3", ["-ar", str(rate_hz)])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    framed = framed_samples(path, ffmpeg, rate_hz)
    assert audible_samples(path, framed) == decoded_samples(path)


def test_without_a_tag_every_frame_is_heard(tmp_path: Path, stereo: Path, convert: Convert) -> None:
    """Nobody says what to leave out, so nothing is left out."""
    path = convert(stereo, tmp_path / "talk.mp3", ["-write_xing", "0"])
    assert delay_of(path) is None


def test_more_frames_than_the_tag_knows_of_are_another_matter(
    tmp_path: Path, stereo: Path, convert: Convert, ffmpeg: str
) -> None:
    """The tag of the first of several joined files says nothing about the others."""
    path = convert(stereo, tmp_path / "talk.mp3")
    framed = framed_samples(path, ffmpeg, 44_100)
    assert audible_samples(path, framed) is not None
    assert audible_samples(path, framed + 1152) is None


@pytest.mark.parametrize("content", [b"", b"ID3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb\x90"])
def test_scraps_have_no_tag(tmp_path: Path, content: bytes) -> None:
    """A file that ends before its first frame does has nothing to take off."""
    path = tmp_path / "talk.mp3"
    path.write_bytes(content)
    assert delay_of(path) is None


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 24_000, 16_000, 8000])
@pytest.mark.parametrize("channels", [1, 2])
def test_ffmpeg_takes_the_frame_for_no_sound(
    stereo: Path,
    convert: Convert,
    decoded_samples: Count,
    tmp_path: Path,
    rate_hz: int,
    channels: int,
) -> None:
    """Before a stream of any kind it is read as what it is: the sound is not longer by it."""
    options = ["-c:a", "libmp3lame", "-q:a", "5", "-write_xing", "0", "-id3v2_version", "0"]
    options += ["-ar", str(rate_hz), "-ac", str(channels)]
    bare = convert(stereo, tmp_path / "bare.mp3", options)
    index = read_frame_index(bare)
    assert index is not None
    stream = bare.read_bytes()
    told = mpeg_audio.xing_frame(stream[:4], index.sizes)
    whole = tmp_path / "whole.mp3"
    whole.write_bytes(told + stream)
    found = read_frame_index(whole)
    assert found is not None
    assert found.info == told
    assert np.array_equal(found.sizes, index.sizes)
    assert decoded_samples(whole) == decoded_samples(bare)
