from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from captoolkit.errors import UsageError
from captoolkit.model import Plan
from captoolkit.planning import ladder, rung_choice
from captoolkit.planning.cut_search import LoudnessCurve
from captoolkit.planning.options import ParsedOptions
from captoolkit.planning.prepare_plan import make_plan
from captoolkit.planning.rung_choice import CutLevels
from tests.support.encodings import mp3
from tests.support.media_values import CAPTIONER, media, track

RATE_HZ = 1000
HOP = 20


def planned(
    seconds: int,
    *,
    most_bit_rate: int | None = None,
    segment: int | None = None,
    quality: str = "auto",
) -> Plan:
    """A plan for a FLAC of that length."""
    sound = track(seconds, rate_hz=RATE_HZ)
    options = ParsedOptions(segment_s=Fraction(segment) if segment else None, quality=quality)
    return make_plan(media(sound), sound, CAPTIONER, options=options, most_bit_rate=most_bit_rate)


def around(at: int, *, pause_s: float) -> LoudnessCurve:
    """A loud curve of a minute around a sample, with a pause of a second that many seconds on."""
    power = np.full(3200, 1e-2)
    first = 1600 + round((pause_s - 0.5) * RATE_HZ / HOP)
    power[first : first + 50] = 1e-8
    return LoudnessCurve(origin=at - 1600 * HOP, hop=HOP, power=power)


def test_next_rung_is_taken_where_it_reaches_a_pause() -> None:
    """A pause beyond the reach of 32 kbit/s and within that of 24 is worth the loss."""
    better, lower = planned(3725), planned(3725, most_bit_rate=24_000)
    assert rung_choice.is_tight(better)
    assert better.spans == lower.spans
    (at,) = rung_choice.movable_cuts(better)
    levels = rung_choice.measure_cuts(better, lower, [around(at, pause_s=18)])
    chosen = rung_choice.choose(better, lower, levels)
    assert chosen.encoding == lower.encoding
    assert chosen.reasons[-1] == (
        "As MP3 32 kbit/s, 22.05 kHz mono, a segment can become only 12.362 s longer, and 1 cut "
        "would be loud. MP3 24 kbit/s, 16 kHz mono, with about 3.0 dB less fidelity and cuts 60 dB "
        "quieter, was chosen."
    )


def test_a_quality_has_no_next_rung() -> None:
    """A requested quality is one encoding; the refusal of a lower rate is no crash."""
    assert rung_choice.is_tight(planned(600, quality="music"))
    with pytest.raises(UsageError, match="no encoding of at most 24000 bit/s"):
        planned(600, quality="music", most_bit_rate=24_000)


@pytest.mark.parametrize(("pause_s", "is_weighed"), [(5, False), (31, True)])
def test_better_rung_is_kept_without_a_gain(pause_s: int, is_weighed: bool) -> None:
    """A pause within reach needs no other rung, and one beyond both is no reason for one."""
    better, lower = planned(3725), planned(3725, most_bit_rate=24_000)
    (at,) = rung_choice.movable_cuts(better)
    levels = rung_choice.measure_cuts(better, lower, [around(at, pause_s=pause_s)])
    kept = rung_choice.choose(better, lower, levels)
    assert kept.encoding == better.encoding
    assert kept.reasons[-1].endswith("was not chosen.") is is_weighed


def test_great_loss_is_not_taken() -> None:
    """A rung that loses more than the limit is not taken for any pause."""
    better, lower = planned(3725), planned(3725, most_bit_rate=24_000)
    levels = CutLevels(better_rung=[-20.0], lower_rung=[-90.0], around=[-20.0])
    far = dataclasses.replace(better, encoding=mp3(128_000, 24_000))
    assert rung_choice.choose(far, lower, levels).encoding == far.encoding


@pytest.mark.parametrize(("seconds", "segment"), [(3600, None), (3725, 30), (60, None)])
def test_only_tight_segments_of_minutes_are_weighed(seconds: int, segment: int | None) -> None:
    """Short segments, one segment, and segments with room are not weighed."""
    assert not rung_choice.is_tight(planned(seconds, segment=segment))


def test_loss_is_that_of_the_ladder() -> None:
    """A rung without a figure is halfway between its neighbours; others are unknown."""
    assert ladder.loss_db(mp3(48_000, 24_000), mp3(40_000, 24_000)) == pytest.approx(2.6)
    assert ladder.loss_db(mp3(64_000, 24_000), mp3(56_000, 24_000)) == pytest.approx(2.4)
    assert ladder.loss_db(mp3(48_000, 24_000), mp3(8_000, 16_000)) is None
