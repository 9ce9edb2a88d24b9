from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from captoolkit.errors import UsageError
from captoolkit.model import Encoding, Span
from captoolkit.planning import segmentation
from captoolkit.planning.options import ParsedOptions

RATE_HZ = 44_100
durations = st.lists(st.fractions(Fraction(1, 100), 20_000, max_denominator=RATE_HZ), min_size=1)
limits = st.fractions(1, 3_000, max_denominator=1_000)
lengths = st.none() | st.fractions(1, 3_000, max_denominator=10)


def stretches_of(lengths: list[int], gap: int) -> list[Span]:
    """Stretches of that many samples with a gap between each two."""
    starts = itertools.accumulate(lengths[:-1], lambda at, length: at + length + gap, initial=gap)
    return [
        Span(start_samples=start, end_samples=start + length, rate_hz=RATE_HZ)
        for start, length in zip(starts, lengths, strict=True)
    ]


# ------------------------------------------------------------------- properties


@given(
    parts=st.lists(st.tuples(st.integers(100, 10**9), st.integers(1, 50)), min_size=1, max_size=6),
    gap=st.integers(1, 10**6),
)
def test_segments_tile_the_stretches(parts: list[tuple[int, int]], gap: int) -> None:
    """Each stretch is tiled to the sample by as many segments, alike to a sample."""
    stretches = stretches_of([length for length, _ in parts], gap)
    segments = iter(segmentation.balance(stretches, [number for _, number in parts]))
    for stretch, (_, number) in zip(stretches, parts, strict=True):
        own = list(itertools.islice(segments, number))
        assert own[0].start_samples == stretch.start_samples
        assert own[-1].end_samples == stretch.end_samples
        assert all(one.end_samples == two.start_samples for one, two in itertools.pairwise(own))
        assert max(one.samples for one in own) - min(one.samples for one in own) <= 1
        assert all(one.rate_hz == stretch.rate_hz for one in own)
    assert next(segments, None) is None


@given(durations_s=durations, longest_s=limits, segment_s=lengths)
@settings(deadline=None)
def test_no_segment_is_too_long_wherever_it_is_cut(
    durations_s: list[Fraction], longest_s: Fraction, segment_s: Fraction | None
) -> None:
    """The lengths that a plan states are within the limit and contain the balanced ones."""
    options = ParsedOptions(segment_s=segment_s)
    numbers = segmentation.count_segments(durations_s, longest_s, options)
    cutting = segmentation.cutting(durations_s, numbers, longest_s, options)
    assert 0 <= cutting.reach_s <= segmentation.MAX_REACH_S
    assert cutting.longest_s <= longest_s
    for duration_s, number in zip(durations_s, numbers, strict=True):
        balanced_s = duration_s / number
        assert cutting.shortest_s <= balanced_s <= cutting.longest_s
        assert segment_s is None or balanced_s <= segment_s
        assert number == 1 or cutting.reach_s <= balanced_s


@given(durations_s=durations, longest_s=limits, segment_s=lengths)
@settings(deadline=None)
def test_one_segment_fewer_would_not_do(
    durations_s: list[Fraction], longest_s: Fraction, segment_s: Fraction | None
) -> None:
    """There are no more segments than limit, wish and room for the cuts demand."""
    numbers = segmentation.count_segments(
        durations_s, longest_s, ParsedOptions(segment_s=segment_s)
    )
    for duration_s, number in zip(durations_s, numbers, strict=True):
        fewer = number - 1
        assert (
            fewer == 0
            or not segmentation.fits(duration_s, fewer, longest_s)
            or (segment_s is not None and duration_s / fewer > segment_s)
        )


@given(duration_s=st.fractions(1, 20_000), longest_s=limits, more=st.integers(0, 40))
@settings(deadline=None)
def test_parts_are_as_many_as_asked(duration_s: Fraction, longest_s: Fraction, more: int) -> None:
    """A number of parts that fits is met exactly, and its cuts stay within the limit."""
    (least,) = segmentation.count_segments([duration_s], longest_s, ParsedOptions())
    asked = ParsedOptions(parts=least + more)
    assume(least + more == 1 or duration_s >= least + more)
    assert segmentation.count_segments([duration_s], longest_s, asked) == (least + more,)
    cutting = segmentation.cutting([duration_s], [least + more], longest_s, asked)
    assert cutting.reach_s >= 0
    assert not cutting.is_fewest


def test_parts_of_less_than_a_second_are_refused() -> None:
    """A service counts less than a second as one; so many parts are a slip of the finger."""
    with pytest.raises(UsageError, match="give at most 5"):
        segmentation.count_segments([Fraction(5)], Fraction(100), ParsedOptions(parts=200))


# ------------------------------------------------------------------------------- examples


@pytest.mark.parametrize(
    ("duration_s", "longest_s", "number", "reach_s"),
    [
        (100, 100, 1, 0),
        (101, 100, 2, Fraction(101, 4)),  # half of a segment
        (180, 100, 2, 10),  # one cut has all of the room
        (181, 100, 3, 30),
        (50, 30, 2, 5),  # short segments need a fifth of room
        (51, 30, 3, Fraction(153, 10)),  # nine tenths of a segment
        (3_000, 2_000, 2, 30),  # never farther
    ],
)
def test_room_decides(
    duration_s: int, longest_s: int, number: int, reach_s: Fraction | int
) -> None:
    """Cuts use the room that a segment leaves, up to nine tenths of it and half a minute."""
    durations_s, limit_s = [Fraction(duration_s)], Fraction(longest_s)
    numbers = segmentation.count_segments(durations_s, limit_s, ParsedOptions())
    assert numbers == (number,)
    assert segmentation.cutting(durations_s, numbers, limit_s, ParsedOptions()).reach_s == reach_s


def test_number_is_open_only_where_the_limit_alone_decides_it() -> None:
    """A limit may be kept with fewer segments; a length or a number of them is kept."""
    for options, is_fewest in (
        (ParsedOptions(max_segment_s=Fraction(30)), True),
        (ParsedOptions(max_segment_s=Fraction(30), parts=50), False),
        (ParsedOptions(max_segment_s=Fraction(30), segment_s=Fraction(25)), False),
    ):
        durations_s = [Fraction(1200)]
        numbers = segmentation.count_segments(durations_s, Fraction(30), options)
        cutting = segmentation.cutting(durations_s, numbers, Fraction(30), options)
        assert cutting.is_fewest is is_fewest
        assert cutting.longest_s == 30


def test_parts_too_few_are_refused_with_the_number_that_does() -> None:
    """Too few parts are refused, and the error names the smallest number."""
    with pytest.raises(UsageError) as raised:
        segmentation.count_segments([Fraction(181)], Fraction(80), ParsedOptions(parts=2))
    assert str(raised.value).startswith("parts=2 would each be longer than the 1:20 allowed")
    assert raised.value.fix == "give at least 3"


def test_parts_against_a_length_of_segments_name_that_length() -> None:
    """Where the limit allows so few parts, the error names the length that does not."""
    asked = ParsedOptions(parts=2, segment_s=Fraction(10))
    with pytest.raises(UsageError) as raised:
        segmentation.count_segments([Fraction(60)], Fraction(2400), asked)
    assert str(raised.value).startswith(
        "parts=2 and segments of 10 s contradict each other for 1:00;"
    )
    assert raised.value.fix == "leave one of the two out, or give at least 6 parts"
    with pytest.raises(UsageError, match="longer than the 20 s allowed"):
        segmentation.count_segments([Fraction(60)], Fraction(20), asked)
    too_many = ParsedOptions(parts=13, segment_s=Fraction(10))  # each below half of the length
    with pytest.raises(UsageError, match=r"contradict each other .* give at most 12 parts"):
        segmentation.count_segments([Fraction(60)], Fraction(2400), too_many)


@pytest.mark.parametrize(
    ("duration_s", "longest_s", "parts", "told"),
    [
        (
            2_400,
            Fraction("2399.9"),
            1,
            "parts=1 would each last 40:00.000, and a segment may hold 39:59.900 at most: a "
            "file can last a little longer than its sound; give at least 2",
        ),
        (
            2_400,
            Fraction(600),
            4,
            "parts=4 would each last 10:00.000, and a segment may hold 9:50.000 at most: a "
            "file can last a little longer than its sound, and cuts need room to move; "
            "give at least 5",
        ),
    ],
)
def test_parts_that_only_just_do_not_fit_are_told_why(
    duration_s: int, longest_s: Fraction, parts: int, told: str
) -> None:
    """No message says that 40:00 is longer than 40:00."""
    with pytest.raises(UsageError) as raised:
        segmentation.count_segments([Fraction(duration_s)], longest_s, ParsedOptions(parts=parts))
    assert str(raised.value) == told


def test_parts_of_several_stretches_are_refused() -> None:
    """Where silences are left out, parts are nothing that can be counted."""
    with pytest.raises(UsageError, match="cannot be counted where silences are left out"):
        segmentation.count_segments(
            [Fraction(10), Fraction(10)], Fraction(100), ParsedOptions(parts=2)
        )


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("sample_type", ["int16", "int32", "float64"])
def test_what_is_held_for_a_cut_has_a_bound(channels: int, rate_hz: int, sample_type: str) -> None:
    """A cut moves 30 s in CD sound, and less far where a second of the sound is larger."""
    encoding = Encoding(
        format="wav",
        codec="pcm_s32le",
        sample_rate_hz=rate_hz,
        channels=channels,
        bit_rate=0,
        sample_type=sample_type,
    )
    hour_s = Fraction(3600)
    options = ParsedOptions()
    reach_s = segmentation.cutting([hour_s], [2], hour_s, options, encoding=encoding).reach_s
    second_bytes = rate_hz * channels * np.dtype(sample_type).itemsize
    assert 2 * reach_s * second_bytes <= max(segmentation.WINDOW_BYTES, 2 * second_bytes)
    assert reach_s >= 1
    if second_bytes <= 44_100 * 4:
        assert reach_s == segmentation.MAX_REACH_S
