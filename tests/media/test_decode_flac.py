"""FLAC by miniaudio: the samples are ffmpeg's, in damaged files too; otherwise it reads nothing."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit.media import decode, decode_in_process
from captoolkit.media.decode_flac import open_miniaudio
from captoolkit.media.probe_file import probe
from tests.support.processes import own_children, posix

pytest.importorskip("miniaudio")

RATE_HZ = 8000
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


def read(path: Path, start: int = 0, end: int = LENGTH, dtype: str = "int16") -> int:
    """How many samples miniaudio reads; each is compared with that of libsndfile."""
    at = start
    with (
        path.open("rb", buffering=0) as stream,
        soundfile.SoundFile(stream) as sound,
        contextlib.ExitStack() as stack,
    ):
        whole = sound.read(dtype=dtype, always_2d=True)
        flac = open_miniaudio(path, stream, sound, start=start, end=end, dtype=dtype)
        if flac is None:
            return 0
        stack.enter_context(flac)
        while (block := flac.read()) is not None:
            assert block.dtype == dtype
            assert np.array_equal(block, whole[at : at + len(block)])
            at += len(block)
        assert flac.has_fault == (at < end)
    return at - start


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
    assert read(flac, dtype=dtype) == LENGTH
    assert read(flac, 177_777, 257_777, dtype) == 80_000


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
    """Between two silences nothing shows that the later one is early."""
    sound = noise()
    sound[2 * RATE_HZ :] = 0
    sound[10 * RATE_HZ] = 0.5
    flac = write(tmp_path / "click.flac", sound)
    assert read(flac) == LENGTH
    data = bytearray(flac.read_bytes())
    # The first frames are noise; of the others, that of the click is the longest.
    starts = [found.start() for found in re.finditer(rb"\xff[\xf8\xf9]", data)][8:]
    begin, end = max(itertools.pairwise(starts), key=lambda ends: ends[1] - ends[0])
    data[(begin + end) // 2] ^= 1
    (tmp_path / "lost.flac").write_bytes(data)
    lost = probe(tmp_path / "lost.flac").default_track
    reader = decode_in_process.open_sndfile(
        tmp_path / "lost.flac", lost, start=0, end=None, rest=lambda at: iter([np.zeros((at, 1))])
    )
    assert reader is not None
    with reader:
        *_, rest = reader
    assert len(rest) < 10 * RATE_HZ  # ffmpeg decodes from a place before the click


def test_without_miniaudio_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is optional; libsndfile then decodes, without ffmpeg."""
    flac = write(tmp_path / "noise.flac", noise())
    monkeypatch.setitem(sys.modules, "_miniaudio", None)
    assert read(flac) == 0
    with decode.TrackDecoder(flac, track=probe(flac).default_track, dtype="int16") as decoder:
        assert sum(map(len, decoder)) == LENGTH
        assert own_children() == set()


def test_another_file_of_the_name_is_not_mixed_in(tmp_path: Path) -> None:
    """The file is opened once more by its name, perhaps after another one has taken its place."""
    flac = write(tmp_path / "noise.flac", noise())
    other = write(tmp_path / "other.flac", noise()[::-1])
    with flac.open("rb", buffering=0) as stream, soundfile.SoundFile(stream) as sound:
        other.replace(flac)
        assert open_miniaudio(flac, stream, sound, start=0, end=LENGTH, dtype="int16") is None
        flac.unlink()
        assert open_miniaudio(flac, stream, sound, start=0, end=LENGTH, dtype="int16") is None


@posix
def test_any_name_is_opened(tmp_path: Path) -> None:
    """A name that is no Unicode as well."""
    flac = write(tmp_path / "noise.flac", noise())
    assert read(flac.rename(os.fsdecode(os.fsencode(tmp_path) + b"/~\xff.flac"))) == LENGTH


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
