"""The search for the cuts of copied frames: by several threads, from the sound alone."""

from __future__ import annotations

import itertools
from pathlib import Path

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
