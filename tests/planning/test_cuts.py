from __future__ import annotations

import dataclasses
import itertools
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from captoolkit.dsp.quietest import hop_samples, power_curve
from captoolkit.model import Action, Plan, Span
from captoolkit.planning.cut_search import LoudnessCurve
from captoolkit.planning.cuts import (
    RUN_SEGMENTS,
    Section,
    Window,
    balanced_edges,
    context_samples,
    cut,
    decide_ends,
    plan_sections,
)
from tests.support.media_values import media, track
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
    """The input of `cut`: the planned length of the sound, and the rule for its segments."""

    total: int
    pieces: int
    longest: int
    reach: int
    rate_hz: int
    per_section: int = 100
    is_fewest: bool = False

    @property
    def sections(self) -> tuple[Section, ...]:
        """How it is cut."""
        edges = balanced_edges(self.total, self.pieces)
        return tuple(
            Section(
                begin=edges[first],
                end=edges[last],
                count=last - first,
                balanced=-(-self.total // self.pieces),
                shortest=self.total // self.pieces // 2,
                longest=self.longest,
                reach=self.reach,
                moves=last < self.pieces and self.reach > 0,
                earlier=last,
                later=self.pieces - last,
                is_fewest=self.is_fewest,
                first=first + 1,
            )
            for first in range(0, self.pieces, self.per_section)
            for last in [min(first + self.per_section, self.pieces)]
        )


def pieces_of(blocks: Iterable[Sound], rule: Rule) -> list[Sound]:
    """The segments, each put together; they must be numbered without a gap."""
    pieces: list[list[Sound]] = []
    for number, block in cut(blocks, rule.sections, rate_hz=rule.rate_hz, longest=rule.longest):
        assert number in (len(pieces), len(pieces) - 1)
        if number == len(pieces):
            pieces.append([])
        pieces[-1].append(block)
    return [np.concatenate(parts) for parts in pieces]


def edges_of(pieces: Sequence[Sound]) -> list[int]:
    """The places of the inner cuts."""
    return list(itertools.accumulate(len(piece) for piece in pieces))[:-1]


def one_cut(sound: Sound, *, reach_s: float = 2.0) -> int:
    """The place of the cut in a sound that becomes two segments."""
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
    """A rule as a plan makes it."""
    total, pieces = draw(st.integers(2_000, 20_000)), draw(st.integers(1, 8))
    longest = -(-total // pieces) + draw(st.integers(0, 900))
    return Rule(
        total=total,
        pieces=pieces,
        longest=longest,
        reach=draw(st.integers(0, total // pieces * 9 // 10)),
        rate_hz=LOW_HZ,
        per_section=draw(st.integers(1, 8)),
        is_fewest=draw(st.booleans()),
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
    """The planned number of segments or fewer, none too long or too short, tiles the sound."""
    sound = noise(rule.total, channels=channels, seed=seed)
    pieces = pieces_of(blocks_of(sound, sizes), rule)
    assert np.array_equal(np.concatenate(pieces), sound)
    assert len(pieces) <= rule.pieces if rule.is_fewest else len(pieces) == rule.pieces
    assert max(map(len, pieces)) <= rule.longest
    if len(pieces) > 1:
        assert min(map(len, pieces)) >= rule.total // rule.pieces // 2
    if not rule.is_fewest:
        for at, edge in zip(
            edges_of(pieces), balanced_edges(rule.total, rule.pieces)[1:-1], strict=True
        ):
            # A section that begins elsewhere has balanced places of its own.
            assert abs(at - edge) <= 2 * rule.reach + 1


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


@pytest.mark.parametrize("size", [1, 20, 399, 3158])
def test_a_longer_last_block_changes_no_cut(size: int) -> None:
    """Sound behind a section that arrives with its end has no part in the cuts of the section."""
    rule = Rule(total=3158, pieces=7, longest=600, reach=164, rate_hz=1000, per_section=5)
    sound = noise(rule.total)
    assert edges_of(pieces_of(blocks_of(sound, [size]), rule)) == edges_of(
        pieces_of(blocks_of(sound, [7]), rule)
    )


@given(rule=rules, sizes=sizes, frames=st.integers(0, 30_000))
@settings(deadline=None)
def test_length_may_be_otherwise_than_promised(rule: Rule, sizes: list[int], frames: int) -> None:
    """A longer sound is cut on, a shorter one ends: nothing is lost, no segment too long."""
    sound = noise(frames)
    pieces = pieces_of(blocks_of(sound, sizes), rule)
    assert np.array_equal(np.concatenate([sound[:0], *pieces]), sound)
    assert all(0 < len(piece) <= rule.longest for piece in pieces)


def test_shorter_sound_makes_fewer_pieces() -> None:
    """A sound that ends in its second segment has two."""
    rule = Rule(total=4_000, pieces=4, longest=1_200, reach=100, rate_hz=LOW_HZ)
    pieces = pieces_of(blocks_of(noise(1_500), [256]), rule)
    assert len(pieces) == 2
    assert 600 <= len(pieces[0]) <= 1_100


@given(rule=rules, seed=st.integers(0, 9))
@settings(deadline=None)
def test_each_section_is_cut_alone(rule: Rule, seed: int) -> None:
    """A worker that begins at a section finds the cuts of a stream of all sections."""
    sound = noise(rule.total, seed=seed)
    expected = edges_of(pieces_of([sound], rule))
    context, found = context_samples(LOW_HZ), []

    def curve(section: Section) -> LoudnessCurve:
        window = section.end_window()
        begin = max(0, window.earliest - context)
        power = power_curve(sound[begin : window.latest + context], rate_hz=LOW_HZ)
        return LoudnessCurve(origin=begin, hop=hop_samples(LOW_HZ), power=power)

    curves = (curve(section) for section in rule.sections if section.moves)
    for section in decide_ends(rule.sections, curves):
        own = dataclasses.replace(section, begin=0, end=section.end - section.begin)
        parts = cut(
            [sound[section.begin : section.end]], [own], rate_hz=LOW_HZ, longest=rule.longest
        )
        lengths = lengths_of(parts)
        found += [section.begin + at for at in itertools.accumulate(lengths)]
    hop = hop_samples(LOW_HZ)
    # The grids of the two curves differ by less than a hop, which may decide an open number.
    assert rule.is_fewest or len(found) - 1 == len(expected)
    assert rule.is_fewest or rule.reach > 0 or found[:-1] == pytest.approx(expected, abs=hop)


def lengths_of(parts: Iterable[tuple[int | None, Sound]]) -> list[int]:
    """How long each segment is."""
    grouped = itertools.groupby(parts, key=lambda part: part[0])
    return [sum(len(block) for _, block in blocks) for _, blocks in grouped]


@given(places=st.sets(st.integers(1, 999), max_size=6), sizes=sizes)
@settings(deadline=None)
def test_fixed_cuts_are_exact(places: set[int], sizes: list[int]) -> None:
    """A fixed cut does not move for any sound, and 16-bit sound is cut in the same way."""
    sound = (noise(1_000) * 32_767).astype(np.int16)
    blocks = (sound[first : first + sizes[0] + 1] for first in range(0, 1_000, sizes[0] + 1))
    edges = [0, *sorted(places), 1_000]
    sections = [Section(begin=begin, end=end) for begin, end in itertools.pairwise(edges)]
    parts = [*cut(blocks, sections, rate_hz=LOW_HZ, longest=1_000)]
    assert np.array_equal(np.concatenate([block for _, block in parts]), sound)
    assert lengths_of(parts) == [end - start for start, end in itertools.pairwise(edges)]


def test_left_out_sound_has_no_number() -> None:
    """Sound that is left out belongs to no segment, and the numbers go on behind it."""
    sections = [
        Section(begin=0, end=300, is_kept=False),
        Section(begin=300, end=600),
        Section(begin=600, end=700, is_kept=False),
        Section(begin=700, end=1_000),
    ]
    parts = [*cut([noise(1_000)], sections, rate_hz=LOW_HZ, longest=1_000)]
    grouped = itertools.groupby(parts, key=lambda part: part[0])
    assert [number for number, _ in grouped] == [None, 0, None, 1]
    assert lengths_of(parts) == [300, 300, 100, 300]


@pytest.mark.parametrize(("earliest", "balanced", "latest"), [(-1, 0, 1), (3, 2, 4), (1, 3, 2)])
def test_impossible_window_is_refused(earliest: int, balanced: int, latest: int) -> None:
    """A window in the wrong order, or before the beginning, is none."""
    with pytest.raises(ValueError, match="is no window"):
        Window(earliest=earliest, balanced=balanced, latest=latest)


# --------------------------------------------------------------------------------- sections


@given(
    segments=st.lists(
        st.tuples(st.integers(1, 900), st.sampled_from([0, 0, 0, 7])), min_size=1, max_size=120
    )
)
@settings(deadline=None)
def test_sections_are_the_segments(segments: list[tuple[int, int]]) -> None:
    """Sections together are the segments; none spans a gap, and none grows once it is full."""
    spans, at = [], 0
    for length_s, gap_s in segments:
        spans.append(Span(start_samples=at, end_samples=at + length_s, rate_hz=1))
        at += length_s + gap_s
    sound = track(at, rate_hz=1)
    plan = Plan(
        info=media(sound),
        track=sound,
        action=Action.COPY,
        encoding=None,
        suffix="mp3",
        spans=tuple(spans),
        reach_samples=10,
        max_segment_samples=10_000,
        reasons=(),
    )
    sections = plan_sections(plan)
    assert sum(section.count for section in sections) == len(spans)
    ends = {span.end_samples for span in spans}
    for one, two in itertools.pairwise(sections):
        assert one.end <= two.begin
        assert one.moves == (one.end == two.begin)
        assert one.first + one.count == two.first
    for section in sections:
        assert section.end in ends
        assert section.count <= RUN_SEGMENTS


@given(
    numbers=st.lists(st.integers(1, 5), min_size=2, max_size=8),
    length=st.integers(100, 1_000),
    room=st.integers(0, 400),
    pull=st.lists(st.floats(0, 1), min_size=8, max_size=8),
)
def test_moved_ends_leave_room_for_the_others(
    numbers: list[int], length: int, room: int, pull: list[float]
) -> None:
    """Wherever each end moves in its window, all sections keep the limits of their segments."""
    total, shortest, longest = sum(numbers), length // 2, length + room
    begin = done = 0
    for number, share in zip(numbers, pull, strict=False):
        done += number
        section = Section(
            begin=(done - number) * length,
            end=done * length,
            count=number,
            balanced=length,
            shortest=shortest,
            longest=longest,
            reach=length * 9 // 10,
            moves=done < total,
            earlier=done,
            later=total - done,
        )
        window, anywhere = section.end_window(begin), section.end_window()
        assert anywhere.earliest <= window.earliest <= window.latest <= anywhere.latest
        end = round(window.earliest + share * (window.latest - window.earliest))
        assert number * shortest <= end - begin <= number * longest
        begin = end


# -------------------------------------------------------------------- where the cuts fall


@pytest.mark.parametrize("start_s", [8.2, 9.0, 9.9, 10.6, 11.6])
def test_pause_draws_the_cut(start_s: float) -> None:
    """A silence of 300 ms within reach has the cut in it, before or after the balanced place."""
    first = round(start_s * RATE_HZ)
    pause = silence(0.3, rate_hz=RATE_HZ)
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
    assert len(pieces) in (2, 3)
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
        pytest.param(1e-3, 1e-2, (8.5, 9.4), id="the first is deeper"),
        pytest.param(1e-2, 1e-3, (10.5, 11.4), id="the second is deeper"),
        pytest.param(0.0, 0.0, (10.5, 11.4), id="both are silent and the second nearer"),
    ],
)
def test_better_of_two_pauses(
    first_level: float, second_level: float, inside_s: tuple[float, float]
) -> None:
    """Of two pauses within reach the deeper has the cut, of equal ones the nearer."""
    sound = noise(20 * RATE_HZ)
    for start_s, level in ((8.5, first_level), (10.5, second_level)):
        first = round(start_s * RATE_HZ)
        sound[first : first + round(0.9 * RATE_HZ)] *= level / 0.1
    assert inside_s[0] * RATE_HZ <= one_cut(sound) <= inside_s[1] * RATE_HZ


def test_silence_is_cut_in_balanced_pieces() -> None:
    """Where nothing is heard the cuts stay at their balanced places, to the 20 ms."""
    total = 30 * RATE_HZ
    rule = Rule(total=total, pieces=4, longest=total, reach=2 * RATE_HZ, rate_hz=RATE_HZ)
    edges = edges_of(pieces_of(blocks_of(silence(30, rate_hz=RATE_HZ), [RATE_HZ]), rule))
    assert edges == pytest.approx(balanced_edges(total, 4)[1:-1], abs=RATE_HZ // 50)


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


def test_cuts_are_chosen_together() -> None:
    """A cut moves away from its own best pause where that gives the next cut one."""
    sound = noise(60 * RATE_HZ)
    for middle_s in (14.0, 21.0, 33.5, 47.0):
        first = round((middle_s - 0.4) * RATE_HZ)
        sound[first : first + round(0.8 * RATE_HZ)] *= 0.001
    rule = Rule(
        total=len(sound), pieces=4, longest=20 * RATE_HZ, reach=12 * RATE_HZ, rate_hz=RATE_HZ
    )
    cuts = edges_of(pieces_of(blocks_of(sound, [RATE_HZ]), rule))
    assert [at / RATE_HZ for at in cuts] == pytest.approx([14.0, 33.5, 47.0], abs=0.3)


@pytest.mark.parametrize("every_s", [29.2, 22.0])
def test_silences_are_used_before_more_segments_are(every_s: float) -> None:
    """Where the limit alone decides the number, there are as few segments as the silences allow."""
    count = int(120 / every_s)
    sound = noise(round(count * every_s * LOW_HZ))
    middles_s = [every_s * number for number in range(1, count)]
    for middle_s in middles_s:
        first = round((middle_s - 0.4) * LOW_HZ)
        sound[first : first + round(0.8 * LOW_HZ)] = 0
    rule = Rule(
        total=len(sound),
        pieces=6,
        longest=30 * LOW_HZ,
        reach=20 * LOW_HZ,
        rate_hz=LOW_HZ,
        is_fewest=True,
    )
    cuts = edges_of(pieces_of(blocks_of(sound, [LOW_HZ]), rule))
    assert [at / LOW_HZ for at in cuts] == pytest.approx(middles_s, abs=0.3)


# ---------------------------------------------------------------------------------- memory


@pytest.mark.parametrize(("pieces", "most_s"), [(4, 2 * 30 + 6), (120, 610)])
def test_memory_does_not_grow_with_the_sound(pieces: int, most_s: int) -> None:
    """Around the cut of a long segment a window is held, of short segments a section at most."""
    hour_s, reach_s = 3600, min(30, 1800 // pieces)
    rule = Rule(
        total=2 * hour_s * LOW_HZ,
        pieces=pieces,
        longest=2 * hour_s * LOW_HZ // pieces * 3 // 2,
        reach=reach_s * LOW_HZ,
        rate_hz=LOW_HZ,
        per_section=max(1, 600 * pieces // (2 * hour_s)),
    )
    alive: list[weakref.ref[Sound]] = []
    most = 0

    def seconds() -> Iterator[Sound]:
        nonlocal alive, most
        for second in range(2 * hour_s):
            block = np.full((LOW_HZ, 1), 0.1, np.float32)
            alive = [*(ref for ref in alive if ref() is not None), weakref.ref(block)]
            if second < 2 * hour_s * (pieces - 1) // pieces:
                most = max(most, len(alive))
            yield block
            del block

    parts = cut(seconds(), rule.sections, rate_hz=rule.rate_hz, longest=rule.longest)
    samples = sum(len(part) for _, part in parts)
    assert samples == rule.total
    assert reach_s < most <= most_s
