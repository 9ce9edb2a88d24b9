from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from captoolkit.bitstream.lossless import keeping_samples
from captoolkit.errors import LimitError, OutputError
from captoolkit.media import probe_file
from captoolkit.media.encode_lossless import LosslessWriter
from captoolkit.model import MediaInfo
from tests.support.media_values import track

RATE_HZ = 8000
SAMPLES = np.random.default_rng(8).integers(-(2**31), 2**31 - 1, (RATE_HZ, 1), np.int32)
WAV = keeping_samples(
    track(1, rate_hz=RATE_HZ, codec="pcm_s32le"), "wav", sample_type="int32", depth_bits=32
)
FLAC = keeping_samples(
    track(1, rate_hz=RATE_HZ, codec="mp3"), "mp3", sample_type="float32", depth_bits=32
)


def test_what_goes_in_is_what_is_read_back(tmp_path: Path) -> None:
    """All 32 bits of every sample are in the file, and so are its tags."""
    writer = LosslessWriter(tmp_path / "a.wav", WAV, tags={"title": "Night", "artist": "Rain"})
    for block in np.array_split(SAMPLES, 3):
        writer.write(block)
    writer.finish()
    with soundfile.SoundFile(tmp_path / "a.wav") as sound:
        assert np.array_equal(sound.read(dtype="int32", always_2d=True), SAMPLES)
        assert (sound.title, sound.artist) == ("Night", "Rain")


def test_what_has_more_bits_than_the_file_is_rounded(tmp_path: Path) -> None:
    """The nearest value of 24 bits is taken, and none beyond full scale comes out inverted."""
    writer = LosslessWriter(tmp_path / "a.flac", FLAC, tags={})
    loudest = np.full((100, 1), np.iinfo(np.int32).max, np.int32)
    block = np.concatenate([SAMPLES, loudest, -loudest])
    writer.write(block)
    writer.finish()
    found, _ = soundfile.read(tmp_path / "a.flac", dtype="int32", always_2d=True)
    off = np.abs(found.astype(np.int64) - block)
    assert off.max() <= 1 << 8
    assert off[: len(SAMPLES)].mean() < 70


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    """An encoder that would round samples is found out when the file is read back."""
    rounding = replace(WAV, codec="pcm_s16le")
    writer = LosslessWriter(tmp_path / "a.wav", rounding, tags={})
    writer.write(SAMPLES)
    with pytest.raises(LimitError, match="its samples differ from those written"):
        writer.finish()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A name that is too long for the disk is the disk's refusal."""
    writer = LosslessWriter(tmp_path / ("a" * 300 + ".wav"), WAV, tags={})
    with pytest.raises(OutputError):
        writer.finish()
    writer.abort()


def test_an_abort_while_reading_back_begins_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An abort before the decoder starts does not wait until it has read everything."""
    alac = keeping_samples(
        track(1, rate_hz=RATE_HZ, codec="alac"), "m4a", sample_type="int32", depth_bits=24
    )
    writer = LosslessWriter(tmp_path / "a.m4a", alac, tags={})
    writer.write(SAMPLES & -256)
    look = probe_file.probe

    def aborted(path: Path) -> MediaInfo:
        writer.abort()
        return look(path)

    monkeypatch.setattr(probe_file, "probe", aborted)
    with pytest.raises(LimitError):
        writer.finish()
