"""The sound of runs: the parts around the ends of sections are decoded once and leave no mark."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import captoolkit
from captoolkit.media.decode import read_all
from captoolkit.pipeline.find_cuts import open_decoder
from captoolkit.pipeline.run_sound import Run, RunSounds, find_prepared_segments
from tests.support.sound import noise, write_wav

LENGTH_S = 1300  # three sections


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with long files of two rates: noise with short pauses."""
    folder = tmp_path_factory.mktemp("long")
    for rate_hz in (8000, 16_000):
        part = np.random.default_rng(5).integers(-3000, 3000, 13 * rate_hz, np.int16)
        part[: rate_hz // 2] //= 100
        soundfile.write(folder / f"{rate_hz}.flac", np.tile(part, LENGTH_S // 13), rate_hz)
    return folder


def sound_of_runs(path: Path, segment: str = "30s") -> tuple[list[Run], NDArray[Any], NDArray[Any]]:
    """The runs of a file in segments, their sound in one, and the sound that one decode has."""
    plan = captoolkit.plan(path, segment=segment)
    assert plan.encoding is not None
    sounds = RunSounds(path, plan, plan.encoding)
    runs = [*sounds.runs()]
    parts = [block for run in runs for block in sounds.blocks(run)]
    with open_decoder(path, plan, plan.encoding, 0, None) as decoder:
        return runs, np.concatenate(parts), read_all(decoder, path)


@pytest.mark.parametrize(("rate_hz", "difference"), [(16_000, 0), (8000, 1)])
def test_runs_join_without_a_mark(folder: Path, rate_hz: int, difference: int) -> None:
    """Two runs share the sound around their cut; resampling rounds differently, no more."""
    runs, joined, whole = sound_of_runs(folder / f"{rate_hz}.flac")
    assert len(runs) > 2
    for run, later in itertools.pairwise(runs):
        assert run.tail is not None
        assert run.tail is later.head
        assert run.sections[-1].end == later.sections[0].begin
    assert len(joined) == len(whole)
    assert np.abs(joined.astype(int) - whole).max() <= difference


def test_runs_that_share_no_sound_join_without_a_mark(folder: Path) -> None:
    """The places of a cut between long segments take too much memory to keep."""
    runs, joined, whole = sound_of_runs(folder / "8000.flac", "10m")
    assert [run.tail for run in runs] == [None] * 3
    assert np.abs(joined - whole).max() < 1e-5


def test_missing_frames_near_an_end_move_no_sound(folder: Path, tmp_path: Path) -> None:
    """Silence stands in for them in the sound that two runs share, as in that of one decode."""
    data = (folder / "8000.flac").read_bytes()
    path = tmp_path / "damaged.flac"
    lost = int(len(data) * 600 / LENGTH_S)
    path.write_bytes(data[:lost] + data[lost + 40_000 :])
    _, joined, whole = sound_of_runs(path)
    assert len(joined) == len(whole) == LENGTH_S * 16_000
    assert np.abs(joined.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("options", [{"segment": 30}, {"max_segment": 30}])
def test_cuts_are_found_as_prepare_makes_them(tmp_path: Path, options: dict[str, Any]) -> None:
    """A picture of a plan and the table of cuts show the segments that the same options make."""
    rate_hz, length_s = 11_025, 700  # two sections
    at_s = np.arange(length_s * rate_hz) / rate_hz
    level = np.where(at_s % 7.3 < 0.5, 0.001, 0.1)
    sound = np.random.default_rng(2).normal(0, 1, len(at_s)) * level
    path = tmp_path / "long.flac"
    soundfile.write(path, sound.clip(-1, 1), rate_hz)
    with captoolkit.prepare(path, **options) as prepared:
        spans = [segment.source_span for segment in prepared]
        assert find_prepared_segments(path, prepared.plan) == spans
    assert len(spans) <= len(prepared.plan.spans)


@pytest.mark.parametrize("rate_hz", [8000, 11_025])
def test_a_silent_recording_has_the_fewest_segments(tmp_path: Path, rate_hz: int) -> None:
    """Equally quiet places are taken so that no segment is left over, however many sections."""
    length_s = 3600
    path = tmp_path / "silent.flac"
    soundfile.write(path, np.zeros(length_s * rate_hz, np.int16), rate_hz)
    segments = find_prepared_segments(path, captoolkit.plan(path, max_segment=30))
    assert len(segments) == length_s // 30
    assert max(segment.exact_s for segment in segments) <= 30


def test_a_plan_without_cuts_has_one_segment(tmp_path: Path) -> None:
    """A recording in one segment is not decoded for its cuts."""
    path = write_wav(tmp_path / "short.wav", noise(1, rate_hz=16_000), rate_hz=16_000)
    plan = captoolkit.plan(path)
    assert find_prepared_segments(path, plan) == list(plan.spans)
