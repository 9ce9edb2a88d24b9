from __future__ import annotations

import re

import pytest

from captoolkit.errors import UsageError
from captoolkit.model import LoudnessTarget
from captoolkit.planning import gain


@pytest.mark.parametrize(
    ("text", "value"),
    [("auto", "auto"), ("none", "none"), ("-6", -6.0), ("+3.5dB", 3.5), (12, 12.0), ("−2 dB", -2)],
)
def test_a_gain_is_a_word_or_a_number(text: str | float, value: str | float) -> None:
    """Decibels may have a sign and their unit."""
    assert gain.parse_gain(text) == value


@pytest.mark.parametrize(
    "bad", ["loud", "", "nan", float("nan"), "inf", 10**400, True, None, "6 LU"]
)
def test_what_is_no_gain_is_refused(bad: object) -> None:
    """The error names the values that can be had."""
    with pytest.raises(UsageError, match="auto, none, or a number of dB"):
        gain.parse_gain(bad)


@pytest.mark.parametrize(
    ("value", "lufs", "bound"),
    [("-23", -23, -1), ("-16,-2", -16, -2), (-14.5, -14.5, -1), ((-20, -3), -20, -3)],
)
def test_a_loudness_is_one_number_or_two(value: object, lufs: float, bound: float) -> None:
    """The second number is the bound of the true peak."""
    assert gain.parse_normalize(value) == LoudnessTarget(lufs=lufs, true_peak_dbtp=bound)
    assert gain.parse_normalize("none") is None


@pytest.mark.parametrize(
    "bad", ["loud", "", "3", "-23,1", "-99", "-23,-1,-1", (1, 2, 3), "-23,", ()]
)
def test_what_is_no_loudness_is_refused(bad: object) -> None:
    """The error shows the form."""
    with pytest.raises(UsageError, match="LUFS from -70 to 0"):
        gain.parse_normalize(bad)


@pytest.mark.parametrize("peak_db", [0.001, 3.0, 12.34567, 90.3])
def test_the_gain_fits_the_peak(peak_db: float) -> None:
    """The peak ends at full scale or up to 0.01 dB below it."""
    choice = gain.fitting_gain(peak_db)
    assert -0.0100001 <= peak_db + choice.gain_db <= 1e-9
    assert f"{-choice.gain_db:.2f} dB" in choice.reason


@pytest.mark.parametrize("peak_db", [0.0, -0.1, -200.0])
def test_what_fits_stays(peak_db: float) -> None:
    """A peak within full scale needs no gain and no sentence."""
    assert gain.fitting_gain(peak_db) == gain.GainChoice()


@pytest.mark.parametrize(
    ("lufs", "true_peak_db", "gain_db", "words"),
    [
        (-30.0, -20.0, 7.0, "turned up by 7.00 dB, from -30.0 to -23.0 LUFS."),
        (-10.0, 0.0, -13.0, "turned down by 13.00 dB"),
        (-30.0, -4.0, 3.0, "-23 LUFS would take its true peak above -1 dBTP"),
        (-23.0, -5.0, 0.0, "already"),
        (-30.0, -1.02, 0.0, "stays at -30.0 LUFS: -23 LUFS would take its true peak above -1 dBTP"),
        (-22.98, -0.5, -0.5, "-23 LUFS would take its true peak above -1 dBTP"),
        (-22.97, -9.0, 0.0, "already"),
        (None, -200.0, 0.0, "silent or too short"),
    ],
)
def test_the_true_peak_bounds_the_loudness(
    lufs: float | None, true_peak_db: float, gain_db: float, words: str
) -> None:
    """One gain brings the loudness to the target, or the true peak to its bound."""
    choice = gain.normalizing_gain(lufs, true_peak_db, LoudnessTarget(lufs=-23.0))
    assert choice.gain_db == pytest.approx(gain_db, abs=0.011)
    assert words in choice.reason


def test_the_advice_counts_from_the_gain_that_was_applied() -> None:
    """The suggested gain replaces the one that was applied."""
    assert "gain=-3.1 would" in gain.clipping_warning(5, 100, peak_db=3.1, gain_db=0.0)
    assert "gain=2.9 would" in gain.clipping_warning(5, 100, peak_db=3.1, gain_db=6.0)
    assert "gain=-4 would" in gain.clipping_warning(5, 100, peak_db=0.0, gain_db=0.0)
    assert "gain=49 would raise it to -1.0" in gain.quietness_warning(-50.0, gain_db=0.0)
    assert "gain=59 would raise it to -1.0" in gain.quietness_warning(-50.0, gain_db=10.0)


@pytest.mark.parametrize("gain_db", [0.0, 3.5, -110.0, 100.0, 119.5, 120.0])
@pytest.mark.parametrize("peak_db", [-199.0, -139.2, -121.0, -40.1, 3.0, 119.9, 500.0])
def test_the_advice_is_a_gain_that_is_accepted(peak_db: float, gain_db: float) -> None:
    """The option takes each suggested value, and the suggested gain has the stated effect."""
    sentence = gain.quietness_warning(peak_db, gain_db=gain_db)
    if found := re.search(r"gain=(\S+) would raise it to (\S+) dBFS", sentence):
        advised_db = gain.parse_gain(found[1])
        assert isinstance(advised_db, float)
        assert advised_db > gain_db
        assert float(found[2]) == pytest.approx(peak_db + advised_db - gain_db, abs=0.051)
    else:
        assert sentence.endswith("may lose it.")


@pytest.mark.parametrize("gain_db", [0.0, 3.5, -110.0, 120.0])
@pytest.mark.parametrize("peak_db", [0.004, 3.0, 119.9, 500.0])
def test_the_advice_against_clipping_is_a_gain_that_is_accepted(
    peak_db: float, gain_db: float
) -> None:
    """A peak that no number of dB would bring down is left to `auto`."""
    sentence = gain.clipping_warning(5, 100, peak_db=peak_db, gain_db=gain_db)
    advised = gain.parse_gain(sentence.partition("gain=")[2].partition(" ")[0])
    if advised == gain.AUTO:
        assert gain_db - peak_db < -119.8
    else:
        assert float(advised) <= gain_db - peak_db
