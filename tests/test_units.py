from __future__ import annotations

import base64
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.errors import UsageError
from captoolkit.units import (
    base64_capacity,
    base64_length,
    format_clock,
    format_length,
    format_seconds,
    format_size,
    parse_bit_rate,
    parse_duration,
    parse_time,
    rescale,
    samples_at,
)

RATES_HZ = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 768_000])


# ------------------------------------------------------------------------------ durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("40m", 2400),
        ("40min", 2400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1h30m15.25s", Fraction(21661, 4)),
        ("200ms", Fraction(1, 5)),
        ("1s1ms", Fraction(1001, 1000)),
        ("00:40:00", 2400),
        ("41:00", 2460),
        ("90:00", 5400),
        ("100:00:00", 360_000),
        ("2400.5s", Fraction(4801, 2)),
        (".5", Fraction(1, 2)),
        ("  40M ", 2400),
        ("0.1", Fraction(1, 10)),
        ("0:00.001", Fraction(1, 1000)),
    ],
)
def test_duration_in_each_form(text: str, seconds: Fraction) -> None:
    """Each documented form gives the exact seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0", "0s", "0:00", "00:00:00", "-5", "+5", "1e3", "nan", "inf", "soon"),
        *("1:60", "1:61:00", "1:00:60", "1:2:3:4", "5s3m", "1m30", "1,5s", "٣s", "5.", "m", "1 h"),
        pytest.param("9" * 5000, id="5000-digits"),
        pytest.param("9" * 5000 + ":00:00", id="5000-digits-of-hours"),
        pytest.param("0." + "9" * 5000, id="5000-decimals"),
    ],
)
def test_no_duration_is_refused(text: str) -> None:
    """A text that is no duration above zero raises an error with examples."""
    with pytest.raises(UsageError, match="is not a duration above zero; write 90, 40m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("number", "seconds"),
    [
        (90, 90),
        (2.5, Fraction(5, 2)),
        (0.1, Fraction(1, 10)),
        (1e-7, Fraction(1, 10**7)),
        (Fraction(1, 3), Fraction(1, 3)),
        (np.float64(0.1), Fraction(1, 10)),
        (Decimal("0.1"), Fraction(1, 10)),
    ],
)
def test_duration_as_a_number(number: Any, seconds: Fraction) -> None:
    """A number counts seconds: a fraction exactly, a float as the decimal that Python prints."""
    assert parse_duration(number) == seconds


@pytest.mark.parametrize(
    "number", [0, -1, 0.0, True, float("nan"), float("inf"), Decimal("NaN"), None, b"90"]
)
def test_number_that_is_no_duration_is_refused(number: Any) -> None:
    """A number that is not above zero, and a value of another type, raise the same error."""
    with pytest.raises(UsageError, match="is not a duration above zero; write 90, 40m"):
        parse_duration(number)


@given(st.integers(1, 10**10))
def test_clock_is_parsed_back(milliseconds: int) -> None:
    """`parse_duration` reads the exact value that `format_clock` printed."""
    seconds = Fraction(milliseconds, 1000)
    assert parse_duration(format_clock(seconds, decimals=3)) == seconds


@given(
    hours=st.integers(0, 999),
    minutes=st.integers(0, 999),
    seconds=st.decimals(0, 999, places=6),
    milliseconds=st.integers(1, 9999),
)
def test_units_add_up_exactly(hours: int, minutes: int, seconds: object, milliseconds: int) -> None:
    """Hours, minutes, seconds and milliseconds add up without rounding."""
    total = 3600 * hours + 60 * minutes + Fraction(str(seconds)) + Fraction(milliseconds, 1000)
    assert parse_duration(f"{hours}h{minutes}m{seconds}s{milliseconds}ms") == total


# ------------------------------------------------------------------------- bit rates, sizes


@pytest.mark.parametrize(
    ("text", "bit_rate"), [("64k", 64_000), ("128K", 128_000), ("12.2k", 12_200), ("48000", 48_000)]
)
def test_bit_rate_in_each_form(text: str, bit_rate: int) -> None:
    """A bit rate is a number of bits, or of thousands of bits with a k."""
    assert parse_bit_rate(text) == bit_rate


@pytest.mark.parametrize("text", ["", "0", "-64k", "64kbps", "0.5", "1.0001k", "9" * 5000])
def test_no_bit_rate_is_refused(text: str) -> None:
    """A text that is no whole number of bits above zero raises an error with examples."""
    with pytest.raises(UsageError, match="is not a bit rate; write 64k"):
        parse_bit_rate(text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (7_499_988, "7.50 MB"),
        (1_000_000_000, "1.00 GB"),
        (5_000_000_000_000, "5000.00 GB"),
    ],
)
def test_size_as_a_person_reads_it(size_bytes: int, text: str) -> None:
    """Sizes are shown in the decimal unit that suits them."""
    assert format_size(size_bytes) == text


# ------------------------------------------------------------------------ samples, clocks


@pytest.mark.parametrize(("half_samples", "sample"), [(1, 1), (3, 2), (5, 3), (4, 2)])
def test_halves_go_up(half_samples: int, sample: int) -> None:
    """A time between two samples is the later one, whether that is odd or even."""
    assert samples_at(Fraction(half_samples, 2), 1) == sample
    assert rescale(half_samples, 2, 1) == sample


@given(samples=st.integers(0, 10**12), rate_hz=RATES_HZ)
def test_sample_is_found_by_its_time(samples: int, rate_hz: int) -> None:
    """The time of a sample leads back to it."""
    assert samples_at(Fraction(samples, rate_hz), rate_hz) == samples


@given(samples=st.integers(0, 10**12), rates=st.tuples(RATES_HZ, RATES_HZ))
def test_rescaled_sample_is_the_nearest(samples: int, rates: tuple[int, int]) -> None:
    """At another rate a sample becomes the nearest one, and none is nearer."""
    from_hz, to_hz = rates
    moved_s = Fraction(rescale(samples, from_hz, to_hz), to_hz) - Fraction(samples, from_hz)
    assert abs(moved_s) <= Fraction(1, 2 * to_hz)


@given(samples=st.integers(0, 10**12), rates=st.tuples(RATES_HZ, RATES_HZ))
def test_there_and_back_is_the_same_sample(samples: int, rates: tuple[int, int]) -> None:
    """A sample rescaled to a higher rate and back is itself."""
    low_hz, high_hz = sorted(rates)
    assert rescale(rescale(samples, low_hz, high_hz), high_hz, low_hz) == samples


@given(samples=st.integers(0, 10**12), rate_hz=RATES_HZ)
def test_six_decimals_name_one_sample(samples: int, rate_hz: int) -> None:
    """Six decimals are enough to recover the sample at any rate up to 768 kHz."""
    text = format_seconds(samples, rate_hz)
    assert len(text.partition(".")[2]) == 6
    assert samples_at(Fraction(text), rate_hz) == samples


@pytest.mark.parametrize(
    ("seconds", "decimals", "mark", "text"),
    [
        (0, 0, ".", "0:00"),
        (59.9999, 0, ".", "1:00"),
        (2460, 0, ".", "41:00"),
        (3600, 0, ".", "1:00:00"),
        (Fraction(3_599_9996, 10_000), 3, ".", "1:00:00.000"),
        (Fraction(1, 1000), 3, ",", "0:00,001"),
        (360_000, 3, ",", "100:00:00,000"),
    ],
)
def test_clock(seconds: Fraction | float, decimals: int, mark: str, text: str) -> None:
    """Rounding carries over to minutes and hours; hours are printed from one hour on."""
    assert format_clock(seconds, decimals=decimals, mark=mark) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (30, "30 s"),
        (Fraction(25, 2), "12.5 s"),
        (0.001, "0.001 s"),
        (60, "1:00"),
        (2460, "41:00"),
        (10_800, "3:00:00"),
    ],
)
def test_length_in_a_sentence(seconds: Fraction | float, text: str) -> None:
    """A length below a minute is printed in seconds, a longer one as a clock."""
    assert format_length(seconds) == text


# --------------------------------------------------------------------------------- Base64


@given(st.binary(max_size=4000))
def test_base64_length_is_that_of_the_text(data: bytes) -> None:
    """The predicted length is the length of the real text."""
    assert base64_length(len(data)) == len(base64.b64encode(data))


@given(st.integers(0, 10**10))
def test_base64_capacity_is_the_largest(characters: int) -> None:
    """The capacity fits into the characters, and one byte more does not."""
    capacity = base64_capacity(characters)
    assert base64_length(capacity) <= characters < base64_length(capacity + 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("0:00", 0), ("-1m", -60), ("+2.5s", Fraction(5, 2)), ("1h", 3600)],
)
def test_a_time_may_be_zero_or_have_a_sign(text: str, seconds: Fraction) -> None:
    """A time may be zero, and negative: a position on a timeline, or a shift."""
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "-", "+", "--1", "soon", "1:99", "-0:0:0:0"])
def test_no_time_is_refused(text: str) -> None:
    """A text that is no time raises `UsageError`."""
    with pytest.raises(UsageError, match="is not a time"):
        parse_time(text)


def test_samples_of_very_fast_clocks_have_the_digits_they_need() -> None:
    """At the rate of a joined timeline, which may be in the millions, each sample is recovered."""
    for rate_hz in (999_999, 1_000_000, 7_056_000, 10**9 + 7):
        for samples in (1, rate_hz - 1, 10**6 * rate_hz + 1):
            assert samples_at(Fraction(format_seconds(samples, rate_hz)), rate_hz) == samples
