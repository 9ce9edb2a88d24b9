from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from captoolkit.media import packets
from captoolkit.media.packets import Packets
from captoolkit.media.probe_file import probe
from tests.support.sound import Convert, noise, write_wav

# Codec, and how many samples one of its packets holds.
KINDS = {
    "a.m4a": ("aac", 1024),
    "a.mka": ("aac", 1024),
    "a.ac3": ("ac3", 1536),
    "a.ts": ("mp2", 1152),
    "a.avi": ("libmp3lame", 1152),
}


def listed(path: Path) -> Packets:
    """Where a file's packets begin."""
    track = probe(path).default_track
    with packets.PacketListing(path, track.stream_index) as contents:
        found = packets.list_packets(contents, track)
    assert found is not None
    return found


@pytest.mark.parametrize("name", KINDS)
def test_packets_begin_where_the_ones_before_them_end(
    stereo: Path, convert: Convert, tmp_path: Path, name: str
) -> None:
    """Starts are a packet apart, within the container's clock, up to the track's end."""
    codec, held = KINDS[name]
    path = convert(stereo, tmp_path / name, ["-c:a", codec])
    found, track = listed(path), probe(path).default_track
    steps = np.diff(found.starts)
    inner = steps[2:-2]
    assert np.all(np.abs(inner - held) <= 0.0011 * track.sample_rate_hz)
    assert abs(int(inner.sum()) - held * len(inner)) <= 0.0011 * track.sample_rate_hz
    assert (found.sample_of(0), found.sample_of(found.count)) == (0, track.duration_samples)
    assert found.gapless
    assert found.starts[-1] <= track.duration_samples


def test_the_nearest_boundary_is_found() -> None:
    """A sample between two packets belongs to the nearer one; a tie goes to the earlier."""
    found = Packets(
        starts=np.array([0, 100, 200]),
        late_s=0,  # type: ignore[arg-type]
        gapless=True,
        total_samples=300,
    )
    nearest = [found.boundary_at(at) for at in (0, 49, 50, 51, 149, 200, 260)]
    assert nearest == [0, 0, 0, 1, 1, 2, 3]


def test_webm_is_told_from_matroska(stereo: Path, convert: Convert, tmp_path: Path) -> None:
    """Both read alike, but a player of the one need not play the other."""
    webm = convert(stereo, tmp_path / "a.webm", ["-c:a", "libopus"])
    matroska = convert(stereo, tmp_path / "a.mka", ["-c:a", "libopus"])
    assert packets.container_of(probe(webm)) == "webm"
    assert packets.container_of(probe(matroska)) == "matroska"


def test_copies_hold_the_same_packets(stereo: Path, convert: Convert, tmp_path: Path) -> None:
    """A file and its copy in another container list alike; another encoding does not."""
    one = convert(stereo, tmp_path / "one.m4a", ["-c:a", "aac", "-b:a", "96k"])
    copy = convert(one, tmp_path / "copy.mka", ["-c", "copy"])
    other = convert(stereo, tmp_path / "other.m4a", ["-c:a", "aac", "-b:a", "64k"])
    contents = []
    for path in (one, copy, other):
        with packets.PacketListing(path) as found:
            contents.append(list(found))
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize(
    ("name", "options", "samples"),
    [
        ("a.mka", ["-c:a", "aac"], 1024),
        ("a.ts", ["-c:a", "aac"], 1024),
        ("a.mka", ["-c:a", "ac3"], 1536),
        ("a.mka", ["-c:a", "libmp3lame", "-ar", "16000"], 576),
        ("a.mka", ["-c:a", "libvorbis"], None),
    ],
)
def test_packets_of_one_length_are_confirmed_by_the_decode(
    tmp_path: Path, convert: Convert, name: str, options: list[str], samples: int | None
) -> None:
    """Another decoded length, or a gap, leaves it unknown."""
    wav = write_wav(tmp_path / "a.wav", noise(8, rate_hz=32_000), rate_hz=32_000)
    path = convert(wav, tmp_path / name, options)
    track, found = probe(path).default_track, listed(path)
    shorter = dataclasses.replace(track, duration_samples=track.duration_samples * 3 // 4)
    gaping = dataclasses.replace(found, gapless=False)

    assert packets.fixed_packet_samples(found, track) == samples
    assert packets.fixed_packet_samples(found, shorter) is None
    assert packets.fixed_packet_samples(gaping, track) is None
