"""FLAC by miniaudio: the samples are ffmpeg's, in damaged files too; otherwise it reads nothing."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit.media import decode, decode_in_process
from captoolkit.media.decode_flac import CheckedFlac
from captoolkit.media.probe_file import probe
from tests.support.processes import own_children, posix

pytest.importorskip("miniaudio")

RATE_HZ = 8000
PIECE = 9 * (1 << 14)  # samples in a piece at this rate: two pieces and a rest
LENGTH = 40 * RATE_HZ


def noise(channels: int = 1) -> NDArray[np.float64]:
    """Forty seconds of noise, shape (frames, channels)."""
    return np.random.default_rng(3).normal(0, 0.1, (LENGTH, channels)).clip(-1, 1)


def write(
    path: Path, sound: NDArray[np.float64], subtype: str = "PCM_16", form: str = "FLAC"
) -> Path:
    """Write a FLAC."""
    soundfile.write(path, sound, RATE_HZ, subtype=subtype, format=form)
    return path


def pieces(path: Path, start: int = 0, end: int = LENGTH, dtype: str = "int16") -> list[int]:
    """The lengths of the pieces that miniaudio reads, each compared with libsndfile's samples."""
    whole = soundfile.read(path, dtype=dtype, always_2d=True)[0]
    lengths: list[int] = []
    with (
        soundfile.SoundFile(path) as sound,
        CheckedFlac(path, sound, start=start, end=end, dtype=dtype) as flac,
    ):
        while piece := flac.read_piece():
            block = np.concatenate(piece)
            assert block.dtype == dtype
            assert np.array_equal(block, whole[start : start + len(block)])
            start += len(block)
            lengths.append(len(block))
    return lengths


def decoded(path: Path, **options: Any) -> NDArray[np.int16]:
    """The samples of a file's track."""
    track = probe(path).default_track
    with decode.TrackDecoder(path, track=track, dtype="int16", **options) as decoder:
        return np.concatenate([*decoder])


def damaged(flac: Path, at: float, change: str = "flip") -> Path:
    """A copy that has a changed bit, or lacks some bytes, at a share of its length."""
    data = bytearray(flac.read_bytes())
    place = int(len(data) * at)
    if change == "flip":
        data[place] ^= 4
    elif change == "repeat":
        data[place:place] = data[place - 40_000 : place]
    else:
        del data[place : place + 5000]
    copy = flac.with_name(f"{change}.flac")
    copy.write_bytes(data)
    return copy


@pytest.mark.parametrize(
    ("subtype", "dtype"), [("PCM_16", "int16"), ("PCM_24", "float32"), ("PCM_S8", "float32")]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_sample_is_that_of_libsndfile(
    tmp_path: Path, subtype: str, dtype: str, channels: int
) -> None:
    """Of each depth and number of channels, from the first sample and from a later one."""
    flac = write(tmp_path / "noise.flac", noise(channels), subtype)
    assert pieces(flac, dtype=dtype) == [PIECE, PIECE, LENGTH - 2 * PIECE]
    assert pieces(flac, 777, 80_777, dtype) == [80_000]


@pytest.mark.parametrize("change", ["flip", "cut", "repeat"])
@pytest.mark.parametrize("at", [0.1, 0.7, 0.97])
def test_a_damaged_file_gives_what_ffmpeg_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, at: float
) -> None:
    """Miniaudio leaves out a frame with a fault; no sample behind it may be early."""
    copy = damaged(write(tmp_path / "noise.flac", noise()), at, change)
    spans = [{}, {"start_samples": 100_000, "end_samples": 300_000}]
    own = [decoded(copy, **span) for span in spans]
    monkeypatch.setenv(decode_in_process.ENVIRONMENT_VARIABLE, decode_in_process.FFMPEG)
    for heard, span in zip(own, spans, strict=True):
        assert np.array_equal(heard, decoded(copy, **span))


def test_a_frame_lost_in_silence_is_missed(tmp_path: Path) -> None:
    """A click between two silences: without it the silence would look the same at any shift."""
    sound = noise()
    sound[2 * RATE_HZ :] = 0
    sound[10 * RATE_HZ] = 0.5
    flac = write(tmp_path / "click.flac", sound)
    assert sum(pieces(flac)) == LENGTH
    data = bytearray(flac.read_bytes())
    # The first frames are noise; of the others, that of the click is the longest.
    starts = [found.start() for found in re.finditer(rb"\xff[\xf8\xf9]", data)][8:]
    begin, end = max(itertools.pairwise(starts), key=lambda ends: ends[1] - ends[0])
    data[(begin + end) // 2] ^= 1
    (tmp_path / "lost.flac").write_bytes(data)
    with (
        soundfile.SoundFile(tmp_path / "lost.flac") as opened,
        CheckedFlac(tmp_path / "lost.flac", opened, start=0, end=LENGTH, dtype="int16") as reader,
    ):
        assert reader.read_piece() == []


def test_a_short_span_is_left_to_libsndfile(tmp_path: Path) -> None:
    """A seek costs as much as miniaudio saves there."""
    assert pieces(write(tmp_path / "noise.flac", noise()), 0, 4 * RATE_HZ) == []


def test_without_miniaudio_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is optional; libsndfile then decodes, without ffmpeg."""
    flac = write(tmp_path / "noise.flac", noise())
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    assert pieces(flac) == []
    with decode.TrackDecoder(flac, track=probe(flac).default_track, dtype="int16") as decoder:
        assert sum(map(len, decoder)) == LENGTH
        assert own_children() == set()


def test_another_file_of_the_name_is_not_mixed_in(tmp_path: Path) -> None:
    """Miniaudio opens the file by its name, perhaps after another one has taken its place."""
    flac = write(tmp_path / "noise.flac", noise())
    other = write(tmp_path / "other.flac", noise()[::-1])
    with (
        flac.open("rb", buffering=0) as stream,
        soundfile.SoundFile(stream) as sound,
        CheckedFlac(flac, sound, start=0, end=LENGTH, dtype="int16") as reader,
    ):
        shutil.copy(other, tmp_path / "third.flac")
        (tmp_path / "third.flac").replace(flac)
        assert reader.read_piece() == []


def test_any_name_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name that begins with a tilde means no folder of a user."""
    monkeypatch.chdir(tmp_path)
    assert sum(pieces(write(Path("~root é.flac"), noise()))) == LENGTH


@posix
def test_a_name_that_is_no_unicode_is_left_to_libsndfile(tmp_path: Path) -> None:
    """Miniaudio cannot encode it."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.flac")
    write(tmp_path / "noise.flac", noise()).rename(name)
    assert len(decoded(Path(name))) == LENGTH


def test_closing_while_it_decodes(tmp_path: Path) -> None:
    """`close` in another thread ends the loop; nothing is read from a closed file."""
    flac = write(tmp_path / "noise.flac", noise(2))
    track = probe(flac).default_track
    for delay_s in (0.0, 0.001, 0.003, 0.01):
        decoder = decode.TrackDecoder(flac, track=track, dtype="int16")
        timer = threading.Timer(delay_s, decoder.close)
        timer.start()
        assert sum(map(len, decoder)) <= LENGTH
        timer.join()
        assert sum(map(len, decoder)) == 0
