from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from captoolkit.planning.cuts import CutRule, balanced_edges, cut, next_window
from tests.conftest import silence, tone

Sound = NDArray[np.float32]
RATE_HZ = 16_000
LOW_HZ = 1_000  # enough for what does not depend on what the sound is


def noise(frames: int, *, channels: int = 1, level: float = 0.1, seed: int = 1) -> Sound:
    """White noise, shape (frames, channels)."""
    made = np.random.default_rng(seed).standard_normal((frames, channels))
    return (made * level).astype(np.float32)


def blocks_of(sound: Sound, sizes: Sequence[int]) -> Iterator[Sound]:
    """The sound in blocks of those sizes, again and again."""
    first = 0
    for size in itertools.cycle(sizes):
        if first >= len(sound):
            return
        yield sound[first : first + size]
        first += size


def pieces_of(blocks: Iterable[Sound], rule: CutRule) -> list[Sound]:
    """The pieces that come out, each put together; they must be numbered without a gap."""
    pieces: list[list[Sound]] = []
    for number, block in cut(blocks, rule):
        assert number in (len(pieces), len(pieces) - 1)
        if number == len(pieces):
            pieces.append([])
        pieces[-1].append(block)
    return [np.concatenate(parts) for parts in pieces]


def edges_of(pieces: Sequence[Sound]) -> list[int]:
    """Where the inner cuts lie."""
    return list(itertools.accumulate(len(piece) for piece in pieces))[:-1]


def one_cut(sound: Sound, *, reach_s: float = 2.0, longest: int | None = None) -> int:
    """Where a sound is cut that is to become two."""
    rule = CutRule(
        total=len(sound),
        pieces=2,
        longest=longest or len(sound),
        reach=round(reach_s * RATE_HZ),
        rate_hz=RATE_HZ,
    )
    (at,) = edges_of(pieces_of(blocks_of(sound, [RATE_HZ]), rule))
    return at


@st.composite
def rules_made(draw: st.DrawFn) -> CutRule:
    """A rule as a plan makes it: cuts move at most a fifth of a piece."""
    total, pieces = draw(st.integers(200, 6_000)), draw(st.integers(1, 8))
    return CutRule(
        total=total,
        pieces=pieces,
        longest=-(-total // pieces) + draw(st.integers(0, 300)),
        reach=draw(st.integers(0, total // pieces // 5)),
        rate_hz=LOW_HZ,
    )


rules = rules_made()
sizes = st.lists(st.integers(0, 700), min_size=1, max_size=5).filter(any)


# ------------------------------------------------------------------- what must always hold


@given(total=st.integers(0, 10**12), pieces=st.integers(1, 2000))
@settings(deadline=None)
def test_balanced_edges_tile(total: int, pieces: int) -> None:
    """Balanced edges run from 0 to the end, and no two pieces differ by more than a sample."""
    edges = balanced_edges(total, pieces)
    lengths = {end - start for start, end in itertools.pairwise(edges)}
    assert (edges[0], edges[-1], len(edges)) == (0, total, pieces + 1)
    assert max(lengths) - min(lengths) <= 1


@given(rule=rules, sizes=sizes, channels=st.integers(1, 2), seed=st.integers(0, 9))
@settings(deadline=None)
def test_pieces_are_the_sound_and_keep_the_rule(
    rule: CutRule, sizes: list[int], channels: int, seed: int
) -> None:
    """As many pieces as asked, none too long, each near its balanced end; together the sound."""
    sound = noise(rule.total, channels=channels, seed=seed)
    pieces = pieces_of(blocks_of(sound, sizes), rule)
    assert np.array_equal(np.concatenate(pieces), sound)
    assert len(pieces) == rule.pieces
    assert max(map(len, pieces)) <= rule.longest
    start = 0
    for left, piece in zip(range(rule.pieces, 1, -1), pieces, strict=False):
        assert abs(len(piece) - (rule.total - start) / left) <= rule.reach + 1
        start += len(piece)


@given(rule=rules, one=sizes, two=sizes, seed=st.integers(0, 9))
@settings(deadline=None)
def test_cuts_do_not_depend_on_the_blocks(
    rule: CutRule, one: list[int], two: list[int], seed: int
) -> None:
    """The same sound is cut at the same samples, in whatever blocks it comes."""
    sound = noise(rule.total, seed=seed)
    assert edges_of(pieces_of(blocks_of(sound, one), rule)) == edges_of(
        pieces_of(blocks_of(sound, two), rule)
    )


@given(rule=rules, sizes=sizes, frames=st.integers(0, 15_000))
@settings(deadline=None)
def test_length_may_be_otherwise_than_promised(
    rule: CutRule, sizes: list[int], frames: int
) -> None:
    """A longer sound is cut on, a shorter one just ends: nothing is lost, no piece too long."""
    sound = noise(frames)
    pieces = pieces_of(blocks_of(sound, sizes), rule)
    assert np.array_equal(np.concatenate([sound[:0], *pieces]), sound)
    assert all(0 < len(piece) <= rule.longest for piece in pieces)


def test_shorter_sound_makes_fewer_pieces() -> None:
    """What ends in its second piece has two."""
    rule = CutRule(total=4_000, pieces=4, longest=1_200, reach=100, rate_hz=LOW_HZ)
    pieces = pieces_of(blocks_of(noise(1_500), [256]), rule)
    assert len(pieces) == 2
    assert 900 <= len(pieces[0]) <= 1_100


def test_window_leaves_room_for_the_rest() -> None:
    """A window never begins so early that the pieces after it could not hold what is left."""
    rule = CutRule(total=1_000, pieces=2, longest=520, reach=300, rate_hz=LOW_HZ)
    window = next_window(rule, start=0, pieces_left=2)
    assert window is not None
    assert (window.earliest, window.balanced, window.latest) == (480, 500, 520)
    assert next_window(rule, start=500, pieces_left=1) is None


# -------------------------------------------------------------------- where the cuts fall


@pytest.mark.parametrize("start_s", [8.2, 9.0, 9.9, 10.6, 11.6])
def test_pause_draws_the_cut(start_s: float) -> None:
    """A silence of 200 ms within reach has the cut in it, before or after the balanced place."""
    first = round(start_s * RATE_HZ)
    pause = silence(0.2, rate_hz=RATE_HZ)
    sound = np.concatenate([noise(first), pause, noise(20 * RATE_HZ - first - len(pause))])
    assert first <= one_cut(sound) <= first + len(pause)


@pytest.mark.parametrize("start_s", [7.0, 12.5])
def test_pause_out_of_reach_does_not_count(start_s: float) -> None:
    """A silence beyond reach does not draw the cut over it."""
    first = round(start_s * RATE_HZ)
    sound = noise(20 * RATE_HZ)
    sound[first : first + RATE_HZ // 2] = 0
    assert abs(one_cut(sound) - 10 * RATE_HZ) <= 2 * RATE_HZ


def test_limit_goes_before_the_pause() -> None:
    """No silence draws a cut past the longest piece."""
    sound = noise(20 * RATE_HZ)
    sound[11 * RATE_HZ : round(11.5 * RATE_HZ)] = 0
    limit = round(10.4 * RATE_HZ)
    assert one_cut(sound, longest=limit) <= limit


@pytest.mark.parametrize(
    ("first_level", "second_level", "inside_s"),
    [
        pytest.param(1e-3, 1e-2, (8.5, 8.8), id="the first is deeper"),
        pytest.param(1e-2, 1e-3, (10.5, 10.8), id="the second is deeper"),
        pytest.param(0.0, 0.0, (10.5, 10.8), id="both are silent and the second nearer"),
    ],
)
def test_better_of_two_pauses(
    first_level: float, second_level: float, inside_s: tuple[float, float]
) -> None:
    """Of two pauses within reach the deeper has the cut, of equal ones the nearer."""
    sound = noise(20 * RATE_HZ)
    for start_s, level in ((8.5, first_level), (10.5, second_level)):
        first = round(start_s * RATE_HZ)
        sound[first : first + round(0.3 * RATE_HZ)] *= level / 0.1
    assert inside_s[0] * RATE_HZ <= one_cut(sound) <= inside_s[1] * RATE_HZ


def test_silence_is_cut_in_balanced_pieces() -> None:
    """Where nothing is heard the cuts stay at their balanced places, to the 10 ms."""
    total = 30 * RATE_HZ
    rule = CutRule(total=total, pieces=4, longest=total, reach=2 * RATE_HZ, rate_hz=RATE_HZ)
    edges = edges_of(pieces_of(blocks_of(silence(30, rate_hz=RATE_HZ), [RATE_HZ]), rule))
    assert edges == pytest.approx(balanced_edges(total, 4)[1:-1], abs=RATE_HZ // 100)


@pytest.mark.parametrize(
    "disturbance",
    [
        pytest.param(np.full((20 * RATE_HZ, 1), 0.4, np.float32), id="offset"),
        pytest.param(tone(20, rate_hz=RATE_HZ, frequency_hz=25, amplitude=0.4), id="rumble"),
        pytest.param(np.linspace(-0.5, 0.5, 20 * RATE_HZ, dtype=np.float32)[:, None], id="drift"),
    ],
)
def test_pause_is_found_under_what_nobody_hears(disturbance: Sound) -> None:
    """An offset, rumble or a drift, there in the pause too, does not hide it."""
    sound = noise(20 * RATE_HZ)
    sound[9 * RATE_HZ : round(9.3 * RATE_HZ)] = 0
    assert 9 * RATE_HZ <= one_cut(sound + disturbance) <= 9.3 * RATE_HZ


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_impossible_samples_do_not_hide_the_pause(bad: float) -> None:
    """Single samples that are no numbers leave the cut where it was."""
    sound = noise(20 * RATE_HZ)
    sound[9 * RATE_HZ : round(9.3 * RATE_HZ)] = 0
    clean = one_cut(sound)
    sound[[10, 8 * RATE_HZ, 10 * RATE_HZ]] = bad
    assert one_cut(sound) == clean


# ---------------------------------------------------------------------------------- memory


def test_memory_does_not_grow_with_the_sound() -> None:
    """Of two hours no more is ever held than the reach on both sides of a cut."""
    hour, reach_s = 3600, 30
    rule = CutRule(
        total=2 * hour * RATE_HZ,
        pieces=4,
        longest=2000 * RATE_HZ,
        reach=reach_s * RATE_HZ,
        rate_hz=RATE_HZ,
    )
    alive: list[weakref.ref[Sound]] = []
    most = 0

    def seconds() -> Iterator[Sound]:
        nonlocal alive, most
        for _ in range(2 * hour):
            block = np.full((RATE_HZ, 1), 0.1, np.float32)
            alive = [*(ref for ref in alive if ref() is not None), weakref.ref(block)]
            most = max(most, len(alive))
            yield block
            del block

    samples = sum(len(part) for _, part in cut(seconds(), rule))
    assert samples == rule.total
    assert reach_s < most <= 2 * reach_s + 4
