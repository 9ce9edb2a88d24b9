"""Mix, gain and rate in this process: every sample is the one that ffmpeg's filters give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from captoolkit.media import convert, decode, decode_in_process
from captoolkit.media.probe_file import probe

RATE_HZ = 44_100
MONO = ((0.5, 0.5),)
CASES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "mono at the model's rate": {"mix": MONO, "rate_hz": 16_000, "dtype": "int16"},
    "mono as floats": {"mix": ((0.707106781, 0.2),), "rate_hz": 24_000},
    "a single channel, quieter": {"mix": ((1.0, 0.0),), "gain_db": -3.21, "dtype": "int16"},
    "stereo": {"rate_hz": 22_050, "gain_db": 6.0, "dtype": "int16"},
    "channels exchanged, at a higher rate": {"mix": ((0.0, 1.0), (1.0, 0.0)), "rate_hz": 48_000},
    "16 bits as they are": {"dtype": "int16"},
}
SUBTYPES = {"wav": "PCM_16", "flac": "PCM_24", "aiff": "PCM_16"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same loud noise in three containers; its length is no whole number of blocks."""
    sound = np.random.default_rng(7).normal(0, 0.3, (3 * RATE_HZ + 1234, 2)).clip(-1, 1)
    folder = tmp_path_factory.mktemp("noise")
    for ending, subtype in SUBTYPES.items():
        soundfile.write(folder / f"noise.{ending}", sound, RATE_HZ, subtype=subtype)
    return {ending: folder / f"noise.{ending}" for ending in SUBTYPES}


@pytest.mark.parametrize("ending", SUBTYPES)
@pytest.mark.parametrize("case", CASES)
def test_both_ways_give_the_same_samples(
    files: dict[str, Path], ending: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording has one result, whether this process or ffmpeg decodes it."""
    if ending != "wav" and case == "nothing":
        return
    track = probe(files[ending]).default_track
    heard = []
    for start, end in ((0, None), (12_345, 99_999)):
        for way in ("", decode_in_process.FFMPEG):
            monkeypatch.setenv(decode_in_process.ENVIRONMENT_VARIABLE, way)
            options = {**CASES[case], "start_samples": start, "end_samples": end}
            with decode.TrackDecoder(files[ending], track=track, **options) as decoder:
                heard.append(np.concatenate([*decoder]))
        ours, theirs = heard[-2:]
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_the_result_does_not_depend_on_the_blocks(dtype: str) -> None:
    """Whole, in blocks of some seconds, or in small pieces: the samples are the same."""
    length = 3 * convert.GATHERED_SAMPLES
    sound = np.random.default_rng(1).integers(-9_000, 9_000, (length, 2), np.int16)
    sound = sound if dtype == "int16" else convert.as_float(sound)

    def resampled(step: int) -> NDArray[Any]:
        blocks = (sound[at : at + step] for at in range(0, length, step))
        made = convert.converted(blocks, source_hz=48_000, rate_hz=16_000, mix=MONO, dtype=dtype)
        return np.concatenate([*made])

    whole = resampled(length)
    assert len(whole) == length // 3
    assert whole.dtype == dtype
    assert np.array_equal(whole, resampled(100_000))
    assert np.array_equal(whole, resampled(777))


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_no_sound_stays_no_sound(rate_hz: int) -> None:
    """Neither no block nor empty blocks make a block."""
    empty = np.zeros((0, 2), np.int16)
    for blocks in ([], [empty, empty]):
        assert [*convert.converted(blocks, source_hz=48_000, rate_hz=rate_hz, mix=MONO)] == []


def test_empty_blocks_change_nothing() -> None:
    """A decoder may return a block without samples before the first one that is needed."""
    empty, some = np.zeros((0, 2), np.int16), np.full((4_800, 2), 9, np.int16)
    made = [*convert.converted([empty, some, empty], source_hz=48_000, rate_hz=16_000, mix=MONO)]
    assert sum(map(len, made)) == 1_600


def test_only_what_equals_ffmpeg_is_converted() -> None:
    """Ffmpeg adds more than two channels in another order, and 32 bits have their own rounding."""
    assert convert.can_convert(channels=2, mix=MONO, dtype="int16")
    assert not convert.can_convert(channels=6, mix=MONO, dtype="int16")
    assert not convert.can_convert(channels=2, mix=None, dtype="int32")
