from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from captoolkit.model import Span
from captoolkit.planning.cuts import (
    RUN_S,
    RUN_SEGMENTS,
    Window,
    balanced_edges,
    cut,
    group_runs,
    window,
)
from tests.support.sound import silence, tone

Sound = NDArray[np.float32]
RATE_HZ = 16_000
LOW_HZ = 1_000  # for tests that do not depend on the sound


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


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The input of `cut`: the planned length of the sound, and the rule for its parts."""

    total: int
    pieces: int
    longest: int
    reach: int
    rate_hz: int

    @property
    def windows(self) -> tuple[Window, ...]:
        """Where its cuts may fall."""
        edges = balanced_edges(self.total, self.pieces)[1:-1]
        return tuple(window(edge, self.reach) for edge in edges)


def pieces_of(blocks: Iterable[Sound], rule: Rule) -> list[Sound]:
    """The pieces that come out, each put together; they must be numbered without a gap."""
    pieces: list[list[Sound]] = []
    for number, block in cut(blocks, rule.windows, rate_hz=rule.rate_hz, longest=rule.longest):
        assert number in (len(pieces), len(pieces) - 1)
        if number == len(pieces):
            pieces.append([])
        pieces[-1].append(block)
    return [np.concatenate(parts) for parts in pieces]


def edges_of(pieces: Sequence[Sound]) -> list[int]:
    """Where the inner cuts lie."""
    return list(itertools.accumulate(len(piece) for piece in pieces))[:-1]


def one_cut(sound: Sound, *, reach_s: float = 2.0) -> int:
    """Where a sound is cut that is to become two."""
    rule = Rule(
        total=len(sound),
        pieces=2,
        longest=len(sound),
        reach=round(reach_s * RATE_HZ),
        rate_hz=RATE_HZ,
    )
    (at,) = edges_of(pieces_of(blocks_of(sound, [RATE_HZ]), rule))
    return at


@st.composite
def rules_made(draw: st.DrawFn) -> Rule:
    """A rule as a plan makes it: cuts move at most a fifth of a piece and half of the room."""
    total, pieces = draw(st.integers(200, 6_000)), draw(st.integers(1, 8))
    room = draw(st.integers(0, 300))
    return Rule(
        total=total,
        pieces=pieces,
        longest=-(-total // pieces) + room,
        reach=draw(st.integers(0, min(total // pieces // 5, room // 2))),
        rate_hz=LOW_HZ,
    )


rules = rules_made()
sizes = st.lists(st.integers(0, 700), min_size=1, max_size=5).filter(any)


# ------------------------------------------------------------------- properties


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
    rule: Rule, sizes: list[int], channels: int, seed: int
) -> None:
    """The planned number of pieces, none too long, each near its balanced end, tiles the sound."""
    sound = noise(rule.total, channels=channels, seed=seed)
    pieces = pieces_of(blocks_of(sound, sizes), rule)
    assert np.array_equal(np.concatenate(pieces), sound)
    assert len(pieces) == rule.pieces
    assert max(map(len, pieces)) <= rule.longest
    for at, one in zip(edges_of(pieces), rule.windows, strict=True):
        assert one.earliest <= at <= one.latest


@given(rule=rules, one=sizes, two=sizes, seed=st.integers(0, 9))
@settings(deadline=None)
def test_cuts_do_not_depend_on_the_blocks(
    rule: Rule, one: list[int], two: list[int], seed: int
) -> None:
    """The same sound is cut at the same samples in blocks of any length."""
    sound = noise(rule.total, seed=seed)
    assert edges_of(pieces_of(blocks_of(sound, one), rule)) == edges_of(
        pieces_of(blocks_of(sound, two), rule)
    )


@given(rule=rules, sizes=sizes, frames=st.integers(0, 15_000))
@settings(deadline=None)
def test_length_may_be_otherwise_than_promised(rule: Rule, sizes: list[int], frames: int) -> None:
    """A longer sound is cut on, a shorter one just ends: nothing is lost, no piece too long."""
    sound = noise(frames)
    pieces = pieces_of(blocks_of(sound, sizes), rule)
    assert np.array_equal(np.concatenate([sound[:0], *pieces]), sound)
    assert all(0 < len(piece) <= rule.longest for piece in pieces)


def test_shorter_sound_makes_fewer_pieces() -> None:
    """A sound that ends in its second piece has two."""
    rule = Rule(total=4_000, pieces=4, longest=1_200, reach=100, rate_hz=LOW_HZ)
    pieces = pieces_of(blocks_of(noise(1_500), [256]), rule)
    assert len(pieces) == 2
    assert 900 <= len(pieces[0]) <= 1_100


@given(
    edges=st.lists(st.integers(2_000, 3_000), min_size=1, max_size=5),
    seed=st.integers(0, 9),
    data=st.data(),
)
@settings(deadline=None)
def test_each_cut_is_its_own(edges: list[int], seed: int, data: st.DataObject) -> None:
    """A sound cut from any of its cuts on is cut at the same samples after it."""
    places = list(itertools.accumulate(edges))
    windows = tuple(window(place, 400) for place in places)
    sound = noise(places[-1] + 2_000, seed=seed)
    first = data.draw(st.integers(0, len(places) - 1))
    start = data.draw(st.integers(windows[first].earliest, windows[first].latest))
    later = tuple(window(place - start, 400) for place in places[first + 1 :])
    whole = cut([sound], windows, rate_hz=LOW_HZ, longest=len(sound))
    rest = cut([sound[start:]], later, rate_hz=LOW_HZ, longest=len(sound))
    assert lengths_of(rest)[1:] == lengths_of(whole)[first + 2 :]


def lengths_of(parts: Iterable[tuple[int, Sound]]) -> list[int]:
    """How long each part is."""
    grouped = itertools.groupby(parts, key=lambda part: part[0])
    return [sum(len(block) for _, block in blocks) for _, blocks in grouped]


@given(places=st.sets(st.integers(1, 999), max_size=6), sizes=sizes)
@settings(deadline=None)
def test_fixed_cuts_are_exact(places: set[int], sizes: list[int]) -> None:
    """A fixed cut does not move for any sound, and 16-bit sound is cut in the same way."""
    sound = (noise(1_000) * 32_767).astype(np.int16)
    blocks = (sound[first : first + sizes[0] + 1] for first in range(0, 1_000, sizes[0] + 1))
    windows = [window(place, 0) for place in sorted(places)]
    parts = [*cut(blocks, windows, rate_hz=LOW_HZ, longest=1_000)]
    edges = [0, *sorted(places), 1_000]
    grouped = itertools.groupby(parts, key=lambda part: part[0])
    assert np.array_equal(np.concatenate([block for _, block in parts]), sound)
    assert [sum(len(block) for _, block in blocks) for _, blocks in grouped] == [
        end - start for start, end in itertools.pairwise(edges)
    ]


def test_window_is_within_the_sound() -> None:
    """A window reaches both ways, but not before the beginning."""
    assert window(500, 20) == Window(earliest=480, balanced=500, latest=520)
    assert window(5, 20) == Window(earliest=0, balanced=5, latest=25)


@pytest.mark.parametrize(("earliest", "balanced", "latest"), [(-1, 0, 1), (3, 2, 4), (1, 3, 2)])
def test_impossible_window_is_refused(earliest: int, balanced: int, latest: int) -> None:
    """A window in the wrong order, or before the beginning, is none."""
    with pytest.raises(ValueError, match="is no window"):
        Window(earliest=earliest, balanced=balanced, latest=latest)


# ------------------------------------------------------------------------------------- runs


@given(
    segments=st.lists(
        st.tuples(st.integers(1, 900), st.sampled_from([0, 0, 0, 7])), min_size=1, max_size=120
    )
)
@settings(deadline=None)
def test_runs_are_the_segments(segments: list[tuple[int, int]]) -> None:
    """Runs together are the segments; none spans a gap, and none grows once it is full."""
    spans, at = [], 0
    for length_s, gap_s in segments:
        spans.append(Span(start_samples=at, end_samples=at + length_s, rate_hz=1))
        at += length_s + gap_s
    parted = group_runs(spans)
    assert list(itertools.chain(*parted)) == spans
    for run in parted:
        assert all(one.end_samples == two.start_samples for one, two in itertools.pairwise(run))
        assert len(run) <= RUN_SEGMENTS
        assert run[-1].start_samples - run[0].start_samples < RUN_S


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
    """Where the sound goes on past its last cut, no silence draws one past the longest piece."""
    sound = noise(20 * RATE_HZ)
    sound[11 * RATE_HZ : round(11.5 * RATE_HZ)] = 0
    limit = round(10.4 * RATE_HZ)
    rule = Rule(total=limit, pieces=1, longest=limit, reach=0, rate_hz=RATE_HZ)
    pieces = pieces_of(blocks_of(sound, [RATE_HZ]), rule)
    assert len(pieces) == 2
    assert max(map(len, pieces)) <= limit


def test_forced_cut_lies_in_a_pause_too() -> None:
    """A sound that goes on is cut in a silence before the limit, not at it."""
    sound = noise(20 * RATE_HZ)
    sound[11 * RATE_HZ : round(11.3 * RATE_HZ)] = 0
    rule = Rule(total=12 * RATE_HZ, pieces=1, longest=12 * RATE_HZ, reach=0, rate_hz=RATE_HZ)
    first, _ = pieces_of(blocks_of(sound, [RATE_HZ]), rule)
    assert 11 * RATE_HZ <= len(first) <= 11.3 * RATE_HZ


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
    rule = Rule(total=total, pieces=4, longest=total, reach=2 * RATE_HZ, rate_hz=RATE_HZ)
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
    """No more is held than a window: that of a planned cut, at the end that of a forced one."""
    hour, reach_s = 3600, 30
    rule = Rule(
        total=2 * hour * RATE_HZ,
        pieces=4,
        longest=2000 * RATE_HZ,
        reach=reach_s * RATE_HZ,
        rate_hz=RATE_HZ,
    )
    alive: list[weakref.ref[Sound]] = []
    most = {True: 0, False: 0}  # while planned cuts are ahead, and behind the last

    def seconds() -> Iterator[Sound]:
        nonlocal alive
        for second in range(2 * hour):
            block = np.full((RATE_HZ, 1), 0.1, np.float32)
            alive = [*(ref for ref in alive if ref() is not None), weakref.ref(block)]
            ahead = second < 1800 * 3 + reach_s
            most[ahead] = max(most[ahead], len(alive))
            yield block
            del block

    parts = cut(seconds(), rule.windows, rate_hz=RATE_HZ, longest=rule.longest)
    samples = sum(len(part) for _, part in parts)
    assert samples == rule.total
    assert reach_s < most[True] <= 2 * reach_s + 4
    assert most[False] <= rule.longest // 5 // RATE_HZ + 4
