from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captoolkit.planning.cut_search import (
    Division,
    LoudnessCurve,
    choose_cuts,
    quietest_sample,
)

HOP = 20


def curve_of(hops: int, *, pauses: tuple[int, ...] = (), origin: int = 0) -> LoudnessCurve:
    """A loud curve with pauses of 40 hops around some of them."""
    power = np.full(hops, 1e-2)
    for middle in pauses:
        power[middle - 20 : middle + 20] = 1e-8
    return LoudnessCurve(origin=origin, hop=HOP, power=power)


def division(total: int, count: int, *, longest: int, is_fewest: bool = False) -> Division:
    """A division of a sound with freely moving cuts."""
    return Division(
        begin=0,
        end=total,
        count=count,
        shortest=total // count // 2,
        longest=longest,
        reach=total,
        is_fewest=is_fewest,
    )


@given(
    hops=st.integers(100, 2_000),
    count=st.integers(1, 9),
    room=st.integers(0, 2_000),
    is_fewest=st.booleans(),
)
@settings(deadline=None)
def test_cuts_keep_the_limits(hops: int, count: int, room: int, is_fewest: bool) -> None:
    """Cuts are in order, and each segment keeps its limits."""
    total = hops * HOP
    rule = division(total, count, longest=-(-total // count) + room, is_fewest=is_fewest)
    edges = [0, *choose_cuts(curve_of(hops), rule), total]
    lengths = [end - begin for begin, end in itertools.pairwise(edges)]
    assert len(lengths) <= count if is_fewest else len(lengths) == count
    assert max(lengths) <= rule.longest
    assert len(lengths) == 1 or min(lengths) >= rule.shortest


def test_pauses_are_used_although_they_unbalance() -> None:
    """Both cuts lie in pauses, at a third of the balanced length from their places."""
    curve = curve_of(3_000, pauses=(700, 2_300))
    cuts = choose_cuts(curve, division(60_000, 3, longest=40_000))
    assert [at / HOP for at in cuts] == pytest.approx([700, 2_300], abs=10)


@pytest.mark.parametrize("is_fewest", [False, True])
@pytest.mark.parametrize("level_db", [-65, -20])
def test_silence_is_used_in_steady_noise(level_db: int, is_fewest: bool) -> None:
    """A silence of half a second is used although some place of the noise is hardly ever louder.

    In steady noise the quietest places have percentiles near 0, as a silence has.
    """
    noise = np.random.default_rng(1).gamma(320, 1 / 320, 4_500) * 10 ** (level_db / 10)
    noise[2_330:2_355] = 0
    curve = LoudnessCurve(origin=0, hop=HOP, power=noise)
    cuts = choose_cuts(curve, division(90_000, 3, longest=45_000, is_fewest=is_fewest))
    assert any(2_330 <= at / HOP <= 2_355 for at in cuts)


def test_fewer_segments_only_where_pauses_allow() -> None:
    """Two pauses make three segments; three pauses that the limit needs make four."""
    rule = division(60_000, 4, longest=24_000, is_fewest=True)
    cuts = choose_cuts(curve_of(3_000, pauses=(1_000, 2_000)), rule)
    assert [at / HOP for at in cuts] == pytest.approx([1_000, 2_000], abs=10)
    assert len(choose_cuts(curve_of(3_000, pauses=(600, 1_500, 2_300)), rule)) == 3


def test_limits_without_a_choice_give_balanced_cuts() -> None:
    """Where a segment has no room, the cuts are balanced to the sample."""
    rule = division(10_001, 3, longest=3_334)
    assert choose_cuts(curve_of(500), rule) == rule.balanced == [3_334, 6_667]


@pytest.mark.parametrize("reach_hops", range(50, 60))
def test_a_pause_counts_of_which_the_limits_leave_a_part(reach_hops: int) -> None:
    """The cut is in the part of a pause that leaves the second segment long enough."""
    rule = Division(
        begin=0, end=200 * HOP, count=2, shortest=80 * HOP, longest=150 * HOP,
        reach=reach_hops * HOP,
    )  # fmt: skip
    (cut,) = choose_cuts(curve_of(200, pauses=(134,)), rule)
    assert 117 * HOP <= cut <= 120 * HOP


def test_quietest_sample_stays_in_its_window() -> None:
    """The cut is in the pause within the window, and at its balanced place without a curve."""
    curve = curve_of(500, pauses=(100, 300), origin=1_000)
    assert quietest_sample(curve, 5_000, 6_000, 9_000) == pytest.approx(7_000, abs=200)
    assert quietest_sample(curve, 50_000, 50_009, 50_019) == pytest.approx(50_009, abs=HOP)


def test_one_cut_is_decided_by_the_sound_within_its_reach() -> None:
    """A longer curve around the reach of a single cut changes nothing."""
    rng = np.random.default_rng(5)
    power = 10 ** rng.uniform(-6, -2, 2_000)
    whole = LoudnessCurve(origin=0, hop=320, power=power)
    division = Division(
        begin=0, end=640_000, count=2, shortest=100_000, longest=500_000, reach=64_000
    )
    earliest, latest = division.deciding
    assert (earliest, latest) == (256_000, 384_000)
    part = LoudnessCurve(origin=earliest, hop=320, power=power[earliest // 320 : latest // 320])
    assert choose_cuts(part, division) == choose_cuts(whole, division)
