"""The table of containers: how a container is recognized, written and used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import captoolkit
from captoolkit.bitstream import containers
from captoolkit.bitstream.containers import CONTAINERS, Container
from captoolkit.media.ffmpeg import DEMUXERS
from captoolkit.model import Action
from tests.support.media_values import service
from tests.support.sound import noise, write_wav


@pytest.mark.parametrize(
    ("container", "codec", "muxer", "suffix"),
    [
        ("mp3", "mp2", "mp2", "mp2"),
        ("mp4", "aac", "ipod", "m4a"),
        ("mp4", "opus", "mp4", "mp4"),
        ("matroska", "vorbis", "matroska", "mka"),
        ("webm", "opus", "webm", "webm"),
        ("ogg", "vorbis", "ogg", "ogg"),
        ("ogg", "opus", "ogg", "opus"),
        ("wma", "wmav2", "asf", "wma"),
        ("mpeg-ps", "mp2", "matroska", "mka"),
        ("nut", "aac", "matroska", "mka"),
    ],
)
def test_sound_goes_back_where_it_came_from(
    container: str, codec: str, muxer: str, suffix: str
) -> None:
    """A container that can be written is kept; another becomes Matroska, which holds everything."""
    home = containers.container_of_packets(container, codec)
    assert (home.muxer_of(codec), home.suffix_of(codec)) == (muxer, suffix)


@pytest.mark.parametrize(
    ("demuxer", "brand", "name"),
    [
        ("matroska", "", "matroska"),
        ("asf", "", "wma"),
        ("mpeg", "", "mpeg-ps"),
        ("mov", "M4B ", "m4a"),
        ("mov", "3gp6", "3gp"),
        ("mov", "3ge6", "3gp"),
        ("mov", "3g2a", "3g2"),
        ("mov", "qt  ", "mov"),
        ("mov", "isom", "mp4"),
        ("mov", "", "mp4"),
        ("nut", "", "nut"),
    ],
)
def test_demuxer_and_brand_name_the_container(demuxer: str, brand: str, name: str) -> None:
    """A container has the name of its row; without a row it keeps ffmpeg's."""
    assert containers.recognized(demuxer, brand) == name


def test_rows_do_not_contradict_each_other() -> None:
    """No two rows have a name, an ending, a demuxer, a brand or a first byte in common."""
    rows = CONTAINERS.values()
    for facts in (
        [suffix for row in rows for suffix in row.suffixes],
        [demuxer for row in rows for demuxer in row.demuxers],
        [brand for row in rows for brand in row.brands],
        [magic for row in rows for magic in row.magics],
        [codec for row in rows if row.is_frame_stream for codec in row.codecs],
    ):
        assert len(set(facts)) == len(facts)
    assert all(row.sound_alone[0] in {"", *CONTAINERS} for row in rows)
    assert all({*row.codec_suffixes.values()} <= {*row.suffixes} for row in rows)
    assert all(row.moving_suffix in {"", *containers_suffixes()} for row in rows)


def containers_suffixes() -> set[str]:
    """The endings of all rows."""
    return {suffix for row in CONTAINERS.values() for suffix in row.suffixes}


def test_each_container_has_a_demuxer_behind_the_fence() -> None:
    """Ffmpeg may open every container that has a row."""
    allowed = set(DEMUXERS.split(","))
    for row in CONTAINERS.values():
        if row.name == containers.RAW:  # its demuxers read samples alone, and open nothing else
            continue
        names = row.demuxers or ((containers.MP4_DEMUXER,) if row.brands else (row.name,))
        assert allowed.issuperset(names), row.name


@pytest.mark.parametrize(
    ("container", "codec", "is_moving", "suffix"),
    [
        ("matroska", "aac", False, "mka"),
        ("matroska", "aac", True, "mkv"),
        ("ogg", "opus", False, "opus"),
        ("ogg", "opus", True, "ogv"),
        ("m4a", "aac", True, "mp4"),
        ("wma", "wmav2", True, "wmv"),
        ("mpeg-ps", "mp2", True, "mpg"),
        ("nut", "mp2", False, "nut"),
    ],
)
def test_ending_of_a_file(container: str, codec: str, is_moving: bool, suffix: str) -> None:
    """A file's ending follows from its container, its codec and whether it has a picture."""
    assert containers.of(container).suffix_of(codec, is_moving=is_moving) == suffix


def test_a_container_takes_one_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ffmpeg: str
) -> None:
    """With one row more, probe names a container, and plan, prepare and split use its facts."""
    sound = write_wav(tmp_path / "a.wav", noise(9, rate_hz=24_000), rate_hz=24_000)
    path = tmp_path / "recorder.bin"
    argv = [ffmpeg, "-v", "error", "-i", str(sound), "-c:a", "mp2", "-f", "nut", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    assert captoolkit.probe(path).container == "nut"
    row = Container(
        name="made-up", title="Made Up", suffixes=("mup",), demuxers=("nut",), muxer="nut"
    )
    monkeypatch.setitem(CONTAINERS, row.name, row)

    assert captoolkit.probe(path).container == "made-up"
    target = service(accepts={"made-up": ("mp2",)})
    plan = captoolkit.plan(path, target=target)
    assert (plan.action, plan.suffix) == (Action.PASS_THROUGH, "mup")
    (whole,) = captoolkit.prepare(path, target=target).save(tmp_path / "whole")
    assert whole.file == "recorder.001.mup"
    with captoolkit.split(path, parts=2) as pieces:
        assert (pieces.plan.action, pieces.plan.muxer) == (Action.COPY, "nut")
        made = pieces.save(tmp_path / "pieces")
    assert [piece.file for piece in made] == ["recorder.001.mup", "recorder.002.mup"]
    assert {captoolkit.probe(piece.path).container for piece in made} == {"made-up"}
