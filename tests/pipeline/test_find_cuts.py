"""The search for the cuts of copied frames: by several threads, from the sound alone."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import captoolkit
from captoolkit.bitstream.encodings import MODEL_RATE_HZ
from captoolkit.dsp.quietest import hop_samples
from captoolkit.media import decode
from captoolkit.media.probe_file import probe
from captoolkit.model import Plan
from captoolkit.pipeline.find_cuts import (
    find_prepared_segments,
    find_segments,
    lay_out_track,
    measure_loudness,
)
from captoolkit.pipeline.supervisor import Supervisor
from captoolkit.planning.cut_search import LoudnessCurve
from tests.support.sound import noise, silence, write_wav

LENGTH_S = 1300  # three sections
PAUSES_S = tuple(range(13, LENGTH_S, 19))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of a long file in segments of half a minute."""
    path = tmp_path_factory.mktemp("cuts") / "silent.wav"
    soundfile.write(path, np.zeros(LENGTH_S * 8000, np.int16), 8000)
    return captoolkit.plan(path, segment="30s")


def curve_of(begin: int, end: int) -> LoudnessCurve:
    """Loud sound with a pause of 0.6 s in the middle of some seconds."""
    hop = hop_samples(MODEL_RATE_HZ)
    at_s = (begin + hop * np.arange(max(0, end - begin) // hop)) / MODEL_RATE_HZ
    is_pause = (np.abs(at_s[:, None] - PAUSES_S) < 0.3).any(axis=1)
    return LoudnessCurve(origin=begin, hop=hop, power=np.where(is_pause, 1e-8, 1e-2))


def found_by(plan: Plan, *, jobs: int, ahead: int | None = None) -> list[tuple[int, int]]:
    """The segments that so many threads find."""
    with Supervisor(jobs=jobs) as supervisor:
        return list(find_segments(plan, curve_of, supervisor, ahead=ahead))


def test_segments_tile_the_track_and_end_in_pauses(plan: Plan) -> None:
    """No gap and no overlap, as many segments as planned, and each cut in a pause."""
    segments = found_by(plan, jobs=2)
    assert len(lay_out_track(plan).sections) > 1
    assert len(segments) == len(plan.spans)
    assert (segments[0][0], segments[-1][1]) == (0, LENGTH_S * 8000)
    for (_, end), (begin, _) in itertools.pairwise(segments):
        assert end == begin
        assert min(abs(end / 8000 - at) for at in PAUSES_S) < 0.3


def test_cuts_do_not_depend_on_the_threads(plan: Plan) -> None:
    """One thread, four threads, and four with a bounded lead find the same segments."""
    assert found_by(plan, jobs=1) == found_by(plan, jobs=4) == found_by(plan, jobs=4, ahead=1)


def test_a_halted_search_ends(plan: Plan) -> None:
    """After `halt` the iteration ends early and raises nothing."""
    with Supervisor(jobs=2) as supervisor:
        segments = find_segments(plan, curve_of, supervisor, ahead=1)
        next(segments)
        supervisor.halt()
        assert len(list(segments)) < len(plan.spans) - 1


def test_loudness_of_a_decoder(tmp_path: Path) -> None:
    """The curve has a value per 20 ms, begins at the origin, and shows the pause."""
    parts = noise(1, rate_hz=8000), silence(1, rate_hz=8000)
    path = write_wav(tmp_path / "pause.wav", *parts, rate_hz=8000)
    with decode.TrackDecoder(path, track=probe(path).default_track) as decoder:
        curve = measure_loudness(decoder, path, origin=77)
    assert (curve.origin, curve.hop, len(curve.power)) == (77, 160, 100)
    assert curve.power[:50].min() > 1e-3
    assert curve.power[51:].max() == 0


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


def test_a_silent_recording_has_the_fewest_segments(tmp_path: Path) -> None:
    """Equally quiet places are taken so that no segment is left over in a section."""
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(LENGTH_S * 8000, np.int16), 8000)
    segments = find_prepared_segments(path, captoolkit.plan(path, max_segment=30))
    assert len(segments) == -(-LENGTH_S // 30)
    assert max(segment.exact_s for segment in segments) <= 30


def test_a_plan_without_cuts_has_one_segment(tmp_path: Path) -> None:
    """A recording in one segment is not decoded for its cuts."""
    path = write_wav(tmp_path / "short.wav", noise(1, rate_hz=16_000), rate_hz=16_000)
    plan = captoolkit.plan(path)
    assert find_prepared_segments(path, plan) == list(plan.spans)
